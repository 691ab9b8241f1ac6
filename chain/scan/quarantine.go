package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// unread keeps account of a block that cannot be read, by its hash.
type unread struct {
	hash     payment.Hash
	failures int
	since    time.Time
}

// unreadable tells whether an error is about what was answered. A node that does not
// answer, answers late, or lacks the block says nothing about the block.
func unreadable(err error) bool {
	return errors.Is(err, chain.ErrInconsistent) || errors.Is(err, chain.ErrMalformed) || errors.Is(err, chain.ErrReceiptMissing)
}

// giveUp decides about a failure to read the block after the cursor, of which the
// header is known and linked. Most failures it returns; a block that failed too often
// for too long is quarantined, because the chain must not end at it.
func (r *run) giveUp(ctx context.Context, header payment.BlockRef, err error) (Mode, error) {
	if !unreadable(err) || ctx.Err() != nil {
		return "", err
	}
	if r.unread.hash != header.Hash {
		r.unread = unread{hash: header.Hash, since: time.Now()}
	}
	r.unread.failures++
	if r.unread.failures < r.policy.QuarantineFailures || time.Since(r.unread.since) < r.policy.QuarantineAfter {
		return "", err
	}
	if failed := r.Recorder.Quarantine(ctx, r.session, header, failure(err)); failed != nil {
		return "", fmt.Errorf("quarantine block %d: %w", header.Number, failed)
	}
	r.log.Error("block cannot be read and is quarantined: payments in it are not seen, and no order expires across it",
		"block", header.Number, "hash", header.Hash.String(), "failure", failure(err), "failures", r.unread.failures, "err", err)
	r.unread = unread{}
	r.progress.Quarantined++
	r.progress.Cursor = &header
	return ModeQuarantine, nil
}
