package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

func newReview(t *testing.T, cause process.ReviewCause) (*world, process.ReviewInput) {
	t.Helper()
	w := newWorld(t)
	in := process.ReviewInput{PaymentID: testPayment, Inclusion: 1, Cause: cause}
	w.review = process.ReviewView{
		ReviewID: "rev_aaaaaaaaaaaaaaaaaaaaaaaaaa", PaymentID: testPayment, Inclusion: 1, Cause: cause, OrderID: testOrder,
		MerchantID: w.truth.MerchantID, Chain: "dev", AssetCode: "USDC", Amount: "25", Address: w.truth.Address, Status: "open",
	}
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		require.Equal(t, cause, in.Review)
		w.review.Settled, w.review.Held = true, true
		w.review.PendingEndpoints = []payment.EndpointID{testEndpoint}
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.review.PendingEndpoints = nil
		return process.DeliverResult{Delivered: 1}, nil
	}
	return w, in
}

func (w *world) runReview(in process.ReviewInput) {
	w.t.Helper()
	w.execute(process.PaymentReviewWorkflow, in)
	require.NoError(w.t, w.env.GetWorkflowError())
}

func TestAReviewPostsTellsAndWaitsForADecision(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseClosedOrder)
	var early, told *answer
	hours := 48 * time.Hour
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{}, waits(time.Hour)
		}
		return settle(in)
	}
	w.at(time.Minute, func() {
		require.Empty(t, w.state().LegalMoves, "nothing to decide while it is not confirmed")
		require.Equal(t, "confirmations", w.state().Awaiting)
		early = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.at(hours, func() {
		require.True(t, early.rejected)
		require.Equal(t, process.StepReview, w.state().BlockedStep)
		require.Equal(t, "review", w.attributes["BlockedStep"])
		require.Equal(t, []process.Move{process.MoveRelease, process.MoveHold}, w.state().LegalMoves)
		require.Equal(t, 1, w.calls[process.ActivityDeliverCallbacks], "the merchant is told without waiting for the decision")
		told = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.NoError(t, told.err)
	require.NotContains(t, w.attributes, "OrderStatus", "a review is no order")
	require.NotContains(t, w.attributes, "BlockedStep")
}

func TestAReviewOfAReversalHasNothingToSettle(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseReversal)
	w.review.Settled = true
	w.at(time.Minute, func() {
		require.Equal(t, []process.Move{process.MoveClose}, w.state().LegalMoves)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveClose})
	})
	w.runReview(in)
	require.Zero(t, w.calls[process.ActivitySettlePayment])
}

func TestAReviewOfADroppedPaymentClosesItself(t *testing.T) {
	t.Parallel()
	for name, result := range map[string]process.SettleResult{
		"dropped":     {Outcome: process.SettleDropped, Inclusion: 1},
		"mined again": {Outcome: process.SettleCredited, Inclusion: 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, in := newReview(t, process.CauseLate)
			w.settle = func(process.SettleInput) (process.SettleResult, error) { return result, nil }
			w.decide = func(d process.ResolveReviewInput) error {
				require.Equal(t, process.MoveClose, d.Move)
				require.Equal(t, "review/"+string(testPayment)+"/1/late/dropped", d.RequestID)
				return nil
			}
			w.runReview(in)
			require.Equal(t, 1, w.calls[process.ActivityResolveReview])
		})
	}
}

func TestAReviewThatCannotSettleParksAndGoesOn(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseWrongAsset)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		switch w.calls[process.ActivitySettlePayment] {
		case 1:
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		case 2:
			return process.SettleResult{}, refuse(payment.CodeNotFound)
		default:
			return settle(in)
		}
	}
	w.at(time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		require.Equal(t, "mismatch", w.state().Reason)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(2*time.Minute, func() {
		require.Equal(t, "not_found", w.state().Reason)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(3*time.Minute, func() {
		require.Equal(t, process.StepReview, w.state().BlockedStep)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.Equal(t, 3, w.calls[process.ActivitySettlePayment])
}

// A row that never says settled must not make the workflow settle for ever.
func TestAReviewSettlesOnceWhateverTheRowSays(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseLate)
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		return process.SettleResult{Outcome: process.SettleIgnored, Inclusion: 1}, nil
	}
	w.at(time.Minute, func() {
		require.Equal(t, 1, w.calls[process.ActivitySettlePayment])
		require.Equal(t, []process.Move{process.MoveClose}, w.state().LegalMoves)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveClose})
	})
	w.runReview(in)
}

func TestAReviewAbsorbsCancellationAndHandsParkedCallbacksOver(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseHeld)
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.review.PendingEndpoints = nil
		return process.DeliverResult{Parked: 2}, nil
	}
	w.list.Parked = []process.ParkedCallback{{ID: "cbk_aaaaaaaaaaaaaaaaaaaaaaaaaa"}}
	w.at(time.Minute, func() { w.env.CancelWorkflow() })
	w.at(2*time.Minute, func() {
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.Equal(t, []string{"callbacks/" + string(testOrder)}, w.children)
}

func TestAHeldReviewWaitsUntilTheMoneyMoved(t *testing.T) {
	t.Parallel()
	for name, last := range map[string]process.Move{"released": process.MoveRelease, "closed": process.MoveClose} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w, in := newReview(t, process.CauseHeld)
			var ended *answer
			w.at(time.Minute, func() {
				w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveHold})
			})
			w.at(time.Hour, func() {
				require.Equal(t, reviewResolved, w.state().Status)
				require.Equal(t, process.StepReview, w.state().BlockedStep)
				require.Equal(t, []process.Move{process.MoveRelease, process.MoveClose}, w.state().LegalMoves)
				ended = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: last})
			})
			w.runReview(in)
			require.NotNil(t, ended, "the run ended at the hold")
			require.NoError(t, ended.err)
		})
	}
}

func TestAHeldReviewThatIsStartedAgainCanBeReleased(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseHeld)
	w.review.Status, w.review.Settled, w.review.Held = reviewResolved, true, true
	var told *answer
	w.at(time.Minute, func() {
		told = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.NotNil(t, told, "the run ended at once")
	require.NoError(t, told.err)
	require.Zero(t, w.calls[process.ActivitySettlePayment])
}

func TestAParkedReviewCanBeTriedAgain(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseStuck)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.decide = func(d process.ResolveReviewInput) error {
		if d.Move == process.MoveRetry {
			w.review.Status = "open"
		}
		return nil
	}
	var told *answer
	w.at(time.Minute, func() { w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveClose}) })
	w.at(time.Hour, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		require.Equal(t, "parked", w.state().Reason)
		require.Equal(t, []process.Move{process.MoveRetry, process.MoveClose}, w.state().LegalMoves)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(2*time.Hour, func() {
		told = w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.NotNil(t, told, "the run ended when it was closed")
	require.NoError(t, told.err)
	require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
}

func TestAParkedReviewEndsWhenItIsClosedAgain(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseStuck)
	w.review.Status = reviewResolved
	w.at(time.Minute, func() { w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveClose}) })
	w.runReview(in)
	require.Zero(t, w.calls[process.ActivitySettlePayment])
}

func newCallbacks(t *testing.T) *world {
	t.Helper()
	w := newWorld(t)
	w.list = process.CallbackView{OrderID: testOrder, MerchantID: w.truth.MerchantID, Parked: []process.ParkedCallback{
		{ID: "cbk_aaaaaaaaaaaaaaaaaaaaaaaaaa", EndpointID: testEndpoint, Event: payment.EventOrderPaid, Reason: "exhausted", Attempts: 10},
	}}
	w.move = func(string, any) error {
		w.list.Parked, w.list.PendingEndpoints = nil, []payment.EndpointID{testEndpoint}
		return nil
	}
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.list.PendingEndpoints = nil
		return process.DeliverResult{Delivered: 1}, nil
	}
	return w
}

func (w *world) runCallbacks() {
	w.t.Helper()
	w.execute(process.CallbackWorkflow, process.CallbackInput{OrderID: testOrder})
	require.NoError(w.t, w.env.GetWorkflowError())
}

func TestParkedCallbacksAreSentAgain(t *testing.T) {
	t.Parallel()
	w := newCallbacks(t)
	var told *answer
	w.at(72*time.Hour, func() {
		require.Equal(t, "parked", w.state().Status)
		require.Equal(t, "callback", w.attributes["BlockedStep"])
		told = w.update(process.UpdateRedeliver, process.RedeliverRequest{By: somebody})
	})
	w.runCallbacks()
	require.NoError(t, told.err)
	require.Equal(t, 1, w.calls[process.ActivityDeliverCallbacks])
	require.NotContains(t, w.attributes, "BlockedStep")
}

func TestCallbacksThatParkAgainStayShown(t *testing.T) {
	t.Parallel()
	w := newCallbacks(t)
	parked := w.list.Parked
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.list.PendingEndpoints, w.list.Parked = nil, parked
		return process.DeliverResult{Parked: 1}, nil
	}
	w.at(time.Hour, func() { w.update(process.UpdateRedeliver, process.RedeliverRequest{By: somebody}) })
	w.at(2*time.Hour, func() {
		require.Equal(t, "parked", w.state().Status)
		require.Len(t, w.state().Callbacks.Parked, 1)
		w.move = func(string, any) error { return nil }
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveClose})
	})
	w.runCallbacks()
}

func TestCallbackWorkflowLooksAgainWhenTold(t *testing.T) {
	t.Parallel()
	w := newCallbacks(t)
	w.at(time.Hour, func() {
		w.list.Parked = nil // the order's own run had them delivered
		w.env.SignalWorkflow(process.SignalCallbacksChanged, nil)
	})
	w.runCallbacks()
	require.Equal(t, 2, w.calls[process.ActivityReadCallbacks])
}

func TestCallbackWorkflowStartedForNothingEnds(t *testing.T) {
	t.Parallel()
	w := newCallbacks(t)
	w.list.Parked = nil
	w.runCallbacks()
}

// Redelivering through a start: the update is there before anything was read.
func TestRedeliverWithTheStart(t *testing.T) {
	t.Parallel()
	w := newCallbacks(t)
	var told *answer
	w.at(0, func() { told = w.update(process.UpdateRedeliver, process.RedeliverRequest{By: somebody}) })
	w.runCallbacks()
	require.NoError(t, told.err)
	require.GreaterOrEqual(t, w.calls[process.ActivityDeliverCallbacks], 1)
}

func TestTheWatcherTurnsEachHour(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute(process.ChainWatcherWorkflow, process.WatcherInput{Chain: "dev"})
	require.ErrorContains(t, w.env.GetWorkflowError(), "continue as new")
	require.Equal(t, 1, w.calls[process.ActivityWatchChain])
}

func TestTheWatcherEndsWithItsChain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch = func() (process.WatchResult, error) {
		if w.calls[process.ActivityWatchChain] < 3 {
			return process.WatchResult{}, fail() // a worker stopped
		}
		return process.WatchResult{Outcome: process.WatchDisabled}, nil
	}
	var rescan, bad *answer
	w.at(0, func() {
		w.env.CancelWorkflow()
		rescan = w.update(process.UpdateRescan, process.RescanRequest{By: somebody, From: 5, To: 9})
		bad = w.update(process.UpdateRescan, process.RescanRequest{By: somebody, From: 5, To: 5_000_000})
	})
	w.execute(process.ChainWatcherWorkflow, process.WatcherInput{Chain: "dev"})
	require.NoError(t, w.env.GetWorkflowError())
	require.NoError(t, rescan.err)
	require.True(t, bad.rejected)
	require.Equal(t, 1, w.calls[process.ActivityRequestRescan])
}

func TestARefusedWatcherTriesAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.watch = func() (process.WatchResult, error) { return process.WatchResult{}, refuse(payment.CodeUnknownChain) }
	w.execute(process.ChainWatcherWorkflow, process.WatcherInput{Chain: "dev"})
	require.ErrorContains(t, w.env.GetWorkflowError(), "continue as new")
}

func TestTheProbeEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.execute(process.ProbeWorkflow)
	require.NoError(t, w.env.GetWorkflowError())
}
