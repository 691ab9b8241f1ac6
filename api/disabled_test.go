package api_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/storetest"
)

// A disabled merchant creates nothing; what it has it reads and may give up, and a request that was answered gets its answer again.
func TestADisabledMerchantReadsAndCancels(t *testing.T) {
	t.Parallel()
	k := setup(t)
	first := k.post(t, "k", simple)
	require.Equal(t, http.StatusCreated, first.status)
	order := first.order(t)
	require.NoError(t, k.DB.SetMerchantOrders(t.Context(), k.Merchant, false, storetest.By()))
	before := k.counts(t)
	requireProblem(t, k.post(t, "new", simple), http.StatusForbidden, payment.CodeMerchantDisabled, "")
	require.Equal(t, before, k.counts(t))
	require.Equal(t, first.body, k.post(t, "k", simple).body)
	for _, path := range []string{"/v1/orders", "/v1/orders/" + string(order.ID), "/v1/orders/" + string(order.ID) + "/payments", "/v1/balances", "/v1/deposits"} {
		require.Equal(t, http.StatusOK, k.get(t, path).status, path)
	}
	require.NotContains(t, []int{http.StatusUnauthorized, http.StatusForbidden}, k.cancel(t, order.ID).status)

	require.NoError(t, k.DB.SetMerchantOrders(t.Context(), k.Merchant, true, storetest.By()))
	require.NotEqual(t, order.ID, k.create(t, "new").ID)
}

// What a disabled chain answers, and how the health checks tell of it.
func TestADisabledChainTakesNoOrders(t *testing.T) {
	t.Parallel()
	k := setup(t)
	require.NoError(t, k.DB.SetChainOrders(t.Context(), storetest.Chain, false, storetest.By()))
	requireProblem(t, k.post(t, "k", simple), http.StatusBadRequest, payment.CodeChainDisabled, "chain")
	status, health := k.ready(t)
	require.Equal(t, http.StatusOK, status, "other chains take orders")
	require.Equal(t, map[string]api.ChainHealth{"dev": "disabled", "other": "ok"}, health.Chains)
}
