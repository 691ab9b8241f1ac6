package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// A contract pays three orders in one transaction, one of them twice, and a stranger first. No receipt lists that; the
// node's trace does, and each transfer is a payment that is credited once, also when the block is mined again.
func TestOneContractPaysManyOrdersAtOnce(t *testing.T) {
	t.Parallel()
	geth := chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		source, err := evm.New(evm.Options{URL: httpURL})
		require.NoError(t, err)
		return source
	})
	e := newEngineWithout(t)
	e.connectTo(t, geth.Node.HTTPURL(), geth.Token())
	e.watch(t)
	const wei = 1_000_000_000_000_000
	var orders []payment.OrderID
	var to []payment.Address
	for range 3 {
		id := e.Opening(t, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(5*wei) })
		view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: id})
		require.NoError(t, err)
		at, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
		require.NoError(t, err)
		orders, to = append(orders, id), append(to, at)
	}
	geth.Mine(t, chaintest.Script{Value: 16 * wei, Acts: []chaintest.Act{
		{To: chaintest.Account(1), Value: wei},
		{To: to[0], Value: 5 * wei}, {To: to[1], Value: 2 * wei}, {To: to[2], Value: 5 * wei}, {To: to[1], Value: 3 * wei},
	}})
	payments := func(inclusion int) []payment.PaymentID {
		return storetest.Value[[]payment.PaymentID](t, e.Bundle, `SELECT COALESCE(array_agg(p.id ORDER BY p.position), '{}')
			FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
			WHERE i.canonical AND p.native AND p.position BETWEEN 2 AND 5 AND p.inclusion = $1`, inclusion)
	}
	await.Until(t, func() bool { return len(payments(1)) == 4 })
	geth.Reorg(t, 1, 4, chaintest.KeepTxs)
	await.Until(t, func() bool { return len(payments(2)) == 4 })

	for _, id := range payments(2) {
		await.Until(t, func() bool {
			settled, err := run[process.SettleResult](t, e.chain.SettlePayment, process.SettleInput{PaymentID: id})
			return err == nil && settled.Outcome == process.SettleCredited
		})
	}
	for _, id := range orders {
		view, err := e.orders.ReadOrder(t.Context(), process.OrderInput{OrderID: id})
		require.NoError(t, err)
		require.Equal(t, payment.StatePaid, view.State)
	}
	require.Equal(t, 4, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM ledger_postings`))
	require.Equal(t, "15000000000000000", storetest.Value[string](t, e.Bundle, `SELECT balance::text FROM ledger_balances WHERE kind = 'merchant:available'`))
	require.True(t, storetest.Value[bool](t, e.Bundle, `SELECT t.blocks = n.blocks FROM coverage t JOIN coverage n USING (chain)
		WHERE chain = $1 AND t.method = 'traces' AND n.method = 'native'`, storetest.Chain), "every block was traced")
}
