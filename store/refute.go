package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

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

// refute ends what operators contradict.
func (p *placing) refute(ctx context.Context) error {
	for _, row := range p.refuted {
		lost := lostPayment{id: row.ID, orderID: row.OrderID, merchantID: row.MerchantID, inclusion: row.N}
		err := p.contradict(ctx, lost, endRefuted, "operators who read the block again do not show this transfer")
		if err != nil {
			return err
		}
		at := identity{payment.Hash(row.TxHash), row.Native, uint32(row.Position)}
		if known, ok := p.known[at]; ok && p.ended[row.ID] {
			known.Canonical = false // what there is instead begins a new inclusion
			p.known[at] = known
		}
	}
	return nil
}

// contradict ends a payment's newest inclusion, which is not true, like that of a payment that left the chain. What was credited
// stays: only a person takes money back that nothing on the chain took back. Either is done and told once.
func (p *placing) contradict(ctx context.Context, lost lostPayment, reason, why string) error {
	locked := p.locked[lost.id]
	marked, err := p.q.MarkRefuted(ctx, sqlc.MarkRefutedParams{PaymentID: lost.id, N: lost.inclusion})
	if err != nil {
		return fmt.Errorf("mark payment %s as refuted: %w", lost.id, err)
	}
	if marked == 0 {
		return nil
	}
	credited := locked.CreditedInclusion != nil
	if credited {
		p.recorded.Doubted++
		err = p.doubt(ctx, lost)
	} else {
		p.recorded.Refuted++
		p.ended[lost.id] = true
		err = p.drop(ctx, p.turn, p.order(lost.orderID), locked, lost, reason)
	}
	if err != nil {
		return fmt.Errorf("refute payment %s: %w", lost.id, err)
	}
	p.log.ErrorContext(ctx, "what was recorded of a payment is contradicted: a node told of what there is not",
		"chain", p.turn.chain, "payment", lost.id, "inclusion", lost.inclusion, "credited", credited, "why", why)
	_, err = p.audit(ctx, deed{
		By: process.By{Actor: finder, Reason: why}, Action: "payment.refuted", Subject: lost.id,
		Detail: map[string]any{"chain": p.turn.chain, "inclusion": lost.inclusion, "credited": credited},
	})
	return err
}

func (p *placing) doubt(ctx context.Context, lost lostPayment) error {
	about, err := p.inclusion(ctx, payment.PaymentID(lost.id), int(lost.inclusion))
	if err != nil {
		return err
	}
	return p.askForReview(ctx, about, process.CauseDisagreement, true)
}

// moved deals with a transfer that is recorded in another block, or otherwise, while no reorganisation undid that: the chain cannot
// hold it twice. A new block is believed rather than an older one, and so is a block that is read again when as many operators show the
// transfer there as it takes to refute one. It tells whether the transfer begins a new inclusion.
func (p *placing) moved(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) (bool, error) {
	reason := endContentChanged
	if p.mode == placeRescanned {
		if bytes.Equal(known.BlockHash, a.block.Hash[:]) || !p.batch.vouchesFor(a) {
			p.log.WarnContext(ctx, "a block that was read again differs from what is recorded",
				"chain", p.turn.chain, "payment", known.ID, "block", a.block.Number)
			return false, nil
		}
		reason = endRefuted
	}
	lost := lostPayment{id: known.ID, orderID: known.OrderID, merchantID: known.MerchantID, inclusion: known.Inclusion}
	err := p.contradict(ctx, lost, reason, "another block holds this transfer")
	return p.ended[known.ID], err
}

// vouchesFor tells whether so many operators show a transfer as it takes, and fewer do not.
func (b Batch) vouchesFor(a arrival) bool {
	shown := 0
	for _, view := range b.Views {
		for _, block := range view.Blocks {
			if block.Hash == a.block.Hash && slices.Contains(block.Sightings, a.Sighting) {
				shown++
				break
			}
		}
	}
	return b.quorum > 0 && shown >= b.quorum && 2*shown > len(b.Views)
}
