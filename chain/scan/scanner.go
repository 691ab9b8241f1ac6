package scan

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Options adjust a Scanner. The zero value is useful.
type Options struct {
	Policy Policy
	// OnProgress is called after every step, from Run's goroutine. A step takes as long
	// as its slowest answer: who needs a steady pulse keeps the last Progress.
	OnProgress func(Progress)
	// Logger gets rollbacks and the first failure of a row; nil logs nothing.
	Logger *slog.Logger
	// Fault is called at every Point. Tests kill the process there.
	Fault func(Point)
}

// Scanner reads one chain into a Recorder.
type Scanner struct {
	Chain    string // name
	Source   chain.Source
	Recorder Recorder
	Options  Options
}

// Mode names what a step was about.
type Mode string

// What a step can be about.
const (
	ModeFollow   Mode = "follow"    // recorded the next block
	ModeCatchUp  Mode = "catch_up"  // recorded a range
	ModeRollback Mode = "roll_back" // undid blocks of a reorganisation
	// ModeQuarantine gave up on the next block.
	ModeQuarantine Mode = "quarantine"
	ModeWait       Mode = "wait"   // there is no new block
	ModePaused     Mode = "paused" // was told to do nothing
	ModeFailed     Mode = "failed" // could not; see Failure
)

// Progress is how things stand after a step.
type Progress struct {
	Mode   Mode
	Cursor *payment.BlockRef // the last block recorded; nil before the first
	Head   uint64            // the newest block the source told of
	// Failure names why the last step failed, "" when it did not, and Failures counts
	// the failed steps in a row.
	Failure  string
	Failures int
	// Quarantined counts the blocks that this run gave up on.
	Quarantined int
	// Rescans counts the open rescans; RescanFailure names why the most urgent of those
	// that wait after a failure failed.
	Rescans       int
	RescanFailure string
	// Halted: nothing is credited on the chain until a person resumes it. Recording goes on.
	Halted bool
	// Ranged counts the blocks that were read in ranges only, and wait to be read by hash.
	Ranged uint64
	// SecondLookFound counts the transfers that this run's second looks recorded because they had been missed.
	SecondLookFound int
	// Refuted counts the transfers that this run found to have been recorded falsely.
	Refuted int
}

// Lag is how many blocks are known and not recorded.
func (p Progress) Lag() uint64 {
	recorded := uint64(0)
	if p.Cursor != nil {
		recorded = p.Cursor.Number
	}
	return p.Head - min(p.Head, recorded)
}

// Point is a place in a step at which a crash is worth a test.
type Point string

// The points, in the order in which a step passes them.
const (
	PointBegun        Point = "begun"
	PointWatched      Point = "watched"
	PointHeadObserved Point = "head_observed"
	PointFetched      Point = "fetched"
	PointMatched      Point = "matched"
	PointResolved     Point = "resolved"
	PointRecorded     Point = "recorded"
	PointAncestor     Point = "ancestor_found"
	PointRolledBack   Point = "rolled_back"
)

// Points lists all points.
func Points() []Point {
	return []Point{
		PointBegun, PointWatched, PointHeadObserved, PointFetched, PointMatched, PointResolved, PointRecorded,
		PointAncestor, PointRolledBack,
	}
}

// Run reads the chain until ctx ends, and returns ctx's error then. It returns
// earlier with an error of Recorder.Begin, with ErrFenced when a later session
// exists, or with chain.ErrWrongChain. Everything else is tried again.
func (s *Scanner) Run(ctx context.Context) error {
	session, err := s.Recorder.Begin(ctx, s.Chain)
	if err != nil {
		return fmt.Errorf("begin session of chain %s: %w", s.Chain, err)
	}
	r := newRun(s, session)
	r.pass(PointBegun)
	wake := s.Source.SubscribeHeads(ctx)
	for {
		outcome, err := r.step(ctx)
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case isFinal(err):
			return err
		}
		if err := r.wait(ctx, wake, r.settle(outcome, err)); err != nil {
			return err
		}
	}
}

func isFinal(err error) bool {
	return errors.Is(err, ErrFenced) || errors.Is(err, chain.ErrWrongChain)
}

// run is one call of Run.
type run struct {
	*Scanner

	policy  Policy
	log     *slog.Logger
	session Session
	sizer   *sizer
	rescans rescans
	second  second
	unread  unread

	checked  bool // the source is the session's chain, as far as known
	head     payment.BlockRef
	headAt   time.Time
	progress Progress
}

func newRun(s *Scanner, session Session) *run {
	policy := s.Options.Policy.withDefaults()
	log := s.Options.Logger
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	most := policy.MaxRange
	if session.MaxRange > 0 {
		most = min(most, session.MaxRange)
	}
	return &run{
		Scanner: s, policy: policy, session: session, sizer: newSizer(most),
		rescans: rescans{most: most, jobs: map[int64]*attempts{}},
		second:  second{attempts: &attempts{sizer: newSizer(most)}, most: most, lookedAt: time.Now()},
		log:     log.With("chain", s.Chain, "epoch", session.Epoch),
	}
}

func (r *run) pass(p Point) {
	if r.Options.Fault != nil {
		r.Options.Fault(p)
	}
}

// settle keeps account of a step and returns how long to wait before the next;
// negative: until the poll interval has passed or the source wakes us.
func (r *run) settle(outcome Mode, err error) time.Duration {
	wait := time.Duration(0)
	switch {
	case err != nil:
		r.checked = false // whoever answers next may be somebody else
		r.progress.Mode, r.progress.Failure = ModeFailed, failure(err)
		r.progress.Failures++
		wait = r.policy.backoff(r.progress.Failures, chain.RetryAfter(err))
		if r.progress.Failures == 1 {
			r.log.Warn("scan step failed, trying again", "failure", r.progress.Failure, "err", err)
		}
	default:
		r.progress.Mode, r.progress.Failure, r.progress.Failures = outcome, "", 0
		if outcome == ModeWait || outcome == ModePaused {
			wait = -1
		}
	}
	if r.Options.OnProgress != nil {
		r.Options.OnProgress(r.progress)
	}
	return wait
}

// failure names an error of a step.
func failure(err error) string {
	switch {
	case errors.Is(err, ErrParentMismatch):
		return "parent_mismatch"
	case chain.Reason(err) == "internal" && payment.CodeOf(err) != "":
		return string(payment.CodeOf(err))
	default:
		return chain.Reason(err)
	}
}

// wait returns nil when the next step is due, and ctx's error when ctx ends.
func (r *run) wait(ctx context.Context, wake <-chan struct{}, wait time.Duration) error {
	if wait >= 0 {
		wake = nil // a failure waits its time out
	} else {
		wait = r.policy.poll(r.session.BlockTime)
	}
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-wake:
		r.headAt = time.Time{}
	case <-timer.C:
	}
	return nil
}
