package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/process"
)

// newDeposit is the review of money that is for no order.
func newDeposit(t *testing.T) (*world, process.ReviewInput) {
	t.Helper()
	w, in := newReview(t, process.CauseDeposit)
	w.review.OrderID = ""
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		result, err := settle(in)
		w.review.Held = false
		return result, err
	}
	deliver := w.deliver
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		require.Equal(t, process.DeliverInput{PaymentID: testPayment, EndpointID: testEndpoint}, in, "in the payment's own stream")
		return deliver(ctx, in)
	}
	return w, in
}

func TestADepositIsConfirmedToldAndOver(t *testing.T) {
	t.Parallel()
	w, in := newDeposit(t)
	settle, deliver := w.settle, w.deliver
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] < 3 {
			return process.SettleResult{}, waits(time.Hour)
		}
		return settle(in)
	}
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		if w.calls[process.ActivityDeliverCallbacks] == 1 {
			return process.DeliverResult{}, waits(time.Hour)
		}
		return deliver(ctx, in)
	}
	w.decide = func(d process.ResolveReviewInput) error {
		require.Equal(t, process.MoveClose, d.Move)
		require.Equal(t, "review/"+string(testPayment)+"/1/deposit/credited", d.RequestID)
		require.Empty(t, w.review.PendingEndpoints, "not before its callbacks are settled")
		return nil
	}
	w.at(time.Minute, func() { require.Equal(t, "confirmations", w.state().Awaiting) })
	w.at(150*time.Minute, func() {
		require.Equal(t, "callbacks", w.state().Awaiting)
		require.Empty(t, w.state().BlockedStep, "it waits for nobody")
		require.Empty(t, w.state().LegalMoves)
		require.NotContains(t, w.attributes, "BlockedStep")
	})
	w.runReview(in)
	require.Equal(t, 1, w.calls[process.ActivityResolveReview])
	require.Equal(t, "resolved", w.review.Status)
}

func TestAHeldDepositLeavesTheDecisionToItsOwnReview(t *testing.T) {
	t.Parallel()
	w, in := newDeposit(t)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		result, err := settle(in)
		w.review.Held = true
		return result, err
	}
	w.runReview(in)
	require.Equal(t, 1, w.calls[process.ActivityResolveReview])
}

// A deposit whose check the chain contradicts waits for a person like any money.
func TestADepositThatCannotBeConfirmedParks(t *testing.T) {
	t.Parallel()
	w, in := newDeposit(t)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		require.Equal(t, []process.Move{process.MoveRetry, process.MoveClose}, w.state().LegalMoves)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.runReview(in)
	require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
}

// Parked callbacks of a deposit go on in a workflow of their own.
func TestADepositHandsItsParkedCallbacksOver(t *testing.T) {
	t.Parallel()
	w, in := newDeposit(t)
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.review.PendingEndpoints = nil
		return process.DeliverResult{Parked: 1}, nil
	}
	w.runReview(in)
	require.Equal(t, []string{"callbacks/" + string(testPayment)}, w.children)
}
