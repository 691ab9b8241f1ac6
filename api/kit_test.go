package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/legacy"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// kit is a server on a real database, with a merchant who has a key of all scopes and a wallet. Temporal and the workers
// are a fake that does what workers do.
type kit struct {
	*storetest.Bundle
	temporal *fakeTemporal
	server   *api.Server
	http     *httptest.Server
	spec     routers.Router
	logs     *logBuffer
	key      string
	xpub     hd.ExtendedPublicKey
}

type options struct {
	config   func(*api.Config)
	merchant func(*store.NewMerchant)
}

func setup(t testing.TB, change ...func(*api.Config)) *kit {
	t.Helper()
	return setupWith(t, options{config: func(c *api.Config) {
		for _, f := range change {
			f(c)
		}
	}})
}

func setupWith(t testing.TB, o options) *kit {
	t.Helper()
	k := &kit{logs: &logBuffer{}}
	if o.merchant == nil {
		o.merchant = func(*store.NewMerchant) {}
	}
	k.Bundle = storetest.New(t, o.merchant)
	k.addWallet(t)
	k.key, _ = k.newKey(t, k.Merchant, payment.ModeTest)
	k.temporal = &fakeTemporal{db: k.App, xpub: k.xpub}
	config := api.Config{
		Store: k.App, Temporal: k.temporal, Verifier: verifier{k.Keys}, OpenTimeout: await.Broken,
		Logger: slog.New(slog.NewJSONHandler(k.logs, &slog.HandlerOptions{Level: slog.LevelDebug})),
	}
	if o.config != nil {
		o.config(&config)
	}
	server, err := api.New(config)
	require.NoError(t, err)
	k.server = server
	k.http = httptest.NewServer(server.Handler())
	t.Cleanup(k.http.Close)
	spec, err := api.GetSpec()
	require.NoError(t, err)
	spec.Servers = nil
	k.spec, err = legacy.NewRouter(spec)
	require.NoError(t, err)
	return k
}

// addWallet gives the merchant a wallet that addresses can be derived from.
func (k *kit) addWallet(t testing.TB) {
	t.Helper()
	mnemonic, err := hd.NewMnemonic(12)
	require.NoError(t, err)
	k.xpub, err = hd.AccountXPub(mnemonic, "")
	require.NoError(t, err)
	w := store.NewWallet{
		Wallet: store.Wallet{
			ID: payment.NewXPubID(), Family: payment.FamilyEVM, Merchant: k.Merchant,
			Xpub: seal.NewSecret(k.xpub.Reveal()), Path: hd.AccountPath,
		},
		Fingerprint: k.xpub.Fingerprint(),
	}
	w.MAC = w.Sign(k.Keys)
	require.NoError(t, k.DB.AddWallet(t.Context(), w, storetest.By()))
	k.Wallet = w.ID
}

// newKey makes an API key; no scopes means all.
func (k *kit) newKey(t testing.TB, merchant payment.MerchantID, mode payment.Mode, scopes ...string) (string, payment.KeyID) {
	t.Helper()
	if len(scopes) == 0 {
		scopes = store.Scopes()
	}
	key, prefix, hash := api.NewAPIKey(mode)
	id := payment.NewKeyID()
	require.NoError(t, k.DB.CreateKey(t.Context(), store.NewKey{
		ID: id, Merchant: merchant, Mode: mode, Hash: hash, Prefix: prefix, Scopes: scopes,
	}, storetest.By()))
	return key, id
}

// verifier is the one of the programs: the wallet is authentic, and it derives the address.
type verifier struct{ keys seal.Keyring }

func (v verifier) VerifyAddress(origin store.Origin) error {
	if err := origin.Wallet.Verify(v.keys); err != nil {
		return err
	}
	xpub, err := hd.ParseXPub(origin.Wallet.Xpub.Reveal())
	if err != nil {
		return err
	}
	derived, err := xpub.Derive(origin.Index)
	if err == nil && derived != origin.Address {
		err = errors.New("another address")
	}
	return err
}

// answer is a response, read to its end and held against the document.
type answer struct {
	status int
	header http.Header
	body   string
}

func (a answer) problem(t testing.TB) api.Problem {
	t.Helper()
	require.Equal(t, "application/problem+json", a.header.Get("Content-Type"), a.body)
	var p api.Problem
	require.NoError(t, json.Unmarshal([]byte(a.body), &p), a.body)
	require.Equal(t, a.status, p.Status)
	require.Equal(t, a.header.Get("X-Request-Id"), p.RequestID)
	require.NotEmpty(t, p.Title)
	return p
}

func (a answer) order(t testing.TB) payment.OrderSnapshot {
	t.Helper()
	var order payment.OrderSnapshot
	require.NoError(t, json.Unmarshal([]byte(a.body), &order), a.body)
	return order
}

// requireProblem checks everything that programs go by.
func requireProblem(t testing.TB, a answer, status int, code payment.Code, param string) {
	t.Helper()
	require.Equal(t, status, a.status, a.body)
	p := a.problem(t)
	require.Equal(t, string(code), p.Code, a.body)
	got := ""
	if p.Param != nil {
		got = *p.Param
	}
	require.Equal(t, param, got, a.body)
	require.NotNil(t, p.Detail, "a person is told something too")
}

// request makes a request with the kit's key.
func (k *kit) request(t testing.TB, method, path, body string) *http.Request {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, k.http.URL+path, strings.NewReader(body))
	require.NoError(t, err)
	r.Header.Set("Authorization", "Bearer "+k.key)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (k *kit) do(t testing.TB, r *http.Request) answer {
	t.Helper()
	response, err := k.http.Client().Do(r)
	require.NoError(t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	a := answer{status: response.StatusCode, header: response.Header, body: string(body)}
	k.requireDocumented(t, r, a)
	return a
}

// requireDocumented holds an answer against the document: status, headers and body.
func (k *kit) requireDocumented(t testing.TB, r *http.Request, a answer) {
	t.Helper()
	bare := r.Clone(context.Background())
	bare.URL.Scheme, bare.URL.Host, bare.Host = "", "", ""
	route, path, err := k.spec.FindRoute(bare)
	if err != nil {
		return // nothing is promised for paths and methods that do not exist
	}
	require.NoError(t, openapi3filter.ValidateResponse(context.Background(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: &openapi3filter.RequestValidationInput{Request: bare, PathParams: path, Route: route},
		Status:                 a.status, Header: a.header, Body: io.NopCloser(strings.NewReader(a.body)),
		Options: &openapi3filter.Options{IncludeResponseStatus: true},
	}), a.body)
}

func (k *kit) get(t testing.TB, path string) answer {
	t.Helper()
	return k.do(t, k.request(t, http.MethodGet, path, ""))
}

// post creates an order under an idempotency key.
func (k *kit) post(t testing.TB, key, body string) answer {
	t.Helper()
	return k.do(t, k.creation(t, key, body))
}

func (k *kit) creation(t testing.TB, key, body string) *http.Request {
	t.Helper()
	r := k.request(t, http.MethodPost, "/v1/orders", body)
	r.Header.Set("Idempotency-Key", key)
	return r
}

func (k *kit) cancel(t testing.TB, id payment.OrderID) answer {
	t.Helper()
	return k.do(t, k.request(t, http.MethodPost, "/v1/orders/"+string(id)+"/cancel", ""))
}

// create makes an order that waits for 25 USDC.
func (k *kit) create(t testing.TB, key string) payment.OrderSnapshot {
	t.Helper()
	a := k.post(t, key, simple)
	require.Equal(t, http.StatusCreated, a.status, a.body)
	return a.order(t)
}

// simple is the smallest order.
const simple = `{"chain":"dev","asset":"USDC","amount":"25.00"}`

// counts are the rows of every table.
func (k *kit) counts(t testing.TB) map[string]int64 {
	t.Helper()
	rows, err := k.PG.Owner.Query(context.Background(), `SELECT relname, (xpath('/row/n/text()', query_to_xml('SELECT count(*) AS n FROM ' || quote_ident(relname), false, true, '')))[1]::text::bigint
		FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace`)
	require.NoError(t, err)
	defer rows.Close()
	counts := map[string]int64{}
	for rows.Next() {
		var table string
		var n int64
		require.NoError(t, rows.Scan(&table, &n))
		counts[table] = n
	}
	require.NoError(t, rows.Err())
	require.Contains(t, counts, "orders")
	return counts
}

// logBuffer collects the log.
type logBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
