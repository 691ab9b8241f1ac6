package api_test

import (
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
)

// canaryURL is a callback URL with a secret in it.
const canaryURL = "https://shop.example.com/hook?token=canary-callback"

func (k *kit) metrics(t testing.TB) string {
	t.Helper()
	w := httptest.NewRecorder()
	k.server.Metrics().ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/metrics", nil))
	require.Equal(t, http.StatusOK, w.Code)
	return w.Body.String()
}

// Secrets that pass through the API, and whatever else clients write, are in no log line, metric, problem or start of a
// workflow; also when things fail.
func TestCanariesDoNotSing(t *testing.T) {
	t.Parallel()
	k, faulty := setupFaulty(t)
	secret := strings.TrimPrefix(k.key, "sk_test_")
	var problems strings.Builder
	send := func(r *http.Request) {
		r.Header.Set("User-Agent", "canary-agent")
		r.Header.Set("Cookie", "session=canary-cookie")
		r.Header.Set("Referer", "https://canary-referer.example/")
		r.Header.Set("X-Request-Id", "canary_request")
		response, err := k.http.Client().Do(r)
		require.NoError(t, err)
		defer response.Body.Close()
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		if response.StatusCode >= http.StatusBadRequest {
			problems.Write(body)
		}
	}
	body := `{"chain":"dev","asset":"USDC","amount":"25","callback_url":"` + canaryURL + `","reference":"canary-reference","metadata":{"canary-key":"canary-value"}}`
	all := func() {
		send(k.creation(t, "canary-idempotency", body))
		send(k.creation(t, "canary-idempotency", strings.Replace(body, "25", "26", 1)))
		send(k.creation(t, "other", strings.Replace(body, "shop.example.com", "canary:canary-password@shop.example.com", 1)))
		send(k.creation(t, "other", strings.Replace(body, "shop.example.com", "canary.internal", 1)))
		send(k.creation(t, "other", body+"canary-trailing"))
		send(k.request(t, http.MethodGet, "/v1/orders?reference=canary-query", ""))
		send(k.request(t, http.MethodGet, "/v1/orders?cursor=canary-cursor", ""))
		send(k.request(t, http.MethodGet, "/v1/orders/canary-path?key="+k.key, ""))
		send(k.request(t, http.MethodGet, "/canary-path/"+k.key, ""))
		send(k.request(t, "CANARY", "/v1/orders", ""))
		wrong := k.request(t, http.MethodGet, "/v1/orders", "")
		wrong.Header.Set("Authorization", "Bearer sk_live_canary"+secret)
		send(wrong)
	}
	all()
	faulty.breakDown("CompleteClaim", errors.New("a foreign error: Post \""+canaryURL+"\": "+k.key+" whsec_canary "+k.xpub.Reveal()))
	faulty.breakDown("ListOrders", errors.New("panics"))
	send(k.creation(t, "canary-2", body))
	all()
	k.temporal.set(away)
	send(k.creation(t, "canary-3", body))
	k.cancel(t, k.temporal.sent()[0].input.OrderID)

	require.Contains(t, k.logs.String(), `"code":"unavailable"`)
	require.Contains(t, k.logs.String(), "a foreign error", "what is no secret is logged")
	var starts strings.Builder
	for _, c := range k.temporal.sent() {
		starts.WriteString(c.start.ID + c.start.StaticSummary + c.update.UpdateID)
	}
	for where, text := range map[string]string{
		"log": k.logs.String(), "metrics": k.metrics(t), "problems": problems.String(), "workflows": starts.String(),
	} {
		require.NotContains(t, strings.ToLower(text), "canary", where)
		require.NotContains(t, text, secret, where)
		require.NotContains(t, text, k.xpub.Reveal(), where)
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	k := setup(t)
	k.create(t, "k")
	k.create(t, "k")
	requireProblem(t, k.post(t, "bad", with("amount", `"0"`)), http.StatusBadRequest, payment.CodeInvalidAmount, "amount")
	k.get(t, "/nowhere")
	text := k.metrics(t)
	for _, line := range []string{
		`sluice_api_requests_total{method="POST",route="/v1/orders",status="201"} 2`,
		`sluice_api_requests_total{method="POST",route="/v1/orders",status="400"} 1`,
		`sluice_api_requests_total{method="GET",route="unmatched",status="404"} 1`,
		`sluice_api_order_creations_total{outcome="fresh"} 1`,
		`sluice_api_order_creations_total{outcome="replayed"} 1`,
		`sluice_api_problems_total{code="invalid_amount"} 1`,
		`sluice_api_requests_in_flight 0`,
	} {
		require.Contains(t, text, line)
	}
}
