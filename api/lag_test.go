package api_test

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
)

// A chain that is not read far enough takes no orders, says when to come again, and leaves the key free.
func TestAnOrderOnALaggingChain(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.Exec(t, `UPDATE cursors SET head_number = block_number + 100000 WHERE chain = 'dev'`)
	before := k.counts(t)
	refused := k.post(t, "k", simple)
	requireProblem(t, refused, http.StatusServiceUnavailable, payment.CodeChainLagging, "chain")
	wait, err := strconv.Atoi(refused.header.Get("Retry-After"))
	require.NoError(t, err)
	require.Positive(t, wait)
	require.Equal(t, before, k.counts(t))
	require.Empty(t, k.temporal.sent())

	status, health := k.ready(t)
	require.Equal(t, http.StatusOK, status, "other chains take orders")
	require.Equal(t, map[string]api.ChainHealth{"dev": "lagging", "other": "ok"}, health.Chains)

	k.Exec(t, `UPDATE cursors SET head_number = block_number`)
	k.requireOneOrder(t, k.create(t, "k"))
}

func TestWhyAChainTakesNoOrders(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.Exec(t, `UPDATE chains SET paused_at = now()`)
	requireProblem(t, k.post(t, "k", simple), http.StatusServiceUnavailable, payment.CodeChainLagging, "chain")
	k.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'horizon' WHERE name = 'dev'`)
	requireProblem(t, k.post(t, "k", simple), http.StatusServiceUnavailable, payment.CodeChainLagging, "chain")
	_, health := k.ready(t)
	require.Equal(t, map[string]api.ChainHealth{"dev": "halted", "other": "paused"}, health.Chains)
}
