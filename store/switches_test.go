package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// What takes no orders is watched and credited like before, and takes orders again when it is told to.
func TestDisabledChainsAndAssetsAreCreditedAllTheSame(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		set    func(*storetest.Bundle, bool) error
		code   payment.Code
		action string
	}{
		"a chain": {func(b *storetest.Bundle, takes bool) error {
			return b.DB.SetChainOrders(t.Context(), storetest.Chain, takes, storetest.By())
		}, payment.CodeChainDisabled, "chain"},
		"a token": {func(b *storetest.Bundle, takes bool) error {
			return b.DB.SetAssetOrders(t.Context(), storetest.Chain, "USDC", takes, storetest.By())
		}, payment.CodeAssetDisabled, "token"},
		"a merchant": {func(b *storetest.Bundle, takes bool) error {
			return b.DB.SetMerchantOrders(t.Context(), b.Merchant, takes, storetest.By())
		}, payment.CodeMerchantDisabled, "merchant"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			order, asked := m.Order(t), m.NewOrder()
			for range 2 {
				require.NoError(t, c.set(m.Bundle, false), "doing it again changes nothing")
			}
			_, err := m.DB.CreateOrder(t.Context(), asked)
			require.Equal(t, c.code, payment.CodeOf(err))
			require.False(t, m.look(t).Paused, "it is read")

			transfer := pay(t, order, 25_000_000)
			m.record(t, transfer)
			require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
			require.Equal(t, payment.StatePaid, m.state(t, order.ID))
			again := pay(t, order, 1_000_000) // money to an old address
			m.record(t, again)
			require.Equal(t, store.CreditDone, m.credit(t, again).Outcome)

			require.NoError(t, c.set(m.Bundle, true))
			_, err = m.DB.CreateOrder(t.Context(), asked)
			require.NoError(t, err)
			require.Equal(t, []string{c.action + ".disable", c.action + ".enable"}, storetest.Value[[]string](t, m.Bundle,
				`SELECT array_agg(action ORDER BY id) FROM audit WHERE action LIKE $1 AND actor = 'tester' AND subject <> 'other' AND id > (SELECT max(id) FROM audit WHERE action = 'key.create')`, c.action+".%able"))
			m.CheckBooks(t)
		})
	}
}

// The blocks of a disabled chain are looked through like those of any other, in every way that there is.
func TestADisabledChainIsLookedThroughInEveryWay(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	due := func() (tokens int, sweep bool, rescans int) {
		list, err := b.DB.TokensToCheck(t.Context(), storetest.Chain, payment.FamilyEVM, time.Hour, 10)
		require.NoError(t, err)
		_, sweep, err = b.DB.NextTokenSweep(t.Context(), storetest.Chain)
		require.NoError(t, err)
		_, err = b.DB.RequestOrderRescan(t.Context(), order.ID, store.Interval{}, storetest.By(), string(payment.NewOrderID()))
		require.NoError(t, err)
		return len(list), sweep, storetest.Value[int](t, b, `SELECT count(DISTINCT chain)::int FROM rescans`)
	}
	require.NoError(t, b.DB.SetChainOrders(t.Context(), storetest.Chain, false, storetest.By()))
	require.NoError(t, b.DB.SetChainOrders(t.Context(), storetest.Other, false, storetest.By()))
	require.NoError(t, b.DB.SetAssetOrders(t.Context(), storetest.Chain, "USDC", false, storetest.By()))
	tokens, sweep, rescans := due()
	require.Equal(t, 1, tokens, "a token that changes is halted also while nobody may ask for it")
	require.True(t, sweep)
	require.Equal(t, 2, rescans, "an order's address is looked at on both chains")

	lags, err := b.DB.ChainLags(t.Context())
	require.NoError(t, err)
	require.Len(t, lags, 2)
	for _, lag := range lags {
		require.True(t, lag.Disabled)
		require.False(t, lag.TakesOrders())
	}
}

func TestSwitchesOfWhatIsNotThere(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(b.DB.SetChainOrders(t.Context(), "mars", false, storetest.By())))
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(b.DB.SetAssetOrders(t.Context(), "mars", "USDC", false, storetest.By())))
	require.Equal(t, payment.CodeUnknownAsset, payment.CodeOf(b.DB.SetAssetOrders(t.Context(), storetest.Chain, "DOGE", false, storetest.By())))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(b.DB.SetMerchantOrders(t.Context(), payment.NewMerchantID(), false, storetest.By())))
	merchants, err := b.DB.ListMerchants(t.Context())
	require.NoError(t, err)
	require.Len(t, merchants, 1)
	require.False(t, merchants[0].Disabled)
}
