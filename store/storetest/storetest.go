// Package storetest sets up what tests on a real database need: a merchant with keys and a wallet, a chain with a coin and a
// token, orders in some state, payments as a watcher would have recorded them.
//
// A package that uses it has a TestMain that calls pgtest.Main.
package storetest

import (
	"crypto/rand"
	"crypto/sha256"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// Chain is the name of the chain that every bundle has; Other is a second one of the same family. Both are of test mode. Live is one of
// live mode, which a bundle has after EnableLive.
const (
	Chain = "dev"
	Other = "other"
	Live  = "live"
)

// Confirmations is the policy of the bundle's chains.
const Confirmations = 3

// Bundle is a database of a test's own, with a merchant, two chains, their coins and a token.
type Bundle struct {
	PG *pgtest.DB
	// DB has the rights of a chain worker, which may do what every program does. App has those of the others.
	DB, App *store.DB
	Keys    seal.Keyring
	// Merchant has the default policies, an API key of all scopes and a wallet. Mode is its orders' mode.
	Merchant  payment.MerchantID
	Principal store.Principal
	Mode      payment.Mode
	Wallet    payment.XPubID
	// Native and Token are on Chain (18 and 6 decimals), OtherNative is on Other.
	Native, Token, OtherNative payment.Asset
}

// By is who does what tests do by hand.
func By() process.By { return process.By{Actor: "tester", Reason: "a test"} }

// New makes a bundle. Change alters the merchant before it is created.
func New(tb testing.TB, change ...func(*store.NewMerchant)) *Bundle {
	tb.Helper()
	pg := pgtest.New(tb)
	keys, _ := seal.NewRandomKeyring()
	b := &Bundle{PG: pg, DB: Open(tb, pg.ChainURL), App: Open(tb, pg.AppURL), Keys: *keys, Mode: payment.ModeTest}
	token, err := payment.AddressFromBytes(payment.FamilyEVM, Bytes(20))
	require.NoError(tb, err)
	b.Native = payment.Asset{ID: payment.NativeAsset(Chain), Symbol: "ETH", Decimals: 18}
	b.Token = payment.Asset{ID: payment.TokenAsset(Chain, token), Symbol: "USDC", Decimals: 6}
	b.OtherNative = payment.Asset{ID: payment.NativeAsset(Other), Symbol: "ETH", Decimals: 18}
	b.EnableChain(tb, Chain, 1337, b.Native)
	b.EnableChain(tb, Other, 7331, b.OtherNative)
	require.NoError(tb, b.DB.AddToken(tb.Context(), store.NewAsset{
		ID: b.Token.ID, Code: b.Token.Symbol, Decimals: b.Token.Decimals, DustBelow: payment.AmountFromUint64(1000),
	}, By()))
	b.Merchant, b.Principal = b.NewMerchant(tb, change...)
	b.Wallet = b.AddWallet(tb, "", 0)
	return b
}

// Open opens a store, closed when the test ends.
func Open(tb testing.TB, url string) *store.DB {
	tb.Helper()
	db, err := store.Open(tb.Context(), url, store.Options{MaxConns: 16, ApplicationName: "test", StatementTimeout: await.Broken})
	require.NoError(tb, err)
	tb.Cleanup(db.Close)
	return db
}

// EnableChain adds a chain of test mode that was read up to block 100, a minute ago, without a hole.
func (b *Bundle) EnableChain(tb testing.TB, name string, chainID uint64, native payment.Asset, change ...func(*store.Chain)) {
	tb.Helper()
	settings := store.Chain{
		Name: name, Family: payment.FamilyEVM, ChainID: chainID, Mode: payment.ModeTest, DisplayName: name, BlockTime: time.Second,
		Policy:  payment.ConfirmationPolicy{Confirmations: Confirmations},
		Horizon: 64, StartBlock: 0, MaxRange: 500, MaxLag: 10 * time.Minute,
	}
	for _, f := range change {
		f(&settings)
	}
	require.NoError(tb, b.DB.EnableChain(tb.Context(), settings, store.NewAsset{ID: native.ID, Code: native.Symbol, Decimals: native.Decimals, DustBelow: payment.AmountFromUint64(1000)}, nil, By()))
	b.ReadTo(tb, name, 100, time.Now().Add(-time.Minute))
}

// EnableLive adds the chain of live mode, with a coin and a token of the names that the others have.
func (b *Bundle) EnableLive(tb testing.TB) {
	tb.Helper()
	coin := payment.Asset{ID: payment.NativeAsset(Live), Symbol: b.Native.Symbol, Decimals: b.Native.Decimals}
	b.EnableChain(tb, Live, 1777, coin, func(c *store.Chain) { c.Mode = payment.ModeLive })
	require.NoError(tb, b.DB.AddToken(tb.Context(), store.NewAsset{
		ID: payment.TokenAsset(Live, b.Token.ID.Contract), Code: b.Token.Symbol, Decimals: b.Token.Decimals, DustBelow: payment.AmountFromUint64(1000),
	}, By()))
	b.ReadTo(tb, Live, 100, time.Now().Add(-time.Minute))
}

// OnLive makes an order one of live mode, on the chain of EnableLive.
func OnLive(n *store.NewOrder) { n.Mode, n.Chain = payment.ModeLive, Live }

// NewMerchant adds a merchant with an API key of all scopes.
func (b *Bundle) NewMerchant(tb testing.TB, change ...func(*store.NewMerchant)) (payment.MerchantID, store.Principal) {
	tb.Helper()
	id := payment.NewMerchantID()
	test := b.Keys.Seal([]byte("whsec_merchant_test"), store.MerchantSecretPlace(id, payment.ModeTest))
	m := store.NewMerchant{
		ID: id, Name: "Shop", OrdersPerMinute: 1_000_000, MaxOpenOrders: 1_000_000, RequestsPerMinute: 1_000_000,
		CallbackSecret:     b.Keys.Seal([]byte("whsec_merchant"), store.MerchantSecretPlace(id, payment.ModeLive)),
		TestCallbackSecret: &test,
	}
	for _, f := range change {
		f(&m)
	}
	require.NoError(tb, b.DB.CreateMerchant(tb.Context(), m, By()))
	key, keyID := Bytes(32), payment.NewKeyID()
	require.NoError(tb, b.DB.CreateKey(tb.Context(), store.NewKey{
		ID: keyID, Merchant: id, Mode: payment.ModeTest, Hash: sha256.Sum256(key), Prefix: "sk_test_", Scopes: store.Scopes(),
	}, By()))
	return id, store.Principal{MerchantID: id, Mode: payment.ModeTest, Scopes: store.Scopes(), KeyID: keyID}
}

// AddWallet adds a wallet of a merchant, or the default one for "". Nothing can be derived from its key.
func (b *Bundle) AddWallet(tb testing.TB, merchant payment.MerchantID, first uint32) payment.XPubID {
	tb.Helper()
	w := store.NewWallet{
		Wallet: store.Wallet{
			ID: payment.NewXPubID(), Family: payment.FamilyEVM, Merchant: merchant,
			Xpub: seal.NewSecret("xpub" + rand.Text() + rand.Text()), Path: "m/44'/60'/0'",
		},
		Fingerprint: [32]byte(Bytes(32)), FirstIndex: first,
	}
	w.MAC = w.Sign(b.Keys)
	require.NoError(tb, b.DB.AddWallet(tb.Context(), w, By()))
	return w.ID
}

// AddEndpoint adds an endpoint of the bundle's merchant; no events means all.
func (b *Bundle) AddEndpoint(tb testing.TB, url string, events ...payment.EventType) payment.EndpointID {
	tb.Helper()
	id := payment.NewEndpointID()
	result, err := b.DB.CreateEndpoint(tb.Context(), store.NewEndpoint{
		ID: id, Merchant: b.Merchant, Mode: b.Mode, URL: url, Events: events,
		Secret: b.Keys.Seal([]byte("whsec_endpoint"), seal.Place{Purpose: store.SealEndpointSecret, RowID: string(id)}),
	}, By())
	require.NoError(tb, err)
	return result.ID
}

// NewOrder is a request for 25 of the token that nobody made before.
func (b *Bundle) NewOrder(change ...func(*store.NewOrder)) store.NewOrder {
	n := store.NewOrder{
		Merchant: b.Merchant, Mode: b.Mode, IdempotencyKey: rand.Text(), BodyHash: [32]byte(Bytes(32)), Owner: rand.Text(),
		Chain: Chain, Asset: b.Token.Symbol, Amount: payment.AmountFromUint64(25_000_000), ExpiresIn: 30 * time.Minute,
	}
	for _, f := range change {
		f(&n)
	}
	return n
}

// Opening creates an order that has no address yet.
func (b *Bundle) Opening(tb testing.TB, change ...func(*store.NewOrder)) payment.OrderID {
	tb.Helper()
	claim, err := b.DB.CreateOrder(tb.Context(), b.NewOrder(change...))
	require.NoError(tb, err)
	require.Equal(tb, store.ClaimFresh, claim.Outcome)
	return claim.OrderID
}

// Order creates an order that waits for its payment, at an address that nobody has the key of.
func (b *Bundle) Order(tb testing.TB, change ...func(*store.NewOrder)) process.OrderView {
	tb.Helper()
	id := b.Opening(tb, change...)
	allocation, err := b.DB.BeginAllocation(tb.Context(), id)
	require.NoError(tb, err)
	if allocation.Known != nil {
		v, err := b.DB.ReuseAddress(tb.Context(), id, allocation.Known.Address)
		require.NoError(tb, err)
		return v
	}
	index, err := b.DB.ReserveIndex(tb.Context(), b.Wallet)
	require.NoError(tb, err)
	v, err := b.DB.FinishAllocation(tb.Context(), id, b.Wallet, index, Address())
	require.NoError(tb, err)
	require.Equal(tb, payment.StateAwaitingPayment, v.State)
	return v
}

// Of makes an order one of a customer's, paid to his standing address.
func Of(customer string) func(*store.NewOrder) {
	return func(n *store.NewOrder) { n.CustomerID, n.AddressMode = customer, payment.AddressPerCustomer }
}

// Owing makes an order ask for this much.
func Owing(amount uint64) func(*store.NewOrder) {
	return func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(amount) }
}

// Address is a fresh random address.
func Address() payment.Address {
	a, err := payment.AddressFromBytes(payment.FamilyEVM, Bytes(20))
	if err != nil {
		panic(err) // twenty bytes are an address
	}
	return a
}

// Hash is a fresh random hash.
func Hash() payment.Hash { return payment.Hash(Bytes(32)) }

// Bytes are n random bytes.
func Bytes(n int) []byte {
	raw := make([]byte, n)
	_, _ = rand.Read(raw) // never fails
	return raw
}
