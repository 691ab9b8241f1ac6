package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// recordTraced makes a block and records it with a trace, or without.
func (m *miner) recordTraced(t *testing.T, traced bool, transfers ...payment.Transfer) store.SeenBlock {
	t.Helper()
	block := m.block(transfers...)
	block.Traced = traced
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	return block
}

func (m *miner) untraced(t *testing.T) string {
	t.Helper()
	return storetest.Value[string](t, m.Bundle, `SELECT (int8multirange(int8range(101, $2, '[]')) - blocks)::text FROM coverage
		WHERE chain = $1 AND method = 'traces'`, m.session.Chain, m.tip.Number)
}

// tracedTo makes the bundle's chain one that was traced from the beginning.
func (m *miner) tracedTo(t *testing.T, number int) {
	t.Helper()
	m.Exec(t, `INSERT INTO coverage (chain, method, blocks) VALUES ($1, 'traces', int8multirange(int8range(0, $2, '[]')))`, m.session.Chain, number)
}

func TestTracesAreAskedForUnlessSwitchedOff(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	require.True(t, m.look(t).Traces)
	for range 2 {
		require.NoError(t, m.DB.UntraceChain(t.Context(), storetest.Chain, storetest.By(), "off"))
	}
	require.False(t, m.look(t).Traces)
	require.True(t, m.look(t).Native)
	require.NoError(t, m.DB.TraceChain(t.Context(), storetest.Chain, storetest.By(), "on"))
	require.True(t, m.look(t).Traces)
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(m.DB.TraceChain(t.Context(), "nowhere", storetest.By(), "x")))
}

func TestOnlyTracedBlocksAreCovered(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	blocks := []store.SeenBlock{m.block(), m.block(), m.block(), m.block(), m.block(), m.block()}
	for _, i := range []int{0, 1, 3, 5} {
		blocks[i].Traced = true
	}
	_, err := m.rec.Record(t.Context(), m.session, m.batch(blocks...))
	require.NoError(t, err)
	require.Equal(t, "{[103,104),[105,106)}", m.untraced(t))
	require.Empty(t, m.holes(t, m.Native.ID))
	require.Empty(t, m.look(t).Rescans, "no address was issued")
	m.rollback(t, blocks[1].BlockRef)
	m.recordTraced(t, false)
	require.Equal(t, "{[103,104)}", m.untraced(t))
}

// TestAnInternalTransferIsAPaymentOfItsOwn: one transaction's own value and what it moves inside are told apart by position.
func TestAnInternalTransferIsAPaymentOfItsOwn(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t, func(n *store.NewOrder) {
		n.Asset, n.Amount = "ETH", payment.AmountFromUint64(1_000_000_000_000_000_000)
	})
	first := pay(t, order, 400_000_000_000_000_000)
	second, third := first, first
	second.Position, second.From = 1, storetest.Address()
	third.Position, third.Amount = 7, payment.AmountFromUint64(600_000_000_000_000_000)
	block := m.block(first)
	block.Traced = true
	block.Sightings = append(block.Sightings,
		store.Sighting{Transfer: second, Receipt: store.ReceiptRead}, store.Sighting{Transfer: third, Receipt: store.ReceiptRead})
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, 3, m.count(t, `SELECT count(*) FROM payments WHERE order_id = $1`, order.ID))
	require.Equal(t, 3, m.count(t, `SELECT count(DISTINCT position) FROM payments`))
}

// TestBlocksThatNoNodeTracedAreTracedLater: as soon as one traces again, once an hour until it worked.
func TestBlocksThatNoNodeTracedAreTracedLater(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t, func(n *store.NewOrder) {
		n.Asset, n.Amount = "ETH", payment.AmountFromUint64(1_000_000_000_000_000_000)
	})
	m := mine(t, b)
	m.tracedTo(t, 100)
	missed := []store.SeenBlock{m.recordTraced(t, false), m.recordTraced(t, false)}
	require.Empty(t, m.look(t).Rescans, "nobody traces")
	m.recordTraced(t, true)
	m.recordTraced(t, true)
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1)
	require.Equal(t, store.OpenRescan{ID: rescans[0].ID, From: 101, To: 102, Next: 101}, rescans[0])

	_, err := m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(missed...))
	require.NoError(t, err)
	require.Equal(t, "{[101,103)}", m.untraced(t))
	m.recordTraced(t, true)
	require.Empty(t, m.look(t).Rescans, "it was just tried")
	m.step = time.Hour
	m.recordTraced(t, true)
	m.step = time.Second
	rescans = m.look(t).Rescans
	require.Len(t, rescans, 1)

	inside := pay(t, order, 1_000_000_000_000_000_000, func(x *payment.Transfer) { x.Position = 3 })
	missed[1].Sightings = []store.Sighting{{Transfer: inside, Receipt: store.ReceiptRead}}
	missed[0].Traced, missed[1].Traced = true, true
	_, err = m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(missed...))
	require.NoError(t, err)
	require.Equal(t, "{}", m.untraced(t))
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	m.step = 2 * time.Hour
	m.recordTraced(t, true)
	require.Empty(t, m.look(t).Rescans)
}

// TestOldBlocksAreNotTracedByThemselves: a year of traces is for a person to ask for.
func TestOldBlocksAreNotTracedByThemselves(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Order(t)
	m := mine(t, b)
	m.session.BlockTime = time.Hour // a day is 24 blocks
	m.recordTraced(t, true)
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1)
	require.EqualValues(t, 77, rescans[0].From)
	require.EqualValues(t, 100, rescans[0].To)
}
