package reconcile_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/internal/reconcile"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// untraced is a node that cannot trace.
type untraced struct{ *evm.Source }

func (u untraced) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	filter.Traces = false
	return u.Source.Range(ctx, from, to, filter)
}

func (u untraced) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	filter.Traces = false
	return u.Source.BlockByHash(ctx, hash, filter)
}

// world is a real node, recorded into a real database.
type world struct {
	*storetest.Bundle

	geth   *chaintest.Geth
	source *evm.Source
	token  payment.Asset
}

func setup(t *testing.T) *world {
	t.Helper()
	w := &world{Bundle: storetest.New(t)}
	w.geth = chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		var err error
		w.source, err = evm.New(evm.Options{URL: httpURL})
		require.NoError(t, err)
		return w.source
	})
	w.token = payment.Asset{ID: payment.TokenAsset(storetest.Chain, w.geth.Token()), Symbol: "TUSD", Decimals: 6}
	require.NoError(t, w.DB.AddToken(t.Context(), store.NewAsset{ID: w.token.ID, Code: w.token.Symbol, Decimals: 6}, storetest.By()))
	w.owner(t, `DELETE FROM assets WHERE id = '`+w.Token.ID.String()+`'`) // no contract of this node's
	w.owner(t, `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL, head_number = NULL WHERE chain = 'dev'`)
	w.owner(t, `DELETE FROM coverage WHERE chain = 'dev'`)
	w.owner(t, `UPDATE chains SET chain_id = `+big(t, w)+`, genesis_hash = NULL WHERE name = 'dev'`)
	return w
}

func big(t *testing.T, w *world) string {
	t.Helper()
	identity, err := w.source.Identity(t.Context())
	require.NoError(t, err)
	return payment.AmountFromUint64(identity.ChainID).String()
}

func (w *world) owner(t *testing.T, sql string) {
	t.Helper()
	_, err := w.PG.Owner.Exec(t.Context(), sql)
	require.NoError(t, err)
}

// watch records the chain by way of a source until stop is called.
func (w *world) watch(t *testing.T, source chain.Source) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	scanner := &scan.Scanner{Chain: storetest.Chain, Source: source, Recorder: activities.StoreRecorder{Store: store.NewRecorder(w.DB)}, Options: scan.Options{
		Policy: scan.Policy{
			MinPoll: 5 * time.Millisecond, MaxPoll: 5 * time.Millisecond, MinBackoff: time.Millisecond,
			BalanceEvery: time.Millisecond, FinalEvery: time.Millisecond, SecondLookPause: time.Millisecond, SecondLookEvery: time.Millisecond,
		},
	}}
	go func() {
		defer close(done)
		_ = scanner.Run(ctx)
	}()
	stop = func() {
		cancel()
		<-done
	}
	t.Cleanup(stop)
	return stop
}

func (w *world) await(t *testing.T, sql string) {
	t.Helper()
	await.Until(t, func() bool { return storetest.Value[bool](t, w.Bundle, sql) }, sql)
}

// empty mines blocks until what was mined before is deep enough for a comparison.
func (w *world) bury(t *testing.T) {
	t.Helper()
	_, err := w.geth.Node.Mine(2*storetest.Confirmations + 1)
	require.NoError(t, err)
}

// creditAll credits everything that is confirmed.
func (w *world) creditAll(t *testing.T) {
	t.Helper()
	rows, err := w.PG.Owner.Query(t.Context(), `SELECT p.id, i.n, i.block_hash, i.amount::text FROM payments p
		JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion WHERE p.status = 'detected'`)
	require.NoError(t, err)
	var list []store.CreditInput
	for rows.Next() {
		var in store.CreditInput
		var hash []byte
		var amount string
		require.NoError(t, rows.Scan(&in.PaymentID, &in.Inclusion, &hash, &amount))
		in.BlockHash = payment.Hash(hash)
		in.Amount, err = payment.ParseBaseUnits(amount)
		require.NoError(t, err)
		list = append(list, in)
	}
	require.NoError(t, rows.Err())
	for _, in := range list {
		result, err := w.DB.Credit(t.Context(), in)
		require.NoError(t, err)
		require.Equal(t, store.CreditDone, result.Outcome)
	}
}

func (w *world) compare(t *testing.T) map[string]reconcile.Asset {
	t.Helper()
	report, err := reconcile.Chain(t.Context(), w.DB, w.source, storetest.Chain)
	require.NoError(t, err)
	list := map[string]reconcile.Asset{}
	differ := 0
	for _, asset := range report.Assets {
		list[asset.Code] = asset
		differ += asset.Differ
	}
	require.Equal(t, differ == 0, report.OK())
	return list
}

func (w *world) address(t *testing.T, order process.OrderView) payment.Address {
	t.Helper()
	address, err := payment.ParseAddress(payment.FamilyEVM, order.Address)
	require.NoError(t, err)
	return address
}

// A transfer inside a call that no node can be asked about becomes a finding, the books agree with the chain, and they go on
// agreeing when it turns out to have been a payment.
func TestTheBooksAgreeWithTheChain(t *testing.T) {
	t.Parallel()
	w := setup(t)
	stop := w.watch(t, untraced{w.source})
	w.await(t, `SELECT COALESCE(block_number >= 1, false) FROM cursors WHERE chain = 'dev'`)
	asset := func(n *store.NewOrder) { n.Asset = "TUSD" }
	first, second := w.address(t, w.Order(t, asset)), w.address(t, w.Order(t, asset))
	const million = 1_000_000
	w.geth.Mine(t,
		chaintest.TokenTransfer{Token: w.geth.Token(), To: first, Amount: 25 * million},
		chaintest.Native{To: first, Amount: 7 * million},
		chaintest.Script{Value: 9 * million, Acts: []chaintest.Act{{To: second, Value: 9 * million}}},
	)
	head := w.geth.Node.Head().Number.String()
	w.await(t, `SELECT block_number >= `+head+` FROM cursors WHERE chain = 'dev'`)
	found := w.compare(t)
	require.Equal(t, "25000000", found["TUSD"].Live.String())
	require.Zero(t, found["TUSD"].Differ, "live money is no difference")
	require.Equal(t, "9000000", found["ETH"].Difference.String(), "nobody knows of it yet")
	require.Equal(t, second, found["ETH"].Addresses[0].Address)

	w.bury(t)
	w.await(t, `SELECT EXISTS (SELECT FROM balance_findings WHERE amount = 9000000 AND chain = 'dev')`)
	w.creditAll(t)
	found = w.compare(t)
	require.Zero(t, found["ETH"].Differ)
	require.Zero(t, found["TUSD"].Differ)
	require.Equal(t, "16000000", found["ETH"].Custody.String())
	require.Equal(t, "9000000", found["ETH"].Findings.String())
	require.Equal(t, "25000000", found["TUSD"].Custody.String())

	// A node that traces comes to it, and the finding turns out to have been a payment.
	stop()
	_, err := w.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: 0, Last: w.geth.Node.Head().Number.Uint64()}, storetest.By(), "trace")
	require.NoError(t, err)
	w.watch(t, w.source)
	w.await(t, `SELECT EXISTS (SELECT FROM payments WHERE native AND position > 0)`)
	require.Zero(t, w.compare(t)["ETH"].Differ, "found and recorded, but there once")
	w.creditAll(t)
	found = w.compare(t)
	require.Zero(t, found["ETH"].Differ)
	require.Equal(t, "0", found["ETH"].Findings.String())
	require.Equal(t, "16000000", found["ETH"].Custody.String())
	report, err := w.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.True(t, report.OK(), "%v", report.Findings)
}

// TestForgedMoneyIsFound: whoever writes to the database can make books that add up, and no node has what they are made of.
func TestForgedMoneyIsFound(t *testing.T) {
	t.Parallel()
	w := setup(t)
	w.watch(t, untraced{w.source})
	w.await(t, `SELECT COALESCE(block_number >= 1, false) FROM cursors WHERE chain = 'dev'`)
	token := func(n *store.NewOrder) { n.Asset = "TUSD" }
	paid, forged := w.Order(t, token), w.Order(t, token)
	const million = 1_000_000
	mined := w.geth.Mine(t, chaintest.TokenTransfer{Token: w.geth.Token(), To: w.address(t, paid), Amount: 25 * million})
	w.await(t, `SELECT EXISTS (SELECT FROM payments)`)
	w.creditAll(t)

	compare := func(witnesses ...chain.Verifier) reconcile.Report {
		books, err := w.DB.LedgerCheck(t.Context())
		require.NoError(t, err)
		require.True(t, books.OK(), "they add up: %v", books.Findings)
		report, err := reconcile.Chain(t.Context(), w.DB, w.source, storetest.Chain, witnesses...)
		require.NoError(t, err)
		require.EqualValues(t, report.Payments, books.Unverifiable.Payments)
		return report
	}
	report := compare()
	require.True(t, report.OK())
	require.Equal(t, 1, report.Payments)

	p := w.Pay(t, forged, 99*million, func(p *storetest.Payment) { p.Asset, p.Block = w.token.ID, mined.BlockRef })
	require.Equal(t, store.CreditDone, w.Credit(t, p).Outcome)
	report = compare()
	require.False(t, report.OK())
	require.Equal(t, 1, report.Missing)
	require.Equal(t, p.Ref(), report.Unseen[0].InclusionRef)
	require.Equal(t, chain.MissingReceipt, report.Unseen[0].Outcome)
	require.Equal(t, 1, compare(w.source).Missing, "no node has it")
	require.Zero(t, compare(believer{}).Missing, "a node has what the first one has forgotten")

	// The sums of each address agree, and what they are made of is another transaction.
	w.owner(t, `UPDATE payments SET tx_hash = decode(repeat('ab', 32), 'hex') WHERE id <> '`+string(p.ID)+`'`)
	report = compare()
	require.Equal(t, 2, report.Missing)
}

// believer says that everything is there.
type believer struct{}

func (believer) CheckInclusion(context.Context, chain.Inclusion, chain.Demand) (chain.Check, error) {
	return chain.Check{Outcome: chain.Included}, nil
}
