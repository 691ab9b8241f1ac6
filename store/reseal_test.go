package store_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// sealed is a bundle with something of every kind under an old key, and what it says.
type sealed struct {
	*storetest.Bundle

	old, both seal.Keyring
	endpoint  payment.EndpointID
	node      store.RPCEndpoint
}

func setupSealed(t *testing.T) *sealed {
	t.Helper()
	s := &sealed{Bundle: storetest.New(t)}
	_, text := seal.NewRandomKeyring()
	old, err := seal.ParseKeyring(strings.Replace(text.Reveal(), "k1:", "old:", 1))
	require.NoError(t, err)
	_, newer := seal.NewRandomKeyring()
	both, err := seal.ParseKeyring(strings.Replace(newer.Reveal(), "k1:", "new:", 1) + "," + strings.Replace(text.Reveal(), "k1:", "old:", 1))
	require.NoError(t, err)
	s.old, s.both = *old, *both

	// The bundle was made under a key of its own: once more, under the old one.
	live := s.old.Seal([]byte("whsec_live"), store.MerchantSecretPlace(s.Merchant, payment.ModeLive))
	test := s.old.Seal([]byte("whsec_test"), store.MerchantSecretPlace(s.Merchant, payment.ModeTest))
	s.Exec(t, `UPDATE merchants SET callback_secret = $1, callback_secret_key = $2, test_callback_secret = $3, test_callback_secret_key = $4`,
		live.Bytes, live.KeyID, test.Bytes, test.KeyID)
	s.signWallets(t)
	s.endpoint = s.addEndpoint(t, "https://shop.example/hook")
	previous := s.old.Seal([]byte("whsec_previous"), store.EndpointSecretPlace(s.endpoint))
	s.Exec(t, `UPDATE webhook_endpoints SET previous_secret = $1, previous_secret_key = $2, previous_secret_until = now() + interval '1 day'`, previous.Bytes, previous.KeyID)
	s.Opening(t, func(n *store.NewOrder) { n.CallbackURL = "https://shop.example/orders" }) // copies the merchant's secret
	s.node = store.RPCEndpoint{Operator: "acme", Fingerprint: sha256.Sum256([]byte("url"))}
	s.node.URL = s.old.Seal([]byte("https://node.example/key"), s.node.URLPlace(storetest.Chain))
	ws := s.old.Seal([]byte("wss://node.example/key"), s.node.WSURLPlace(storetest.Chain))
	s.node.WSURL = &ws
	settings, err := s.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.NoError(t, s.DB.EnableChain(t.Context(), settings, store.NewAsset{ID: s.Native.ID, Code: "ETH", Decimals: 18}, []store.RPCEndpoint{s.node}, storetest.By()))
	return s
}

// signWallets gives every wallet's row a code under the old key.
func (s *sealed) signWallets(t *testing.T) {
	t.Helper()
	w := s.wallet(t)
	mac := w.Sign(s.old)
	s.Exec(t, `UPDATE xpubs SET mac = $1, mac_key = $2`, mac.Sum, mac.KeyID)
}

func (s *sealed) wallet(t *testing.T) store.Wallet {
	t.Helper()
	allocation, err := s.DB.BeginAllocation(t.Context(), s.Opening(t))
	require.NoError(t, err)
	return allocation.Wallet
}

func (s *sealed) addEndpoint(t *testing.T, url string) payment.EndpointID {
	t.Helper()
	id := payment.NewEndpointID()
	_, err := s.DB.CreateEndpoint(t.Context(), store.NewEndpoint{
		ID: id, Merchant: s.Merchant, Mode: s.Mode, URL: url, Secret: s.old.Seal([]byte("whsec_endpoint"), store.EndpointSecretPlace(id)),
	}, storetest.By())
	require.NoError(t, err)
	return id
}

// requireOpen opens everything with the new key alone.
func (s *sealed) requireOpen(t *testing.T) {
	t.Helper()
	only := s.both.CurrentOnly()
	require.NoError(t, s.wallet(t).Verify(only))
	nodes, err := s.DB.ListRPCEndpoints(t.Context(), storetest.Chain)
	require.NoError(t, err)
	for want, opened := range map[string]func() ([]byte, error){
		"https://node.example/key": func() ([]byte, error) { return only.Open(nodes[0].URL, nodes[0].URLPlace(storetest.Chain)) },
		"wss://node.example/key":   func() ([]byte, error) { return only.Open(*nodes[0].WSURL, nodes[0].WSURLPlace(storetest.Chain)) },
		"whsec_live":               s.column(t, only, `SELECT callback_secret FROM merchants`, store.MerchantSecretPlace(s.Merchant, payment.ModeLive)),
		"whsec_test":               s.column(t, only, `SELECT test_callback_secret FROM merchants`, store.MerchantSecretPlace(s.Merchant, payment.ModeTest)),
		"whsec_test ":              s.column(t, only, `SELECT secret FROM webhook_endpoints WHERE sealed_for IS NOT NULL`, store.MerchantSecretPlace(s.Merchant, payment.ModeTest)),
		"whsec_endpoint":           s.column(t, only, `SELECT secret FROM webhook_endpoints WHERE id = '`+string(s.endpoint)+`'`, store.EndpointSecretPlace(s.endpoint)),
		"whsec_previous":           s.column(t, only, `SELECT previous_secret FROM webhook_endpoints WHERE id = '`+string(s.endpoint)+`'`, store.EndpointSecretPlace(s.endpoint)),
	} {
		text, err := opened()
		require.NoError(t, err, want)
		require.Equal(t, strings.TrimSpace(want), string(text))
	}
}

func (s *sealed) column(t *testing.T, keys seal.Keyring, query string, at seal.Place) func() ([]byte, error) {
	t.Helper()
	value := storetest.Value[[]byte](t, s.Bundle, query)
	return func() ([]byte, error) { return keys.Open(seal.Sealed{KeyID: "new", Bytes: value}, at) }
}

func TestResealing(t *testing.T) {
	t.Parallel()
	s := setupSealed(t)
	uses, err := s.DB.KeyUses(t.Context())
	require.NoError(t, err)
	require.ElementsMatch(t, []store.KeyUse{
		{KeyID: "old", What: store.SealMerchantSecret, Rows: 2}, {KeyID: "old", What: store.SealEndpointSecret, Rows: 3},
		{KeyID: "old", What: store.SealRPCURL, Rows: 1}, {KeyID: "old", What: store.SealRPCWSURL, Rows: 1}, {KeyID: "old", What: store.MACXpub, Rows: 1},
	}, uses)

	done, err := s.DB.Reseal(t.Context(), s.both, storetest.By())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Changed: 5, Checked: 5}, done)
	s.requireOpen(t)
	done, err = s.DB.Reseal(t.Context(), s.both, storetest.By())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Checked: 5}, done, "doing it again changes nothing")
	require.Equal(t, 1, storetest.Value[int](t, s.Bundle, `SELECT count(*)::int FROM audit WHERE action = 'master_key.reseal' AND subject = 'new' AND actor = 'tester'`))
}

// endAfter ends the context when some statements of a name were begun.
type endAfter struct {
	mu   sync.Mutex
	name string
	left int
	end  func()
}

func (e *endAfter) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	e.mu.Lock()
	defer e.mu.Unlock()
	if strings.Contains(data.SQL, e.name) {
		if e.left--; e.left == 0 {
			e.end()
		}
	}
	return ctx
}

func (e *endAfter) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}

func TestResealingGoesOnWhereItEnded(t *testing.T) {
	t.Parallel()
	s := setupSealed(t)
	for i := range 450 {
		s.addEndpoint(t, fmt.Sprintf("https://shop.example/%d", i))
	}
	ctx, end := context.WithCancel(t.Context())
	db, err := store.Open(t.Context(), s.PG.AppURL, store.Options{MaxConns: 2, Tracer: &endAfter{name: "name: ResealEndpoint", left: 300, end: end}})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.Reseal(ctx, s.both, storetest.By())
	require.Error(t, err, "it was ended in the second page")
	require.Equal(t, 200, storetest.Value[int](t, s.Bundle, `SELECT count(*)::int FROM webhook_endpoints WHERE secret_key = 'new'`), "a page is whole or not there")

	done, err := s.DB.Reseal(t.Context(), s.both, storetest.By())
	require.NoError(t, err)
	require.Equal(t, store.Resealed{Changed: 252 + 2, Checked: 455}, done)
	s.requireOpen(t)
}

// A new code would make a row that somebody swapped authentic.
func TestASwappedWalletGetsNoNewCode(t *testing.T) {
	t.Parallel()
	s := setupSealed(t)
	s.Exec(t, `UPDATE xpubs SET xpub = 'xpub' || repeat('a', 60)`)
	s.Exec(t, `UPDATE webhook_endpoints SET secret = decode(repeat('00', 60), 'hex') WHERE id = $1`, s.endpoint)
	done, err := s.DB.Reseal(t.Context(), s.both, storetest.By())
	require.NoError(t, err)
	require.Len(t, done.Broken, 2)
	require.Contains(t, done.Broken[0], string(s.endpoint))
	require.Contains(t, done.Broken[1], string(s.Wallet))
	require.Equal(t, []store.KeyUse{
		{KeyID: "old", What: store.SealEndpointSecret, Rows: 2}, {KeyID: "old", What: store.MACXpub, Rows: 1},
	}, done.Left)
	require.Equal(t, "old", storetest.Value[string](t, s.Bundle, `SELECT mac_key FROM xpubs`))
}

// An order that was begun before copies the merchant's secret as it was then, and commits when everything was gone through.
func TestASecretThatIsCopiedMeanwhileIsSealedAgainToo(t *testing.T) {
	t.Parallel()
	s := setupSealed(t)
	tx, err := s.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	_, err = tx.Exec(t.Context(), `INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, secret, secret_key, sealed_for)
		SELECT 'whk_aaaaaaaaaaaaaaaaaaaaaaaaaa', id, 'test', 'https://shop.example/late', 'order', test_callback_secret, test_callback_secret_key, id FROM merchants`)
	require.NoError(t, err)
	result := make(chan store.Resealed, 1)
	go func() {
		done, err := s.DB.Reseal(t.Context(), s.both, storetest.By())
		if err != nil {
			t.Error(err)
		}
		result <- done
	}()
	await.Until(t, func() bool {
		return storetest.Value[int](t, s.Bundle, `SELECT count(*)::int FROM pg_locks WHERE mode = 'ShareLock' AND NOT granted AND relation IS NOT NULL`) > 0
	}, "it waits for who writes")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, store.Resealed{Changed: 6, Checked: 6}, <-result)
	s.requireOpenCopies(t)
}

func (s *sealed) requireOpenCopies(t *testing.T) {
	t.Helper()
	require.Zero(t, storetest.Value[int](t, s.Bundle, `SELECT count(*)::int FROM webhook_endpoints WHERE secret_key <> 'new'`))
}
