package store_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// lateAddress gives an order its address in a transaction that is still open.
func lateAddress(t *testing.T, b *storetest.Bundle, id payment.OrderID) (process.OrderView, func()) {
	t.Helper()
	view := process.OrderView{ID: id, AssetID: b.Token.ID.String(), Address: storetest.Address().Text()}
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)
	index, err := b.DB.ReserveIndex(t.Context(), b.Wallet)
	require.NoError(t, err)
	tx, err := b.PG.Chain.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = tx.Rollback(context.Background()) })
	// The lowest id there is: whoever reads on from the last id that it saw never finds it.
	const address = "adr_aaaaaaaaaaaaaaaaaaaaaaaaaa"
	_, err = tx.Exec(t.Context(), `INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, order_id)
		VALUES ($1, 'evm', $2, $3, $4, $5, $6, $7)`, address, to.Bytes(), b.Wallet, index, b.Merchant, b.Mode, id)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE orders SET state = 'awaiting_payment', address_id = $2, birth_block = 100,
		expires_at = now() + interval '1 hour', late_until = now() + interval '25 hours' WHERE id = $1`, id, address)
	require.NoError(t, err)
	return view, func() { require.NoError(t, tx.Commit(t.Context())) }
}

// TestAnAddressThatCommitsLateIsFound: an address is begun before others and committed after them, and after blocks
// that paid those were recorded. The payer learns of it once it is committed, so the next block may pay it.
func TestAnAddressThatCommitsLateIsFound(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, commit := lateAddress(t, m.Bundle, m.Opening(t))
	faster := m.Order(t)
	early := pay(t, faster, 1_000_000)
	m.record(t, early)

	commit()
	late := pay(t, order, 25_000_000)
	m.record(t, late)
	require.Equal(t, faster.ID, *m.payment(t, early).Order)
	require.Equal(t, order.ID, *m.payment(t, late).Order)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
}

// TestAnAddressThatCommitsWhileABlockIsRecorded: the look-up is a statement of its own inside the recording transaction,
// so what committed while that waited is seen.
func TestAnAddressThatCommitsWhileABlockIsRecorded(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, commit := lateAddress(t, m.Bundle, m.Opening(t))
	transfer := pay(t, order, 25_000_000)
	block := m.block(transfer)
	known, err := m.rec.Known(t.Context(), m.session, []payment.Address{transfer.To})
	require.NoError(t, err)
	require.Empty(t, known)
	block.Sightings[0].Receipt = store.ReceiptUnread // so nobody read its receipt

	blocker, err := m.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = blocker.Rollback(context.Background()) }()
	_, err = blocker.Exec(t.Context(), `SELECT FROM cursors WHERE chain = $1 FOR UPDATE`, storetest.Chain)
	require.NoError(t, err)
	result := make(chan error, 1)
	go func() {
		_, err := m.rec.Record(context.WithoutCancel(t.Context()), m.session, m.batch(block))
		result <- err
	}()
	awaitLockWaiters(t, m.Bundle, 1)
	commit()
	require.NoError(t, blocker.Rollback(t.Context()))

	var unresolved *store.UnresolvedError
	require.ErrorAs(t, <-result, &unresolved)
	require.Equal(t, []payment.Address{transfer.To}, unresolved.Recipients)
	require.Equal(t, 100, m.count(t, `SELECT block_number FROM cursors WHERE chain = $1`, storetest.Chain), "nothing was written")

	block.Sightings[0].Receipt = store.ReceiptRead
	_, err = m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, "detected", m.payment(t, transfer).Status)
}

func TestUnreadTransfersToStrangersAreNobodysBusiness(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	block := m.block(pay(t, m.Order(t), 1, func(x *payment.Transfer) { x.To = storetest.Address() }))
	block.Sightings[0].Receipt = store.ReceiptUnread
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
}

func TestKnownFindsTheIssuedOnes(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	a, b := pay(t, m.Order(t), 1).To, pay(t, m.Order(t), 1).To
	known, err := m.rec.Known(t.Context(), m.session, []payment.Address{a, storetest.Address(), b})
	require.NoError(t, err)
	require.ElementsMatch(t, []payment.Address{a, b}, known)
}

func TestSeveralTransfersOfOneTransactionAreSeveralPayments(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	one, two := m.Order(t), m.Order(t)
	tx := storetest.Hash()
	at := func(position uint32) func(*payment.Transfer) {
		return func(x *payment.Transfer) { x.TxHash, x.Position = tx, position }
	}
	native := func(x *payment.Transfer) { x.Native, x.Contract, x.Position = true, payment.Address{}, 0 }
	transfers := []payment.Transfer{
		pay(t, one, 10_000_000, at(0)), pay(t, one, 15_000_000, at(1)), pay(t, two, 25_000_000, at(2)),
		pay(t, one, 5_000, at(0), native),
	}
	m.record(t, transfers...)
	ids := map[payment.PaymentID]bool{}
	for _, transfer := range transfers {
		ids[m.payment(t, transfer).ID] = true
	}
	require.Len(t, ids, 4)
	require.Equal(t, payment.StateConfirming, m.state(t, one.ID))
	require.Equal(t, payment.StateConfirming, m.state(t, two.ID))
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.payment_detected"}, m.events(t, one.ID),
		"the coin is not what the order asked for")
}

func TestATransferTwiceInABatchIsAContradiction(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	transfer := pay(t, m.Order(t), 25_000_000)
	tip := m.tip
	before := m.dump(t)
	_, err := m.rec.Record(t.Context(), m.session, m.batch(m.block(transfer, transfer)))
	require.ErrorIs(t, err, store.ErrContradiction)
	m.tip = tip
	_, err = m.rec.Record(t.Context(), m.session, m.batch(m.block(transfer), m.block(transfer)))
	require.ErrorIs(t, err, store.ErrContradiction)
	require.Equal(t, before, m.dump(t))
}

func TestWhatMovesNoOrder(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	dust := pay(t, order, 999)
	coin := pay(t, order, 5_000, func(x *payment.Transfer) { x.Native, x.Contract = true, payment.Address{} })
	nothing := pay(t, order, 0)
	m.record(t, dust, coin, nothing)
	require.Equal(t, "detected", m.payment(t, dust).Status)
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, m.payment(t, dust).ID), "dust is confirmed and posted as dust")
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, m.payment(t, coin).ID))
	require.Equal(t, 2, m.count(t, `SELECT count(*) FROM payments`), "a transfer of nothing is no payment")
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	require.Equal(t, []string{"order.created"}, m.events(t, order.ID))
}

func TestWrongNetwork(t *testing.T) {
	t.Parallel()
	m := mineOn(t, storetest.New(t), storetest.Other)
	order := m.Order(t) // on the other bundle's chain
	transfer := pay(t, order, 5_000, func(x *payment.Transfer) { x.Native, x.Contract = true, payment.Address{} })
	m.record(t, transfer)
	p := m.payment(t, transfer)
	require.Equal(t, order.ID, *p.Order)
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	require.Equal(t, storetest.Other+"/native", storetest.Value[string](t, m.Bundle, `SELECT asset_id FROM inclusions WHERE payment_id = $1`, p.ID))
}

func TestPaymentsOfDisabledAssetsAreStillSeen(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	b.Exec(t, `UPDATE assets SET enabled = false WHERE id = $1`, b.Token.ID.String())
	m := mine(t, b)
	require.Equal(t, []payment.Address{b.Token.ID.Contract}, m.watch.Tokens)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
}

// TestABrokenOrderKeepsNoChainFromGoingOn: the money is written down, the order stays as it is.
func TestABrokenOrderKeepsNoChainFromGoingOn(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	broken, good := m.Order(t), m.Order(t)
	m.Exec(t, `UPDATE orders SET metadata = '{"a": {"not": "text"}}' WHERE id = $1`, broken.ID)
	first, second, other := pay(t, broken, 10_000_000), pay(t, broken, 15_000_000), pay(t, good, 25_000_000)
	block := m.record(t, first, other, second)
	for _, transfer := range []payment.Transfer{first, second, other} {
		require.Equal(t, []string{"1/seen"}, m.wakeUps(t, m.payment(t, transfer).ID))
	}
	require.Equal(t, payment.StateConfirming, m.state(t, good.ID))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, broken.ID))
	require.Equal(t, block.Hash, m.tip.Hash)
}

// TestRecordAndExpire: whichever comes first, the order's state and its payments agree.
func TestRecordAndExpire(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	for range 10 {
		order := m.Order(t)
		m.Exec(t, `UPDATE orders SET expires_at = $2, late_until = $2::timestamptz + interval '1 day' WHERE id = $1`, order.ID, m.tip.Time.Add(m.step))
		m.advance(t, 1) // at the deadline exactly: not over yet
		inTime := m.block(pay(t, order, 25_000_000))
		inTime.Time = m.tip.Time.Add(-m.step) // a block may carry its parent's time
		m.tip = inTime.BlockRef
		after := m.block()
		done := make(chan error, 2)
		ctx := context.WithoutCancel(t.Context())
		go func() {
			_, err := m.rec.Record(ctx, m.session, m.batch(inTime))
			if err == nil {
				_, err = m.rec.Record(ctx, m.session, m.batch(after))
			}
			done <- err
		}()
		go func() {
			result, _, err := m.DB.ExpireOrder(ctx, order.ID)
			if err == nil && result.Outcome == process.ExpireExpired {
				err = errors.New("expired an order that was paid in time")
			}
			done <- err
		}()
		require.NoError(t, <-done)
		require.NoError(t, <-done)
		require.Equal(t, payment.StateConfirming, m.state(t, order.ID), "paid in time: it never expires")
	}
}

func TestSessionNeedsBlockTime(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	require.Equal(t, time.Second, m.session.BlockTime)
	require.Equal(t, uint64(64), m.session.Horizon)
	require.Equal(t, uint64(500), m.session.MaxRange)
	require.Equal(t, uint64(1337), m.session.ChainID)
	require.True(t, m.session.Genesis.IsZero())
	require.True(t, m.watch.Native)
}
