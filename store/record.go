package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Record records consecutive blocks in one transaction: it moves the cursor, looks up the recipients of all transfers,
// begins an inclusion for each transfer to one of ours and moves its order, writes the wake-ups, remembers the blocks and
// extends the coverage by what was looked for. The first block must continue the cursor, or be the session's Start when
// nothing is recorded yet.
//
// Blocks that are recorded already, as when the last call's outcome is unknown, change nothing and are a success.
// Errors: ErrFenced, ErrParentMismatch, ErrContradiction, *UnresolvedError.
func (r *Recorder) Record(ctx context.Context, s ScanSession, batch Batch) (Recorded, error) {
	if err := batch.check(); err != nil {
		return Recorded{}, err
	}
	var recorded Recorded
	err := r.db.tx(ctx, func(ctx context.Context, t txn) error {
		if err := t.believe(ctx, s.Chain, &batch, false); err != nil {
			return err
		}
		turn, err := t.advance(ctx, s, batch)
		if errors.Is(err, errRecordedAlready) {
			recorded, err = t.recount(ctx, s, batch)
			return err
		}
		if err != nil {
			return err
		}
		if recorded, err = t.place(ctx, turn, batch, placeRecorded); err != nil {
			return err
		}
		if err := t.remember(ctx, turn, batch); err != nil {
			return err
		}
		if err := t.cover(ctx, s.Chain, batch); err != nil {
			return err
		}
		if err := t.planTraces(ctx, s, batch); err != nil {
			return err
		}
		return t.planBackfill(ctx, s, int64(batch.last().Number))
	})
	return recorded, err
}

// RecordRescan records blocks at or below the cursor once more, in one transaction: everything that Record does but moving
// the cursor, and moves the rescan behind the last block. A block that is still remembered must be the remembered one. A
// rescan adds: what was recorded before stays as it is, also when the blocks say otherwise now, unless it is refuted; see
// Batch.Views and refutedBy. A second look in ranges adds nothing either: it only confirms what is recorded.
// Errors: ErrFenced, ErrParentMismatch, ErrContradiction, ErrHearsay, *UnresolvedError.
func (r *Recorder) RecordRescan(ctx context.Context, s ScanSession, rescan OpenRescan, batch Batch) (Recorded, error) {
	if err := batch.check(); err != nil {
		return Recorded{}, err
	}
	var recorded Recorded
	err := r.db.tx(ctx, func(ctx context.Context, t txn) error {
		turn, err := t.turn(ctx, s)
		if err != nil {
			return err
		}
		if err := t.matchesMemory(ctx, turn, batch); err != nil {
			return err
		}
		if err := t.believe(ctx, s.Chain, &batch, true); err != nil {
			return err
		}
		if batch.quorum, err = t.quorum(ctx, s.Chain, rescan, batch); err != nil {
			return err
		}
		batch.hearsay = rescan.Second && !batch.ByHash
		if recorded, err = t.place(ctx, turn, batch, placeRescanned); err != nil {
			return err
		}
		if err := t.cover(ctx, s.Chain, batch); err != nil {
			return err
		}
		err = t.q.ResolveQuarantine(ctx, sqlc.ResolveQuarantineParams{
			Chain: s.Chain, First: int64(batch.first().Number), Last: int64(batch.last().Number),
		})
		if err != nil {
			return fmt.Errorf("resolve quarantined blocks: %w", err)
		}
		if rescan.Second {
			return t.lookedAgain(ctx, s.Chain, batch, recorded)
		}
		return t.advanceRescan(ctx, s.Chain, rescan.ID, batch)
	})
	return recorded, err
}

var errRecordedAlready = errors.New("store: recorded already")

// advance moves the cursor over the batch, which locks it. Errors: ErrFenced, ErrParentMismatch, errRecordedAlready.
func (t txn) advance(ctx context.Context, s ScanSession, batch Batch) (chainTurn, error) {
	first, last := batch.first(), batch.last()
	row, err := t.q.AdvanceCursor(ctx, sqlc.AdvanceCursorParams{
		Chain: s.Chain, Epoch: s.Epoch, First: int64(first.Number), Parent: first.Parent[:],
		Last: int64(last.Number), Hash: last.Hash[:], BlockTime: last.Time,
	})
	if err == nil {
		return chainTurn{
			chain: s.Chain, family: payment.Family(row.Family), horizon: int64(row.Horizon),
			confirmations: int64(row.Confirmations), number: int64(last.Number), hash: last.Hash[:], time: &last.Time,
		}, nil
	}
	if !errors.Is(err, pgx.ErrNoRows) {
		return chainTurn{}, fmt.Errorf("move the cursor of chain %s: %w", s.Chain, err)
	}
	turn, err := t.turn(ctx, s)
	switch {
	case err != nil:
		return chainTurn{}, err
	case turn.number == int64(last.Number) && bytes.Equal(turn.hash, last.Hash[:]):
		return chainTurn{}, errRecordedAlready
	default:
		return chainTurn{}, ErrParentMismatch
	}
}

// recount says what recording the batch found the first time.
func (t txn) recount(ctx context.Context, s ScanSession, batch Batch) (Recorded, error) {
	count, err := t.q.InclusionsInBlocks(ctx, sqlc.InclusionsInBlocksParams{
		Chain: s.Chain, First: int64(batch.first().Number), Last: int64(batch.last().Number),
	})
	if err != nil {
		return Recorded{}, fmt.Errorf("count what was recorded: %w", err)
	}
	return Recorded{Matched: int(count), New: int(count)}, nil
}

// matchesMemory checks blocks that are read again against the blocks that are remembered. Error: ErrParentMismatch.
func (t txn) matchesMemory(ctx context.Context, turn chainTurn, batch Batch) error {
	first, last := int64(batch.first().Number), int64(batch.last().Number)
	if turn.hash == nil || last > turn.number {
		return ErrParentMismatch
	}
	rows, err := t.q.ChainBlocksBetween(ctx, sqlc.ChainBlocksBetweenParams{Chain: turn.chain, First: first, Last: last})
	if err != nil {
		return fmt.Errorf("read the recorded blocks: %w", err)
	}
	for _, row := range rows {
		if block := batch.Blocks[row.Number-first]; !bytes.Equal(row.Hash, block.Hash[:]) {
			return ErrParentMismatch
		}
	}
	return nil
}

// remember keeps the blocks within the horizon, for finding the common ancestor of a reorganisation, and forgets older
// ones.
func (t txn) remember(ctx context.Context, turn chainTurn, batch Batch) error {
	floor := turn.number - turn.horizon
	params := sqlc.InsertChainBlocksParams{Chain: turn.chain}
	for _, block := range batch.Blocks {
		if int64(block.Number) < floor {
			continue
		}
		params.Numbers = append(params.Numbers, int64(block.Number))
		params.Hashes = append(params.Hashes, block.Hash[:])
		params.Parents = append(params.Parents, block.Parent[:])
		params.Times = append(params.Times, block.Time)
	}
	if err := t.q.InsertChainBlocks(ctx, params); err != nil {
		return fmt.Errorf("remember blocks: %w", err)
	}
	if err := t.q.PruneChainBlocks(ctx, sqlc.PruneChainBlocksParams{Chain: turn.chain, Below: floor}); err != nil {
		return fmt.Errorf("forget old blocks: %w", err)
	}
	return nil
}
