package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// second keeps account of reading blocks a second time, and of what the chain calls final.
type second struct {
	*attempts

	most     uint64    // blocks at once
	lookedAt time.Time // the last time anything was read again
	rests    time.Time // until when nothing is read again beside other work
	finalAt  time.Time // the last time the chain was asked what is final

	comparedAt time.Time // the last round of balances
	uncompared int       // rounds in a row that failed
}

// finalPause is how long a node that knows no finality is not asked again.
const finalPause = 10 * time.Minute

// observeFinal asks now and then what the chain calls final, and has the recorder remember it together with where the
// cursor is. A node that does not say holds up nothing.
func (r *run) observeFinal(ctx context.Context) error {
	if time.Since(r.second.finalAt) < r.policy.FinalEvery {
		return nil
	}
	r.second.finalAt = time.Now()
	var final *payment.BlockRef
	block, err := r.Source.Head(ctx, payment.TagFinalized)
	switch {
	case err == nil:
		final = &block
	case ctx.Err() != nil:
		return ctx.Err()
	case errors.Is(err, chain.ErrUnsupported):
		r.second.finalAt = r.second.finalAt.Add(finalPause)
	}
	return r.Recorder.ObserveFinal(ctx, r.session, final)
}

// pace says what a second look is allowed beside other work.
type pace bool

const (
	// alone: there is nothing else to do.
	alone pace = false
	// beside: there are new blocks or rescans. They go first, and a second look takes a fifth of the time: with less, it would never
	// keep up with a chain that leaves no time for it.
	beside pace = true
)

// restFactor is how many times as long as a second look took the next one waits beside other work.
const restFactor = 4

// lookAgain reads the next piece of what was read once only, by two operators where there are two. Its failures are reported, not
// returned, unless they end the run.
func (r *run) lookAgain(ctx context.Context, watch Watch, at pace) error {
	job, began := watch.SecondLook, time.Now()
	if job == nil || !r.lookDue(*job, at, began) {
		return nil
	}
	last := job.To
	if at == beside {
		last = min(last, job.Next+r.policy.SecondLookMost-1)
	}
	r.second.lookedAt = began
	// Who read a block the first time is not known any more; of two operators, at least one is another. What is not money of
	// ours is not worth a second question.
	limited, cancel := context.WithTimeout(ctx, r.policy.SecondLookTimeout)
	with := r.reading(true, behind(watch.Filter), r.second.attempts)
	err := r.readAgain(limited, with, *job, last)
	if err != nil && limited.Err() != nil && ctx.Err() == nil {
		err = fmt.Errorf("%w: a second look at blocks from %d on takes too long", chain.ErrTimeout, job.Next)
		with.account.sizer.refused(min(last-job.Next+1, with.account.sizer.size))
	}
	cancel()
	r.second.rests = time.Now().Add(restFactor * time.Since(began))
	switch {
	case err == nil:
		r.second.failures, r.second.failure = 0, ""
		return nil
	case isFinal(err) || ctx.Err() != nil:
		return err
	}
	r.second.failures++
	r.second.failure = failure(err)
	r.second.after = time.Now().Add(r.policy.rescanBackoff(r.second.failures, chain.RetryAfter(err)))
	if r.second.failures == 1 {
		r.log.Warn("second look failed, trying again", "from", job.From, "failure", r.second.failure, "err", err)
	}
	return r.lookLater(ctx, with, *job, err)
}

// lookDue tells whether it is time for a second look.
func (r *run) lookDue(job Rescan, at pace, now time.Time) bool {
	since := now.Sub(r.second.lookedAt)
	switch {
	case now.Before(r.second.after), since < r.policy.SecondLookPause, at == beside && now.Before(r.second.rests):
		return false
	case job.Urgent:
		return true
	default: // a few blocks more make it one question
		return job.To-job.From+1 >= r.policy.SecondLookBlocks || since >= r.policy.SecondLookEvery
	}
}

// refuted raises the alarm about transfers that were recorded and that operators contradict now.
func (r *run) refuted(blocks []chain.Block, recorded Recorded) {
	if recorded.Refuted+recorded.Doubted == 0 {
		return
	}
	r.progress.Refuted += recorded.Refuted + recorded.Doubted
	r.log.Error("what was recorded is not on the chain: a node told of transfers that there are not",
		"from", blocks[0].Number, "to", blocks[len(blocks)-1].Number, "ended", recorded.Refuted, "credited", recorded.Doubted)
}

// found raises the alarm about transfers that a second look has recorded.
func (r *run) found(blocks []chain.Block, recorded Recorded) {
	if recorded.New == 0 {
		return
	}
	r.progress.SecondLookFound += recorded.New
	r.log.Error("a second look found transfers that the first had missed: a node left something out",
		"from", blocks[0].Number, "to", blocks[len(blocks)-1].Number, "transfers", recorded.New)
}
