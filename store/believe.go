package store

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// believe puts what is believed of the blocks' times in the place of what was said, before any rule looks at one. again: the
// blocks may have been recorded before. Then one operator's word changes no time that is remembered, and is held between
// those of the recorded blocks below and above.
func (t txn) believe(ctx context.Context, chain string, batch *Batch, again bool) error {
	first, last := int64(batch.first().Number), int64(batch.last().Number)
	around, err := t.q.TimesAround(ctx, sqlc.TimesAroundParams{Chain: chain, First: first, Last: last})
	if err != nil {
		return fmt.Errorf("read the times of the blocks around: %w", err)
	}
	var remembered []sqlc.ChainBlocksBetweenRow
	if again {
		remembered, err = t.q.ChainBlocksBetween(ctx, sqlc.ChainBlocksBetweenParams{Chain: chain, First: first, Last: last})
		if err != nil {
			return fmt.Errorf("read the recorded times: %w", err)
		}
	}
	batch.now, batch.held = around.Now, nil
	bounds := payment.TimeBounds{NotBefore: around.Below, NotAfter: around.Now.Add(payment.ClockSlack)}
	if around.Above.Before(bounds.NotAfter) {
		bounds.NotAfter = around.Above
	}
	batch.Blocks = slices.Clone(batch.Blocks) // of the caller, who may come again with the same
	for i := range batch.Blocks {
		block := &batch.Blocks[i].BlockRef
		said, altered := *block, block.TimeBasis == payment.TimeDisputed
		known := slices.IndexFunc(remembered, func(row sqlc.ChainBlocksBetweenRow) bool { return bytes.Equal(row.Hash, block.Hash[:]) })
		if known >= 0 && !block.TimeBasis.Established() {
			block.Time, altered = remembered[known].BlockTime, false
		} else if believed, held := block.BelievedTime(bounds); held {
			block.Time, altered = believed, true
		}
		if altered {
			batch.held = append(batch.held, heldTime{block: said, believed: block.Time})
		}
		bounds.NotBefore = block.Time
	}
	return nil
}

// heldTime is a block's time that was not believed, or that operators disagree about.
type heldTime struct {
	block    payment.BlockRef // as it was said
	believed time.Time
}

// tellHeld counts and reports the times of the batch that were not believed.
func (t txn) tellHeld(ctx context.Context, chain string, batch Batch) error {
	if len(batch.held) == 0 {
		return nil
	}
	first := batch.held[0]
	t.log.ErrorContext(ctx, "what was said of a block's time is not believed",
		"chain", chain, "blocks", len(batch.held), "first", first.block.Number, "hash", first.block.Hash.String(),
		"said", first.block.Time, "basis", string(first.block.TimeBasis), "believed", first.believed)
	if err := t.q.CountTimesHeld(ctx, sqlc.CountTimesHeldParams{Chain: chain, N: int64(len(batch.held))}); err != nil {
		return fmt.Errorf("count the times that were not believed: %w", err)
	}
	return nil
}
