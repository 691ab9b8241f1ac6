package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// dustBelow changes what counts as dust of the bundle's token.
func dustBelow(t *testing.T, b *storetest.Bundle, amount uint64) {
	t.Helper()
	require.NoError(t, b.DB.AddToken(t.Context(), store.NewAsset{
		ID: b.Token.ID, Code: b.Token.Symbol, Decimals: b.Token.Decimals, DustBelow: payment.AmountFromUint64(amount),
	}, storetest.By()))
}

// The least that an order can ask for is paid by exactly that.
func TestTheSmallestOrderCanBePaid(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(1000) })
	result := b.Credit(t, b.Pay(t, order, 1000))
	require.Equal(t, payment.StatePaid, result.Order.State)
}

// What counted when it was seen counts when it is confirmed, whatever the asset's threshold became in between.
func TestANewDustThresholdIsForLaterOrders(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	dustBelow(t, m.Bundle, 30_000_000)

	s, err := m.DB.LoadSettlement(t.Context(), m.payment(t, transfer).ID)
	require.NoError(t, err)
	require.False(t, s.Dust)
	result := m.credit(t, transfer)
	require.Equal(t, payment.ReasonAvailable, result.Reason)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Equal(t, 0, m.balance(t, "dust"))

	_, err = m.DB.CreateOrder(t.Context(), m.NewOrder())
	require.Equal(t, payment.CodeInvalidAmount, payment.CodeOf(err))
	m.CheckBooks(t)
}

// An order that waits for a payment which turns out to be dust does not wait for it any longer.
func TestAnOrderStopsWaitingForDust(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 1_000)
	m.record(t, transfer)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	m.Exec(t, `UPDATE orders SET dust_below = 1001 WHERE id = $1`, order.ID)

	result := m.credit(t, transfer)
	require.Equal(t, payment.ReasonDust, result.Reason)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Equal(t, 1_000, m.balance(t, "dust"))
}
