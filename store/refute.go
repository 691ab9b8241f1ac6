package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// refuters is how many operators have to contradict what was recorded: as many as it takes to confirm it.
const refuters = 2

// quorum is how many of the batch's views refute what was recorded, 0 when they cannot. Of a chain with one operator that is the
// only one, in a rescan that was asked for: whoever asks has looked, and nobody else can be asked.
func (t txn) quorum(ctx context.Context, chain string, rescan OpenRescan, batch Batch) (int, error) {
	operators := make(map[string]bool, len(batch.Views))
	for _, view := range batch.Views {
		operators[view.Operator] = true
	}
	switch {
	case !batch.ByHash: // what ranges do not show may be there all the same
		return 0, nil
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
	return slices.DeleteFunc(rows, func(row sqlc.RecordedInBlocksRow) bool { return !batch.refutes(row) }), nil
}

// refutes tells whether the views contradict a transfer of one of the batch's blocks.
func (b Batch) refutes(row sqlc.RecordedInBlocksRow) bool {
	shown, denied := 0, 0
	for _, view := range b.Views {
		block := view.Blocks[row.BlockNumber-int64(b.first().Number)]
		switch {
		case block.shows(row):
			shown++
		case bytes.Equal(block.Hash[:], row.BlockHash) && b.looksFor(row, block):
			denied++
		}
	}
	return b.quorum > 0 && denied >= b.quorum && denied > shown
}

// leavesOut tells whether some view lacks a transfer that is recorded in one of the batch's blocks.
func (t txn) leavesOut(ctx context.Context, turn chainTurn, batch Batch) (bool, error) {
	first := int64(batch.first().Number)
	rows, err := t.q.RecordedInBlocks(ctx, sqlc.RecordedInBlocksParams{Chain: turn.chain, First: first, Last: int64(batch.last().Number)})
	if err != nil {
		return false, fmt.Errorf("read what was recorded: %w", err)
	}
	return slices.ContainsFunc(rows, func(row sqlc.RecordedInBlocksRow) bool {
		return slices.ContainsFunc(batch.everyView(), func(blocks []SeenBlock) bool {
			block := blocks[row.BlockNumber-first]
			return batch.looksFor(row, block) && !block.shows(row)
		})
	}), nil
}

// asRecorded is the arrival as it would be recorded, as far as operators can contradict it.
func (a arrival) asRecorded() sqlc.RecordedInBlocksRow {
	return sqlc.RecordedInBlocksRow{
		TxHash: a.TxHash[:], Native: a.Native, Position: int32(a.Position), BlockNumber: int64(a.block.Number), BlockHash: a.block.Hash[:],
		Contract: a.Contract.Bytes(), Amount: dbtype.Of(a.Amount), Sender: a.From.Bytes(), Recipient: a.To.Bytes(),
	}
}

// findLies reads what was refuted of payments before.
func (p *placing) findLies(ctx context.Context, known []sqlc.PaymentsByTxRow) error {
	p.lies = make(map[string][]sqlc.RefutedInclusionsRow)
	if len(known) == 0 {
		return nil
	}
	ids := make([]string, len(known))
	for i, row := range known {
		ids[i] = row.ID
	}
	rows, err := p.q.RefutedInclusions(ctx, ids)
	if err != nil {
		return fmt.Errorf("read what was refuted: %w", err)
	}
	for _, row := range rows {
		p.lies[row.PaymentID] = append(p.lies[row.PaymentID], row)
	}
	return nil
}

// isLie tells whether the arrival is what was refuted: it takes as many who show it to believe it after all.
func (p *placing) isLie(known sqlc.PaymentsByTxRow, a arrival) bool {
	return p.ended[known.ID] && a.recordedAs(known) || slices.ContainsFunc(p.lies[known.ID], a.says)
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
		err := p.contradict(ctx, lost, "operators who read the block again do not show this transfer")
		if err != nil {
			return err
		}
		if !p.ended[row.ID] {
			continue
		}
		err = p.q.ReadMovedAgain(ctx, sqlc.ReadMovedAgainParams{Chain: p.turn.chain, Prefix: movedPrefix(row.ID, row.N), RefutedBlock: row.BlockNumber})
		if err != nil {
			return fmt.Errorf("plan to read again where payment %s was shown: %w", row.ID, err)
		}
		at := identity{payment.Hash(row.TxHash), row.Native, uint32(row.Position)}
		if known, ok := p.known[at]; ok {
			known.Canonical = false // what there is instead begins a new inclusion
			p.known[at] = known
		}
	}
	return nil
}

// contradict ends a payment's newest inclusion, which is not true, like that of a payment that left the chain. What was credited
// stays: only a person takes money back that nothing on the chain took back. Either is done and told once.
func (p *placing) contradict(ctx context.Context, lost lostPayment, why string) error {
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
		err = p.drop(ctx, p.turn, p.order(lost.orderID), locked, lost, endRefuted)
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
// hold it twice, so one of two words is wrong. A block that is read for the first time is the word of one node, and moves nothing: both
// blocks are read again. A block that is read again moves it when as many operators show the transfer there as it takes to refute
// one. It tells whether the transfer begins a new inclusion.
func (p *placing) moved(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) (bool, error) {
	if p.mode == placeRecorded {
		return false, p.readBoth(ctx, known, a)
	}
	if bytes.Equal(known.BlockHash, a.block.Hash[:]) || !p.batch.vouchesFor(a) {
		p.log.WarnContext(ctx, "a block that was read again differs from what is recorded",
			"chain", p.turn.chain, "payment", known.ID, "block", a.block.Number)
		return false, nil
	}
	lost := lostPayment{id: known.ID, orderID: known.OrderID, merchantID: known.MerchantID, inclusion: known.Inclusion}
	err := p.contradict(ctx, lost, "another block holds this transfer")
	return p.ended[known.ID], err
}

// readBoth has both blocks that a transfer was seen in read again, by several operators where there are several. If it was credited, a
// person is asked to look, too.
func (p *placing) readBoth(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) error {
	p.log.ErrorContext(ctx, "a node shows a transfer that another block holds: both are read again",
		"chain", p.turn.chain, "payment", known.ID, "recorded", known.BlockNumber, "shown", a.block.Number)
	by := process.By{Actor: recorderActor, Reason: "two blocks hold payment " + known.ID}
	for _, number := range []uint64{uint64(known.BlockNumber), a.block.Number} {
		request := fmt.Sprintf("%s%s/%d", movedPrefix(known.ID, known.Inclusion), a.block.Hash, number)
		if _, err := p.requestRescan(ctx, p.turn.chain, Interval{First: number, Last: number}, by, request); err != nil {
			return fmt.Errorf("plan to read block %d again: %w", number, err)
		}
	}
	if p.locked[known.ID].CreditedInclusion == nil {
		return nil
	}
	return p.doubt(ctx, lostPayment{id: known.ID, inclusion: known.Inclusion})
}

// shownAgain leaves out what was refuted before. Where its block is new again, after a reorganisation, several operators are asked.
func (p *placing) shownAgain(ctx context.Context, known sqlc.PaymentsByTxRow, a arrival) error {
	p.log.WarnContext(ctx, "what was refuted is shown again", "chain", p.turn.chain, "payment", known.ID, "block", a.block.Number)
	if p.mode != placeRecorded {
		return nil
	}
	by := process.By{Actor: recorderActor, Reason: "what was refuted is shown again, of payment " + known.ID}
	request := fmt.Sprintf("shown/%s/%d/%s", known.ID, known.Inclusion, a.block.Hash)
	if _, err := p.requestRescan(ctx, p.turn.chain, Interval{First: a.block.Number, Last: a.block.Number}, by, request); err != nil {
		return fmt.Errorf("plan to read block %d again: %w", a.block.Number, err)
	}
	return nil
}

// movedPrefix begins the ids of the rescans of blocks in which an inclusion's transfer was shown.
func movedPrefix(paymentID string, inclusion int32) string {
	return fmt.Sprintf("moved/%s/%d/", paymentID, inclusion)
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
