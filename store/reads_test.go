package store_test

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestAuthenticate(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	hash := sha256.Sum256([]byte("sk_live_x"))
	key := store.NewKey{
		ID: payment.NewKeyID(), Merchant: b.Merchant, Mode: payment.ModeLive, Hash: hash, Prefix: "sk_live_abcd",
		Scopes: []string{store.ScopeOrdersRead},
	}
	for range 2 {
		require.NoError(t, b.DB.CreateKey(t.Context(), key, storetest.By()), "the same again changes nothing")
	}
	who, err := b.DB.Authenticate(t.Context(), hash)
	require.NoError(t, err)
	require.Equal(t, store.Principal{
		MerchantID: b.Merchant, Mode: payment.ModeLive, Scopes: []string{store.ScopeOrdersRead}, KeyID: key.ID,
		RequestsPerMinute: 1_000_000, OrdersPerMinute: 1_000_000,
	}, who)
	require.True(t, who.Has(store.ScopeOrdersRead))
	require.False(t, who.Has(store.ScopeOrdersWrite))

	_, err = b.DB.Authenticate(t.Context(), sha256.Sum256([]byte("sk_live_y")))
	require.Equal(t, payment.CodeUnauthorized, payment.CodeOf(err))
	b.Exec(t, `UPDATE merchants SET disabled_at = now()`)
	_, err = b.DB.Authenticate(t.Context(), hash)
	require.NoError(t, err, "a disabled merchant still reads")
	b.Exec(t, `UPDATE merchants SET disabled_at = NULL`)
	for range 2 {
		require.NoError(t, b.DB.RevokeKey(t.Context(), key.ID, storetest.By()))
		_, err = b.DB.Authenticate(t.Context(), hash)
		require.Equal(t, payment.CodeKeyRevoked, payment.CodeOf(err))
	}
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action = 'key.revoke'`))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(b.DB.RevokeKey(t.Context(), payment.NewKeyID(), storetest.By())))
	for _, bad := range []func(*store.NewKey){
		func(k *store.NewKey) { k.Scopes = []string{"orders:delete"} },
		func(k *store.NewKey) { k.Scopes = nil },
		func(k *store.NewKey) { k.Mode = "prod" },
		func(k *store.NewKey) { k.Merchant = payment.NewMerchantID() },
		func(k *store.NewKey) {}, // the same secret under another id
	} {
		k := key
		k.ID = payment.NewKeyID()
		bad(&k)
		require.Error(t, b.DB.CreateKey(t.Context(), k, storetest.By()))
	}
}

func TestAnotherMerchantsOrderDoesNotExist(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order, _ := b.Paid(t)
	_, other := b.NewMerchant(t)
	live := b.Principal
	live.Mode = payment.ModeLive
	for _, who := range []store.Principal{other, live} {
		_, err := b.DB.GetOrder(t.Context(), who, order.ID)
		require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
		_, err = b.DB.ListPayments(t.Context(), who, order.ID, "", 10)
		require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
		page, err := b.DB.ListOrders(t.Context(), who, store.OrderFilter{}, "", 10)
		require.NoError(t, err)
		require.Empty(t, page.Items)
		list, err := b.DB.Balances(t.Context(), who)
		require.NoError(t, err)
		require.Empty(t, list)
	}
	_, err := b.DB.GetOrder(t.Context(), b.Principal, "ord_\x00'; --")
	require.Error(t, err)
}

func TestListOrdersPagesWithoutGapsOrTwins(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	want := map[payment.OrderID]bool{}
	for i := range 23 {
		want[b.Order(t, func(n *store.NewOrder) { n.Reference = fmt.Sprintf("r%d", i%5) }).ID] = true
	}
	b.Opening(t)
	b.Exec(t, `UPDATE orders SET created_at = '2026-01-01T00:00:00.123456Z' WHERE id IN (SELECT id FROM orders ORDER BY id LIMIT 12)`) // one moment
	seen := map[payment.OrderID]bool{}
	cursor, pages := "", 0
	var last time.Time
	for {
		page, err := b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{}, cursor, 5)
		require.NoError(t, err)
		pages++
		for _, order := range page.Items {
			require.False(t, seen[order.ID], "twice")
			require.True(t, last.IsZero() || !order.CreatedAt.After(last), "newest first")
			seen[order.ID], last = true, order.CreatedAt
		}
		if cursor = page.NextCursor; !page.HasMore() {
			break
		}
		require.Len(t, page.Items, 5)
		if pages == 2 {
			b.Order(t) // a newer one is on no later page
		}
	}
	require.Equal(t, want, seen)
	require.Equal(t, 5, pages)

	page, err := b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{Reference: "r1"}, "", 100)
	require.NoError(t, err)
	require.Len(t, page.Items, 5)
	_, err = b.DB.CancelOrder(t.Context(), cancel(page.Items[0].ID))
	require.NoError(t, err)
	page, err = b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{Reference: "r1", State: payment.StateCancelled}, "", 100)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	page, err = b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{State: payment.StateCancelled}, "", 1)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
	require.False(t, page.HasMore())
	page, err = b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{Reference: "r1", State: payment.StateAwaitingPayment}, "", 3)
	require.NoError(t, err)
	require.True(t, page.HasMore())
	page, err = b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{Reference: "r1", State: payment.StateAwaitingPayment}, page.NextCursor, 3)
	require.NoError(t, err)
	require.Len(t, page.Items, 1)
}

func TestMadeUpCursorsAreRefused(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	encode := func(s string) string { return base64.RawURLEncoding.EncodeToString([]byte(s)) }
	for _, cursor := range []string{
		"x", "!", encode("1 5"), encode("2 5 ord_a"), encode("1 -5 ord_a"), encode("1 99999999999999999999 ord_a"),
		encode("1 9223372036854775807 ord_a"), encode("1 5 ord_\x00"), encode("1 5 \xff"), encode("1 5 ord_a b"), encode("1 5 "),
	} {
		_, err := b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{}, cursor, 5)
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "%q: %v", cursor, err)
	}
	for _, limit := range []int{0, -1, 101} {
		_, err := b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{}, "", limit)
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	}
	_, err := b.DB.ListOrders(t.Context(), b.Principal, store.OrderFilter{}, encode("1 253402300799000000 zzz"), 5)
	require.NoError(t, err)
}

func TestListPaymentsTellsHowFarTheyAre(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	fresh := b.Pay(t, order, 1_000_000, func(p *storetest.Payment) { p.Block.Number = 200 })
	recorded := b.Pay(t, order, 1_000_000, func(p *storetest.Payment) { p.Block.Number = 110 })
	old := b.Pay(t, order, 2_000_000, func(p *storetest.Payment) { p.Block.Number = 109 })
	dust := b.Pay(t, order, 7)
	b.Credit(t, dust)
	credited := b.Pay(t, order, 3_000_000, late)
	b.Credit(t, credited)
	dropped := b.Pay(t, order, 4_000_000)
	b.Drop(t, dropped, 120)
	wrong := b.Pay(t, order, 5_000_000, func(p *storetest.Payment) { p.Asset = b.Native.ID })
	b.Credit(t, wrong)
	parked := b.Pay(t, order, 6_000_000)
	b.Exec(t, `UPDATE payments SET status = 'parked' WHERE id = $1`, parked.ID)
	b.ReadTo(t, storetest.Chain, 110, time.Now())

	states := map[payment.PaymentID]payment.PaymentSnapshot{}
	cursor := ""
	for {
		page, err := b.DB.ListPayments(t.Context(), b.Principal, order.ID, cursor, 3)
		require.NoError(t, err)
		for _, p := range page.Items {
			require.NotContains(t, states, p.ID)
			states[p.ID] = p
		}
		if cursor = page.NextCursor; cursor == "" {
			break
		}
	}
	require.Len(t, states, 8)
	for id, want := range map[payment.PaymentID]struct {
		state         payment.PaymentState
		confirmations int
	}{
		fresh.ID:    {payment.PaymentDetected, 0},
		recorded.ID: {payment.PaymentDetected, 1},
		old.ID:      {payment.PaymentConfirming, 2},
		dust.ID:     {payment.PaymentIgnored, 3},
		credited.ID: {payment.PaymentCredited, 3}, // of ten, three are asked for
		dropped.ID:  {payment.PaymentDropped, 0},
		wrong.ID:    {payment.PaymentInReview, 3},
		parked.ID:   {payment.PaymentInReview, 3},
	} {
		require.Equal(t, want.state, states[id].State)
		require.Equal(t, want.confirmations, states[id].Confirmations, "%s", want.state)
		require.Equal(t, 3, states[id].ConfirmationsRequired)
	}
	require.True(t, states[credited.ID].Late)
	require.NotNil(t, states[credited.ID].CreditedAt)
	require.False(t, states[old.ID].Late)
	require.Equal(t, "3", states[credited.ID].Amount)
	require.Equal(t, credited.TxHash, states[credited.ID].TxHash)
	require.Equal(t, order.Address, states[credited.ID].To)
	require.Equal(t, b.Native.ID, states[wrong.ID].AssetID)
}

func TestBalancesOfManyAssetsAndSigns(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	order := b.Order(t)
	ancestor, transfer := m.tip, pay(t, order, 25_000_000)
	m.record(t, transfer)
	p := m.payment(t, transfer)
	_, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: m.tip.Hash, Amount: transfer.Amount})
	require.NoError(t, err)
	b.Exec(t, `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('suspense:unattributed', $1)`, b.Token.ID.String())
	_, err = b.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
		SELECT 'paid out', 'manual', d.id, c.id, $1, 24999999 FROM ledger_accounts d, ledger_accounts c
		 WHERE d.kind = 'merchant:available' AND c.kind = 'suspense:unattributed'`, b.Token.ID.String())
	require.NoError(t, err)
	m.rollback(t, ancestor)
	list, err := b.DB.Balances(t.Context(), b.Principal)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.Equal(t, b.Token, list[0].Asset)
	require.Equal(t, "-24999999", list[0].Available.String())
	require.Equal(t, "-24.999999", list[0].Available.Decimal(6))
	require.Equal(t, -1, list[0].Available.Sign())
	require.Equal(t, "0", list[0].Held.Decimal(6))
	report, err := b.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.Finding{{Rule: store.RuleKinds, Subject: "paid out (manual)"}}, report.Findings)
}

func TestSignedPrintsExactly(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		units    string
		decimals uint8
		want     string
	}{
		{"0", 6, "0"}, {"1", 6, "0.000001"}, {"-1", 6, "-0.000001"}, {"-1500000", 6, "-1.5"}, {"100", 0, "100"}, {"-100", 2, "-1"},
		{"231584178474632390847141970017375815706539969331281128078915168015826259279870", 18, "231584178474632390847141970017375815706539969331281128078915.16801582625927987"},
	} {
		units, ok := new(big.Int).SetString(tc.units, 10)
		require.True(t, ok)
		balance := store.SignedOf(units)
		require.Equal(t, tc.want, balance.Decimal(tc.decimals))
		require.Equal(t, tc.units, balance.String())
		require.Equal(t, tc.units, balance.Big().String())
	}
}

func TestSchemaVersion(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	version, err := b.DB.SchemaVersion(t.Context())
	require.NoError(t, err)
	require.GreaterOrEqual(t, version, int64(6))
}

func TestChainsAndAssetsAreRows(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	chains, err := b.DB.ListChains(t.Context())
	require.NoError(t, err)
	require.Len(t, chains, 2)
	c, err := b.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.Equal(t, chains[0], c)
	native := store.NewAsset{ID: b.Native.ID, Code: "ETH", Decimals: 18}
	url := b.Keys.Seal([]byte("https://rpc.example.com/key"), store.RPCEndpoint{Fingerprint: [32]byte{1}}.URLPlace("dev"))
	endpoint := store.RPCEndpoint{Operator: "acme", URL: url, Fingerprint: [32]byte{1}, Weight: 10}
	c.Policy.Confirmations, c.StartBlock, c.Genesis = 5, 77, payment.Hash{9}
	for range 2 {
		require.NoError(t, b.DB.EnableChain(t.Context(), c, native, []store.RPCEndpoint{endpoint}, storetest.By()))
	}
	changed, err := b.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.EqualValues(t, 5, changed.Policy.Confirmations)
	require.EqualValues(t, 0, changed.StartBlock, "what was watched stays watched")
	require.Equal(t, c.Genesis, changed.Genesis)
	endpoints, err := b.DB.ListRPCEndpoints(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.Len(t, endpoints, 1)
	plain, err := b.Keys.Open(endpoints[0].URL, endpoints[0].URLPlace("dev"))
	require.NoError(t, err)
	require.Equal(t, "https://rpc.example.com/key", string(plain))

	for name, change := range map[string]func(*store.Chain, *store.NewAsset){
		"another chain id":                    func(c *store.Chain, _ *store.NewAsset) { c.ChainID++ },
		"another genesis":                     func(c *store.Chain, _ *store.NewAsset) { c.Genesis = payment.Hash{8} },
		"a chain id that is taken":            func(c *store.Chain, _ *store.NewAsset) { c.Name = "third" },
		"a name that is none":                 func(c *store.Chain, _ *store.NewAsset) { c.Name, c.ChainID = "Third!", 5 },
		"other decimals":                      func(_ *store.Chain, a *store.NewAsset) { a.Decimals = 6 },
		"no confirmations":                    func(c *store.Chain, _ *store.NewAsset) { c.Policy.Confirmations = 0 },
		"the code of another asset: a native": func(_ *store.Chain, a *store.NewAsset) { a.Code = "USDC" },
	} {
		c, a := changed, native
		change(&c, &a)
		err := b.DB.EnableChain(t.Context(), c, a, nil, storetest.By())
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "%s: %v", name, err)
	}

	hash := storetest.Hash()
	token := store.NewAsset{ID: b.Token.ID, Code: "USDC", Decimals: 6, Tolerance: payment.AmountFromUint64(5), CodeHash: &hash}
	for range 2 {
		require.NoError(t, b.DB.AddToken(t.Context(), token, storetest.By()))
	}
	assets, err := b.DB.ListAssets(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.Len(t, assets, 2)
	info, err := b.DB.LookupAsset(t.Context(), storetest.Chain, "USDC")
	require.NoError(t, err)
	require.Equal(t, b.Token, info.Asset)
	require.Equal(t, token.Tolerance, info.Tolerance)
	token.Decimals = 8
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(b.DB.AddToken(t.Context(), token, storetest.By())))
	token.ID.Chain = "mars"
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(b.DB.AddToken(t.Context(), token, storetest.By())))
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(b.DB.AddToken(t.Context(), native, storetest.By())))
}
