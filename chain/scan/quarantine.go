package scan

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// unread keeps account of the block after the cursor that cannot be read, by its hash.
type unread struct {
	hash     payment.Hash
	failures int       // since the neighbours were found to be answered for
	since    time.Time // then; zero: they were not
}

// How far neighbours are looked for: a run of blocks that cannot be read must not look like an outage.
const (
	neighboursAbove = 3
	neighbourhood   = 32
)

// unreadable tells whether an error may be about the block that was asked for. What it is called does not matter: nodes have many
// names for "not this one". An error of ours, such as the database's, is about no block; what operators disagree about is the chain.
func unreadable(err error) bool {
	reason, ok := errors.AsType[chain.ReasonError](err)
	return ok && reason != chain.ErrWrongChain && reason != chain.ErrDisagreement
}

// giveUp decides about a failure to read the block after the cursor, of which the header is known and linked. The chain must not end
// at a block, whatever is said about it, and an outage must not look like one: what counts is that neighbours are answered for all
// the while. Then the block is quarantined, as far as no part of it can be read.
func (r *run) giveUp(ctx context.Context, watch Watch, header payment.BlockRef, err error) (Mode, error) {
	if !unreadable(err) || ctx.Err() != nil {
		return "", err
	}
	if r.unread.hash != header.Hash {
		r.unread = unread{hash: header.Hash}
		return "", err // once may be by chance
	}
	r.unread.failures++
	if !r.unread.since.IsZero() && (r.unread.failures < r.policy.QuarantineFailures || time.Since(r.unread.since) < r.policy.QuarantineAfter) {
		return "", err
	}
	answered, failed := r.neighbourAnswered(ctx, watch, header, err)
	switch {
	case failed != nil:
		return "", failed
	case !answered:
		r.unread.failures, r.unread.since = 0, time.Time{}
		return "", fmt.Errorf("blocks beside block %d cannot be read either: %w", header.Number, err)
	case r.unread.since.IsZero():
		r.unread.failures, r.unread.since = 0, time.Now()
		return "", err
	}
	// Between the last failure and the neighbour's answer an outage may have ended.
	if err = r.recordByHash(ctx, watch.Filter, header); err == nil {
		r.progress.Cursor = &header
		return ModeFollow, nil
	}
	if !unreadable(err) || ctx.Err() != nil {
		return "", err
	}
	return r.quarantine(ctx, watch, header, err)
}

// quarantine records what can be read of a block, and moves the cursor over it.
func (r *run) quarantine(ctx context.Context, watch Watch, header payment.BlockRef, cause error) (Mode, error) {
	write := func(ctx context.Context, session Session, batch Batch) (Recorded, error) {
		return Recorded{}, r.Recorder.Quarantine(ctx, session, batch, failure(cause))
	}
	err := r.recordPart(ctx, watch.Filter, header, write)
	if err != nil {
		return "", fmt.Errorf("quarantine block %d: %w", header.Number, err)
	}
	r.log.Error("block cannot be read and is quarantined: payments in it are not seen, and no order expires across it",
		"block", header.Number, "hash", header.Hash.String(), "failure", failure(cause), "failures", r.unread.failures, "err", cause)
	r.unread = unread{}
	r.progress.Quarantined++
	r.progress.Cursor = &header
	return ModeQuarantine, nil
}

// recordPart records what can be read of a block that cannot be read as a whole: the coin's transfers or the tokens', or nothing.
func (r *run) recordPart(ctx context.Context, filter chain.Filter, header payment.BlockRef, write recordFunc) error {
	for _, part := range []chain.Filter{{Tokens: filter.Tokens, AnyToken: filter.AnyToken}, {Native: filter.Native, Traces: filter.Traces}} {
		if !part.Native && len(part.Tokens) == 0 {
			continue
		}
		block, err := r.readBlock(ctx, header, part)
		if err == nil {
			with := r.first(part)
			with.byHash = true
			err = r.record(ctx, with, sole(r.Source, []chain.Block{block}), write)
		}
		if err == nil || !unreadable(err) || ctx.Err() != nil {
			return err
		}
	}
	blocks := []chain.Block{{BlockRef: header}}
	r.agreeOnTimes(ctx, blocks, nil, nil) // it is the chain's clock, like any other
	_, err := write(ctx, r.session, Batch{Blocks: blocks})
	return err
}

// neighbourAnswered tells whether blocks beside one that cannot be read are answered for, by everything that reading a block takes:
// those above it, which show that the nodes have come that far, or else some that are recorded. Of what is said not to be there yet
// only those above tell.
func (r *run) neighbourAnswered(ctx context.Context, watch Watch, header payment.BlockRef, cause error) (bool, error) {
	above, below, err := r.neighbours(ctx, watch, header)
	if err != nil {
		return false, err
	}
	receipts := errors.Is(cause, chain.ErrReceiptMissing)
	if errors.Is(cause, chain.ErrBlockUnknown) || len(above) > 0 && receipts {
		below = nil
	}
	read := false
	for _, neighbour := range slices.Concat(above, below) {
		block, err := r.readBlock(ctx, neighbour, watch.Filter)
		one := firstOf(block.Candidates)
		if err == nil && len(one) > 0 {
			_, err = r.Source.Resolve(ctx, neighbour, one)
		}
		switch {
		case ctx.Err() != nil:
			return false, ctx.Err()
		case err == nil && (len(one) > 0 || !receipts):
			return true, nil
		case len(one) > 0 && receipts:
			return false, nil // no receipts here either
		}
		read = read || err == nil
	}
	return read, nil
}

// neighbours lists blocks above header, if there are any, and remembered ones below it, ever further apart.
func (r *run) neighbours(ctx context.Context, watch Watch, header payment.BlockRef) (above, below []payment.BlockRef, err error) {
	parent := header.Hash
	for number := header.Number + 1; number <= min(r.head.Number, header.Number+neighboursAbove); number++ {
		next, err := r.Source.HeaderByNumber(ctx, number)
		if err != nil || next.Parent != parent {
			break // what is recorded will have to tell
		}
		above, parent = append(above, next), next.Hash
	}
	if watch.Cursor == nil {
		return above, nil, nil
	}
	recorded, err := r.Recorder.Ancestors(ctx, r.session, watch.Cursor.Number, neighbourhood)
	if err != nil {
		return nil, nil, fmt.Errorf("read which blocks are beside block %d: %w", header.Number, err)
	}
	for step := 1; step <= len(recorded); step *= 2 {
		below = append(below, recorded[step-1])
	}
	return above, below, nil
}

// firstOf is one candidate, if there are any: its receipt is as good as all of them for telling whether receipts are answered for.
func firstOf(candidates []chain.Candidate) []chain.Candidate {
	open := slices.IndexFunc(candidates, func(c chain.Candidate) bool { return c.Resolution == chain.Unresolved })
	if open < 0 {
		return nil
	}
	return candidates[open : open+1]
}
