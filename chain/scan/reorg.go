package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// haltReason is what a chain is halted for.
const haltReason = "reorg_below_horizon"

// rollBack undoes the blocks that the chain through header does not contain.
// header is the block after the cursor's height and not its child.
func (r *run) rollBack(ctx context.Context, cursor, header payment.BlockRef) (Mode, error) {
	ancestor, err := r.commonAncestor(ctx, cursor, header)
	if err == nil {
		r.pass(PointAncestor)
		err = r.Recorder.Rollback(ctx, r.session, ancestor)
	}
	switch {
	case errors.Is(err, ErrHorizon):
		if failed := r.halt(ctx, cursor, header); failed != nil {
			return "", failed // crediting goes on: not the end, but the next thing to do again
		}
		return "", err
	case err != nil:
		return "", fmt.Errorf("roll back from block %d: %w", cursor.Number, err)
	}
	r.log.Info("rolled back a reorganisation", "from", cursor.Number, "from_hash", cursor.Hash.String(),
		"to", ancestor.Number, "to_hash", ancestor.Hash.String())
	r.progress.Cursor = &ancestor
	r.headAt = time.Time{} // look at the head again
	r.pass(PointRolledBack)
	return ModeRollback, nil
}

// commonAncestor walks down from header, parent by parent and by hash, to the first
// block that is recorded. Reading by hash keeps the walk on one chain even when
// every answer comes from another node.
func (r *run) commonAncestor(ctx context.Context, cursor, header payment.BlockRef) (payment.BlockRef, error) {
	recorded, oldest, err := r.recorded(ctx, cursor)
	if err != nil {
		return payment.BlockRef{}, err
	}
	child := header
	for child.Number > 0 {
		parent, err := r.Source.HeaderByHash(ctx, child.Parent)
		if err != nil {
			return payment.BlockRef{}, fmt.Errorf("read the parent of block %d: %w", child.Number, err)
		}
		if parent.Hash != child.Parent || parent.Number != child.Number-1 {
			return payment.BlockRef{}, fmt.Errorf("%w: block %d has an impossible parent", chain.ErrInconsistent, child.Number)
		}
		switch {
		case recorded[parent.Number] == parent.Hash:
			return parent, nil
		case cursor.Number-parent.Number > r.session.Horizon:
			return payment.BlockRef{}, ErrHorizon
		case parent.Number+1 == r.session.Start && oldest == r.session.Start:
			return parent, nil // everything that was ever recorded is undone
		case parent.Number < oldest:
			return payment.BlockRef{}, ErrHorizon
		}
		child = parent
	}
	return payment.BlockRef{}, ErrHorizon
}

// recorded returns the remembered blocks by number, and the lowest number.
func (r *run) recorded(ctx context.Context, cursor payment.BlockRef) (map[uint64]payment.Hash, uint64, error) {
	limit := int(min(r.session.Horizon, 1<<20)) + 1
	refs, err := r.Recorder.Ancestors(ctx, r.session, cursor.Number, limit)
	if err != nil {
		return nil, 0, fmt.Errorf("read recorded blocks: %w", err)
	}
	hashes := map[uint64]payment.Hash{cursor.Number: cursor.Hash}
	oldest := cursor.Number
	for _, ref := range refs {
		hashes[ref.Number] = ref.Hash
		oldest = min(oldest, ref.Number)
	}
	return hashes, oldest, nil
}

func (r *run) halt(ctx context.Context, cursor, header payment.BlockRef) error {
	r.log.Error("reorganisation is deeper than the horizon: crediting stops", "cursor", cursor.Number,
		"cursor_hash", cursor.Hash.String(), "next_hash", header.Hash.String(), "horizon", r.session.Horizon)
	if err := r.Recorder.Halt(ctx, r.session, haltReason); err != nil {
		return fmt.Errorf("halt the chain: %w", err)
	}
	return nil
}
