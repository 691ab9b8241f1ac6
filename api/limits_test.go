package api_test

import (
	"context"
	"net/http"
	"strconv"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// asked counts how often the database is asked who somebody is.
type asked struct {
	api.Store
	times atomic.Int64
}

func (a *asked) Authenticate(ctx context.Context, hash [32]byte) (store.Principal, error) {
	a.times.Add(1)
	return a.Store.Authenticate(ctx, hash)
}

// Requests have a limit of their own, per merchant and mode, whichever key and operation they use. A flood beyond it costs the database
// nothing, so that it moves nobody: counted in questions, because time says nothing on a busy machine.
func TestRequestsAreLimited(t *testing.T) {
	t.Parallel()
	var count *asked
	k := setupWith(t, options{
		merchant: func(m *store.NewMerchant) { m.RequestsPerMinute, m.OrdersPerMinute = 1, 7 },
		config:   func(c *api.Config) { count = &asked{Store: c.Store}; c.Store = count },
	})
	k.EnableLive(t)
	test := k.key
	a := k.get(t, "/v1/balances")
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, `"requests";r=0;t=60`, a.header.Get("RateLimit"))
	require.Equal(t, `"requests";q=1;w=10, "orders";q=7;w=60`, a.header.Get("RateLimit-Policy"))
	require.EqualValues(t, 1, count.times.Load())
	for range 100 {
		a = k.post(t, "k", simple)
		requireProblem(t, a, http.StatusTooManyRequests, payment.CodeRateLimited, "")
	}
	require.EqualValues(t, 1, count.times.Load(), "nobody else waits for it")
	require.Equal(t, `"requests";r=0;t=60`, a.header.Get("RateLimit"))
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	require.NoError(t, err)
	require.InDelta(t, 30, seconds, 30)

	k.key, _ = k.newKey(t, k.Merchant, payment.ModeTest, store.ScopeBalancesRead)
	requireProblem(t, k.get(t, "/v1/balances"), http.StatusTooManyRequests, payment.CodeRateLimited, "")
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	require.Equal(t, http.StatusOK, k.get(t, "/v1/balances").status, "the other mode")
	other, _ := k.NewMerchant(t)
	k.key, _ = k.newKey(t, other, payment.ModeTest)
	require.Equal(t, http.StatusOK, k.get(t, "/v1/balances").status, "another merchant")
	k.key = test[:len(test)-4] + "AAAA"
	a = k.get(t, "/v1/balances")
	requireProblem(t, a, http.StatusUnauthorized, payment.CodeUnauthorized, "")
	require.Empty(t, a.header.Get("RateLimit"), "strangers learn nothing")
}

// A key is revoked because somebody else has it. What he does with it then takes nothing from its merchant.
func TestARevokedKeyTakesNothingFromItsMerchantsLimit(t *testing.T) {
	t.Parallel()
	k := setupWith(t, options{merchant: func(m *store.NewMerchant) { m.RequestsPerMinute = 60 }}) // 10 at once
	leaked, id := k.newKey(t, k.Merchant, payment.ModeTest)
	own := k.key
	k.key = leaked
	require.Equal(t, http.StatusOK, k.get(t, "/v1/balances").status)
	require.NoError(t, k.DB.RevokeKey(t.Context(), id, storetest.By()))
	for range 30 {
		requireProblem(t, k.get(t, "/v1/balances"), http.StatusUnauthorized, payment.CodeKeyRevoked, "")
	}
	k.key = own
	require.Equal(t, http.StatusOK, k.get(t, "/v1/balances").status)
}

// A target inside the operator's network is one merchant's in one mode.
func TestACallbackTargetIsOneMerchants(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.EnableLive(t)
	at := func(chain string) string {
		return `{"chain":"` + chain + `","asset":"USDC","amount":"25.00","callback_url":"http://10.0.0.5:9000/hook"}`
	}
	refused := func(key, chain string) {
		requireProblem(t, k.post(t, key, at(chain)), http.StatusBadRequest, payment.CodeCallbackTargetForbidden, "callback_url")
	}
	refused("a", "dev")
	target := store.CallbackTarget{Merchant: k.Merchant, Mode: payment.ModeTest, Target: "10.0.0.5:9000"}
	by := process.By{Actor: "tester", Reason: "runs beside us"}
	for range 2 {
		require.NoError(t, k.DB.AllowTarget(t.Context(), target, by))
	}
	require.Equal(t, http.StatusCreated, k.post(t, "a", at("dev")).status)
	test := k.key
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeLive)
	refused("a", "live")
	other, _ := k.NewMerchant(t)
	k.key, _ = k.newKey(t, other, payment.ModeTest)
	refused("a", "dev")
	require.NoError(t, k.DB.DenyTarget(t.Context(), target, by))
	k.key = test
	refused("b", "dev")
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(k.DB.DenyTarget(t.Context(), target, by)))
	target.Merchant = payment.NewMerchantID()
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(k.DB.AllowTarget(t.Context(), target, by)))
	require.Equal(t, 3, storetest.Value[int](t, k.Bundle, `SELECT count(*) FROM audit WHERE action IN ('endpoint.allow', 'endpoint.deny') AND reason = 'runs beside us'`))
}
