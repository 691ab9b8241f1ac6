package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// secondLook finds the next run of blocks that was read once only: of those that were read in ranges, or else of final ones that were
// read by hash.
func (r *Recorder) secondLook(ctx context.Context, s ScanSession, watch *Watch) (err error) {
	row, err := r.db.q.RangedDue(ctx, s.Chain)
	switch {
	case err == nil:
		watch.Ranged = uint64(row.Total)
		watch.SecondLook = &OpenRescan{From: uint64(row.First), To: uint64(row.Last), Next: uint64(row.First), Second: true, Urgent: row.Urgent}
	case errors.Is(err, pgx.ErrNoRows):
		watch.SecondLook, err = r.finalLook(ctx, s)
	default:
		err = fmt.Errorf("look for what was read in ranges on chain %s: %w", s.Chain, classify(err))
	}
	return err
}

func (r *Recorder) finalLook(ctx context.Context, s ScanSession) (*OpenRescan, error) {
	row, err := r.db.q.SecondLookDue(ctx, s.Chain)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // nothing to look at is no error
	case err != nil:
		return nil, fmt.Errorf("look for what was read once on chain %s: %w", s.Chain, classify(err))
	}
	return &OpenRescan{From: uint64(row.First), To: uint64(row.Last), Next: uint64(row.First), Second: true, InRanges: true}, nil
}

// finder is the actor of the audit rows about second looks.
const finder = "second look"

// lookedAgain remembers that the batch was read a second time. What that found had been missed the first time: it is
// counted, and audited with the payments, because whoever left it out may have left out more.
func (t txn) lookedAgain(ctx context.Context, chain string, batch Batch, recorded Recorded) error {
	first, last := int64(batch.first().Number), int64(batch.last().Number)
	err := t.q.LookedAgain(ctx, sqlc.LookedAgainParams{Chain: chain, First: first, Last: last, Found: int64(recorded.New)})
	if err != nil {
		return fmt.Errorf("remember a second look: %w", err)
	}
	if recorded.New == 0 {
		return nil
	}
	rows, err := t.q.BegunInBlocks(ctx, sqlc.BegunInBlocksParams{Chain: chain, First: first, Last: last})
	if err != nil {
		return fmt.Errorf("list what a second look found: %w", err)
	}
	payments := make([]string, 0, len(rows))
	for _, row := range rows {
		payments = append(payments, row.PaymentID)
	}
	_, err = t.audit(ctx, deed{
		By:     process.By{Actor: finder, Reason: "transfers that were missed when their blocks were first read"},
		Action: "chain.second_look_found", Subject: chain,
		Detail: map[string]any{"from": first, "to": last, "found": recorded.New, "payments": payments},
	})
	return err
}

// maxLookLater is how many blocks are left to rescans of their own at once.
const maxLookLater = 16

// LookLater leaves the block at which a second look or a rescan stands, its Next, to a rescan of its own. Error: ErrFenced.
func (r *Recorder) LookLater(ctx context.Context, s ScanSession, rescan OpenRescan) error {
	number := int64(rescan.Next)
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		_, err := t.turn(ctx, s)
		switch {
		case err != nil:
			return err
		case rescan.Second:
			_, err = t.q.LookLater(ctx, sqlc.LookLaterParams{
				Chain: s.Chain, Number: number, Most: maxLookLater,
				RequestID: fmt.Sprintf("second_look/%s/%d/%d", s.Chain, s.Epoch, number),
			})
		default:
			_, err = t.q.RescanLater(ctx, sqlc.RescanLaterParams{
				Chain: s.Chain, ID: rescan.ID, Number: number, Most: maxLookLater, RequestID: fmt.Sprintf("left/%d/%d", rescan.ID, number),
			})
		}
		if err != nil {
			return fmt.Errorf("leave block %d for later: %w", number, err)
		}
		return nil
	})
}

// lookAgainLater has blocks looked at a second time that a backfill, or the end of a quarantine, has read for the first
// time.
func (t txn) lookAgainLater(ctx context.Context, chain string, rescan int64, batch Batch) error {
	err := t.q.LookAgainLater(ctx, sqlc.LookAgainLaterParams{
		Chain: chain, RescanID: rescan, First: int64(batch.first().Number), Last: int64(batch.last().Number),
	})
	if err != nil {
		return fmt.Errorf("plan a second look: %w", err)
	}
	return nil
}

// finalDepth is how many confirmation windows a block has to be below the cursor before it is believed to be final: some
// nodes call their head final, and a short reorganisation that undoes no credit is nothing to halt a chain for.
const finalDepth = 2

// ObserveFinal remembers the newest block that the chain calls final, nil when it calls none so, and every few minutes where
// the cursor is. A block above the cursor, or another than the recorded one, says nothing. Error: ErrFenced.
func (r *Recorder) ObserveFinal(ctx context.Context, s ScanSession, final *payment.BlockRef) error {
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		turn, err := t.turn(ctx, s)
		if err != nil {
			return err
		}
		if err := t.q.MarkCursor(ctx, s.Chain); err != nil {
			return fmt.Errorf("mark the cursor of chain %s: %w", s.Chain, err)
		}
		if final == nil || turn.hash == nil || int64(final.Number) > turn.number {
			return nil
		}
		number := int64(final.Number)
		rows, err := t.q.ChainBlocksBetween(ctx, sqlc.ChainBlocksBetweenParams{Chain: s.Chain, First: number, Last: number})
		if err != nil {
			return fmt.Errorf("look for the final block: %w", err)
		}
		if len(rows) == 1 && !bytes.Equal(rows[0].Hash, final.Hash[:]) {
			t.log.WarnContext(ctx, "the chain calls another block final than the recorded one", "chain", s.Chain, "block", number)
			return nil
		}
		believed := min(number, turn.number-finalDepth*turn.confirmations)
		if believed < turn.start {
			return nil
		}
		if err := t.q.SetFinal(ctx, sqlc.SetFinalParams{Chain: s.Chain, Number: believed}); err != nil {
			return fmt.Errorf("remember the final block: %w", err)
		}
		return nil
	})
}

// Remembered returns blocks at or below a height that are known to have been recorded, newest first, at most limit: those
// within the horizon, those with payments, and a few more. Their parents are not known.
func (r *Recorder) Remembered(ctx context.Context, s ScanSession, below uint64, limit int) ([]payment.BlockRef, error) {
	rows, err := r.db.q.MarkedBlocks(ctx, sqlc.MarkedBlocksParams{Chain: s.Chain, Below: int64(below), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read what was recorded on chain %s: %w", s.Chain, classify(err))
	}
	blocks := make([]payment.BlockRef, 0, len(rows))
	for _, row := range rows {
		blocks = append(blocks, payment.BlockRef{Number: uint64(row.Number), Hash: payment.Hash(row.Hash), Time: row.BlockTime})
	}
	return blocks, nil
}

// mayUndo returns ErrHorizon or ErrFinal when what is above the ancestor should not be undone, and nil when the chain is
// halted: nothing is credited then, whatever is undone.
func (c chainTurn) mayUndo(ancestor int64) error {
	switch {
	case c.halted:
		return nil
	case c.number-ancestor > c.horizon:
		return ErrHorizon
	case c.final != nil && ancestor < *c.final:
		return ErrFinal
	default:
		return nil
	}
}

// rememberedDeep returns ErrParentMismatch unless the block was recorded, however long ago.
func (t txn) rememberedDeep(ctx context.Context, turn chainTurn, to payment.BlockRef) error {
	known, err := t.q.BlockKnown(ctx, sqlc.BlockKnownParams{Chain: turn.chain, Number: int64(to.Number), Hash: to.Hash[:]})
	switch {
	case err != nil:
		return fmt.Errorf("look for the common ancestor: %w", err)
	case !known:
		return ErrParentMismatch
	default:
		return nil
	}
}

// forgetDeep forgets what is remembered about blocks above a height beyond the horizon. The blocks are forgotten: only what was found in
// such is withdrawn.
func (t txn) forgetDeep(ctx context.Context, chain string, above int64) error {
	if err := t.q.CutMarks(ctx, sqlc.CutMarksParams{Chain: chain, Above: above}); err != nil {
		return fmt.Errorf("forget marks: %w", err)
	}
	if err := t.q.CutSecondLook(ctx, sqlc.CutSecondLookParams{Chain: chain, Above: above}); err != nil {
		return fmt.Errorf("trim the second looks: %w", err)
	}
	if err := t.q.LowerFinal(ctx, sqlc.LowerFinalParams{Chain: chain, Above: above}); err != nil {
		return fmt.Errorf("lower the final block: %w", err)
	}
	if err := t.q.WithdrawFindings(ctx, sqlc.WithdrawFindingsParams{Chain: chain, Above: above}); err != nil {
		return fmt.Errorf("withdraw what balances showed: %w", err)
	}
	return t.tellOverdrawnByFindings(ctx)
}
