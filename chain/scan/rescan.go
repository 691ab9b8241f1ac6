package scan

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
)

// rescans keeps account of reading again, apart from reading on: a range that
// cannot be read must hold up neither the head nor the other rescans.
type rescans struct {
	most  uint64 // blocks at once
	jobs  map[int64]*attempts
	after time.Time // not before: the node cannot answer at all
}

// attempts is how one rescan fares.
type attempts struct {
	sizer    *sizer
	failures int
	after    time.Time // not before
	failure  string
	all      bool // operators differ about the next piece: all of them are heard about it
	byHash   bool // ranges show something else of the next piece than what is recorded: it is read by hash
}

// of returns the account of a rescan.
func (s *rescans) of(job Rescan) *attempts {
	a := s.jobs[job.ID]
	if a == nil {
		a = &attempts{sizer: newSizer(s.most)}
		s.jobs[job.ID] = a
	}
	return a
}

// keep forgets the rescans that are not open any more.
func (s *rescans) keep(open []Rescan) {
	maps.DeleteFunc(s.jobs, func(id int64, _ *attempts) bool {
		return !slices.ContainsFunc(open, func(job Rescan) bool { return job.ID == id })
	})
}

// due returns the most urgent rescan that can be done now, and its last block.
func (s *rescans) due(open []Rescan, cursor uint64, now time.Time) (Rescan, uint64, bool) {
	if now.Before(s.after) {
		return Rescan{}, 0, false
	}
	for _, job := range open {
		// The rest of a rescan that is above the cursor will be read anyway.
		if last := min(job.To, cursor); job.Next <= last && !now.Before(s.of(job).after) {
			return job, last, true
		}
	}
	return Rescan{}, 0, false
}

// failure names why a rescan that is waiting failed, the most urgent first.
func (s *rescans) failure(open []Rescan) string {
	for _, job := range open {
		if a := s.jobs[job.ID]; a != nil && a.failure != "" {
			return a.failure
		}
	}
	return ""
}

// rescan does one step of the most urgent rescan that does not wait after a failure
// of its own. It tells whether there may be more to do at once. Its failures are reported, not returned, unless they end the run.
func (r *run) rescan(ctx context.Context, watch Watch) (bool, error) {
	r.rescans.keep(watch.Rescans)
	defer func() { r.progress.RescanFailure = r.rescans.failure(watch.Rescans) }()
	if watch.Cursor == nil {
		return false, nil
	}
	job, last, ok := r.rescans.due(watch.Rescans, watch.Cursor.Number, time.Now())
	if !ok {
		return false, nil
	}
	account := r.rescans.of(job)
	with := r.reading(job.Requested, behind(watch.Filter), account)
	err := r.readAgain(ctx, with, job, last)
	switch {
	case err == nil:
		account.failures, account.failure = 0, ""
		return true, nil
	case isFinal(err) || ctx.Err() != nil:
		return false, err
	}
	account.failures++
	account.after = time.Now().Add(r.policy.rescanBackoff(account.failures, chain.RetryAfter(err)))
	account.failure = failure(err)
	if passing(err) || !unreadable(err) {
		r.rescans.after = time.Now().Add(r.policy.backoff(1, chain.RetryAfter(err)))
	}
	if account.failures == 1 {
		r.log.Warn("rescan failed, trying again", "rescan", job.ID, "failure", account.failure, "err", err)
	}
	return len(watch.Rescans) > 1, r.lookLater(ctx, with, job, err)
}

// readAgain reads and records the next piece of a rescan.
func (r *run) readAgain(ctx context.Context, with reading, job Rescan, last uint64) error {
	sizer := with.account.sizer
	to := min(last, job.Next+sizer.size-1)
	with.byHash = !job.InRanges || with.account.byHash
	views, err := with.views(ctx, func(source chain.Source) ([]chain.Block, error) { return with.read(ctx, source, job.Next, to) })
	if err != nil {
		if !unreadable(err) || ctx.Err() != nil {
			return err
		}
		sizer.refused(to - job.Next + 1)
		switch {
		case job.Next < to && passing(err):
			return fmt.Errorf("read blocks %d to %d again: %w", job.Next, to, err)
		case job.Next < to:
			return nil // at once, with a smaller range
		}
		with.byHash = true
		if views, err = with.readOne(ctx, job.Next); err != nil {
			return err
		}
	} else {
		sizer.accepted()
	}
	write := func(ctx context.Context, session Session, batch Batch) (Recorded, error) {
		batch.Alone = with.alone()
		recorded, err := r.Recorder.RecordRescan(ctx, session, job, batch)
		if err == nil {
			r.refuted(batch.Blocks, recorded)
		}
		if err == nil && job.Second {
			r.found(batch.Blocks, recorded)
		}
		return recorded, err
	}
	if err := r.sameChain(ctx, with, views); err != nil {
		return err
	}
	for _, part := range cut(views, r.policy.MaxBatch) {
		if err := r.record(ctx, with, part, write); err != nil {
			switch {
			case errors.Is(err, errUnheard):
				return nil // at once, with everybody
			case errors.Is(err, ErrHearsay):
				r.log.Warn("ranges show something else than what is recorded: reading by hash", "from", job.Next, "to", to)
				with.account.byHash = true
				return nil
			}
			if unreadable(err) { // of one block: come as close to it as possible
				sizer.refused(to - job.Next + 1)
			}
			return err
		}
	}
	with.account.all, with.account.byHash = false, false
	return nil
}

// read reads blocks from one source.
func (w reading) read(ctx context.Context, source chain.Source, from, to uint64) ([]chain.Block, error) {
	read := source.Range
	if w.byHash {
		read = source.BlocksByHash
	}
	blocks, err := read(ctx, from, to, w.filter)
	if err == nil {
		err = checkRun(blocks, from, to)
	}
	return blocks, err
}

// readOne reads a block by its hash, which every operator tells for itself.
func (w reading) readOne(ctx context.Context, number uint64) ([]view, error) {
	w.one = true
	return w.views(ctx, func(source chain.Source) ([]chain.Block, error) {
		header, err := source.HeaderByNumber(ctx, number)
		if err != nil {
			return nil, fmt.Errorf("find block %d: %w", number, err)
		}
		block, err := source.BlockByHash(ctx, header.Hash, w.filter)
		if err != nil {
			return nil, fmt.Errorf("read block %d: %w", number, err)
		}
		return []chain.Block{block}, checkRun([]chain.Block{block}, number, number)
	})
}
