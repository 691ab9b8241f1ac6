package scan

import (
	"context"
	"errors"

	"github.com/sluicepay/sluice/chain"
)

// lookLater leaves the block at which a rescan or a second look stands to a rescan of its own, when it alone keeps failing: everything
// behind it waits.
func (r *run) lookLater(ctx context.Context, with reading, job Rescan, failed error) error {
	account, own := with.account, !job.Second && job.Next == job.To
	if own || account.sizer.size > 1 || account.failures < lenient || !r.ofTheBlock(ctx, with, job.Next, failed) {
		return nil
	}
	err := r.Recorder.LookLater(ctx, r.session, job)
	switch {
	case err == nil:
		*account = attempts{sizer: newSizer(r.second.most)}
	case isFinal(err) || ctx.Err() != nil:
		return err
	default:
		r.log.Warn("a block cannot be left for later", "block", job.Next, "err", err)
	}
	return nil
}

// ofTheBlock tells whether a failure may be about the one block that was asked for, and not about whoever was asked. What is said by
// those who cannot answer anything is about the block only if one beside it is answered for.
func (r *run) ofTheBlock(ctx context.Context, with reading, number uint64, failed error) bool {
	for _, reason := range []chain.ReasonError{
		chain.ErrInconsistent, chain.ErrMalformed, chain.ErrReceiptMissing, chain.ErrRangeTooLarge, chain.ErrTooLarge, chain.ErrDisagreement,
	} {
		if errors.Is(failed, reason) {
			return true
		}
	}
	if !unreadable(failed) || r.progress.Cursor == nil {
		return false
	}
	beside := number + 1
	if beside > r.progress.Cursor.Number {
		beside = number - 1
	}
	limited, cancel := context.WithTimeout(ctx, r.policy.SecondLookTimeout)
	defer cancel()
	_, err := with.readOne(limited, beside)
	return err == nil
}
