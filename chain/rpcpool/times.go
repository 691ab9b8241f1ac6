package rpcpool

import (
	"context"
	"log/slog"
	"maps"
	"slices"

	"github.com/sluicepay/sluice/payment"
)

// AgreeOnTime implements chain.Timekeeper. What operators said of the block before is not asked again. Nobody is waited for: an
// operator that may not be asked now says nothing, and recording goes on.
func (p *Pool) AgreeOnTime(ctx context.Context, block payment.BlockRef) payment.BlockRef {
	if block.TimeBasis.Established() || p.only != "" {
		return block
	}
	p.mu.Lock()
	votes := p.pins.told(block.Hash)
	p.mu.Unlock()
	asked := map[string]bool{}
	for operator := range votes {
		asked[operator] = true
	}
	for {
		if settled, ok := establish(votes); ok {
			p.tellOverruled(ctx, settled, votes)
			return settled
		}
		q := p.questionOf(headEffort, block.Hash)
		q.number, q.skip = &block.Number, maps.Clone(asked)
		m, _, _ := p.pick(q, nil)
		if m == nil || ctx.Err() != nil {
			break
		}
		asked[m.Operator] = true
		ref, err := call(ctx, p.core, m, q, func(ctx context.Context, m *member) (payment.BlockRef, error) {
			return m.HeaderByHash(ctx, block.Hash)
		})
		if err == nil {
			votes[m.Operator] = ref
			p.mu.Lock()
			p.pins.hear(ref, m)
			p.mu.Unlock()
		}
	}
	if len(votes) > 1 {
		block.TimeBasis = payment.TimeDisputed
		p.tellOverruled(ctx, block, votes)
	}
	return block
}

// establish finds a time that a header proves, or else one that two operators tell.
func establish(votes map[string]payment.BlockRef) (payment.BlockRef, bool) {
	operators := slices.Sorted(maps.Keys(votes))
	for _, operator := range operators {
		if votes[operator].TimeBasis == payment.TimeProven {
			return votes[operator], true
		}
	}
	for i, operator := range operators {
		for _, other := range operators[i+1:] {
			if ref := votes[operator]; ref.Time.Equal(votes[other].Time) {
				ref.TimeBasis = payment.TimeAgreed
				return ref, true
			}
		}
	}
	return payment.BlockRef{}, false
}

// tellOverruled counts a disagreement, and names the operators that tell another time.
func (c *core) tellOverruled(ctx context.Context, settled payment.BlockRef, votes map[string]payment.BlockRef) {
	var said []any
	for _, operator := range slices.Sorted(maps.Keys(votes)) {
		if !votes[operator].Time.Equal(settled.Time) || settled.TimeBasis == payment.TimeDisputed {
			said = append(said, operator, votes[operator].Time)
		}
	}
	if len(said) > 0 {
		c.mu.Lock()
		c.disputes++
		c.mu.Unlock()
		c.opts.Log.ErrorContext(ctx, "operators disagree about the time of a block", "block", settled.Number,
			"block_hash", settled.Hash.String(), "time", settled.Time, "basis", string(settled.TimeBasis), slog.Group("said", said...))
	}
}
