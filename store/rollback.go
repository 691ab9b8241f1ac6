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

// Rollback undoes everything above a block in one transaction: it ends the inclusions there, reverses what was credited of
// them, moves the orders back, writes events and wake-ups, forgets the blocks, trims the coverage and sets the cursor to
// that block. The block is remembered, or it is one below the start block while the start block is remembered: then nothing
// is left, the cursor is empty, and the start block is next, on whatever parent the chain has now. With the cursor at or
// below the block there is nothing to do.
//
// Inclusions end, payments stay: one that is mined again goes on with its next inclusion.
// Errors: ErrFenced; ErrHorizon when the block is further below the cursor than the chain's horizon, and ErrFinal when it is
// below one that was final, unless the chain is halted: then it may be any block that was ever recorded, or the start block's
// parent; ErrParentMismatch when it was never recorded.
func (r *Recorder) Rollback(ctx context.Context, s ScanSession, to payment.BlockRef) error {
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		turn, err := t.turn(ctx, s)
		if err != nil {
			return err
		}
		ancestor := int64(to.Number)
		if turn.hash == nil || turn.number <= ancestor {
			return nil
		}
		if err := turn.mayUndo(ancestor); err != nil {
			return err
		}
		all, err := t.undoesAll(ctx, turn, ancestor)
		if err != nil {
			return err
		}
		if !all {
			if err := t.remembers(ctx, turn, to); err != nil {
				return err
			}
		}
		if err := t.dropAbove(ctx, turn, ancestor); err != nil {
			return err
		}
		back := Batch{Blocks: []SeenBlock{{BlockRef: to}}}
		if err := t.believe(ctx, s.Chain, &back, true); err != nil {
			return err
		}
		to = back.first().BlockRef
		return t.forgetAbove(ctx, turn, to, all)
	})
}

// undoesAll tells whether everything that was ever recorded is above the ancestor. Its hash proves nothing then: the start
// block's parent was never recorded and may be reorganised like any block.
func (t txn) undoesAll(ctx context.Context, turn chainTurn, ancestor int64) (bool, error) {
	if ancestor != turn.start-1 {
		return false, nil
	}
	if turn.halted {
		return true, nil // also what is forgotten by now
	}
	lowest, err := t.q.LowestChainBlock(ctx, turn.chain)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return false, nil
	case err != nil:
		return false, fmt.Errorf("look for the first block: %w", err)
	default:
		return lowest.Number == turn.start, nil
	}
}

// remembers returns ErrParentMismatch unless the block is one that was recorded, or the parent of the lowest one.
func (t txn) remembers(ctx context.Context, turn chainTurn, to payment.BlockRef) error {
	number := int64(to.Number)
	rows, err := t.q.ChainBlocksBetween(ctx, sqlc.ChainBlocksBetweenParams{Chain: turn.chain, First: number, Last: number})
	if err != nil {
		return fmt.Errorf("look for the common ancestor: %w", err)
	}
	if len(rows) == 1 {
		if bytes.Equal(rows[0].Hash, to.Hash[:]) {
			return nil
		}
		return ErrParentMismatch
	}
	lowest, err := t.q.LowestChainBlock(ctx, turn.chain)
	switch {
	case err != nil && !errors.Is(err, pgx.ErrNoRows):
		return fmt.Errorf("look for the first block: %w", err)
	case err == nil && lowest.Number == number+1 && bytes.Equal(lowest.ParentHash, to.Hash[:]):
		return nil
	case turn.halted:
		return t.rememberedDeep(ctx, turn, to)
	default:
		return ErrParentMismatch
	}
}

// lostPayment is a payment whose newest inclusion ends.
type lostPayment struct {
	id         string
	orderID    *string
	merchantID string
	inclusion  int32
}

func (t txn) dropAbove(ctx context.Context, turn chainTurn, ancestor int64) error {
	rows, err := t.q.PaymentsAbove(ctx, sqlc.PaymentsAboveParams{Chain: turn.chain, Above: ancestor})
	if err != nil {
		return fmt.Errorf("look for lost payments: %w", err)
	}
	var ids []payment.OrderID
	var payments []string
	for _, row := range rows {
		if row.OrderID != nil {
			ids = append(ids, payment.OrderID(*row.OrderID))
		}
		payments = append(payments, row.ID)
	}
	if err := t.q.AwaitBirths(ctx, turn.chain); err != nil {
		return fmt.Errorf("wait for orders that are being opened: %w", err)
	}
	born, err := t.q.OrdersBornAbove(ctx, sqlc.OrdersBornAboveParams{Chain: turn.chain, Above: ancestor})
	if err != nil {
		return fmt.Errorf("look for orders that were opened since: %w", err)
	}
	for _, id := range born {
		ids = append(ids, payment.OrderID(id))
	}
	orders, locked, err := t.lockAll(ctx, ids, payments)
	if err != nil {
		return err
	}
	if err := t.lowerBirths(ctx, orders, born, ancestor); err != nil {
		return err
	}
	for _, row := range rows {
		var order *orderRow
		if row.OrderID != nil {
			order = orders[payment.OrderID(*row.OrderID)]
		}
		lost := lostPayment{id: row.ID, orderID: row.OrderID, merchantID: row.MerchantID, inclusion: row.N}
		if err := t.drop(ctx, turn, order, locked[row.ID], lost, endReorg); err != nil {
			return fmt.Errorf("drop payment %s: %w", row.ID, err)
		}
	}
	return nil
}

// lowerBirths puts the births of orders back to the common ancestor: a payment that was made for an order may be mined again
// in a block that is lower than the one that the cursor was at when the order was opened.
func (t txn) lowerBirths(ctx context.Context, orders map[payment.OrderID]*orderRow, born []string, ancestor int64) error {
	for _, id := range born {
		if order := orders[payment.OrderID(id)]; order != nil && order.BirthBlock != nil {
			lowered := min(*order.BirthBlock, ancestor)
			order.BirthBlock = &lowered
		}
	}
	if err := t.q.LowerBirths(ctx, sqlc.LowerBirthsParams{Ids: born, Above: ancestor}); err != nil {
		return fmt.Errorf("put the births of orders back: %w", err)
	}
	return nil
}

// Why an inclusion ended.
const (
	endReorg   = "reorg"
	endRefuted = "refuted"
)

// drop ends the payment's newest inclusion. A credit of it is reversed first, and a person is asked to look: the merchant
// may have delivered. The payment then counts as live for one confirmation window, because it usually returns.
func (t txn) drop(ctx context.Context, turn chainTurn, order *orderRow, locked sqlc.LockPaymentsRow, lost lostPayment, reason string) error {
	credited := locked.CreditedInclusion != nil
	if credited {
		if *locked.CreditedInclusion != lost.inclusion {
			return fmt.Errorf("inclusion %d is credited and %d is lost", *locked.CreditedInclusion, lost.inclusion)
		}
		ref := payment.InclusionRef{Payment: payment.PaymentID(lost.id), Inclusion: int(lost.inclusion)}
		if err := t.reverseCredit(ctx, ref); err != nil {
			return fmt.Errorf("reverse the credit: %w", err)
		}
	}
	ended, err := t.q.EndInclusion(ctx, sqlc.EndInclusionParams{PaymentID: lost.id, N: lost.inclusion, Reason: reason})
	if err != nil {
		return fmt.Errorf("end inclusion %d: %w", lost.inclusion, err)
	}
	if ended != 1 {
		return fmt.Errorf("inclusion %d has ended already", lost.inclusion)
	}
	window := turn.confirmations
	if order != nil && order.Chain == turn.chain {
		window = int64(order.Confirmations)
	}
	if err := t.q.DropPayment(ctx, sqlc.DropPaymentParams{ID: lost.id, ReturnsBy: turn.number + window}); err != nil {
		return fmt.Errorf("write the loss: %w", err)
	}
	trigger := payment.TriggerPaymentDropped
	if credited {
		trigger = payment.TriggerPaymentReversed
	}
	if err := t.tell(ctx, order, trigger, lost.id, lost.inclusion); err != nil {
		return err
	}
	if credited && lost.orderID == nil {
		if err := t.tellDeposit(ctx, nil, payment.EventPaymentReversed, lost.id, lost.inclusion); err != nil {
			return err
		}
	}
	err = t.wake(ctx, wakeUp{
		chain: turn.chain, signal: process.SignalPaymentDropped, paymentID: lost.id, inclusion: lost.inclusion,
		orderID: lost.orderID, kind: "dropped",
	})
	if err != nil || !credited {
		return err
	}
	err = t.openReview(ctx, reviewOf{
		chain: turn.chain, paymentID: lost.id, inclusion: lost.inclusion, cause: process.CauseReversal,
		merchantID: lost.merchantID, orderID: lost.orderID,
	})
	if err != nil {
		return err
	}
	return t.reviewOverdraft(ctx, turn.chain, lost)
}

// forgetAbove makes the block the cursor, or empties the cursor when everything was undone.
func (t txn) forgetAbove(ctx context.Context, turn chainTurn, to payment.BlockRef, all bool) error {
	above := int64(to.Number)
	if err := t.q.CutChainBlocks(ctx, sqlc.CutChainBlocksParams{Chain: turn.chain, Above: above}); err != nil {
		return fmt.Errorf("forget blocks: %w", err)
	}
	if err := t.q.CutCoverage(ctx, sqlc.CutCoverageParams{Chain: turn.chain, Above: above}); err != nil {
		return fmt.Errorf("trim the coverage: %w", err)
	}
	if err := t.forgetDeep(ctx, turn.chain, above); err != nil {
		return err
	}
	if err := t.q.ForgetUnknownAbove(ctx, sqlc.ForgetUnknownAboveParams{Chain: turn.chain, Above: above}); err != nil {
		return fmt.Errorf("forget transfers of unknown tokens: %w", err)
	}
	err := t.q.ResolveQuarantine(ctx, sqlc.ResolveQuarantineParams{Chain: turn.chain, First: above + 1, Last: turn.number})
	if err != nil {
		return fmt.Errorf("resolve quarantined blocks: %w", err)
	}
	if all {
		if err := t.q.ClearCursor(ctx, turn.chain); err != nil {
			return fmt.Errorf("clear the cursor: %w", err)
		}
		return nil
	}
	err = t.q.SetCursor(ctx, sqlc.SetCursorParams{Chain: turn.chain, Number: above, Hash: to.Hash[:], BlockTime: to.Time})
	if err != nil {
		return fmt.Errorf("set the cursor: %w", err)
	}
	return nil
}
