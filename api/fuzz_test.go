package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
)

// FuzzCreateOrder sends any bytes as an order. Whatever they are, the answer is 201 or a well-formed problem about the
// request, never one about us; and a refused request has written nothing.
func FuzzCreateOrder(f *testing.F) {
	for _, c := range badBodies() {
		f.Add([]byte(c.body))
	}
	for _, body := range []string{
		simple, `{"chain":"dev","asset":"ETH","amount":"0.05","expires_in":300,"confirmations":12,"metadata":{"cart":"8842"}}`,
		with("reference", `"\ud83d\ude00"`), with("reference", `"\ud83d"`), with("metadata", `{"a":"\u0000"}`), "", "{}", "[[[[", "\xff",
	} {
		f.Add([]byte(body))
	}
	k := setup(f)
	rows := func(t *testing.T) (n int) {
		t.Helper()
		require.NoError(t, k.PG.App.QueryRow(context.Background(),
			`SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM idempotency_keys) + (SELECT count(*) FROM webhook_endpoints)`).Scan(&n))
		return n
	}
	spec, err := api.GetSpec()
	require.NoError(f, err)
	codes := spec.Components.Schemas["Problem"].Value.Description
	f.Fuzz(func(t *testing.T, body []byte) {
		before := rows(t)
		r := httptest.NewRequest(http.MethodPost, "/v1/orders", strings.NewReader(string(body)))
		r.Header.Set("Authorization", "Bearer "+k.key)
		r.Header.Set("Content-Type", "application/json")
		key, _, _ := api.NewAPIKey("test") // random, that is all
		r.Header.Set("Idempotency-Key", key)
		w := httptest.NewRecorder()
		k.server.Handler().ServeHTTP(w, r)
		a := answer{status: w.Code, header: w.Header(), body: w.Body.String()}
		k.requireDocumented(t, r, a)
		require.True(t, utf8.ValidString(a.body) && json.Valid([]byte(a.body)))
		if a.status == http.StatusCreated {
			require.False(t, a.order(t).AmountBaseUnits.IsZero())
			return
		}
		require.Less(t, a.status, http.StatusInternalServerError, a.body)
		require.GreaterOrEqual(t, a.status, http.StatusBadRequest)
		require.Contains(t, codes, "`"+a.problem(t).Code+"`")
		require.Equal(t, before, rows(t), "a refused request writes nothing")
	})
}
