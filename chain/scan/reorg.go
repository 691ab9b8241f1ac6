package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Why a chain is halted.
const (
	haltHorizon = "reorg_below_horizon"
	haltFinal   = "reorg_below_final"
)

// rollBack undoes the blocks that the chain through header does not contain.
// header is the block after the cursor's height and not its child.
func (r *run) rollBack(ctx context.Context, cursor, header payment.BlockRef) (Mode, error) {
	silent, err := r.undisputed(ctx, cursor)
	if err != nil {
		return "", err
	}
	ancestor, lowest, err := r.commonAncestor(ctx, cursor, header)
	// That the cursor's block is gone does not say how far down: who shows the longer chain may have left it earlier than the others
	// did. Whoever has any of the blocks that would be undone has the lowest of them.
	if lowest.Number != 0 && lowest.Number != cursor.Number {
		if _, err := r.undisputed(ctx, lowest); err != nil {
			return "", err
		}
	}
	if err == nil {
		r.pass(PointAncestor)
		err = r.Recorder.Rollback(ctx, r.session, ancestor)
	}
	if errors.Is(err, ErrHorizon) || errors.Is(err, ErrFinal) {
		// Nothing limits how much is undone from here on, so another operator, if there is one, has to have answered.
		if silent != nil {
			return "", fmt.Errorf("ask another operator about block %d: %w", cursor.Number, silent)
		}
		ancestor, err = r.rollBackHalted(ctx, cursor, header, err)
	}
	if err != nil {
		return "", fmt.Errorf("roll back from block %d: %w", cursor.Number, err)
	}
	r.log.Info("rolled back a reorganisation", "from", cursor.Number, "from_hash", cursor.Hash.String(),
		"to", ancestor.Number, "to_hash", ancestor.Hash.String())
	r.progress.Cursor = &ancestor
	r.headAt = time.Time{} // look at the head again
	r.pass(PointRolledBack)
	return ModeRollback, nil
}

// undisputed asks every operator, where there are several, whether a recorded block is canonical there. What several
// operators may have vouched for is not undone on the word of one, which is wrong or lies or sits on a fork of its own: the
// step fails until they agree. An operator that cannot tell, because it lags or does not answer, disputes nothing; silent is
// why one did not answer.
func (r *run) undisputed(ctx context.Context, block payment.BlockRef) (silent, err error) {
	operators, ok := r.Source.(chain.Witnesser)
	if !ok {
		return nil, nil
	}
	for _, witness := range operators.Witnesses() {
		there, err := witness.HeaderByNumber(ctx, block.Number)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, chain.ErrBlockUnknown):
		case err != nil:
			silent = err
		case there.Hash == block.Hash:
			r.log.Error("operators disagree about the chain: nothing is undone until they agree", "operator", witness.Operator,
				"block", block.Number, "hash", block.Hash.String())
			return nil, fmt.Errorf("%w: block %d is canonical for an operator", chain.ErrDisagreement, block.Number)
		}
	}
	return silent, nil
}

// commonAncestor walks down from header, parent by parent and by hash, to the first
// block that is recorded. Reading by hash keeps the walk on one chain even when
// every answer comes from another node. lowest is the lowest block known by its hash that is above the ancestor, also when that is
// ErrHorizon; its number is 0 when nothing is known.
func (r *run) commonAncestor(ctx context.Context, cursor, header payment.BlockRef) (ancestor, lowest payment.BlockRef, err error) {
	recorded, oldest, err := r.recorded(ctx, cursor)
	if err != nil {
		return payment.BlockRef{}, payment.BlockRef{}, err
	}
	child := header
	for child.Number > 0 {
		parent, err := r.Source.HeaderByHash(ctx, child.Parent)
		if err != nil {
			return payment.BlockRef{}, payment.BlockRef{}, fmt.Errorf("read the parent of block %d: %w", child.Number, err)
		}
		if parent.Hash != child.Parent || parent.Number != child.Number-1 {
			return payment.BlockRef{}, payment.BlockRef{}, fmt.Errorf("%w: block %d has an impossible parent", chain.ErrInconsistent, child.Number)
		}
		hash, known := recorded[parent.Number]
		switch {
		case known && hash == parent.Hash:
			return parent, lowest, nil
		case cursor.Number-parent.Number > r.session.Horizon:
			return payment.BlockRef{}, lowest, ErrHorizon
		case parent.Number+1 == r.session.Start && oldest == r.session.Start:
			return parent, lowest, nil // everything that was ever recorded is undone
		case parent.Number < oldest:
			return payment.BlockRef{}, lowest, ErrHorizon
		}
		if known {
			lowest = payment.BlockRef{Number: parent.Number, Hash: hash}
		}
		child = parent
	}
	return payment.BlockRef{}, lowest, ErrHorizon
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

// rollBackHalted undoes what should not have been possible: crediting stops first, until a person resumes it, and then
// the new chain is followed, because payments on it have to be seen whatever happened.
func (r *run) rollBackHalted(ctx context.Context, cursor, header payment.BlockRef, cause error) (payment.BlockRef, error) {
	reason := haltHorizon
	if errors.Is(cause, ErrFinal) {
		reason = haltFinal
	}
	r.log.Error("reorganisation is deeper than it may be: crediting stops, recording goes on", "reason", reason,
		"cursor", cursor.Number, "cursor_hash", cursor.Hash.String(), "next_hash", header.Hash.String(), "horizon", r.session.Horizon)
	if err := r.Recorder.Halt(ctx, r.session, reason); err != nil {
		return payment.BlockRef{}, fmt.Errorf("halt the chain: %w", err)
	}
	ancestor, err := r.deepAncestor(ctx, cursor.Number)
	if err != nil {
		return payment.BlockRef{}, err
	}
	r.pass(PointAncestor)
	return ancestor, r.Recorder.Rollback(ctx, r.session, ancestor)
}

// deepAncestors is how many recorded blocks are compared with the chain at once.
const deepAncestors = 256

// deepAncestor finds the newest recorded block that the chain still has. Below the horizon only some blocks are known, so
// what lies between that block and the true ancestor is undone and read again as well. It asks by number, which may mix up
// the answers of different nodes: then the next block does not continue the cursor, and it is done again.
func (r *run) deepAncestor(ctx context.Context, below uint64) (payment.BlockRef, error) {
	for {
		refs, err := r.Recorder.Remembered(ctx, r.session, below, deepAncestors)
		if err != nil {
			return payment.BlockRef{}, fmt.Errorf("read what was recorded below %d: %w", below, err)
		}
		if len(refs) == 0 || refs[0].Number < r.session.Start {
			return r.beforeEverything()
		}
		oldest := refs[len(refs)-1]
		same, err := r.stillThere(ctx, oldest)
		switch {
		case err != nil:
			return payment.BlockRef{}, err
		case same:
			return r.newestShared(ctx, refs)
		case oldest.Number == 0:
			return r.beforeEverything()
		}
		below = oldest.Number - 1
	}
}

// beforeEverything is the block to go back to when the chain shares nothing with what was recorded.
func (r *run) beforeEverything() (payment.BlockRef, error) {
	if r.session.Start == 0 {
		return payment.BlockRef{}, fmt.Errorf("%w: the chain has another first block", chain.ErrInconsistent)
	}
	return payment.BlockRef{Number: r.session.Start - 1}, nil
}

// newestShared finds the first of refs, newest first, that the chain has; it has the last of them.
func (r *run) newestShared(ctx context.Context, refs []payment.BlockRef) (payment.BlockRef, error) {
	above, shared := -1, len(refs)-1
	for shared-above > 1 {
		middle := (above + shared) / 2
		same, err := r.stillThere(ctx, refs[middle])
		switch {
		case err != nil:
			return payment.BlockRef{}, err
		case same:
			shared = middle
		default:
			above = middle
		}
	}
	return refs[shared], nil
}

func (r *run) stillThere(ctx context.Context, ref payment.BlockRef) (bool, error) {
	header, err := r.Source.HeaderByNumber(ctx, ref.Number)
	if err != nil {
		return false, fmt.Errorf("find block %d: %w", ref.Number, err)
	}
	return header.Hash == ref.Hash, nil
}
