package activities_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// A reorganisation below the horizon takes a credited payment away and brings it back: the credit is reversed, the chain is
// halted and read on, and after somebody has resumed it the payment is credited once more, and once.
func TestAChainIsReadOnAfterAReorganisationBelowTheHorizon(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.chain.WatchOptions.Policy.FinalEvery = time.Millisecond
	e.watch(t)
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: e.Opening(t, func(n *store.NewOrder) { n.Asset = "TUSD" })})
	require.NoError(t, err)
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)
	e.fake.MineBlocks(5)
	e.fake.Mine(t, chaintest.TokenTransfer{Token: e.fake.Token(), To: to, Amount: 25_000_000})
	e.fake.MineBlocks(3)
	eventually := func(what string, done func() bool) {
		t.Helper()
		await.Until(t, done, what)
	}
	eventually("it is seen", func() bool {
		view, err = e.orders.ReadOrder(t.Context(), process.OrderInput{OrderID: view.ID})
		return err == nil && len(view.Payments) == 1
	})
	settle := process.SettleInput{PaymentID: view.Payments[0].ID}
	outcome := func() process.SettleOutcome {
		t.Helper()
		var settled process.SettleResult
		eventually("it is settled", func() bool {
			settled, err = run[process.SettleResult](t, e.chain.SettlePayment, settle)
			return err == nil
		})
		return settled.Outcome
	}
	require.Equal(t, process.SettleCredited, outcome())
	const horizon = 64 // of the bundle's chains
	head := e.fake.MineBlocks(horizon)
	cursor := func() uint64 {
		return uint64(storetest.Value[int64](t, e.Bundle, `SELECT COALESCE(block_number, 0) FROM cursors WHERE chain = 'dev'`))
	}
	eventually("it is far below", func() bool { return cursor() == head.Number })
	refs := e.fake.Reorg(t, horizon+5, horizon+9, chaintest.KeepTxs)
	eventually("the new chain is read", func() bool {
		chain, err := e.DB.GetChain(t.Context(), storetest.Chain)
		return err == nil && chain.HaltedReason == "reorg_below_horizon" && cursor() == refs[len(refs)-1].Number
	})
	require.Equal(t, 1, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM reviews WHERE cause = 'reversal'`))
	require.Equal(t, "0", storetest.Value[string](t, e.Bundle, `SELECT balance::text FROM ledger_balances WHERE kind = 'merchant:available'`))
	_, err = run[process.SettleResult](t, e.chain.SettlePayment, settle)
	requireWaiting(t, err, 30*time.Second, 30*time.Second, "chain_halted")
	require.NoError(t, e.DB.ResumeChain(t.Context(), storetest.Chain, storetest.By(), "resume"))
	require.Equal(t, process.SettleCredited, outcome())
	require.Equal(t, process.SettleAlready, outcome())
	require.Equal(t, "25000000", storetest.Value[string](t, e.Bundle, `SELECT balance::text FROM ledger_balances WHERE kind = 'merchant:available'`))
	e.CheckBooks(t)
}

// What a node left out of its answers, without a word, is found by the second look, recorded and told.
func TestASecondLookFindsWhatANodeLeftOut(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.chain.WatchOptions.Policy.FinalEvery = time.Millisecond
	e.chain.WatchOptions.Policy.SecondLookEvery, e.chain.WatchOptions.Policy.SecondLookPause = time.Millisecond, time.Millisecond
	found := make(chan int, 1)
	e.chain.WatchOptions.OnProgress = func(_ string, p scan.Progress) {
		if p.SecondLookFound > 0 {
			select {
			case found <- p.SecondLookFound:
			default:
			}
		}
	}
	e.watch(t)
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: e.Opening(t, func(n *store.NewOrder) { n.Asset = "TUSD" })})
	require.NoError(t, err)
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)
	e.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getLogs" {
			a.Result, a.Error = []any{}, nil
		}
	}})
	paid := e.fake.MineBlock(func(b *chaintest.FakeBlock) { b.Bloom = make([]byte, len(b.Bloom)) }, &chaintest.FakeTx{
		From: chaintest.Account(9), To: e.fake.Token(),
		Logs: []chaintest.FakeLog{chaintest.TransferLog(e.fake.Token(), chaintest.Account(9), to, 25_000_000)},
	})
	recorded := func(number uint64) func() bool {
		return func() bool {
			return storetest.Value[int64](t, e.Bundle, `SELECT COALESCE(block_number, 0) FROM cursors WHERE chain = 'dev'`) >= int64(number)
		}
	}
	await.Until(t, recorded(paid.Number))
	require.Zero(t, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM payments`))
	e.fake.SetFaults(chaintest.Faults{})
	e.fake.MineBlocks(70)
	require.Equal(t, 1, await.Receive(t, found, "that it was found"))
	require.Equal(t, 1, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM payments`))
	require.Equal(t, 1, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM audit WHERE action = 'chain.second_look_found'`))
}
