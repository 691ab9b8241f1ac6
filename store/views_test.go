package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/storetest"
)

// Anybody can send next to nothing to an address, as often as they like.
func TestStrangersHideNoPayment(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	for i := range 101 {
		b.Pay(t, order, 1, func(p *storetest.Payment) {
			if i%2 == 0 {
				p.Asset = b.Native.ID
			}
		})
	}
	paid := b.Pay(t, order, 25_000_000)
	other := b.Pay(t, order, 5_000, func(p *storetest.Payment) { p.Asset = b.Native.ID })

	view, err := b.DB.ReadOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StateConfirming, view.State)
	require.Len(t, view.Payments, 100)
	require.Equal(t, paid.ID, view.Payments[0].ID)
	require.False(t, view.Payments[0].Uncounted)
	require.Equal(t, other.ID, view.Payments[1].ID)
	for _, p := range view.Payments[1:] {
		require.True(t, p.Uncounted)
	}
}
