package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// step does the next thing there is to do. See the package comment.
func (r *run) step(ctx context.Context) (Mode, error) {
	if err := r.identify(ctx); err != nil {
		return "", err
	}
	watch, err := r.Recorder.Watch(ctx, r.session)
	if err != nil {
		return "", fmt.Errorf("read what to watch: %w", err)
	}
	watch.Filter = watch.Filter.Normal()
	r.progress.Cursor, r.progress.Rescans, r.progress.Halted = watch.Cursor, len(watch.Rescans), watch.Halted
	r.progress.Ranged = watch.Ranged
	r.pass(PointWatched)
	if watch.Paused {
		return ModePaused, nil
	}
	if err := r.observeHead(ctx, watch); err != nil {
		return "", err
	}
	if err := r.observeFinal(ctx); err != nil {
		return "", fmt.Errorf("observe what is final: %w", err)
	}
	mode, err := r.advance(ctx, watch)
	switch {
	case err != nil || mode == ModeRollback || mode == ModeQuarantine:
		return mode, err
	case mode == ModeCatchUp:
		return mode, r.lookAgain(ctx, watch, beside)
	}
	again, err := r.rescan(ctx, watch)
	if err != nil {
		return "", err
	}
	switch {
	case mode != ModeWait:
		return mode, r.lookAgain(ctx, watch, beside)
	case again:
		return ModeFollow, r.lookAgain(ctx, watch, beside) // there is more to do at once
	default:
		if err := r.lookAgain(ctx, watch, alone); err != nil {
			return "", err
		}
		return mode, r.compareBalances(ctx)
	}
}

// identify makes sure that the source reads the session's chain, as far as the source shows its genesis block: that its
// blocks continue the recorded ones is seen with each of them. It does nothing when that is known.
func (r *run) identify(ctx context.Context) error {
	if r.checked {
		return nil
	}
	identity, err := r.Source.Identity(ctx)
	if err != nil {
		return fmt.Errorf("identify the chain: %w", err)
	}
	want := r.session.Identity
	if identity.ChainID != want.ChainID {
		return fmt.Errorf("%w: chain id %d instead of %d", chain.ErrWrongChain, identity.ChainID, want.ChainID)
	}
	if !want.Genesis.IsZero() && !identity.Genesis.IsZero() && identity.Genesis != want.Genesis {
		return fmt.Errorf("%w: genesis %s instead of %s", chain.ErrWrongChain, identity.Genesis, want.Genesis)
	}
	r.checked = true
	return nil
}

// next is the first block that is not recorded.
func (r *run) next(watch Watch) uint64 {
	if watch.Cursor == nil {
		return r.session.Start
	}
	return watch.Cursor.Number + 1
}

// observeHead asks for the head, unless there are blocks to read below one that was
// seen a moment ago.
func (r *run) observeHead(ctx context.Context, watch Watch) error {
	fresh := time.Since(r.headAt) < r.policy.poll(r.session.BlockTime)
	if fresh && r.head.Number >= r.next(watch) {
		return nil
	}
	head, err := r.Source.Head(ctx, payment.TagNone)
	if err != nil {
		return fmt.Errorf("read the head: %w", err)
	}
	if err := r.Recorder.ObserveHead(ctx, r.session, head); err != nil {
		return fmt.Errorf("observe the head: %w", err)
	}
	r.head, r.headAt = head, time.Now()
	r.progress.Head = head.Number
	r.pass(PointHeadObserved)
	return nil
}

// advance records what comes after the cursor, or rolls back.
func (r *run) advance(ctx context.Context, watch Watch) (Mode, error) {
	next := r.next(watch)
	if r.head.Number < next {
		return ModeWait, nil // also when it went back: nodes lag
	}
	if behind := r.head.Number - next + 1; behind > r.policy.NearHead {
		return r.catchUp(ctx, watch, next, r.head.Number-r.policy.NearHead)
	}
	return r.follow(ctx, watch, next)
}

// follow records one block.
func (r *run) follow(ctx context.Context, watch Watch, number uint64) (Mode, error) {
	header := r.head
	if header.Number != number {
		var err error
		if header, err = r.Source.HeaderByNumber(ctx, number); err != nil {
			return r.followUnnamed(ctx, watch, number, fmt.Errorf("find block %d: %w", number, err))
		}
	}
	if watch.Cursor != nil && header.Parent != watch.Cursor.Hash {
		return r.rollBack(ctx, *watch.Cursor, header)
	}
	if header.Number != number {
		return "", fmt.Errorf("%w: asked for block %d, got %d", chain.ErrInconsistent, number, header.Number)
	}
	return r.followTo(ctx, watch, header)
}

// followTo records the block of a header that continues the cursor.
func (r *run) followTo(ctx context.Context, watch Watch, header payment.BlockRef) (Mode, error) {
	if err := r.recordByHash(ctx, watch.Filter, header); err != nil {
		return r.giveUp(ctx, watch, header, err)
	}
	r.progress.Cursor = &header
	return ModeFollow, nil
}

// followUnnamed records a block that cannot be had by its number: its child names it. As long as the cursor's block is canonical,
// a block that cannot be had at all is its child, and is given up on like any other.
func (r *run) followUnnamed(ctx context.Context, watch Watch, number uint64, cause error) (Mode, error) {
	if watch.Cursor == nil || !unreadable(cause) || ctx.Err() != nil || r.head.Number <= number {
		return "", cause
	}
	child, err := r.Source.HeaderByNumber(ctx, number+1)
	if err != nil {
		return "", cause
	}
	header, err := r.Source.HeaderByHash(ctx, child.Parent)
	switch {
	case err == nil && header.Number == number && header.Parent == watch.Cursor.Hash:
		return r.followTo(ctx, watch, header)
	case err == nil:
		return "", cause // the chain is another one: by its number that is seen
	}
	if at, err := r.Source.HeaderByNumber(ctx, number-1); err != nil || at.Hash != watch.Cursor.Hash {
		return "", cause
	}
	unseen := payment.BlockRef{Number: number, Hash: child.Parent, Parent: watch.Cursor.Hash, Time: watch.Cursor.Time}
	return r.giveUp(ctx, watch, unseen, cause)
}

// recordByHash reads and records the block of a header.
func (r *run) recordByHash(ctx context.Context, filter chain.Filter, header payment.BlockRef) error {
	block, err := r.readBlock(ctx, header, filter)
	if err != nil {
		return err
	}
	r.pass(PointFetched)
	with := r.first(filter)
	with.byHash = true
	return r.record(ctx, with, sole(r.Source, []chain.Block{block}), r.Recorder.Record)
}

// readBlock reads the block of a header.
func (r *run) readBlock(ctx context.Context, header payment.BlockRef, filter chain.Filter) (chain.Block, error) {
	block, err := r.Source.BlockByHash(ctx, header.Hash, filter)
	if err != nil {
		return chain.Block{}, fmt.Errorf("read block %d: %w", header.Number, err)
	}
	if block.Hash != header.Hash || block.Number != header.Number || block.Parent != header.Parent {
		return chain.Block{}, fmt.Errorf("%w: block %d is not the one asked for", chain.ErrInconsistent, header.Number)
	}
	return block, nil
}

// catchUp records a range that ends at or below last.
func (r *run) catchUp(ctx context.Context, watch Watch, from, last uint64) (Mode, error) {
	to := min(last, from+r.sizer.size-1)
	blocks, err := r.Source.Range(ctx, from, to, behind(watch.Filter))
	if err == nil {
		err = checkRun(blocks, from, to)
	}
	if err != nil {
		return r.refused(ctx, watch, from, to, err)
	}
	r.sizer.accepted()
	if watch.Cursor != nil && blocks[0].Parent != watch.Cursor.Hash {
		return r.rollBack(ctx, *watch.Cursor, blocks[0].BlockRef)
	}
	r.pass(PointFetched)
	for _, part := range split(blocks, r.policy.MaxBatch) {
		if err := r.record(ctx, r.first(behind(watch.Filter)), sole(r.Source, part), r.Recorder.Record); err != nil {
			return r.refused(ctx, watch, from, to, err)
		}
		r.progress.Cursor = &part[len(part)-1].BlockRef
	}
	return ModeCatchUp, nil
}

// refused makes the next range smaller, whatever the reason of the node was: that
// never does harm, and nodes give many names to "too much". A single block that is
// refused as a range, or cannot be read, is read by its hash.
func (r *run) refused(ctx context.Context, watch Watch, from, to uint64, err error) (Mode, error) {
	if !unreadable(err) || ctx.Err() != nil { // the recorder's: no matter how many blocks there are
		return "", fmt.Errorf("record blocks %d to %d: %w", from, to, err)
	}
	r.sizer.refused(to - from + 1)
	switch {
	case from == to:
		return r.follow(ctx, watch, from)
	case passing(err):
		return "", fmt.Errorf("read blocks %d to %d: %w", from, to, err)
	default:
		return ModeCatchUp, nil // at once, with a smaller range
	}
}

// passing tells whether an error may pass by itself: then waiting helps.
func passing(err error) bool {
	for _, reason := range []chain.ReasonError{
		chain.ErrUnavailable, chain.ErrTimeout, chain.ErrRateLimited, chain.ErrBlockUnknown, chain.ErrReorged,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// checkRun makes sure that a source returned the blocks it was asked for.
func checkRun(blocks []chain.Block, from, to uint64) error {
	if uint64(len(blocks)) != to-from+1 {
		return fmt.Errorf("%w: %d blocks for %d to %d", chain.ErrInconsistent, len(blocks), from, to)
	}
	var below payment.Hash
	for i := range blocks {
		if blocks[i].Number != from+uint64(i) {
			return fmt.Errorf("%w: block %d instead of %d", chain.ErrInconsistent, blocks[i].Number, from+uint64(i))
		}
		if i > 0 && blocks[i].Parent != below {
			return fmt.Errorf("%w: block %d is not linked", chain.ErrReorged, blocks[i].Number)
		}
		below = blocks[i].Hash
	}
	return nil
}

// split cuts blocks into runs of at most so many candidates, or one block.
func split(blocks []chain.Block, most int) [][]chain.Block {
	var parts [][]chain.Block
	start, count := 0, 0
	for i := range blocks {
		n := len(blocks[i].Candidates)
		if i > start && count+n > most {
			parts = append(parts, blocks[start:i])
			start, count = i, 0
		}
		count += n
	}
	return append(parts, blocks[start:])
}
