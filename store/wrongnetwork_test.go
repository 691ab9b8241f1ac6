package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// An address is the same on every chain of its family. Money that comes on another chain than the order's is posted as what it is there,
// the order says so and is not fulfilled, its merchant hears of it, and a person is asked to look. On its own chain the order goes on.
func TestMoneyOnAnotherChain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	other, own := mineOn(t, b, storetest.Other), mine(t, b)
	order := b.Order(t)
	stray := pay(t, order, 5_000, func(x *payment.Transfer) { x.Native, x.Contract = true, payment.Address{} })
	other.record(t, stray)
	require.Equal(t, []string{"order.created"}, other.events(t, order.ID), "it is not confirmed")
	result := other.credit(t, stray)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelWrongNetwork}, result.Order.Labels)
	require.Equal(t, []string{"order.created", "payment.mismatched"}, other.events(t, order.ID))
	require.Equal(t, [2]string{"5000", "0"}, balances(t, b, b.OtherNative.ID))
	require.Equal(t, []string{"wrong_asset"}, reviews(t, b, other.payment(t, stray).ID))
	require.Equal(t, 1, other.count(t, `SELECT count(*) FROM outbox WHERE review_cause = 'wrong_asset'`), "and somebody is told")

	right := pay(t, order, 25_000_000)
	own.record(t, right)
	result = own.credit(t, right)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelWrongNetwork}, result.Order.Labels)
	require.Equal(t, []string{"order.created", "payment.mismatched", "order.payment_detected", "order.paid"}, own.events(t, order.ID))
	b.CheckBooks(t)
}

// The same transaction on two chains is two payments: chains do not share their transactions' names.
func TestTheSameTransactionOnTwoChains(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	other, own := mineOn(t, b, storetest.Other), mine(t, b)
	order := b.Order(t, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(5_000) })
	transfer := pay(t, order, 5_000)
	other.record(t, transfer)
	own.record(t, transfer)
	require.Equal(t, payment.StateConfirming, other.credit(t, transfer).Order.State, "the other one is on its way")
	require.Equal(t, payment.StatePaid, own.credit(t, transfer).Order.State)
	require.Equal(t, 2, own.count(t, `SELECT count(*) FROM payments`))
	require.Equal(t, [2]string{"5000", "0"}, balances(t, b, b.Native.ID))
	require.Equal(t, [2]string{"5000", "0"}, balances(t, b, b.OtherNative.ID))
	b.CheckBooks(t)
}

// A chain that is enabled after an address was handed out is read from its start block, and what was paid there before is found.
func TestAChainThatIsEnabledLater(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	native := payment.Asset{ID: payment.NativeAsset("later"), Symbol: "LATE", Decimals: 18}
	b.EnableChain(t, "later", 555, native)
	_, err := b.PG.Owner.Exec(t.Context(), `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL WHERE chain = 'later';
		DELETE FROM coverage WHERE chain = 'later'; UPDATE chains SET start_block = 50 WHERE name = 'later'`)
	require.NoError(t, err)
	m := &miner{Bundle: b, rec: store.NewRecorder(b.DB)}
	m.begin(t, "later")
	require.Nil(t, m.watch.Cursor)
	require.EqualValues(t, 50, m.session.Start)
	m.tip = payment.BlockRef{Number: 49, Hash: storetest.Hash()}
	stray := pay(t, order, 5_000, func(x *payment.Transfer) { x.Native, x.Contract = true, payment.Address{} })
	m.record(t, stray)
	result := m.credit(t, stray)
	require.Equal(t, []payment.Label{payment.LabelWrongNetwork}, result.Order.Labels)
	require.Equal(t, [2]string{"5000", "0"}, balances(t, b, native.ID))
	holes, err := b.DB.CoverageHoles(t.Context(), native.ID, store.Interval{First: 50, Last: 50})
	require.NoError(t, err)
	require.Empty(t, holes)
}
