package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
)

// rescans keeps account of reading again, apart from reading on: a range that
// cannot be read must not hold up the head.
type rescans struct {
	sizer    *sizer
	failures int
	after    time.Time // not before
}

// rescan does one step of the most urgent rescan. It tells whether there is more to
// do at once. Its failures are reported, not returned, unless they end the run.
func (r *run) rescan(ctx context.Context, watch Watch) (bool, error) {
	if watch.Cursor == nil || len(watch.Rescans) == 0 {
		r.progress.RescanFailure = ""
		return false, nil
	}
	if time.Now().Before(r.rescans.after) {
		return false, nil
	}
	job := watch.Rescans[0]
	last := min(job.To, watch.Cursor.Number)
	if job.Next > last {
		return false, nil // the rest is above the cursor and will be read anyway
	}
	err := r.readAgain(ctx, watch.Filter, job, last)
	switch {
	case err == nil:
		r.rescans.failures, r.progress.RescanFailure = 0, ""
		return true, nil
	case isFinal(err) || ctx.Err() != nil:
		return false, err
	}
	r.rescans.failures++
	r.rescans.after = time.Now().Add(r.policy.backoff(r.rescans.failures, chain.RetryAfter(err)))
	r.progress.RescanFailure = failure(err)
	if r.rescans.failures == 1 {
		r.log.Warn("rescan failed, trying again", "rescan", job.ID, "failure", r.progress.RescanFailure, "err", err)
	}
	return false, nil
}

// readAgain reads and records the next piece of a rescan.
func (r *run) readAgain(ctx context.Context, filter chain.Filter, job Rescan, last uint64) error {
	to := min(last, job.Next+r.rescans.sizer.size-1)
	blocks, err := r.Source.Range(ctx, job.Next, to, filter)
	if err == nil {
		err = checkRun(blocks, job.Next, to)
	}
	if err != nil {
		r.rescans.sizer.refused(to - job.Next + 1)
		if !errors.Is(err, chain.ErrRangeTooLarge) && (job.Next < to || !unreadable(err)) {
			return fmt.Errorf("read blocks %d to %d again: %w", job.Next, to, err)
		}
		if job.Next < to {
			return nil // at once, with a smaller range
		}
		if blocks, err = r.readOne(ctx, filter, job.Next); err != nil {
			return err
		}
	} else {
		r.rescans.sizer.accepted()
	}
	write := func(ctx context.Context, session Session, batch Batch) (Recorded, error) {
		return r.Recorder.RecordRescan(ctx, session, job, batch)
	}
	for _, part := range split(blocks, r.policy.MaxBatch) {
		if err := r.record(ctx, filter, part, write); err != nil {
			if unreadable(err) { // of one block: come as close to it as possible
				r.rescans.sizer.refused(to - job.Next + 1)
			}
			return err
		}
	}
	return nil
}

func (r *run) readOne(ctx context.Context, filter chain.Filter, number uint64) ([]chain.Block, error) {
	header, err := r.Source.HeaderByNumber(ctx, number)
	if err != nil {
		return nil, fmt.Errorf("find block %d: %w", number, err)
	}
	block, err := r.Source.BlockByHash(ctx, header.Hash, filter)
	if err != nil {
		return nil, fmt.Errorf("read block %d: %w", number, err)
	}
	return []chain.Block{block}, checkRun([]chain.Block{block}, number, number)
}
