package workflows

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

func TestOrderIsPaidAndToldAndEnds(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	opened := &answer{}
	w.at(0, func() { *opened = *w.update(process.UpdateOpen) })
	w.at(time.Minute, func() {
		require.Equal(t, "awaiting_payment", w.state().Status)
		w.seen(testPayment, 1)
	})
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		w.settled(testPayment, payment.StatusCredited)
		w.truth.State = payment.StatePaid
		w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.runsWell()
	require.Less(t, w.env.Now().Sub(w.truth.ExpiresAt), time.Duration(0), "the run does not wait for its timer")
	require.Equal(t, map[string]int{
		process.ActivityAllocateAddress: 1, process.ActivityReadOrder: 1, process.ActivitySettlePayment: 1, process.ActivityDeliverCallbacks: 1,
	}, w.calls)
	state := w.state()
	require.Equal(t, "paid", state.Status)
	require.Empty(t, state.BlockedStep)
	require.Equal(t, 3, w.upserts, "one for each state, none beside")
	require.Equal(t, w.truth.Address, w.attributes["PayAddress"])
	require.Equal(t, "USDC", w.attributes["Asset"])
	require.WithinDuration(t, w.truth.ExpiresAt, w.attributes["ExpiresAt"].(time.Time), 0)
}

func TestOpenAnswersOnlyWhenThereIsAnAddress(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var opened *answer
	w.truth.State = payment.StateOpening
	w.allocate = func() error {
		if w.calls[process.ActivityAllocateAddress] < 4 {
			return fail()
		}
		w.truth.State = payment.StateAwaitingPayment
		return nil
	}
	w.at(0, func() { opened = w.update(process.UpdateOpen) })
	w.at(time.Hour/2, func() {
		require.True(t, opened.completed)
		require.NoError(t, opened.err)
		require.Equal(t, process.OpenResult{OrderID: testOrder, State: payment.StateAwaitingPayment}, opened.result)
		w.pay()
	})
	w.runsWell()
	require.Equal(t, 4, w.calls[process.ActivityAllocateAddress], "two local attempts, then regular ones until it works")
}

func TestAnOrderThatDoesNotExistFails(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.allocate = func() error { return refuse(payment.CodeNotFound) }
	w.run()
	require.ErrorContains(t, w.env.GetWorkflowError(), "not_found")
}

func TestAllocationThatIsRefusedWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.State = payment.StateOpening
	broken := true
	w.allocate = func() error {
		if broken {
			return refuse(payment.CodeAddressesExhausted)
		}
		w.truth.State = payment.StateAwaitingPayment
		return nil
	}
	var opened, early *answer
	w.at(0, func() { opened = w.update(process.UpdateOpen) })
	w.at(time.Minute, func() {
		state := w.state()
		require.Equal(t, process.StepAllocate, state.BlockedStep)
		require.Equal(t, "addresses_exhausted", state.Reason)
		require.Equal(t, []process.Move{process.MoveRetry}, state.LegalMoves)
		require.False(t, opened.completed, "the answer must not be stored while it may still become another one")
		early = w.update(process.UpdateCancel, process.CancelRequest{By: somebody})
	})
	w.at(2*time.Minute, func() {
		require.True(t, early.rejected)
		broken = false
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(3*time.Minute, func() {
		require.True(t, opened.completed)
		require.Empty(t, w.state().BlockedStep)
		w.pay()
	})
	w.runsWell()
	require.Equal(t, []process.Step{process.StepAllocate, ""}, w.parked)
}

func TestAllocationIsTriedAgainByItself(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.State = payment.StateOpening
	broken := true
	w.allocate = func() error {
		if broken {
			return refuse(payment.CodeAddressesExhausted)
		}
		w.truth.State = payment.StateAwaitingPayment
		return nil
	}
	var opened *answer
	w.at(0, func() { opened = w.update(process.UpdateOpen) })
	w.at(time.Minute, func() { broken = false })
	w.at(2*allocateAgain, func() {
		require.True(t, opened.completed, "nobody had to unblock it")
		require.Empty(t, w.state().BlockedStep)
		w.pay()
	})
	w.runsWell()
}

func TestASecondPaymentKeepsAPaidOrdersRunOpen(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(time.Minute, func() {
		w.put(otherPayment, 1, payment.StatusDetected)
		w.seen(testPayment, 1)
	})
	slow := true
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		if in.PaymentID == otherPayment && slow {
			return process.SettleResult{}, waits(5 * time.Minute)
		}
		w.settled(in.PaymentID, payment.StatusCredited)
		w.truth.State = payment.StatePaid
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.at(10*time.Minute, func() {
		require.Equal(t, "paid", w.state().Status)
		require.Contains(t, w.state().Awaiting, "confirmations")
		slow = false
	})
	w.runsWell()
	require.Empty(t, w.truth.Payments)
}

func TestOnePaymentIsSettledByOneActivityAtATime(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	ready := false
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		if !ready {
			return process.SettleResult{}, waits(time.Minute)
		}
		w.settled(testPayment, payment.StatusCredited)
		w.truth.State = payment.StatePaid
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	started := 0
	w.env.SetOnActivityStartedListener(countStarts(&started, process.ActivitySettlePayment))
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	for i := range 20 {
		w.at(time.Minute+time.Duration(i)*100*time.Millisecond, w.wake)
	}
	w.at(5*time.Minute, func() { ready = true })
	w.runsWell()
	require.Equal(t, w.calls[process.ActivitySettlePayment], started, "attempts of one activity, none beside it")
	require.GreaterOrEqual(t, w.calls[process.ActivityReadOrder], 1)
}

func TestADroppedPaymentThatComesBackIsSettledAgain(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] == 1 {
			w.put(testPayment, 1, payment.StatusDropped)
			w.truth.State = payment.StateAwaitingPayment
			return process.SettleResult{Outcome: process.SettleDropped, Inclusion: 1}, nil
		}
		w.settled(testPayment, payment.StatusCredited)
		w.truth.State = payment.StatePaid
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 2}, nil
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.at(2*time.Minute, func() {
		require.Equal(t, "awaiting_payment", w.state().Status)
		w.env.SignalWorkflow(process.SignalPaymentDropped, process.PaymentSignal{PaymentID: testPayment, Inclusion: 1})
	})
	w.at(3*time.Minute, func() {
		require.Equal(t, 1, w.calls[process.ActivitySettlePayment], "what was dropped is not settled")
		w.seen(testPayment, 2)
	})
	w.runsWell()
	require.Equal(t, 2, w.calls[process.ActivitySettlePayment])
}

// A credit whose result is on its way while the order is read must not put an older view over a newer one.
func TestViewsNeverGoBackwards(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	var late *answer
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		if w.calls[process.ActivitySettlePayment] < 3 {
			return process.SettleResult{}, fail()
		}
		w.settled(testPayment, payment.StatusCredited)
		w.truth.State = payment.StateAwaitingPayment // credited and short
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.at(time.Minute+500*time.Millisecond, w.wake) // a view is taken while the payment is being settled
	w.at(10*time.Minute, func() {
		require.GreaterOrEqual(t, w.calls[process.ActivityReadOrder], 3, "the settled view overlapped another: read again")
		late = w.update(process.UpdateCancel, process.CancelRequest{By: somebody})
	})
	w.move = func(string, any) error { w.truth.State = payment.StateCancelled; return nil }
	w.runsWell()
	require.NoError(t, late.err)
	require.Equal(t, "cancelled", w.state().Status)
}

func TestForgedAndMalformedSignalsOnlyMakeItLook(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(time.Minute, func() {
		w.env.SignalWorkflow(process.SignalPaymentSeen, process.PaymentSignal{PaymentID: otherPayment, Inclusion: 99})
		w.env.SignalWorkflow(process.SignalPaymentSeen, "not a payment at all")
		w.env.SignalWorkflow(process.SignalPaymentDropped, []int{1, 2, 3})
	})
	w.at(2*time.Minute, func() {
		require.Equal(t, "awaiting_payment", w.state().Status)
		require.LessOrEqual(t, w.calls[process.ActivityReadOrder], 3, "a look for a signal, no more")
		require.Zero(t, w.calls[process.ActivitySettlePayment])
		w.pay()
	})
	w.runsWell()
}

func TestCancellationFromOutsideIsAbsorbed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var opened, extended *answer
	w.at(time.Minute, func() { w.env.CancelWorkflow() })
	w.at(2*time.Minute, func() {
		opened = w.update(process.UpdateOpen)
		extended = w.update(process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 60})
		w.seen(testPayment, 1)
	})
	w.runsWell()
	require.NoError(t, opened.err)
	require.NoError(t, extended.err)
	require.True(t, opened.completed && extended.completed)
	require.Equal(t, payment.StatePaid, w.truth.State)
}

func TestReadingRetriesForEver(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.read = func() error {
		if w.calls[process.ActivityReadOrder] < 10 {
			return fail()
		}
		return nil
	}
	w.at(time.Minute, func() { w.seen(testPayment, 1) })
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Less(t, w.env.Now().Sub(w.truth.ExpiresAt), time.Duration(0), "at most 30 s apart")
}

func TestARunContinuesUnderANewHistory(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(time.Minute, func() {
		w.env.SetContinueAsNewSuggested(true)
		w.wake()
	})
	w.run()
	require.ErrorContains(t, w.env.GetWorkflowError(), "continue as new")
	require.Less(t, w.env.Now().Sub(w.truth.ExpiresAt), time.Duration(0))
}

func TestARunThatIsStartedAgainFindsItsPlace(t *testing.T) {
	t.Parallel()
	for name, view := range map[string]func(*world){
		"paid":      func(w *world) { w.truth.State = payment.StatePaid },
		"expired":   func(w *world) { w.truth.State = payment.StateExpired; w.truth.LateUntil = w.env.Now() },
		"confirmed": func(w *world) { w.truth.State = payment.StateConfirming; w.put(testPayment, 3, payment.StatusDetected) },
		"untold": func(w *world) {
			w.truth.State = payment.StatePaid
			w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			view(w)
			w.runsWell()
			require.Empty(t, w.truth.PendingEndpoints)
			require.Empty(t, w.truth.Payments)
			require.Less(t, w.env.Now().Sub(w.truth.ExpiresAt), time.Duration(0))
		})
	}
}

func TestDetailsSayWhatSupportNeeds(t *testing.T) {
	t.Parallel()
	o := &orderRun{opened: true, settling: map[payment.PaymentID]bool{}, settled: map[payment.PaymentID]int{}}
	o.deliveries = newDeliveries(nil, process.OrderStream(testOrder), nil)
	w := newWorld(t)
	w.put(testPayment, 1, payment.StatusDetected)
	o.view = w.view()
	o.view.AssetCode = "US\u202ED*_`<b>"
	text := o.details()
	for _, want := range []string{
		"awaiting\\_payment", "25 US D", "0x52908400098527886E0F7030069857D2E4169EE7", "expires 2026-01-02 04:04:05 UTC",
		"counts with 3 confirmation(s), at block 9", "Moves: `resolve mark_paid`, `cancel`, `extend`, `rescan`",
	} {
		if want == "25 US D" {
			require.NotContains(t, text, "\u202E")
			require.Contains(t, text, `USD\*\_\`+"`"+`\<b\>`)
			continue
		}
		require.Contains(t, text, want)
	}
	require.Less(t, len(text), 20_000)
}

func TestJitterIsDeterministicAndSpreads(t *testing.T) {
	t.Parallel()
	seen := map[time.Duration]bool{}
	for range 200 {
		id := payment.NewOrderID()
		first := jitter(id, testLifetime)
		require.Equal(t, first, jitter(id, testLifetime))
		require.GreaterOrEqual(t, first, time.Duration(0))
		require.Less(t, first, maxJitter)
		seen[first/time.Second] = true
	}
	require.Greater(t, len(seen), 30)
	require.Less(t, jitter(testOrder, time.Minute), 3*time.Second)
	require.Zero(t, jitter(testOrder, 0))
}

func TestParkedCallbacksGetAWorkflowOfTheirOwn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.PendingEndpoints = []payment.EndpointID{testEndpoint}
	w.deliver = func(context.Context, process.DeliverInput) (process.DeliverResult, error) {
		w.truth.PendingEndpoints, w.truth.ParkedCallbacks = nil, 1
		return process.DeliverResult{Parked: 1}, nil
	}
	w.list = process.CallbackView{OrderID: testOrder, Parked: []process.ParkedCallback{{ID: "cbk_aaaaaaaaaaaaaaaaaaaaaaaaaa"}}}
	w.at(time.Minute, func() {
		require.Equal(t, process.StepCallback, w.state().BlockedStep, "while the run is open it shows them itself")
		w.pay()
	})
	w.runsWell()
	require.Equal(t, []string{"callbacks/" + string(testOrder)}, w.children)
}
