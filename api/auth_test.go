package api_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// operations are all that need a key, with the scope that they need.
func operations(order payment.OrderID) []struct{ method, path, scope string } {
	id := "/v1/orders/" + string(order)
	return []struct{ method, path, scope string }{
		{http.MethodPost, "/v1/orders", store.ScopeOrdersWrite},
		{http.MethodPost, id + "/cancel", store.ScopeOrdersWrite},
		{http.MethodGet, "/v1/orders", store.ScopeOrdersRead},
		{http.MethodGet, id, store.ScopeOrdersRead},
		{http.MethodGet, id + "/payments", store.ScopeOrdersRead},
		{http.MethodGet, "/v1/balances", store.ScopeBalancesRead},
	}
}

func TestNewAPIKey(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, mode := range []payment.Mode{payment.ModeTest, payment.ModeLive} {
		for range 100 {
			key, prefix, hash := api.NewAPIKey(mode)
			require.True(t, strings.HasPrefix(key, "sk_"+string(mode)+"_"), key)
			random, err := base64.RawURLEncoding.DecodeString(key[len("sk_test_"):])
			require.NoError(t, err)
			require.Len(t, random, 32)
			require.True(t, strings.HasPrefix(key, prefix))
			require.Len(t, prefix, 14, "short enough to leave the key unknown")
			require.Equal(t, api.HashAPIKey(key), hash)
			require.False(t, seen[key])
			seen[key] = true
		}
	}
}

// Missing, malformed, unknown and revoked keys: 401 before anything else is looked at.
func TestKeysThatAreNone(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	unknown, _, _ := api.NewAPIKey(payment.ModeTest)
	revoked, revokedID := k.newKey(t, k.Merchant, payment.ModeTest)
	require.NoError(t, k.DB.RevokeKey(t.Context(), revokedID, storetest.By()))
	before := k.counts(t)

	cases := map[string]payment.Code{
		"":                                    payment.CodeUnauthorized,
		"Bearer":                              payment.CodeUnauthorized,
		"Bearer ":                             payment.CodeUnauthorized,
		k.key:                                 payment.CodeUnauthorized,
		"Basic " + k.key:                      payment.CodeUnauthorized,
		"Bearer " + unknown:                   payment.CodeUnauthorized,
		"Bearer " + k.key[:50]:                payment.CodeUnauthorized,
		"Bearer " + k.key + "A":               payment.CodeUnauthorized,
		"Bearer " + k.key + " x":              payment.CodeUnauthorized,
		"Bearer sk_live_" + k.key[8:]:         payment.CodeUnauthorized,
		"Bearer SK_TEST_" + k.key[8:]:         payment.CodeUnauthorized,
		"Bearer sk_test_" + texts(43, "*"):    payment.CodeUnauthorized,
		"Bearer " + strings.Repeat("a", 8000): payment.CodeUnauthorized,
		"Bearer " + revoked:                   payment.CodeKeyRevoked,
	}
	for _, op := range operations(order.ID) {
		for value, code := range cases {
			r := k.request(t, op.method, op.path, "not JSON")
			r.Header.Set("Authorization", value)
			if value == "" {
				r.Header.Del("Authorization")
			}
			a := k.do(t, r)
			require.Equal(t, http.StatusUnauthorized, a.status, "%s %s %q: %s", op.method, op.path, value, a.body)
			require.Equal(t, string(code), a.problem(t).Code, value)
			require.Contains(t, a.header.Get("WWW-Authenticate"), "Bearer")
		}
	}
	r := k.request(t, http.MethodGet, "/v1/orders", "")
	r.Header.Add("Authorization", "Bearer "+k.key)
	requireProblem(t, k.do(t, r), http.StatusUnauthorized, payment.CodeUnauthorized, "Authorization")
	require.Equal(t, before, k.counts(t))

	r = k.request(t, http.MethodGet, "/v1/orders", "")
	r.Header.Set("Authorization", "bearer  "+k.key) // schemes have no case
	require.Equal(t, http.StatusOK, k.do(t, r).status)
}

func TestScopes(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	before := k.counts(t)
	for _, scope := range store.Scopes() {
		key, _ := k.newKey(t, k.Merchant, payment.ModeTest, scope)
		before["api_keys"]++
		before["audit"]++
		for _, op := range operations(order.ID) {
			r := k.request(t, op.method, op.path, "")
			r.Header.Set("Authorization", "Bearer "+key)
			a := k.do(t, r)
			if op.scope == scope {
				require.NotContains(t, []int{http.StatusForbidden, http.StatusUnauthorized}, a.status)
				continue
			}
			requireProblem(t, a, http.StatusForbidden, payment.CodeForbiddenScope, "")
			require.Contains(t, a.header.Get("WWW-Authenticate"), "insufficient_scope")
		}
		if scope == store.ScopeOrdersWrite { // it was allowed to cancel
			after := k.counts(t)
			require.Equal(t, before["orders"], after["orders"])
			before = after
		}
		require.Equal(t, before, k.counts(t))
	}
}

// What belongs to another merchant or the other mode does not exist.
func TestOthersDoNotExist(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	opening := k.Opening(t)
	other, _ := k.NewMerchant(t)
	stranger, _ := k.newKey(t, other, payment.ModeTest)
	live, _ := k.newKey(t, k.Merchant, payment.ModeLive)
	before := k.counts(t)
	nobody := string(payment.NewOrderID())
	for _, c := range []struct{ key, id string }{
		{stranger, string(order.ID)}, {live, string(order.ID)}, {k.key, string(opening)}, {k.key, nobody},
		{k.key, "x"}, {k.key, strings.ToUpper(string(order.ID))}, {k.key, string(order.ID) + "x"}, {k.key, "%25zz"}, {k.key, "%00"},
		{k.key, "ord_%2e%2e%2fadmin"}, {k.key, strings.Repeat("a", 3000)}, {k.key, "pay_" + string(order.ID)[4:]},
	} {
		for _, path := range []struct{ method, suffix string }{{http.MethodGet, ""}, {http.MethodGet, "/payments"}, {http.MethodPost, "/cancel"}} {
			r := k.request(t, path.method, "/v1/orders/"+c.id+path.suffix, "")
			r.Header.Set("Authorization", "Bearer "+c.key)
			requireProblem(t, k.do(t, r), http.StatusNotFound, payment.CodeNotFound, "")
		}
	}
	require.Equal(t, before, k.counts(t))
	require.Len(t, k.temporal.sent(), 1, "only the creation")
	for _, key := range []string{stranger, live} {
		r := k.request(t, http.MethodGet, "/v1/orders", "")
		r.Header.Set("Authorization", "Bearer "+key)
		require.Contains(t, k.do(t, r).body, `"data":[]`)
	}
}
