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

// What fulfils is the amount less the larger of the merchant's share and the asset's amount, to the unit.
func TestWhatIsEnough(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		bps       int
		tolerance uint64
		enough    uint64
	}{
		"exactly":                    {enough: 25_000_000},
		"a share":                    {bps: 100, enough: 24_750_000},
		"an amount":                  {tolerance: 300_000, enough: 24_700_000},
		"the larger one: the amount": {bps: 100, tolerance: 300_000, enough: 24_700_000},
		"the larger one: the share":  {bps: 200, tolerance: 300_000, enough: 24_500_000},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t, func(m *store.NewMerchant) { m.ToleranceBPS = tc.bps })
			b.Exec(t, `UPDATE assets SET tolerance = $1::bigint WHERE code = 'USDC'`, int64(tc.tolerance))
			short := b.Order(t)
			result := b.Credit(t, b.Pay(t, short, tc.enough-1))
			require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
			require.Equal(t, []payment.Label{payment.LabelUnderpaid}, result.Order.Labels)
			enough := b.Order(t)
			result = b.Credit(t, b.Pay(t, enough, tc.enough))
			require.Equal(t, payment.StatePaid, result.Order.State)
			require.Empty(t, result.Order.Labels, "within the tolerance is not too little")
			over := b.Order(t)
			result = b.Credit(t, b.Pay(t, over, 25_000_001))
			require.Equal(t, []payment.Label{payment.LabelOverpaid}, result.Order.Labels, "more than the amount is too much, by one unit")
			b.CheckBooks(t)
		})
	}
}

// Two transfers of one transaction are two payments and add up; each is confirmed by itself.
func TestPartsInOneTransaction(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	one := pay(t, order, 10_000_000)
	two := pay(t, order, 15_000_000, func(x *payment.Transfer) { x.TxHash, x.Position = one.TxHash, 1 })
	m.record(t, one, two)
	require.Equal(t, payment.StateConfirming, m.credit(t, one).Order.State)
	result := m.credit(t, two)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels)
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.payment_detected", "order.paid"}, m.events(t, order.ID))
	m.CheckBooks(t)
}

// After the window in which the order itself takes late money, the money is a review's, for ever.
func TestMoneyLongAfterTheDeadline(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		ago   time.Duration
		route store.RouteTo
	}{
		"in the window": {ago: time.Hour, route: store.RouteOrder},
		"after it":      {ago: 25 * time.Hour, route: store.RouteReview},
		"a year later":  {ago: 365 * 24 * time.Hour, route: store.RouteReview},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t, func(m *store.NewMerchant) { m.LatePolicy = payment.LateFulfil })
			order := expired(t, b)
			overdue(t, b, order.ID, tc.ago)
			p := b.Pay(t, order, 25_000_000)
			route, err := b.DB.Route(t.Context(), store.OutboxMessage{
				Signal: process.SignalPaymentSeen, PaymentID: p.ID, Inclusion: p.Inclusion, OrderID: order.ID,
			})
			require.NoError(t, err)
			require.Equal(t, tc.route, route.To)
			result := b.Credit(t, p, func(in *store.CreditInput) {
				if tc.route == store.RouteReview {
					in.Review = process.CauseLate
				}
			})
			require.Equal(t, store.CreditDone, result.Outcome)
			require.Equal(t, tc.route == store.RouteOrder, result.Order.State == payment.StatePaid)
			require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))
		})
	}
}
