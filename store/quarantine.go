package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Quarantine gives up on a block that cannot be read in full: it moves the cursor over it, so that the chain goes on, and records and
// covers no more than what could be read of it, which is all that the batch says was looked for. The hole is visible, and no order of
// an asset that it lacks expires across it. A rescan of the block is opened; what reads it at last ends the quarantine. reason is a
// code. Doing it again changes nothing.
// Errors: ErrFenced, ErrParentMismatch, ErrContradiction, *UnresolvedError.
func (r *Recorder) Quarantine(ctx context.Context, s ScanSession, batch Batch, reason string) error {
	if err := batch.check(); err != nil {
		return err
	}
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		if err := t.believe(ctx, s.Chain, &batch, false); err != nil {
			return err
		}
		turn, err := t.advance(ctx, s, batch)
		if errors.Is(err, errRecordedAlready) {
			return nil
		}
		if err != nil {
			return err
		}
		block := batch.last()
		err = t.q.InsertQuarantine(ctx, sqlc.InsertQuarantineParams{
			Chain: s.Chain, Number: int64(block.Number), Hash: block.Hash[:], Reason: reason, Lacking: batch.lacking(),
		})
		if err != nil {
			return fmt.Errorf("quarantine block %d: %w", block.Number, err)
		}
		_, err = t.q.InsertRescan(ctx, sqlc.InsertRescanParams{
			Chain: s.Chain, FromBlock: int64(block.Number), ToBlock: int64(block.Number), Cause: string(RescanQuarantine),
			// A block may be quarantined again after a reorganisation left it and came back: if that rescan is over by
			// then, the hole that is left is planned like any other.
			RequestID:   fmt.Sprintf("quarantine/%s/%d/%s", s.Chain, block.Number, block.Hash),
			RequestedBy: recorderActor,
		})
		if err != nil {
			return fmt.Errorf("plan to read block %d again: %w", block.Number, err)
		}
		if _, err := t.place(ctx, turn, batch, placeRecorded); err != nil {
			return err
		}
		if err := t.remember(ctx, turn, batch); err != nil {
			return err
		}
		if !batch.Native && len(batch.Tokens) == 0 {
			return nil
		}
		return t.cover(ctx, s.Chain, batch)
	})
}

// lacking lists the methods by which the batch was not looked at.
func (b Batch) lacking() []string {
	lacking := []string{}
	if !b.Native {
		lacking = append(lacking, coverageMethodNative)
	}
	if len(b.Tokens) == 0 {
		lacking = append(lacking, coverageMethodToken)
	}
	return lacking
}

// QuarantinedBlock is a block that was given up on and not read since.
type QuarantinedBlock struct {
	Number uint64
	Hash   payment.Hash
	Reason string
	Since  time.Time
	// Lacking are the methods by which it could not be read.
	Lacking []string
	// Accepted: a person said that it holds nothing up.
	Accepted bool
}

// QuarantinedBlocks lists at most limit blocks of a chain, lowest first.
func (db *DB) QuarantinedBlocks(ctx context.Context, chain string, limit int) ([]QuarantinedBlock, error) {
	rows, err := db.q.OpenQuarantine(ctx, sqlc.OpenQuarantineParams{Chain: chain, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read quarantined blocks: %w", classify(err))
	}
	blocks := make([]QuarantinedBlock, 0, len(rows))
	for _, row := range rows {
		blocks = append(blocks, QuarantinedBlock{
			Number: uint64(row.Number), Hash: payment.Hash(row.Hash), Reason: row.Reason, Since: row.CreatedAt, Lacking: row.Lacking,
			Accepted: row.AcceptedAt != nil,
		})
	}
	return blocks, nil
}

// AcceptHole ends what a quarantined block holds up: orders expire across it, although payments in it are not known. It stays
// visible and is tried again; what is found then counts as what it is. It is audited; doing it again changes nothing.
// Errors: CodeUnknownChain; CodeInvalidParameter when the block is not quarantined; CodeInvalidParameter without a reason.
func (db *DB) AcceptHole(ctx context.Context, chain string, block uint64, by process.By, requestID string) error {
	if by.Reason == "" {
		return payment.E(payment.CodeInvalidParameter, "reason", "say why the block is given up: payments in it are not seen")
	}
	d := deed{By: by, Action: "chain.accept_hole", RequestID: requestID, Detail: map[string]any{"block": block}}
	return db.control(ctx, chain, d, func(q *sqlc.Queries, ctx context.Context, chain string) (int64, error) {
		accepted, err := q.AcceptHole(ctx, sqlc.AcceptHoleParams{Chain: chain, Number: int64(block)})
		if err != nil || accepted > 0 {
			return accepted, err
		}
		known, err := q.IsHole(ctx, sqlc.IsHoleParams{Chain: chain, Number: int64(block)})
		if err == nil && !known {
			err = payment.E(payment.CodeInvalidParameter, "block", "block %d is not quarantined", block)
		}
		return 0, err
	})
}
