package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// Wait says that something cannot be done yet, why, and when to ask again. The zero Wait is none.
type Wait struct {
	Reason string
	Delay  time.Duration
}

// Needed tells whether there is something to wait for.
func (w Wait) Needed() bool { return w.Reason != "" }

// Reasons to wait before an order can expire, beside those of the state table.
const (
	waitReturning = "dropped_payment_may_return"
	waitClock     = "deadline_is_moments_away"
	// waitTraces: an internal transfer in time may yet be found in a block that nodes are about to trace.
	waitTraces = "blocks_not_traced_yet"
	// waitRanges: a payment in time may yet be found in a block that was read in ranges only and is about to be read by hash.
	waitRanges = "blocks_read_in_ranges_only"
)

const (
	// clockSlack is how far the clocks of those who start the closing may be ahead of the database's.
	clockSlack = 10 * time.Second
	// longestWait bounds the delay between two looks at a chain.
	longestWait = 30 * time.Second
	// holeWait is the delay while blocks before the deadline are unread.
	holeWait = 15 * time.Second
	// rangesWait is the delay until the next second look may be done: orders go first there.
	rangesWait = 3 * time.Second
)

// ExpireOrder closes an order whose deadline has passed on the chain's own clock: every block up to there was read without
// a hole, and no payment that came on time is live. It waits, for an hour of the chain's time at most, while some block of its life was read in ranges only. An order for the chain's own coin waits, for an hour of the chain's time at most, while nodes trace and some
// block of that order's life was not traced yet. The result is final, unless a Wait is returned beside it: then nothing was changed, and it
// is to be asked again after the delay.
//
// Money that is there is counted once more, so an order that can be fulfilled ends paid (outcome "over"). Errors:
// CodeNotFound; CodeOrderState for an order that has no address yet.
func (db *DB) ExpireOrder(ctx context.Context, id payment.OrderID) (process.ExpireResult, Wait, error) {
	var result process.ExpireResult
	var wait Wait
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		result, wait = process.ExpireResult{}, Wait{}
		if result.Outcome, wait, err = t.expire(ctx, order); err != nil {
			return err
		}
		result.Order, err = t.view(ctx, order)
		return err
	})
	return result, wait, err
}

func (t txn) expire(ctx context.Context, order *orderRow) (process.ExpireOutcome, Wait, error) {
	if state := order.state(); !state.Open() {
		return process.ExpireOver, Wait{}, nil
	}
	if order.ExpiresAt == nil {
		return "", Wait{}, payment.E(payment.CodeOrderState, "", "the order has no address yet")
	}
	// The position comes first: what it says was recorded is visible to the statements after it.
	position, err := t.chainPosition(ctx, order)
	if err != nil {
		return "", Wait{}, err
	}
	if left := order.ExpiresAt.Sub(position.Now); left > clockSlack {
		return process.ExpireNotDue, Wait{}, nil
	} else if left > 0 {
		return process.ExpireNotDue, Wait{Reason: waitClock, Delay: left}, nil
	}
	decision, err := t.apply(ctx, order, payment.TriggerExpire, eventCause{})
	switch {
	case err == nil && decision.To == payment.StateExpired:
		return process.ExpireExpired, Wait{}, nil
	case err == nil:
		return process.ExpireOver, Wait{}, nil
	case !isRefusal(err):
		return "", Wait{}, err
	default:
		return t.expireRefused(ctx, order, position, payment.ReasonOf(err))
	}
}

// expireRefused tells what ends the refusal: a payment's own end, or time.
func (t txn) expireRefused(
	ctx context.Context, order *orderRow, position position, reason payment.Reason,
) (process.ExpireOutcome, Wait, error) {
	switch reason {
	case payment.ReasonPaymentLive:
		money, err := t.money(ctx, order)
		if err != nil || money.awaitedOnChain > 0 {
			return process.ExpireLive, Wait{}, err
		}
		blocks := max(money.returnsBy-deref(position.BlockNumber)+1, 1)
		return process.ExpireLive, Wait{Reason: waitReturning, Delay: order.clamp(time.Duration(blocks) * order.blockTime)}, nil
	case payment.ReasonUnreadBlocks:
		switch {
		case !position.read():
		case position.Ranged:
			return process.ExpireNotDue, Wait{Reason: waitRanges, Delay: rangesWait}, nil
		default:
			reason = waitTraces
		}
		return process.ExpireNotDue, Wait{Reason: string(reason), Delay: holeWait}, nil
	default:
		delay := longestWait
		if position.BlockTime != nil {
			delay = order.ExpiresAt.Sub(*position.BlockTime)
		}
		return process.ExpireNotDue, Wait{Reason: string(reason), Delay: order.clamp(delay)}, nil
	}
}

// clamp keeps a delay between one block and the longest wait.
func (o *orderRow) clamp(d time.Duration) time.Duration {
	return min(max(d, o.blockTime), longestWait)
}

// CancelOrder gives up an order that waits for its payment. The same request, and cancelling a cancelled order, change
// nothing and are "already_done". Errors: CodeNotFound; CodePaymentLive while a payment is on its way; CodeOrderState when the
// order is paid or expired, or the money for it is there.
func (db *DB) CancelOrder(ctx context.Context, in process.CancelInput) (process.OrderResult, error) {
	return db.move(ctx, in.OrderID, in.RequestID, func(ctx context.Context, t txn, order *orderRow) (string, error) {
		if order.state() == payment.StateCancelled {
			return process.OutcomeAlreadyDone, nil
		}
		if _, err := t.apply(ctx, order, payment.TriggerCancel, eventCause{}); err != nil {
			return "", err
		}
		_, err := t.audit(ctx, deed{By: in.By, Action: "order.cancel", Subject: order.ID, RequestID: in.RequestID})
		return process.OutcomeDone, err
	})
}

// maxDeadline is how far away a deadline can be moved.
const maxDeadline = 30 * 24 * time.Hour

// ExtendOrder moves the deadline of an open order later by the given seconds, counted from now if it has passed. Money
// that was late may be in time now and fulfil the order. Doing it again is a longer extension; the same request is one.
// Errors: CodeNotFound; CodeInvalidExpiry for nothing, or beyond thirty days; CodeOrderState when the order is closed.
func (db *DB) ExtendOrder(ctx context.Context, in process.ExtendInput) (process.OrderResult, error) {
	by := time.Duration(in.Seconds) * time.Second
	if in.Seconds <= 0 || by > maxDeadline {
		return process.OrderResult{}, payment.E(payment.CodeInvalidExpiry, "seconds", "an extension is from a second to thirty days")
	}
	return db.move(ctx, in.OrderID, in.RequestID, func(ctx context.Context, t txn, order *orderRow) (string, error) {
		moment, err := t.q.AllocationMoment(ctx, order.Chain)
		if err != nil {
			return "", fmt.Errorf("read the moment: %w", err)
		}
		if order.ExpiresAt != nil {
			deadline := later(*order.ExpiresAt, moment.Now).Add(by)
			if deadline.Sub(moment.Now) > maxDeadline {
				return "", payment.E(payment.CodeInvalidExpiry, "seconds", "the deadline would be more than thirty days away")
			}
			order.setDeadline(deadline)
		}
		if _, err := t.apply(ctx, order, payment.TriggerExtend, eventCause{RequestID: in.RequestID}); err != nil {
			return "", err
		}
		_, err = t.audit(ctx, deed{
			By: in.By, Action: "order.extend", Subject: order.ID, RequestID: in.RequestID,
			Detail: map[string]any{"seconds": in.Seconds, "expires_at": order.ExpiresAt},
		})
		return process.OutcomeDone, err
	})
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// ResolveOrder carries out a person's decision about a blocked order: "mark_paid" fulfils it, or accepts the shortfall of
// a reversal, and posts nothing; "retry" only takes note, and puts parked payments back on their way. The same request changes
// nothing. Errors: CodeNotFound; CodeOrderState when the order is paid already, has no address, or for another move.
func (db *DB) ResolveOrder(ctx context.Context, in process.ResolveInput) (process.OrderResult, error) {
	return db.move(ctx, in.OrderID, in.RequestID, func(ctx context.Context, t txn, order *orderRow) (string, error) {
		switch in.Move {
		case process.MoveMarkPaid:
			if _, err := t.apply(ctx, order, payment.TriggerResolveManual, eventCause{RequestID: in.RequestID}); err != nil {
				return "", err
			}
		case process.MoveRetry:
			if err := t.q.UnparkOrderPayments(ctx, order.ID); err != nil {
				return "", fmt.Errorf("unpark payments: %w", err)
			}
		default:
			return "", payment.E(payment.CodeOrderState, "move", "an order cannot be resolved like this")
		}
		_, err := t.audit(ctx, deed{
			By: in.By, Action: "order." + string(in.Move), Subject: order.ID, RequestID: in.RequestID,
			Detail: map[string]any{"step": in.Step},
		})
		return process.OutcomeDone, err
	})
}

// move locks the order, skips what the request did before, and returns the order as it is then.
func (db *DB) move(
	ctx context.Context, id payment.OrderID, requestID string,
	do func(ctx context.Context, t txn, order *orderRow) (outcome string, err error),
) (process.OrderResult, error) {
	var result process.OrderResult
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		repeated, err := t.done(ctx, requestID)
		if err != nil {
			return err
		}
		result.Outcome = process.OutcomeAlreadyDone
		if !repeated {
			if result.Outcome, err = do(ctx, t, order); err != nil {
				return err
			}
		}
		result.Order, err = t.view(ctx, order)
		return err
	})
	if err != nil {
		return process.OrderResult{}, err
	}
	return result, nil
}

// engineActor is who is written down for what the engine does by itself.
const engineActor = "engine"

// ParkOrder writes down at which step the order's process waits for a person and why, or with no step that it does not any
// more. It changes nothing else: a parked order still takes payments. Error: CodeNotFound.
func (db *DB) ParkOrder(ctx context.Context, in process.ParkInput) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockOrder(ctx, in.OrderID)
		if err != nil {
			return err
		}
		action := "order.park"
		if in.Step == "" {
			action = "order.unpark"
		}
		fresh, err := t.audit(ctx, deed{
			By: process.By{Actor: engineActor, Reason: in.Reason}, Action: action, Subject: order.ID, RequestID: in.RequestID,
			Detail: map[string]any{"step": in.Step},
		})
		if err != nil || !fresh {
			return err
		}
		return t.q.SetBlockedStep(ctx, setBlockedStep(order.ID, in.Step))
	})
}
