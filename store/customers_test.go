package store_test

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestACustomersOrdersShareAnAddress(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	first := b.Order(t, storetest.Of("ann"))
	used := storetest.Value[int64](t, b, `SELECT next_index FROM xpubs`)
	require.NoError(t, b.DB.RetireWallet(t.Context(), b.Wallet, storetest.By()))
	second := b.Order(t, storetest.Of("ann"), func(n *store.NewOrder) { n.Chain, n.Asset = storetest.Other, "ETH" })
	require.Equal(t, first.Address, second.Address, "on every chain of the family, also when the wallet is retired")
	require.Equal(t, payment.StateAwaitingPayment, second.State)
	require.Equal(t, used, storetest.Value[int64](t, b, `SELECT next_index FROM xpubs`), "no index is used for it")
	_, err := b.DB.CreateOrder(t.Context(), b.NewOrder(storetest.Of("bob")))
	require.Equal(t, payment.CodeAddressesExhausted, payment.CodeOf(err), "another customer has no address")

	b.AddWallet(t, "", 1000)
	b.Wallet = payment.XPubID(storetest.Value[string](t, b, `SELECT id FROM xpubs WHERE retired_at IS NULL`))
	named := b.Order(t, func(n *store.NewOrder) { n.CustomerID = "ann" })
	require.NotEqual(t, first.Address, named.Address, "a name alone asks for no standing address")
	require.NotEqual(t, first.Address, b.Order(t, storetest.Of("bob")).Address)
	other, principal := b.NewMerchant(t)
	b.EnableLive(t)
	require.NotEqual(t, first.Address, b.Order(t, storetest.Of("ann"), func(n *store.NewOrder) { n.Merchant = other }).Address)
	require.NotEqual(t, first.Address, b.Order(t, storetest.Of("ann"), storetest.OnLive).Address)

	shown, err := b.DB.GetOrder(t.Context(), b.Principal, second.ID)
	require.NoError(t, err)
	require.Equal(t, "ann", shown.CustomerID)
	require.Equal(t, payment.AddressPerCustomer, shown.AddressMode)
	origin, err := b.DB.AddressOrigin(t.Context(), second.ID)
	require.NoError(t, err)
	require.Equal(t, first.Address, origin.Address.Text())
	for _, filter := range []struct {
		by   store.Principal
		what store.OrderFilter
		want []payment.OrderID
	}{
		{b.Principal, store.OrderFilter{CustomerID: "ann"}, []payment.OrderID{named.ID, second.ID, first.ID}},
		{b.Principal, store.OrderFilter{CustomerID: "ann", State: payment.StatePaid}, nil},
		{b.Principal, store.OrderFilter{CustomerID: "ann", Reference: "x"}, nil},
		{principal, store.OrderFilter{CustomerID: "bob"}, nil},
	} {
		page, err := b.DB.ListOrders(t.Context(), filter.by, filter.what, "", 10)
		require.NoError(t, err)
		var got []payment.OrderID
		for _, order := range page.Items {
			got = append(got, order.ID)
		}
		require.Equal(t, filter.want, got)
	}
}

// The first orders of a customer come at once, in several processes: one of them gives the address, all share it.
func TestConcurrentFirstOrdersShareAnAddress(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	const n = 6
	ids := make([]payment.OrderID, n)
	for i := range ids {
		ids[i] = b.Opening(t, storetest.Of("ann"))
	}
	give := func(id payment.OrderID) (process.OrderView, error) {
		for {
			a, err := b.DB.BeginAllocation(t.Context(), id)
			if err != nil {
				return process.OrderView{}, err
			}
			if a.Known != nil {
				return b.DB.ReuseAddress(t.Context(), id, a.Known.Address)
			}
			index, err := b.DB.ReserveIndex(t.Context(), a.Wallet.ID)
			if err != nil {
				return process.OrderView{}, err
			}
			view, err := b.DB.FinishAllocation(t.Context(), id, a.Wallet.ID, index, storetest.Address())
			if payment.CodeOf(err) != payment.CodeStale {
				return view, err
			}
		}
	}
	addresses := concurrently(n, func(i int) string {
		view, err := give(ids[i])
		if err != nil {
			return err.Error()
		}
		return view.Address
	})
	require.Len(t, count(addresses), 1, "%v", addresses)
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM addresses`))
	require.Equal(t, n, storetest.Value[int](t, b, `SELECT count(*) FROM orders WHERE state = 'awaiting_payment'`))
	require.False(t, storetest.Value[bool](t, b, `SELECT locked_at IS NOT NULL FROM xpubs`), "whoever was slower restored no database")
}

// Indices that were handed out before still lock the wallet when the address is a customer's.
func TestAKnownAddressIsNobodyElsesCustomers(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	taken := pay(t, b.Order(t), 1).To
	id := b.Opening(t, storetest.Of("ann"))
	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	_, err = b.DB.FinishAllocation(t.Context(), id, b.Wallet, index, taken)
	require.ErrorIs(t, err, store.ErrAddressCollision)
	require.True(t, storetest.Value[bool](t, b, `SELECT locked_at IS NOT NULL FROM xpubs`))
}

func TestOnlyTheCustomersOwnAddressIsReused(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ann, bob := b.Order(t, storetest.Of("ann")), b.Order(t, storetest.Of("bob"))
	id := b.Opening(t, storetest.Of("ann"))
	_, err := b.DB.ReuseAddress(t.Context(), id, pay(t, bob, 1).To)
	require.Equal(t, payment.CodeStale, payment.CodeOf(err))
	_, err = b.DB.ReuseAddress(t.Context(), b.Opening(t), pay(t, ann, 1).To)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err), "an order with an address of its own")
	for range 2 {
		view, err := b.DB.ReuseAddress(t.Context(), id, pay(t, ann, 1).To)
		require.NoError(t, err)
		require.Equal(t, ann.Address, view.Address)
	}
	require.Equal(t, []string{"order.created"}, events(t, b, id))
}

func TestWhatACustomerIsCalled(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	for _, tc := range []struct {
		change func(*store.NewOrder)
		code   payment.Code
		param  string
	}{
		{storetest.Of(""), payment.CodeMissingParameter, "customer_id"},
		{storetest.Of("a\u202eb"), payment.CodeInvalidParameter, "customer_id"},
		{storetest.Of(" ann"), payment.CodeInvalidParameter, "customer_id"},
		{func(n *store.NewOrder) { n.CustomerID = "a\nb" }, payment.CodeInvalidParameter, "customer_id"},
		{func(n *store.NewOrder) { n.AddressMode = "shared" }, payment.CodeInvalidParameter, "address_mode"},
	} {
		_, err := b.DB.CreateOrder(t.Context(), b.NewOrder(tc.change))
		require.Equal(t, tc.code, payment.CodeOf(err))
		refused, _ := errors.AsType[*payment.Error](err)
		require.Equal(t, tc.param, refused.Param)
	}
}
