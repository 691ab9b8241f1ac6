package store_test

import (
	"crypto/rand"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func cancel(id payment.OrderID) process.CancelInput {
	return process.CancelInput{OrderID: id, By: storetest.By(), RequestID: rand.Text()}
}

func extend(id payment.OrderID, seconds int) process.ExtendInput {
	return process.ExtendInput{OrderID: id, By: storetest.By(), RequestID: rand.Text(), Seconds: seconds}
}

func TestExpiryWaitsForTheChain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	expire := func() (process.ExpireResult, store.Wait) {
		result, wait, err := b.DB.ExpireOrder(t.Context(), order.ID)
		require.NoError(t, err)
		return result, wait
	}
	b.ReadTo(t, storetest.Chain, 105, time.Now().Add(time.Hour))
	result, wait := expire()
	require.Equal(t, process.ExpireNotDue, result.Outcome, "not by our clock")
	require.False(t, wait.Needed())

	b.Exec(t, `UPDATE orders SET expires_at = now() + interval '9 seconds' WHERE id = $1`, order.ID)
	_, wait = expire()
	require.Equal(t, "deadline_is_moments_away", wait.Reason)
	require.LessOrEqual(t, wait.Delay, 9*time.Second)

	deadline := time.Now().Add(-time.Minute)
	overdue(t, b, order.ID, time.Minute)
	b.ReadTo(t, storetest.Chain, 105, deadline.Add(-5*time.Second))
	result, wait = expire()
	require.Equal(t, process.ExpireNotDue, result.Outcome)
	require.Equal(t, string(payment.ReasonDeadlineAhead), wait.Reason, "not by the chain's")
	require.InDelta(t, 5*time.Second, wait.Delay, float64(time.Second))
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)

	b.ReadTo(t, storetest.Chain, 110, time.Now())
	b.Exec(t, `UPDATE coverage SET blocks = blocks - int8multirange(int8range(103, 103, '[]')) WHERE method = 'token_logs'`)
	_, wait = expire()
	require.Equal(t, string(payment.ReasonUnreadBlocks), wait.Reason, "a block was not read")
	b.ReadTo(t, storetest.Chain, 110, time.Now())
	b.Exec(t, `UPDATE coverage SET blocks = blocks - int8multirange(int8range(103, 103, '[]')) WHERE method = 'native'`)
	b.Exec(t, `INSERT INTO quarantined_blocks (chain, number, hash, reason) VALUES ('dev', 104, $1, 'unreadable')`, storetest.Bytes(32))
	_, wait = expire()
	require.Equal(t, string(payment.ReasonUnreadBlocks), wait.Reason, "a block is quarantined")
	b.Exec(t, `UPDATE quarantined_blocks SET resolved_at = now()`)

	result, wait = expire()
	require.False(t, wait.Needed(), "a hole for another asset is none for this order")
	require.Equal(t, process.ExpireExpired, result.Outcome)
	require.Equal(t, payment.StateExpired, result.Order.State)
	require.Equal(t, []string{"order.created", "order.expired"}, events(t, b, order.ID))
	result, _ = expire()
	require.Equal(t, process.ExpireOver, result.Outcome)
	require.Equal(t, []string{"order.created", "order.expired"}, events(t, b, order.ID))
}

func TestNativeOrdersNeedNativeCoverage(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(1e18) })
	overdue(t, b, order.ID, time.Minute)
	b.ReadTo(t, storetest.Chain, 110, time.Now())
	b.Exec(t, `UPDATE coverage SET blocks = '{[0,110)}' WHERE method = 'native'`)
	_, wait, err := b.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, string(payment.ReasonUnreadBlocks), wait.Reason)
	b.Exec(t, `UPDATE coverage SET blocks = '{[101,111)}' WHERE method = 'native'`)
	result, _, err := b.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, process.ExpireExpired, result.Outcome, "blocks before the order was made do not matter")
}

func TestALivePaymentHoldsTheOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	overdue(t, b, order.ID, time.Minute)
	b.Exec(t, `UPDATE payments p SET first_included_at = o.expires_at FROM orders o WHERE o.id = p.order_id`) // just in time
	b.ReadTo(t, storetest.Chain, 110, time.Now())
	expire := func() (process.ExpireResult, store.Wait) {
		result, wait, err := b.DB.ExpireOrder(t.Context(), order.ID)
		require.NoError(t, err)
		return result, wait
	}
	result, wait := expire()
	require.Equal(t, process.ExpireLive, result.Outcome)
	require.False(t, wait.Needed(), "its end is what to wait for")
	require.Len(t, result.Order.Payments, 1)
	_, err := b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))

	b.Drop(t, p, 115)
	result, wait = expire()
	require.Equal(t, process.ExpireLive, result.Outcome)
	require.Equal(t, store.Wait{Reason: "dropped_payment_may_return", Delay: 6 * time.Second}, wait)
	_, err = b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))

	b.Exec(t, `UPDATE payments SET returns_by_block = NULL`)
	result, _ = expire()
	require.Equal(t, process.ExpireExpired, result.Outcome)
}

// Dust and foreign money keep no order open.
func TestWhatDoesNotCountHoldsNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	b.Pay(t, order, 999)
	b.Pay(t, order, 5_000_000, func(p *storetest.Payment) { p.Asset = b.Native.ID })
	result, err := b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.NoError(t, err)
	require.Equal(t, payment.StateCancelled, result.Order.State)
	require.Len(t, result.Order.Payments, 2, "they are still to be confirmed")
}

// An order whose money is there does not expire, whatever kept it open.
func TestExpiryCountsTheMoneyOnceMore(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Block.Time = p.Block.Time.Add(-5 * time.Minute) })
	b.Credit(t, p)
	b.Exec(t, `UPDATE orders SET state = 'awaiting_payment', paid_at = NULL, closed_at = NULL WHERE id = $1`, order.ID)
	overdue(t, b, order.ID, time.Minute)
	b.ReadTo(t, storetest.Chain, 110, time.Now())
	result, wait, err := b.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.False(t, wait.Needed())
	require.Equal(t, process.ExpireOver, result.Outcome)
	require.Equal(t, payment.StatePaid, result.Order.State)
}

func TestExpireRefusesWhatHasNoAddress(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	_, _, err := b.DB.ExpireOrder(t.Context(), b.Opening(t))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, _, err = b.DB.ExpireOrder(t.Context(), payment.NewOrderID())
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestCancel(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	in := cancel(order.ID)
	first, err := b.DB.CancelOrder(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, process.OutcomeDone, first.Outcome)
	require.Equal(t, payment.StateCancelled, first.Order.State)
	for _, repeat := range []process.CancelInput{in, cancel(order.ID)} {
		again, err := b.DB.CancelOrder(t.Context(), repeat)
		require.NoError(t, err)
		require.Equal(t, process.OutcomeAlreadyDone, again.Outcome)
		require.Equal(t, first.Order, again.Order)
	}
	require.Equal(t, []string{"order.created", "order.cancelled"}, events(t, b, order.ID))
	require.Equal(t, []string{"tester", "a test"}, storetest.Value[[]string](t, b,
		`SELECT ARRAY[actor, reason] FROM audit WHERE action = 'order.cancel' AND subject = $1`, order.ID))

	paid, _ := b.Paid(t)
	_, err = b.DB.CancelOrder(t.Context(), cancel(paid.ID))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = b.DB.CancelOrder(t.Context(), cancel(b.Opening(t)))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = b.DB.CancelOrder(t.Context(), cancel(payment.NewOrderID()))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action = 'order.cancel'`), "refusals are no deeds")
}

func TestExtend(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	in := extend(order.ID, 600)
	for want, n := range []int{0, 1} {
		result, err := b.DB.ExtendOrder(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, []string{process.OutcomeDone, process.OutcomeAlreadyDone}[want], result.Outcome, "attempt %d", n)
		require.Equal(t, order.ExpiresAt.Add(10*time.Minute), result.Order.ExpiresAt)
		require.Equal(t, order.LateUntil.Add(10*time.Minute), result.Order.LateUntil)
	}
	overdue(t, b, order.ID, time.Hour)
	result, err := b.DB.ExtendOrder(t.Context(), extend(order.ID, 600))
	require.NoError(t, err)
	require.WithinDuration(t, time.Now().Add(10*time.Minute), result.Order.ExpiresAt, 5*time.Minute, "from now, when it has passed")

	for _, seconds := range []int{0, -1, 31 * 24 * 3600} {
		_, err = b.DB.ExtendOrder(t.Context(), extend(order.ID, seconds))
		require.Equal(t, payment.CodeInvalidExpiry, payment.CodeOf(err))
	}
	_, err = b.DB.ExtendOrder(t.Context(), extend(order.ID, 30*24*3600))
	require.Equal(t, payment.CodeInvalidExpiry, payment.CodeOf(err), "thirty days from now, in sum")
	_, err = b.DB.ExtendOrder(t.Context(), extend(b.Opening(t), 600))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	paid, _ := b.Paid(t)
	_, err = b.DB.ExtendOrder(t.Context(), extend(paid.ID, 600))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
}

func TestExtendingMakesLateMoneyTimely(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Block.Time = order.ExpiresAt.Add(time.Minute) })
	result := b.Credit(t, p)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelLate}, result.Order.Labels)
	extended, err := b.DB.ExtendOrder(t.Context(), extend(order.ID, 600))
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, extended.Order.State)
	require.Equal(t, []string{"order.created", "payment.late", "order.paid"}, events(t, b, order.ID))
}

func TestResolve(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	resolve := func(id payment.OrderID, move process.Move) process.ResolveInput {
		return process.ResolveInput{OrderID: id, By: storetest.By(), RequestID: rand.Text(), Move: move, Step: process.StepConfirm}
	}
	order := b.Order(t)
	in := resolve(order.ID, process.MoveMarkPaid)
	for range 2 {
		result, err := b.DB.ResolveOrder(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, payment.StatePaid, result.Order.State)
		require.Equal(t, []payment.Label{payment.LabelManual}, result.Order.Labels)
	}
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
	require.EqualValues(t, 0, b.CheckBooks(t).Postings, "a decision creates no money")
	_, err := b.DB.ResolveOrder(t.Context(), resolve(order.ID, process.MoveMarkPaid))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = b.DB.ResolveOrder(t.Context(), resolve(order.ID, process.MoveRelease))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))

	blocked := b.Order(t)
	p := b.Pay(t, blocked, 25_000_000)
	b.Exec(t, `UPDATE payments SET status = 'parked' WHERE id = $1`, p.ID)
	_, err = b.DB.CancelOrder(t.Context(), cancel(blocked.ID))
	require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err), "a parked payment may still count")
	result, err := b.DB.ResolveOrder(t.Context(), resolve(blocked.ID, process.MoveRetry))
	require.NoError(t, err)
	require.Equal(t, "detected", result.Order.Payments[0].Status)
	require.Equal(t, payment.StatePaid, b.Credit(t, p).Order.State)
}

func TestPark(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	park := func(step process.Step, request string) {
		require.NoError(t, b.DB.ParkOrder(t.Context(), process.ParkInput{OrderID: order.ID, Step: step, Reason: "stale", RequestID: request}))
	}
	step := func() string {
		return storetest.Value[string](t, b, `SELECT COALESCE(blocked_step, '') FROM orders WHERE id = $1`, order.ID)
	}
	park(process.StepConfirm, "p1")
	require.Equal(t, "confirm", step())
	park("", "p2")
	require.Empty(t, step())
	park(process.StepConfirm, "p1")
	require.Empty(t, step(), "a repetition that comes late changes nothing")
	require.Equal(t, payment.StatePaid, b.Credit(t, b.Pay(t, order, 25_000_000)).Order.State, "a parked order takes payments")
	require.Equal(t, 2, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE subject = $1`, order.ID))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(b.DB.ParkOrder(t.Context(), process.ParkInput{OrderID: payment.NewOrderID(), RequestID: "p3"})))
}

// What holds an order is money in its asset, above dust, that came on time. What anybody can send at any time holds nothing.
func TestOnlyMoneyOnTimeHoldsAnOrder(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		amount uint64
		came   time.Duration // after the deadline
		holds  bool
	}{
		"on time":            {amount: 25_000_000, came: -time.Minute, holds: true},
		"a part on time":     {amount: 1000, came: -time.Minute, holds: true},
		"late":               {amount: 25_000_000, came: 10 * time.Minute},
		"a little, late":     {amount: 1000, came: 10 * time.Minute},
		"dust on time":       {amount: 999, came: -time.Minute},
		"on the last second": {amount: 25_000_000, holds: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t)
			deadline := time.Now().Add(-time.Hour).Truncate(time.Second)
			held := func() payment.OrderID {
				order := b.Order(t)
				b.Exec(t, `UPDATE orders SET expires_at = $2, late_until = $2::timestamptz + interval '1 day' WHERE id = $1`, order.ID, deadline)
				b.Pay(t, order, tc.amount, func(p *storetest.Payment) { p.Block.Time = deadline.Add(tc.came) })
				return order.ID
			}
			expiring, cancelled := held(), held()
			b.ReadTo(t, storetest.Chain, 300, time.Now())
			result, _, err := b.DB.ExpireOrder(t.Context(), expiring)
			require.NoError(t, err)
			_, err = b.DB.CancelOrder(t.Context(), cancel(cancelled))
			if tc.holds {
				require.Equal(t, process.ExpireLive, result.Outcome)
				require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))
				return
			}
			require.Equal(t, process.ExpireExpired, result.Outcome)
			require.NoError(t, err)
		})
	}
}
