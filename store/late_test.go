package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// late makes a payment that was mined after the deadline of its order.
func late(p *storetest.Payment) { p.Block.Time = p.Block.Time.Add(time.Hour) }

// expired makes an order that has expired.
func expired(t *testing.T, b *storetest.Bundle) process.OrderView {
	t.Helper()
	order := b.Order(t)
	overdue(t, b, order.ID, time.Minute)
	b.ReadTo(t, storetest.Chain, 110, time.Now())
	result, wait, err := b.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.False(t, wait.Needed(), "%v", wait)
	require.Equal(t, process.ExpireExpired, result.Outcome)
	return result.Order
}

// overdue moves the deadline into the past.
func overdue(t *testing.T, b *storetest.Bundle, id payment.OrderID, ago time.Duration) {
	t.Helper()
	b.Exec(t, `UPDATE orders SET expires_at = $2, late_until = $2::timestamptz + interval '1 day' WHERE id = $1`, id, time.Now().Add(-ago))
}

func TestLateMoneyFollowsThePolicy(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		policy  payment.LatePolicy
		payment payment.PaymentPolicy
		amount  uint64
		after   time.Duration // of the deadline
		state   payment.State
		labels  []payment.Label
		events  []string
		balance [2]string
		reviews []string
	}{
		"fulfil": {
			policy: payment.LateFulfil, amount: 25_000_000, after: time.Hour,
			state: payment.StatePaid, labels: []payment.Label{payment.LabelLate},
			events: []string{"order.paid_late"}, balance: [2]string{"25000000", "0"},
		},
		"fulfil, past the window": {
			policy: payment.LateFulfil, amount: 25_000_000, after: 25 * time.Hour,
			state: payment.StateExpired, labels: []payment.Label{payment.LabelLate},
			events: []string{"payment.late"}, balance: [2]string{"25000000", "0"},
		},
		"fulfil, too little": {
			policy: payment.LateFulfil, amount: 10_000_000, after: time.Hour,
			state: payment.StateExpired, labels: []payment.Label{payment.LabelLate, payment.LabelUnderpaid},
			events: []string{"order.underpaid"}, balance: [2]string{"10000000", "0"},
		},
		"credit only": {
			policy: payment.LateCreditOnly, amount: 25_000_000, after: time.Hour,
			state: payment.StateExpired, labels: []payment.Label{payment.LabelLate},
			events: []string{"payment.late"}, balance: [2]string{"25000000", "0"},
		},
		"hold": {
			policy: payment.LateHold, amount: 25_000_000, after: time.Hour,
			state: payment.StateExpired, labels: []payment.Label{payment.LabelLate}, balance: [2]string{"0", "25000000"},
			events: []string{"payment.late"}, reviews: []string{"late"},
		},
		"merchant holds everything": {
			policy: payment.LateFulfil, payment: payment.PaymentHold, amount: 25_000_000, after: time.Hour,
			state: payment.StatePaid, labels: []payment.Label{payment.LabelLate},
			events: []string{"order.paid_late"}, balance: [2]string{"0", "25000000"}, reviews: []string{"held"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t, func(m *store.NewMerchant) { m.LatePolicy, m.PaymentPolicy = tc.policy, tc.payment })
			order := expired(t, b)
			p := b.Pay(t, order, tc.amount, func(p *storetest.Payment) { p.Block.Time = order.ExpiresAt.Add(tc.after) })
			result := b.Credit(t, p)
			require.Equal(t, store.CreditDone, result.Outcome)
			require.Equal(t, tc.state, result.Order.State)
			require.Equal(t, tc.labels, result.Order.Labels)
			require.Equal(t, append([]string{"order.created", "order.expired"}, tc.events...), events(t, b, order.ID))
			require.Equal(t, tc.balance, balances(t, b, b.Token.ID))
			require.ElementsMatch(t, tc.reviews, reviews(t, b, p.ID))
			b.CheckBooks(t)
		})
	}
}

// A payment that was mined in time counts as in time whatever happened to it since, also when the order expired without it.
func TestMinedInTimeStaysInTime(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Block.Time = p.Block.Time.Add(-10 * time.Minute) })
	again := b.Reinclude(t, p, late)
	overdue(t, b, order.ID, time.Minute)
	result := b.Credit(t, again)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels)
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
}

func TestACancelledOrderIsNotFulfilledByMoney(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) { m.LatePolicy = payment.LateFulfil })
	order := b.Order(t)
	_, err := b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.NoError(t, err)
	p := b.Pay(t, order, 25_000_000)
	result := b.Credit(t, p)
	require.Equal(t, payment.StateCancelled, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelLate}, result.Order.Labels)
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))
	require.Equal(t, []string{"closed_order"}, reviews(t, b, p.ID))

	// A person can.
	resolved, err := b.DB.ResolveOrder(t.Context(), process.ResolveInput{
		OrderID: order.ID, By: storetest.By(), RequestID: "r1", Move: process.MoveMarkPaid,
	})
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, resolved.Order.State)
	require.Equal(t, []payment.Label{payment.LabelLate, payment.LabelManual}, resolved.Order.Labels)
	require.Equal(t, []string{"order.created", "order.cancelled", "payment.late", "order.paid_late"}, events(t, b, order.ID))
}
