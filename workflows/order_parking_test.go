package workflows

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

func TestAPaymentThatContradictsTheChainWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	wrong := true
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if in.PaymentID == testPayment && wrong {
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		}
		if in.PaymentID == otherPayment {
			w.settled(in.PaymentID, payment.StatusCredited)
			return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		state := w.state()
		require.Equal(t, process.StepConfirm, state.BlockedStep)
		require.Equal(t, "mismatch", state.Reason)
		require.Contains(t, state.LegalMoves, process.MoveRetry)
		require.Equal(t, "confirm", w.attributes["BlockedStep"])
		// A wake-up of the sweep does not make it try what a person has to look at.
		w.wake()
	})
	w.at(3*time.Minute, func() {
		require.Equal(t, 1, w.calls[process.ActivitySettlePayment])
		w.seen(otherPayment, 1) // a blocked run still takes payments
	})
	w.at(4*time.Minute, func() {
		require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		wrong = false
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Equal(t, []process.Step{process.StepConfirm, ""}, w.parked)
}

func TestAHaltedPaymentGoesOnWithTheNextWakeUp(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	halted := true
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if halted {
			return process.SettleResult{Outcome: process.SettleHalted, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		halted = false
		w.wake()
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Equal(t, []process.Step{process.StepConfirm, ""}, w.parked)
}

func TestABlockedPaymentIsFreedByItsNextInclusion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		w.put(testPayment, 1, payment.StatusDropped)
		w.wake()
	})
	w.at(3*time.Minute, func() {
		require.Empty(t, w.state().BlockedStep, "what left the chain blocks nothing")
		w.seen(testPayment, 2)
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
}

// Left and back before the run looked: it never sees the payment gone.
func TestABlockIsAboutOneInclusion(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	settle := w.settle
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
		}
		return settle(in)
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		w.seen(testPayment, 2)
	})
	w.at(3*time.Minute, func() { require.Equal(t, payment.StatePaid, w.truth.State) })
	w.runsWell()
}

func TestSettlingThatIsRefusedBlocksAndAParkedRowDoesToo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		w.put(testPayment, 1, payment.StatusParked)
		return process.SettleResult{}, refuse(payment.CodeNotFound)
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		require.Equal(t, "not_found", w.state().Reason)
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(3*time.Minute, func() {
		require.Equal(t, process.StepConfirm, w.state().BlockedStep)
		require.Equal(t, "parked", w.state().Reason, "the row says that it waits, whatever this run knows")
		w.pay()
	})
	w.runsWell()
}

func TestUpdatesThatAreIllegalInMemoryAreRefusedWithoutATrace(t *testing.T) {
	t.Parallel()
	paid := func(w *world) { w.truth.State = payment.StatePaid; w.put(otherPayment, 1, payment.StatusDetected) }
	for name, c := range map[string]struct {
		given  func(*world)
		update string
		arg    any
		code   payment.Code
	}{
		"nobody":            {nil, process.UpdateCancel, process.CancelRequest{By: process.By{Reason: "x"}}, payment.CodeMissingParameter},
		"no reason":         {nil, process.UpdateCancel, process.CancelRequest{By: process.By{Actor: "x"}}, payment.CodeMissingParameter},
		"long reason":       {nil, process.UpdateCancel, process.CancelRequest{By: process.By{Actor: "x", Reason: strings.Repeat("x", 1001)}}, payment.CodeInvalidParameter},
		"bidi actor":        {nil, process.UpdateCancel, process.CancelRequest{By: process.By{Actor: "x\u202Ey", Reason: "x"}}, payment.CodeInvalidParameter},
		"cancel paid":       {paid, process.UpdateCancel, process.CancelRequest{By: somebody}, payment.CodeOrderState},
		"extend paid":       {paid, process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 1}, payment.CodeOrderState},
		"extend by nothing": {nil, process.UpdateExtend, process.ExtendRequest{By: somebody}, payment.CodeInvalidExpiry},
		"extend by a year":  {nil, process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 365 * 24 * 3600}, payment.CodeInvalidExpiry},
		"retry nothing":     {nil, process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry}, payment.CodeOrderState},
		"mark paid twice":   {paid, process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveMarkPaid}, payment.CodeOrderState},
		"no such move":      {nil, process.UpdateResolve, process.ResolveRequest{By: somebody, Move: "steal"}, payment.CodeOrderState},
		"backwards":         {nil, process.UpdateRescan, process.RescanRequest{By: somebody, From: 2, To: 1}, payment.CodeInvalidParameter},
		"unsigned":          {nil, process.UpdateRedeliver, process.RedeliverRequest{}, payment.CodeMissingParameter},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			if c.given != nil {
				c.given(w)
			}
			w.settle = func(process.SettleInput) (process.SettleResult, error) {
				return process.SettleResult{}, waits(time.Hour)
			}
			var told *answer
			w.at(time.Minute, func() { told = w.update(c.update, c.arg) })
			w.at(2*time.Minute, func() {
				require.True(t, told.rejected)
				require.False(t, told.accepted)
				require.Equal(t, c.code, told.code())
				require.Empty(t, w.requests)
			})
			w.at(3*time.Minute, w.pay)
			w.settle = func(process.SettleInput) (process.SettleResult, error) {
				if len(w.truth.Payments) > 0 {
					return process.SettleResult{}, waits(time.Minute)
				}
				return process.SettleResult{Outcome: process.SettleAlready, Inclusion: 1}, nil
			}
			w.runsWell()
		})
	}
}

func TestHandMadeRequestsCarryTheirUpdatesID(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	seen := map[string]any{}
	w.move = func(activity string, input any) error { seen[activity] = input; return nil }
	w.at(time.Minute, func() {
		w.update(process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 60})
		w.update(process.UpdateRescan, process.RescanRequest{By: somebody})
		w.update(process.UpdateRedeliver, process.RedeliverRequest{By: somebody, CallbackID: "cbk_aaaaaaaaaaaaaaaaaaaaaaaaaa"})
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveMarkPaid})
	})
	w.at(2*time.Minute, w.pay)
	w.runsWell()
	require.Len(t, w.requests, 4)
	for _, request := range w.requests {
		require.Regexp(t, `^default-test-workflow-id/(extend|rescan|redeliver|resolve)-\d$`, request)
	}
	require.Equal(t, somebody, seen[process.ActivityExtendOrder].(process.ExtendInput).By)
	require.Equal(t, 60, seen[process.ActivityExtendOrder].(process.ExtendInput).Seconds)
	require.Equal(t, "dev", seen[process.ActivityRequestRescan].(process.RescanInput).Chain)
	require.Equal(t, payment.CallbackID("cbk_aaaaaaaaaaaaaaaaaaaaaaaaaa"), seen[process.ActivityRedeliver].(process.RedeliverInput).CallbackID)
	require.Equal(t, process.MoveMarkPaid, seen[process.ActivityResolveOrder].(process.ResolveInput).Move)
}

// An update that arrives with the start meets a run that knows nothing yet: the transaction decides.
func TestAnUpdateBeforeTheFirstViewIsLetThrough(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.move = func(string, any) error { w.truth.State = payment.StateCancelled; return nil }
	var told *answer
	w.at(0, func() { told = w.update(process.UpdateCancel, process.CancelRequest{By: somebody}) })
	w.runsWell()
	require.NoError(t, told.err)
	require.Equal(t, process.OutcomeDone, told.result.(process.UpdateResult).Outcome)
}

// While an endpoint's callbacks wait for their schedule, parked ones are told to go again: they must not wait as long.
func TestRedeliveringEndsTheWaiting(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
	redelivered := false
	deliver := w.deliver
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		if !redelivered {
			return process.DeliverResult{}, waits(20 * time.Hour)
		}
		return deliver(ctx, in)
	}
	w.move = func(string, any) error { redelivered = true; return nil }
	w.at(time.Minute, func() { w.update(process.UpdateRedeliver, process.RedeliverRequest{By: somebody}) })
	w.at(2*time.Minute, func() {
		require.Empty(t, w.truth.PendingEndpoints)
		w.pay()
	})
	w.runsWell()
	require.Less(t, w.env.Now().Sub(w.truth.ExpiresAt), time.Duration(0))
}

func TestCallbacksThatBecomePendingMeanwhileAreNotForgotten(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
	deliver := w.deliver
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		switch w.calls[process.ActivityDeliverCallbacks] {
		case 1:
			return process.DeliverResult{}, waits(10 * time.Minute)
		case 2:
			// It ends having sent what it saw; the newest one it did not see.
			return process.DeliverResult{Delivered: 1}, nil
		default:
			return deliver(ctx, in)
		}
	}
	w.at(time.Minute, w.pay)
	w.runsWell()
	require.Equal(t, 3, w.calls[process.ActivityDeliverCallbacks])
	require.Empty(t, w.truth.PendingEndpoints)
}

func TestEndpointsDoNotWaitForEachOther(t *testing.T) {
	t.Parallel()
	const other = payment.EndpointID("whk_baaaaaaaaaaaaaaaaaaaaaaaaa")
	w := newWorld(t)
	w.truth.State = payment.StatePaid
	w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint, other}
	var when []time.Duration
	started := w.env.Now()
	deliver := w.deliver
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		if in.EndpointID == testEndpoint && w.env.Now().Sub(started) < 5*time.Hour {
			return process.DeliverResult{}, waits(5 * time.Hour)
		}
		when = append(when, w.env.Now().Sub(started))
		return deliver(ctx, in)
	}
	w.runsWell()
	require.Len(t, when, 2)
	require.Less(t, when[0], time.Minute)
	require.GreaterOrEqual(t, when[1], 5*time.Hour)
}

func TestDeliveringThatIsRefusedBlocks(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
	deliver := w.deliver
	refused := true
	w.deliver = func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		if refused {
			return process.DeliverResult{}, refuse(payment.CodeNotFound)
		}
		return deliver(ctx, in)
	}
	w.at(time.Minute, w.pay)
	w.at(2*time.Minute, func() {
		require.Equal(t, process.StepCallback, w.state().BlockedStep)
		require.Equal(t, 1, w.calls[process.ActivityDeliverCallbacks], "a view that says pending does not try again")
		refused = false
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.runsWell()
	require.Empty(t, w.truth.PendingEndpoints)
}

// A panic is a defect: it must block the run until the code is mended, not end the order.
func TestAnActivityWithoutPolicyPanics(t *testing.T) {
	t.Parallel()
	require.Panics(t, func() { policyOf("Nonsense") })
}

func TestRefusalsAreToldByCode(t *testing.T) {
	t.Parallel()
	require.Equal(t, payment.CodeStale, payment.Code(codeOf(asRefusal(refuse(payment.CodeStale)))))
	require.Equal(t, "internal", codeOf(asRefusal(errors.New("something else"))))
	require.NoError(t, asRefusal(nil))
	require.ErrorIs(t, asRefusal(workflow.ErrCanceled), workflow.ErrCanceled)
}
