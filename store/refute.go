package store

import (
	"bytes"
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// refuters is how many operators have to contradict what was recorded: as many as it takes to confirm it.
const refuters = 2

// quorum is how many of the batch's views refute what was recorded, 0 when they cannot. Of a chain with one operator that is the
// only one, when a person asked to read again: whoever asks has looked, and nobody else can be asked.
func (t txn) quorum(ctx context.Context, chain string, rescan OpenRescan, batch Batch) (int, error) {
	operators := make(map[string]bool, len(batch.Views))
	for _, view := range batch.Views {
		operators[view.Operator] = true
	}
	switch {
	case len(operators) != len(batch.Views): // one operator twice is one voice
		return 0, nil
	case len(operators) >= refuters:
		return refuters, nil
	case len(operators) == 0 || !batch.Alone || rescan.Second:
		return 0, nil
	}
	may, err := t.q.MayRefuteAlone(ctx, sqlc.MayRefuteAloneParams{RescanID: rescan.ID, Chain: chain})
	if err != nil || !may {
		return 0, unlessNil("read who may refute what was recorded", err)
	}
	return 1, nil
}

func unlessNil(what string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", what, err)
}

// refutedBy lists the canonical inclusions that the batch's views contradict: in the recorded block, read for what the transfer is
// found by, so many operators as it takes do not show that transfer with that content, and fewer do.
func (t txn) refutedBy(ctx context.Context, turn chainTurn, batch Batch) ([]sqlc.RecordedInBlocksRow, error) {
	if batch.quorum == 0 {
		return nil, nil
	}
	rows, err := t.q.RecordedInBlocks(ctx, sqlc.RecordedInBlocksParams{
		Chain: turn.chain, First: int64(batch.first().Number), Last: int64(batch.last().Number),
	})
	if err != nil {
		return nil, fmt.Errorf("read what was recorded: %w", err)
	}
	var refuted []sqlc.RecordedInBlocksRow
	for _, row := range rows {
		shown, denied := 0, 0
		for _, view := range batch.Views {
			block := view.Blocks[row.BlockNumber-int64(batch.first().Number)]
			switch {
			case block.shows(row):
				shown++
			case bytes.Equal(block.Hash[:], row.BlockHash) && batch.looksFor(row, block):
				denied++
			}
		}
		if denied >= batch.quorum && denied > shown {
			refuted = append(refuted, row)
		}
	}
	return refuted, nil
}

// looksFor tells whether the transfer would have been found in the block if it were there. What is read by topics alone, of tokens
// that were not named, says nothing, and an internal transfer is only seen where the block was traced.
func (b Batch) looksFor(row sqlc.RecordedInBlocksRow, block SeenBlock) bool {
	if row.Native {
		return b.Native && (row.Position == 0 || block.Traced)
	}
	for _, token := range b.Tokens {
		if bytes.Equal(token.Bytes(), row.Contract) {
			return true
		}
	}
	return false
}

// shows tells whether the transfer is in the block exactly as it was recorded.
func (b SeenBlock) shows(row sqlc.RecordedInBlocksRow) bool {
	if !bytes.Equal(b.Hash[:], row.BlockHash) {
		return false
	}
	for _, seen := range b.Sightings {
		if seen.Receipt == ReceiptRead && bytes.Equal(seen.TxHash[:], row.TxHash) && seen.Native == row.Native &&
			int32(seen.Position) == row.Position && bytes.Equal(seen.Contract.Bytes(), row.Contract) &&
			seen.Amount == row.Amount.Amount && bytes.Equal(seen.From.Bytes(), row.Sender) && bytes.Equal(seen.To.Bytes(), row.Recipient) {
			return true
		}
	}
	return false
}

// refute ends what operators contradict, like a payment that left the chain. What was credited stays: only a person takes money
// back that nothing on the chain took back.
func (p *placing) refute(ctx context.Context, recorded *Recorded) error {
	for _, row := range p.refuted {
		locked := p.locked[row.ID]
		marked, err := p.q.MarkRefuted(ctx, sqlc.MarkRefutedParams{PaymentID: row.ID, N: row.N})
		if err != nil {
			return fmt.Errorf("mark payment %s as refuted: %w", row.ID, err)
		}
		if marked == 0 {
			continue
		}
		credited := locked.CreditedInclusion != nil && *locked.CreditedInclusion == row.N
		if credited {
			recorded.Doubted++
			err = p.doubt(ctx, row)
		} else {
			recorded.Refuted++
			err = p.end(ctx, row)
		}
		if err != nil {
			return fmt.Errorf("refute payment %s: %w", row.ID, err)
		}
		_, err = p.audit(ctx, deed{
			By:     process.By{Actor: finder, Reason: "operators who read the block again do not show this transfer"},
			Action: "payment.refuted", Subject: row.ID,
			Detail: map[string]any{
				"chain": p.turn.chain, "inclusion": row.N, "block": row.BlockNumber, "amount": row.Amount.String(), "credited": credited,
			},
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (p *placing) end(ctx context.Context, row sqlc.RecordedInBlocksRow) error {
	lost := lostPayment{id: row.ID, orderID: row.OrderID, merchantID: row.MerchantID, inclusion: row.N}
	if err := p.drop(ctx, p.turn, p.order(row.OrderID), p.locked[row.ID], lost, endRefuted); err != nil {
		return err
	}
	p.ended[row.ID] = true
	at := identity{payment.Hash(row.TxHash), row.Native, uint32(row.Position)}
	if known, ok := p.known[at]; ok {
		known.Canonical = false // what there is instead begins a new inclusion
		p.known[at] = known
	}
	return nil
}

func (p *placing) doubt(ctx context.Context, row sqlc.RecordedInBlocksRow) error {
	about, err := p.inclusion(ctx, payment.PaymentID(row.ID), int(row.N))
	if err != nil {
		return err
	}
	return p.askForReview(ctx, about, process.CauseDisagreement, true)
}
