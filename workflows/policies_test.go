package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// What operators disagree about is parked here and settled by its review; the order learns of it by a wake-up.
func TestADisagreementParksTheOrderUntilItsReviewHasSettledIt(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		return process.SettleResult{Outcome: process.SettleDisagreement, Inclusion: 1}, nil
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		state := w.state()
		require.Equal(t, process.StepConfirm, state.BlockedStep)
		require.Equal(t, "disagreement", state.Reason)
		w.wake()
	})
	w.at(3*time.Minute, func() {
		require.Equal(t, 1, w.calls[process.ActivitySettlePayment], "a wake-up of the sweep does not ask the operators again")
		w.pay()
		w.wake()
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Equal(t, []process.Step{process.StepConfirm, ""}, w.parked)
}

func TestAReviewBlockedByAHaltGoesOnWhenTheChainIsResumed(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseLate)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleHalted, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() {
		require.Equal(t, "halted", w.state().Reason)
		w.env.SignalWorkflow(process.SignalChainResumed, process.PaymentSignal{PaymentID: testPayment, Inclusion: 1})
	})
	w.at(2*time.Minute, func() {
		require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
		require.Equal(t, process.StepReview, w.state().BlockedStep)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
}

// The end of a halt is no reason to try again what something else has blocked.
// The end of a halt may be told while an attempt is under way that has seen the halt and reports it afterwards. Nobody would tell again.
func TestAHaltThatEndsWhileAReviewIsSettlingIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseLate)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			w.env.SignalWorkflow(process.SignalChainResumed, nil)
			return process.SettleResult{Outcome: process.SettleHalted, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() {
		require.Equal(t, process.StepReview, w.state().BlockedStep, "it is posted, and waits for a decision")
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
	require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
}

func TestAReviewBlockedByADisagreementWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseDisagreement)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleDisagreement, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() {
		require.Equal(t, "disagreement", w.state().Reason)
		w.env.SignalWorkflow(process.SignalChainResumed, process.PaymentSignal{PaymentID: testPayment, Inclusion: 1})
	})
	w.at(2*time.Minute, func() {
		require.Equal(t, 1, w.calls[process.ActivitySettlePayment])
		require.Equal(t, []process.Move{process.MoveRetry, process.MoveClose}, w.state().LegalMoves)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(3*time.Minute, func() {
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRelease})
	})
	w.runReview(in)
}

// A payment that does not confirm is shown, can be let go of, and ends its review by itself when it confirms after all.
func TestAStuckPaymentIsShownUntilItConfirms(t *testing.T) {
	t.Parallel()
	w, in := newReview(t, process.CauseStuck)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{}, waits(time.Hour)
		}
		result, err := settle(in)
		w.review.Status, w.review.Held = "resolved", false
		return result, err
	}
	w.at(time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		require.Equal(t, "stuck", w.state().Reason)
		require.Equal(t, []process.Move{process.MoveClose}, w.state().LegalMoves)
	})
	w.runReview(in)
	require.Zero(t, w.calls[process.ActivityResolveReview], "nobody had to decide")
	require.Equal(t, 1, w.calls[process.ActivityDeliverCallbacks])
}
