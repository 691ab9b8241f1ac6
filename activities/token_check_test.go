package activities_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// A token is looked at before a large payment in it is credited. What has changed halts it, and a node that cannot say keeps the
// credit waiting.
func TestALargePaymentWaitsForALookAtItsToken(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.chain.Tokens = &activities.Tokens{Store: e.DB, Keys: e.Keys, Log: discard()}
	e.watch(t)
	from := payment.AmountFromUint64(25_000_000)
	require.NoError(t, e.DB.SetTokenRecheck(t.Context(), storetest.Chain, "TUSD", &from, storetest.By()))
	token := payment.TokenAsset(storetest.Chain, e.fake.Token())
	contract := chaintest.FakeToken{Code: []byte{1}, Decimals: append(make([]byte, 31), 6)}
	e.fake.SetToken(e.fake.Token(), contract)
	halted, err := e.chain.Tokens.Check(t.Context(), token)
	require.NoError(t, err)
	require.Empty(t, halted, "it is pinned")

	large, small := e.seen(t, 25_000_000), e.seen(t, 24_999_999)
	e.fake.MineBlocks(3)
	contract.Code = []byte{2}
	e.fake.SetToken(e.fake.Token(), contract)
	e.Exec(t, `UPDATE assets SET checked_at = now() - interval '1 hour'`)
	settled := e.settled(t, small)
	require.Equal(t, process.SettleCredited, settled.Outcome, "small money is not worth it")

	e.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getCode" {
			a.Error = &chaintest.RPCError{Code: -32000, Message: "server busy"}
		}
	}})
	for range 4 {
		_, err := run[process.SettleResult](t, e.chain.SettlePayment, process.SettleInput{PaymentID: large})
		require.Error(t, err, "nobody could look")
	}
	require.Empty(t, e.reasonHalted(t))
	e.fake.SetFaults(chaintest.Faults{})
	await.Until(t, func() bool {
		_, err := run[process.SettleResult](t, e.chain.SettlePayment, process.SettleInput{PaymentID: large})
		require.Error(t, err)
		return e.reasonHalted(t) == store.TokenCodeChanged
	})

	var state store.TokenState
	require.NoError(t, e.chain.Tokens.Do(t.Context(), storetest.Chain, func(node activities.TokenNode) error {
		meta, err := node.TokenMeta(t.Context(), e.fake.Token())
		state = activities.StateOf(meta)
		return err
	}))
	require.NoError(t, e.DB.ResumeToken(t.Context(), storetest.Chain, "TUSD", state, storetest.By()))
	settled = e.settled(t, large)
	require.Equal(t, process.SettleCredited, settled.Outcome)

	e.fake.SetToken(e.fake.Token(), chaintest.FakeToken{})
	halted, err = e.chain.Tokens.Check(t.Context(), token)
	require.NoError(t, err)
	require.NotEmpty(t, halted, "there is no contract any more")
}

// seen creates an order, pays it, and waits until the payment is recorded.
func (e *engine) seen(t *testing.T, amount uint64) payment.PaymentID {
	t.Helper()
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: e.Opening(t, func(n *store.NewOrder) { n.Asset = "TUSD" })})
	require.NoError(t, err)
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)
	e.fake.Mine(t, chaintest.TokenTransfer{Token: e.fake.Token(), To: to, Amount: amount})
	await.Until(t, func() bool {
		view, err = e.orders.ReadOrder(t.Context(), process.OrderInput{OrderID: view.ID})
		return err == nil && len(view.Payments) == 1
	})
	return view.Payments[0].ID
}

// settled attempts to settle a payment until that succeeds.
func (e *engine) settled(t *testing.T, id payment.PaymentID) process.SettleResult {
	t.Helper()
	var result process.SettleResult
	await.Until(t, func() bool {
		var err error
		result, err = run[process.SettleResult](t, e.chain.SettlePayment, process.SettleInput{PaymentID: id})
		return err == nil
	})
	return result
}

func (e *engine) reasonHalted(t *testing.T) string {
	t.Helper()
	return storetest.Value[string](t, e.Bundle, `SELECT COALESCE(halted_reason, '') FROM assets WHERE code = 'TUSD'`)
}
