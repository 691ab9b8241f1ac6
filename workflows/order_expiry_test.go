package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// due is a moment at which every order of this life time has had its timer.
const due = testLifetime + maxJitter + 2*time.Second

func TestAnUnpaidOrderExpiresAndStaysForItsLateWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(testLifetime-time.Second, func() { require.Equal(t, "awaiting_payment", w.state().Status) })
	w.at(due, func() {
		require.Equal(t, "expired", w.state().Status)
		require.Contains(t, w.state().Awaiting, "late payments")
	})
	w.runsWell()
	require.Equal(t, 1, w.calls[process.ActivityExpireOrder])
	late := w.env.Now().Sub(w.truth.LateUntil)
	require.GreaterOrEqual(t, late, time.Duration(0))
	require.LessOrEqual(t, late, maxJitter+time.Second)
}

func TestAnOrderWithoutLateWindowEndsAtOnce(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.truth.LateUntil = w.truth.ExpiresAt
	w.runsWell()
	require.LessOrEqual(t, w.env.Now().Sub(w.truth.ExpiresAt), maxJitter+time.Second)
}

// The chain could not be read over the deadline, and the payment was mined in time: the order ends paid.
func TestAPaymentInTimeThatIsSeenLateStillPays(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.expire = func() (process.ExpireOutcome, error) {
		if w.truth.State == payment.StatePaid {
			return process.ExpireOver, nil
		}
		return "", waits(30 * time.Second) // the chain's clock stands still
	}
	w.at(testLifetime+4*time.Minute, func() {
		require.Contains(t, w.state().Awaiting, "chain's clock")
		w.seen(testPayment, 1)
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Equal(t, "paid", w.attributes["OrderStatus"])
}

// The timer meets a payment that is on its way: the order waits for it, then asks again.
func TestExpiryWaitsForALivePayment(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]struct {
		outcome process.SettleOutcome
		state   payment.State
		asked   int
	}{
		"which pays":       {process.SettleCredited, payment.StatePaid, 1},
		"which is short":   {process.SettleCredited, payment.StateAwaitingPayment, 2},
		"which is dropped": {process.SettleDropped, payment.StateAwaitingPayment, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newWorld(t)
			settled := false
			w.settle = func(process.SettleInput) (process.SettleResult, error) {
				if !settled {
					return process.SettleResult{}, waits(10 * time.Minute)
				}
				w.settled(testPayment, payment.StatusCredited)
				w.truth.State = end.state
				return process.SettleResult{Outcome: end.outcome, Inclusion: 1}, nil
			}
			expire := w.expire
			w.expire = func() (process.ExpireOutcome, error) {
				if len(w.truth.Payments) > 0 {
					return process.ExpireLive, nil
				}
				return expire()
			}
			w.at(testLifetime-time.Minute, func() { w.seen(testPayment, 1) })
			w.at(due+20*time.Minute, func() {
				require.Equal(t, 1, w.calls[process.ActivityExpireOrder], "refused once, and not asked again while it is live")
				settled = true
			})
			w.runsWell()
			require.Equal(t, end.asked, w.calls[process.ActivityExpireOrder])
			require.NotEqual(t, payment.StateAwaitingPayment, w.truth.State)
		})
	}
}

// A dropped payment holds the order for a while, and nothing announces the end of that while.
func TestExpiryIsTriedAgainWhenNothingElseIsToBeExpected(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.put(testPayment, 1, payment.StatusDropped)
	expire := w.expire
	w.expire = func() (process.ExpireOutcome, error) {
		if w.calls[process.ActivityExpireOrder] < 4 {
			return process.ExpireLive, nil
		}
		return expire()
	}
	w.at(due+30*time.Minute, func() { require.Equal(t, "expired", w.state().Status) })
	w.runsWell()
	require.Equal(t, 4, w.calls[process.ActivityExpireOrder])
	require.Zero(t, w.calls[process.ActivitySettlePayment])
}

func TestASignalEndsTheHoldOfAnExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expire := w.expire
	w.expire = func() (process.ExpireOutcome, error) {
		if w.calls[process.ActivityExpireOrder] == 1 {
			return process.ExpireLive, nil
		}
		return expire()
	}
	w.at(due+time.Second, w.wake)
	w.at(due+2*time.Second, func() { require.Equal(t, "expired", w.state().Status) })
	w.runsWell()
}

func TestExtendingMovesTheTimer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.move = func(string, any) error {
		w.truth.ExpiresAt = w.truth.ExpiresAt.Add(2 * time.Hour)
		w.truth.LateUntil = w.truth.LateUntil.Add(2 * time.Hour)
		return nil
	}
	var told *answer
	w.at(time.Minute, func() {
		told = w.update(process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 2 * 60 * 60})
	})
	w.at(due+time.Hour, func() {
		require.NoError(t, told.err)
		require.Equal(t, "awaiting_payment", w.state().Status)
		require.Zero(t, w.calls[process.ActivityExpireOrder])
		require.WithinDuration(t, w.truth.ExpiresAt, w.attributes["ExpiresAt"].(time.Time), 0)
	})
	w.at(due+3*time.Hour, func() { require.Equal(t, "expired", w.state().Status) })
	w.runsWell()
	require.Equal(t, 1, w.calls[process.ActivityExpireOrder])
}

// Somebody extended the order while its closing was under way.
func TestExtendingRacesWithExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	extended := false
	expire := w.expire
	w.expire = func() (process.ExpireOutcome, error) {
		switch {
		case extended && w.env.Now().Before(w.truth.ExpiresAt):
			return process.ExpireNotDue, nil
		case !extended:
			return "", waits(10 * time.Minute)
		default:
			return expire()
		}
	}
	w.move = func(string, any) error {
		extended = true
		w.truth.ExpiresAt = w.truth.ExpiresAt.Add(2 * time.Hour)
		return nil
	}
	w.at(due+time.Minute, func() {
		w.update(process.UpdateExtend, process.ExtendRequest{By: somebody, Seconds: 2 * 60 * 60})
	})
	w.at(due+time.Hour, func() { require.Equal(t, "awaiting_payment", w.state().Status) })
	w.at(due+3*time.Hour, func() { require.Equal(t, "expired", w.state().Status) })
	w.runsWell()
}

func TestCancelRacesWithADetection(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var told *answer
	w.move = func(string, any) error {
		// The block was recorded between the validator's look and the transaction.
		w.truth.State = payment.StateConfirming
		w.put(testPayment, 1, payment.StatusDetected)
		return refuse(payment.CodePaymentLive)
	}
	w.at(time.Minute, func() { told = w.update(process.UpdateCancel, process.CancelRequest{By: somebody}) })
	w.at(2*time.Minute, func() {
		require.True(t, told.accepted && told.completed)
		require.Equal(t, payment.CodePaymentLive, told.code())
		w.wake()
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
}

// stranger puts a payment on the chain that cannot count for the order, and that stays unsettled.
func (w *world) stranger() {
	w.put(testPayment, 1, payment.StatusDetected)
	w.truth.Payments[0].Uncounted = true
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		return process.SettleResult{Outcome: process.SettleMismatch, Inclusion: 1}, nil
	}
	w.wake()
}

func TestAStrangersPaymentKeepsNobodyFromCancelling(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.move = func(string, any) error { w.truth.State = payment.StateCancelled; return nil }
	var told *answer
	w.at(time.Minute, w.stranger)
	w.at(2*time.Minute, func() { told = w.update(process.UpdateCancel, process.CancelRequest{By: somebody}) })
	w.at(3*time.Minute, func() {
		require.True(t, told.accepted && told.completed)
		require.NoError(t, told.err)
		w.settled(testPayment, payment.StatusIgnored)
		w.wake()
	})
	w.runsWell()
	require.Equal(t, "cancelled", w.state().Status)
}

func TestAStrangersPaymentDelaysNoExpiry(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	tries := 0
	w.expire = func() (process.ExpireOutcome, error) {
		if tries++; tries == 1 {
			return process.ExpireLive, nil // another payment left the chain a moment ago
		}
		w.truth.State = payment.StateExpired
		return process.ExpireExpired, nil
	}
	w.at(time.Minute, w.stranger)
	w.at(due+time.Hour, func() {
		require.Equal(t, "expired", w.state().Status)
		w.settled(testPayment, payment.StatusIgnored)
		w.wake()
	})
	w.runsWell()
}

func TestACancelledOrderTakesLateMoney(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.move = func(string, any) error { w.truth.State = payment.StateCancelled; return nil }
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		w.settled(testPayment, payment.StatusCredited)
		w.truth.Labels = []payment.Label{payment.LabelLate}
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.at(time.Minute, func() { w.update(process.UpdateCancel, process.CancelRequest{By: somebody}) })
	w.at(2*time.Hour, func() {
		require.Equal(t, "cancelled", w.state().Status)
		w.put(testPayment, 1, payment.StatusDetected)
		w.wake()
	})
	w.runsWell()
	require.Equal(t, "cancelled", w.state().Status)
	require.Zero(t, w.calls[process.ActivityExpireOrder])
	require.GreaterOrEqual(t, w.env.Now().Sub(w.truth.LateUntil), time.Duration(0))
}

func TestALatePaymentMayStillFulfil(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.at(due+time.Hour, func() {
		w.put(testPayment, 1, payment.StatusDetected)
		w.wake()
	})
	w.runsWell()
	require.Equal(t, payment.StatePaid, w.truth.State)
	require.Less(t, w.env.Now().Sub(w.truth.LateUntil), time.Duration(0), "paid: nothing keeps the run open")
}

// The late window ends while a payment is being confirmed.
func TestALivePaymentKeepsTheRunOpenBeyondTheLateWindow(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := testLifetime + testWindow
	ready := false
	w.settle = func(process.SettleInput) (process.SettleResult, error) {
		if !ready {
			return process.SettleResult{}, waits(time.Hour)
		}
		w.settled(testPayment, payment.StatusCredited)
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.at(end-time.Minute, func() {
		w.put(testPayment, 1, payment.StatusDetected)
		w.wake()
	})
	w.at(end+3*time.Hour, func() {
		require.Contains(t, w.state().Awaiting, "confirmations")
		ready = true
	})
	w.runsWell()
	require.Empty(t, w.truth.Payments)
}

func TestClosingThatIsRefusedWaitsForAPerson(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	expire := w.expire
	w.expire = func() (process.ExpireOutcome, error) {
		if w.calls[process.ActivityExpireOrder] == 1 {
			return "", refuse(payment.CodeOrderState)
		}
		return expire()
	}
	w.at(due+time.Minute, func() {
		require.Equal(t, process.StepExpire, w.state().BlockedStep)
		require.Equal(t, "expire", w.attributes["BlockedStep"])
		w.update(process.UpdateResolve, process.ResolveRequest{By: somebody, Move: process.MoveRetry})
	})
	w.at(due+2*time.Minute, func() {
		require.Equal(t, "expired", w.state().Status)
		require.Nil(t, w.attributes["BlockedStep"])
	})
	w.runsWell()
}
