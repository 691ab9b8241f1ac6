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

// Dust is counted when it is first recorded, and once however often it is mined.
func TestDustIsCounted(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	order := m.Order(t)
	dustBelow(t, m.Bundle, 5_000)
	coin := func(amount uint64) payment.Transfer {
		return pay(t, order, amount, func(p *payment.Transfer) { p.Native = true })
	}
	ancestor := m.record(t).BlockRef
	all := []payment.Transfer{
		pay(t, order, 999), pay(t, order, 1000), pay(t, order, 4_999), // the order asks for 1000 or more, as its asset did
		coin(999), coin(1000), // in another asset today's threshold says it
		pay(t, orders[0], 999), pay(t, orders[0], 25e6), pay(t, orders[0], 4_999), // the last is for no order
	}
	m.record(t, all...)
	counted := func() uint64 {
		counts, err := m.DB.StrangeCounts(t.Context())
		require.NoError(t, err)
		require.Equal(t, storetest.Chain, counts[0].Chain)
		return counts[0].Dust
	}
	require.EqualValues(t, 4, counted())
	m.rollback(t, ancestor)
	m.record(t, all...)
	require.EqualValues(t, 4, counted())
	m.record(t, pay(t, order, 1))
	require.EqualValues(t, 5, counted())
}
