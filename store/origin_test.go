package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// TestAnOrderHasNoAddressOfAnother: whoever can change orders makes none of them show an address that was handed out to
// another order, be it another merchant's or the same one's.
func TestAnOrderHasNoAddressOfAnother(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	thief, _ := b.NewMerchant(t)
	for _, owner := range []payment.MerchantID{thief, b.Merchant} {
		victim := b.Order(t)
		other := b.Order(t, func(n *store.NewOrder) { n.Merchant = owner })
		origin, err := b.DB.AddressOrigin(t.Context(), victim.ID)
		require.NoError(t, err)
		require.Equal(t, b.Merchant, origin.Merchant)

		_, err = b.PG.App.Exec(t.Context(), `UPDATE orders SET address_id = (SELECT address_id FROM orders WHERE id = $2) WHERE id = $1`, victim.ID, other.ID)
		require.NoError(t, err)
		_, err = b.DB.AddressOrigin(t.Context(), victim.ID)
		require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
		_, err = b.DB.AddressOrigin(t.Context(), other.ID)
		require.NoError(t, err)
	}
}

// TestAnAddressOfAnotherMerchantsWallet is of no use: it was derived, but not from where this merchant's money goes.
func TestAnAddressOfAnotherMerchantsWallet(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	thief, _ := b.NewMerchant(t)
	order := b.Order(t)
	b.Exec(t, `UPDATE xpubs SET merchant_id = $1 WHERE id = (SELECT xpub_id FROM addresses WHERE order_id = $2)`, thief, order.ID)
	_, err := b.DB.AddressOrigin(t.Context(), order.ID)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}
