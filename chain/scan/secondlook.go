package scan

import (
	"context"
	"errors"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// second keeps account of reading final blocks a second time, and of what the chain calls final.
type second struct {
	*attempts

	lookedAt time.Time // the last time anything was read again
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

// lookAgain reads the next piece of what is final and was read once only, by two operators where there are two. It is what is
// done when there is nothing else to do, and no more than a piece at a time. Its failures are reported, not returned,
// unless they end the run.
func (r *run) lookAgain(ctx context.Context, watch Watch) error {
	job, now := watch.SecondLook, time.Now()
	if job == nil || now.Before(r.second.after) || now.Sub(r.second.lookedAt) < r.policy.SecondLookPause {
		return nil
	}
	if job.To-job.From+1 < r.policy.SecondLookBlocks && now.Sub(r.second.lookedAt) < r.policy.SecondLookEvery {
		return nil // a few blocks more make it one question
	}
	r.second.lookedAt = now
	// Who read a block the first time is not known any more; of two operators, at least one is another. What is not money of
	// ours is not worth a second question.
	err := r.readAgain(ctx, r.reading(true, behind(watch.Filter), r.second.attempts), *job, job.To)
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
	return nil
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
