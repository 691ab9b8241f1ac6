package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// unread is a block of which nothing could be read.
func unread(ref payment.BlockRef) store.Batch {
	return store.Batch{Blocks: []store.SeenBlock{{BlockRef: ref}}}
}

func (m *miner) outcome(t *testing.T, id payment.OrderID) process.ExpireOutcome {
	t.Helper()
	outcome, _ := m.expire(t, id)
	return outcome
}

// TestAPartOfABlockThatCannotBeRead: what can be read is recorded and covered, and only orders for the rest wait.
func TestAPartOfABlockThatCannotBeRead(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	paid, idle := b.Order(t), b.Order(t)
	coin := b.Order(t, func(n *store.NewOrder) { n.Asset, n.Amount = "ETH", payment.AmountFromUint64(1e18) })
	bad := m.block(pay(t, paid, 25_000_000))
	batch := m.batch(bad)
	batch.Native = false
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, batch, "answer_too_large"))
	require.Equal(t, payment.StateConfirming, m.state(t, paid.ID))
	m.Exec(t, `UPDATE orders SET expires_at = $1, late_until = now() + interval '1 day'`, bad.Time)
	m.advance(t, 1)
	require.Empty(t, m.holes(t, b.Token.ID))
	require.Equal(t, []store.Interval{{First: bad.Number, Last: bad.Number}}, m.holes(t, payment.NativeAsset(storetest.Chain)))
	blocks, err := m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Equal(t, []string{"native"}, blocks[0].Lacking)
	require.Equal(t, process.ExpireExpired, m.outcome(t, idle.ID))
	require.Equal(t, process.ExpireNotDue, m.outcome(t, coin.ID))

	batch.Native = true
	_, err = m.rec.RecordRescan(t.Context(), m.session, m.look(t).Rescans[0], batch)
	require.NoError(t, err)
	require.Equal(t, process.ExpireExpired, m.outcome(t, coin.ID))
}

// TestAnAcceptedHoleHoldsNothing, is still visible, audited with its reason, and still read.
func TestAnAcceptedHoleHoldsNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	order, other := b.Order(t), b.Order(t)
	bad := m.block()
	accept := func(number uint64, by process.By) error {
		return m.DB.AcceptHole(t.Context(), storetest.Chain, number, by, "")
	}
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(accept(bad.Number, process.By{Actor: "kim", Reason: "x"})), "no hole yet")
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(bad.BlockRef), "malformed"))
	m.Exec(t, `UPDATE orders SET expires_at = $1, late_until = now() + interval '1 day'`, bad.Time)
	m.advance(t, 1)
	require.Equal(t, process.ExpireNotDue, m.outcome(t, order.ID))
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(accept(bad.Number, process.By{Actor: "kim"})), "without a reason")
	require.Equal(t, process.ExpireNotDue, m.outcome(t, order.ID))

	require.NoError(t, accept(bad.Number, process.By{Actor: "kim", Reason: "every explorer shows it empty"}))
	require.NoError(t, accept(bad.Number, process.By{Actor: "kim", Reason: "again"}))
	require.Equal(t, int64(1), storetest.Value[int64](t, b, `SELECT count(*) FROM audit WHERE action = 'chain.accept_hole' AND reason LIKE 'every%'`))
	require.Equal(t, int64(1), storetest.Value[int64](t, b, `SELECT count(*) FROM audit WHERE action = 'chain.accept_hole'`))
	require.Equal(t, process.ExpireExpired, m.outcome(t, order.ID))
	blocks, err := m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.True(t, blocks[0].Accepted, "everybody can see it")
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1, "and it is tried again")

	bad.Sightings = []store.Sighting{{Transfer: pay(t, other, 25_000_000), Receipt: store.ReceiptRead}}
	_, err = m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(bad))
	require.NoError(t, err)
	require.Equal(t, payment.StateConfirming, m.state(t, other.ID), "what it held counts")
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(m.DB.AcceptHole(t.Context(), "nowhere", 1, process.By{Actor: "kim", Reason: "x"}, "")))
}
