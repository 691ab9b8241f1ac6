package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// listed are the deposits that a filter leaves, by the names of their payments.
func (m *miner) listed(t *testing.T, by store.Principal, filter store.DepositFilter, names map[payment.PaymentID]string) []string {
	t.Helper()
	got := []string{}
	for cursor := ""; ; {
		page, err := m.DB.ListDeposits(t.Context(), by, filter, cursor, 2)
		require.NoError(t, err)
		for _, d := range page.Items {
			got = append(got, names[d.ID])
			if filter.State != "" {
				require.Equal(t, filter.State, d.State, "the filter and the answer mean the same")
			}
		}
		if cursor = page.NextCursor; cursor == "" {
			return got
		}
	}
}

func TestDepositsAreListed(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	bob := m.Order(t, storetest.Of("bob"))
	live := m.Principal
	live.Mode = payment.ModeLive
	_, other := m.NewMerchant(t)

	coin := func(p *payment.Transfer) { p.Native = true }
	names := map[payment.PaymentID]string{}
	see := func(name string, transfer payment.Transfer) payment.Transfer {
		m.record(t, transfer)
		names[m.payment(t, transfer).ID] = name
		return transfer
	}
	undone := see("undone", pay(t, orders[0], 40e6, coin))
	m.credit(t, undone)
	dropped := see("dropped", pay(t, orders[0], 50e6, coin))
	m.rollback(t, *m.watch.Cursor)
	beyond := see("beyond", pay(t, orders[0], 30e6))
	m.credit(t, beyond)
	see("bob's", pay(t, bob, 7e6, coin))
	see("exact", pay(t, bob, 25e6))
	see("dust", pay(t, orders[0], 999))
	m.credit(t, see("dust posted", pay(t, orders[0], 998)))
	see("own", pay(t, m.Order(t), 99e6))
	see("new", pay(t, orders[0], 3e6))

	list := func(filter store.DepositFilter) []string { return m.listed(t, m.Principal, filter, names) }
	all := []string{"new", "bob's", "beyond", "dropped", "undone"}
	require.Equal(t, all, list(store.DepositFilter{}))
	require.Empty(t, m.listed(t, live, store.DepositFilter{}, names))
	require.Empty(t, m.listed(t, other, store.DepositFilter{}, names))
	require.Equal(t, []string{"new", "beyond", "dropped", "undone"}, list(store.DepositFilter{CustomerID: "ann"}))
	require.Equal(t, []string{"bob's"}, list(store.DepositFilter{CustomerID: "bob"}))
	require.Empty(t, list(store.DepositFilter{CustomerID: "eve"}))
	require.Empty(t, m.listed(t, other, store.DepositFilter{CustomerID: "ann"}, names))
	require.Equal(t, []string{"bob's", "dropped", "undone"}, list(store.DepositFilter{Asset: "ETH"}))
	require.Equal(t, []string{"dropped", "undone"}, list(store.DepositFilter{Asset: "ETH", CustomerID: "ann", Chain: storetest.Chain}))
	require.Empty(t, list(store.DepositFilter{Chain: storetest.Other}))
	for state, want := range map[payment.PaymentState][]string{
		payment.PaymentDetected: {"new"}, payment.PaymentConfirming: {"bob's"}, payment.PaymentCredited: {"beyond"},
		payment.PaymentDropped: {"dropped"}, payment.PaymentReversed: {"undone"}, payment.PaymentInReview: {}, payment.PaymentIgnored: {},
	} {
		require.Equal(t, want, list(store.DepositFilter{State: state}), state)
	}

	// As its event tells it.
	deposit, err := m.DB.GetDeposit(t.Context(), m.Principal, m.payment(t, beyond).ID)
	require.NoError(t, err)
	require.Equal(t, orders[0].ID, deposit.OrderID)
	require.Equal(t, payment.DepositSnapshot{
		CustomerID: "ann", Chain: storetest.Chain, Asset: "USDC", AssetID: m.Token.ID, Amount: "5", AmountBaseUnits: payment.AmountFromUint64(5e6),
	}, deposit.DepositSnapshot)
	require.Equal(t, "25", deposit.Payment.AllocatedAmount)
	_, err = m.DB.GetDeposit(t.Context(), live, deposit.ID)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	middle := deposit.CreatedAt
	require.Equal(t, []string{"new", "bob's", "beyond"}, list(store.DepositFilter{From: &middle}))
	require.Equal(t, []string{"dropped", "undone"}, list(store.DepositFilter{Before: &middle}))
	later := middle.Add(time.Hour)
	require.Empty(t, list(store.DepositFilter{From: &later, CustomerID: "ann"}))

	// Mined again with what its order asks for, it is one no more; and the other way round.
	m.rollback(t, *m.watch.Cursor)
	beyond.Amount = payment.AmountFromUint64(25e6)
	dropped.Amount = payment.AmountFromUint64(51e6)
	m.record(t, beyond, dropped)
	_, err = m.DB.GetDeposit(t.Context(), m.Principal, deposit.ID)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	require.Equal(t, []string{"dropped"}, list(store.DepositFilter{State: payment.PaymentDetected}))
	m.CheckBooks(t)
}
