package e2e_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
)

// What orders are made in.
const (
	token  = "USDC"
	native = "ETH"
	dev    = "dev"
)

// merchant is a merchant with a key of mode test, and an endpoint with its receiver.
type merchant struct {
	w       *world
	id, key string
	hook    string // the endpoint's id
	secret  string // the endpoint's
	inbox   *inbox
}

// merchantOptions are what differs between merchants.
type merchantOptions struct {
	create []string // further flags of merchant create
	events string   // what the endpoint subscribes to, comma-separated; "" for all
}

func (w *world) merchant(t *testing.T, opts merchantOptions) *merchant {
	t.Helper()
	m := &merchant{w: w, inbox: w.newInbox(t)}
	var created struct {
		ID string `json:"merchant_id"`
	}
	w.sluice(t, &created, append([]string{"merchant", "create", "--name", t.Name(), "--requests-per-minute", "100000"}, opts.create...)...)
	m.id = created.ID
	var key struct{ Key string }
	w.sluice(t, &key, "key", "create", "--merchant", m.id, "--mode", "test")
	m.key = key.Key
	w.allow(t, m.id, m.inbox.url)
	args := []string{"endpoint", "create", "--merchant", m.id, "--mode", "test", "--url", m.inbox.url}
	if opts.events != "" {
		args = append(args, "--events", opts.events)
	}
	var hook struct {
		ID     string `json:"endpoint_id"`
		Secret string `json:"secret"`
	}
	w.sluice(t, &hook, args...)
	m.hook = hook.ID
	m.secret = hook.Secret
	m.inbox.trust(t, m.secret)
	m.dumpWhenFailed(t)
	return m
}

// order is an order as the API and callbacks show it.
type order struct {
	ID             string    `json:"id"`
	State          string    `json:"state"`
	Labels         []string  `json:"labels"`
	Chain          string    `json:"chain"`
	Asset          string    `json:"asset"`
	Amount         string    `json:"amount"`
	AmountReceived string    `json:"amount_received"`
	Address        string    `json:"address"`
	ExpiresAt      time.Time `json:"expires_at"`
}

// paymentView is a payment as the API and callbacks show it.
type paymentView struct {
	ID     string `json:"id"`
	State  string `json:"state"`
	Amount string `json:"amount"`
	TxHash string `json:"tx_hash"`
	Late   bool   `json:"late"`
}

// request asks for an order.
type request struct {
	Chain         string `json:"chain"`
	Asset         string `json:"asset"`
	Amount        string `json:"amount"`
	ExpiresIn     int    `json:"expires_in,omitempty"`
	Confirmations int    `json:"confirmations,omitempty"`
}

// answer is what the API said.
type answer struct {
	status int
	header http.Header
	body   []byte
}

func (a answer) String() string { return fmt.Sprintf("%d %s", a.status, a.body) }

// problem is the code of a refusal.
func (a answer) problem() string {
	var p struct{ Code string }
	_ = json.Unmarshal(a.body, &p)
	return p.Code
}

// retryAfter is the wait that the answer asks for, 0 when it asks for none.
func (a answer) retryAfter() time.Duration {
	seconds, err := strconv.Atoi(a.header.Get("Retry-After"))
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

// into decodes a successful answer.
func (a answer) into(t *testing.T, status int, value any) {
	t.Helper()
	require.Equal(t, status, a.status, a.String())
	require.NoError(t, json.Unmarshal(a.body, value))
}

// httpPatience is longer than the API takes to say that it cannot.
const httpPatience = await.Broken

// try sends a request. The error is that no answer came.
func (m *merchant) try(ctx context.Context, method, path, idempotencyKey string, body any) (answer, error) {
	ctx, cancel := context.WithTimeout(ctx, httpPatience)
	defer cancel()
	var content bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&content).Encode(body); err != nil {
			return answer{}, err
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, m.w.APIURL()+path, &content)
	if err != nil {
		return answer{}, err
	}
	r.Header.Set("Authorization", "Bearer "+m.key)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if idempotencyKey != "" {
		r.Header.Set("Idempotency-Key", idempotencyKey)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return answer{status: response.StatusCode, header: response.Header, body: raw}, err
}

func (m *merchant) call(t *testing.T, method, path, idempotencyKey string, body any) answer {
	t.Helper()
	a, err := m.try(t.Context(), method, path, idempotencyKey, body)
	require.NoError(t, err)
	return a
}

// post creates an order under its key. Only tests that are about creating orders look at anything but success.
func (m *merchant) post(t *testing.T, key string, r request) answer {
	t.Helper()
	return m.call(t, http.MethodPost, "/v1/orders", key, r)
}

// order creates an order that is expected to come about.
func (m *merchant) order(t *testing.T, r request) order {
	t.Helper()
	if r.Chain == "" {
		r.Chain = dev
	}
	var o order
	m.repeat(t, newKey(t), r).into(t, http.StatusCreated, &o)
	require.Equal(t, "awaiting_payment", o.State)
	require.Empty(t, o.Labels)
	return o
}

func (m *merchant) get(t *testing.T, id string) order {
	t.Helper()
	var o order
	m.insist(t, http.MethodGet, "/v1/orders/"+id, "", nil).into(t, http.StatusOK, &o)
	return o
}

func (m *merchant) payments(t *testing.T, id string) []paymentView {
	t.Helper()
	var page struct{ Data []paymentView }
	m.insist(t, http.MethodGet, "/v1/orders/"+id+"/payments", "", nil).into(t, http.StatusOK, &page)
	return page.Data
}

func (m *merchant) cancel(t *testing.T, id string) answer {
	t.Helper()
	return m.insist(t, http.MethodPost, "/v1/orders/"+id+"/cancel", "", nil)
}

// repeat sends the same creation until it is decided.
func (m *merchant) repeat(t *testing.T, key string, r request) answer {
	t.Helper()
	return m.insist(t, http.MethodPost, "/v1/orders", key, r)
}

// insist sends the same request again and again, as long apart as it is told to, until there is another answer than "later":
// what a busy machine says, too.
func (m *merchant) insist(t *testing.T, method, path, key string, body any) answer {
	t.Helper()
	deadline := time.Now().Add(patience)
	for {
		a, err := m.try(t.Context(), method, path, key, body)
		if err == nil && a.status != http.StatusServiceUnavailable && a.problem() != "idempotency_in_flight" {
			return a
		}
		require.NoError(t, err)
		require.Positive(t, a.retryAfter(), "%s", a)
		require.True(t, time.Now().Before(deadline), "still %s", a)
		wait := time.NewTimer(a.retryAfter())
		select {
		case <-wait.C:
		case <-t.Context().Done():
			t.Fatal(t.Context().Err())
		}
	}
}
