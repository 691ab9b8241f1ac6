package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func (m *miner) rescan(t *testing.T, first, last uint64, request string) store.OpenRescan {
	t.Helper()
	r, err := m.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: first, Last: last}, storetest.By(), request)
	require.NoError(t, err)
	return store.OpenRescan{ID: r.ID, From: r.From, To: r.To, Next: r.Next}
}

// TestARescanAddsWhatWasMissed and leaves everything else: the cursor, and what is recorded already.
func TestARescanAddsWhatWasMissed(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	seen, missed := pay(t, order, 10_000_000), pay(t, order, 15_000_000)
	block := m.record(t, seen)
	m.advance(t, 5)
	cursor := m.tip

	complete := block
	complete.Sightings = append(complete.Sightings, store.Sighting{Transfer: missed, Receipt: store.ReceiptRead})
	rescan := m.rescan(t, block.Number, block.Number, "r")
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(complete))
	require.NoError(t, err)
	require.Equal(t, store.Recorded{Matched: 2, New: 1}, recorded)
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, m.payment(t, seen).ID))
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, m.payment(t, missed).ID))
	require.Equal(t, cursor.Hash, m.look(t).Cursor.Hash)
	require.Empty(t, m.look(t).Rescans)

	before := m.dump(t)
	recorded, err = m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(complete))
	require.NoError(t, err)
	require.Equal(t, store.Recorded{Matched: 2}, recorded)
	require.Equal(t, before, m.dump(t))
}

// TestARescanNeverTakesAnythingBack: a node that lies about the past reverses no credit.
func TestARescanNeverTakesAnythingBack(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.record(t, transfer)
	m.credit(t, transfer)
	m.Exec(t, `UPDATE chains SET horizon = 1`)
	m.advance(t, 5) // the block is not remembered any more
	rescan := m.rescan(t, block.Number, block.Number, "r")

	lie := block
	lie.Sightings = []store.Sighting{block.Sightings[0]}
	lie.Sightings[0].Amount = payment.AmountFromUint64(1)
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(lie))
	require.NoError(t, err)
	require.Equal(t, store.Recorded{Matched: 1}, recorded)
	lie.Hash = storetest.Hash()
	_, err = m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(lie))
	require.NoError(t, err)
	require.Equal(t, "credited", m.payment(t, transfer).Status)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
}

func TestARescanMustBeOfTheRecordedBlocks(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	block := m.record(t)
	rescan := m.rescan(t, block.Number, block.Number, "r")
	before := m.dump(t)
	other := block
	other.Hash = storetest.Hash()
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(other))
	require.ErrorIs(t, err, store.ErrParentMismatch)
	_, err = m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(m.block()))
	require.ErrorIs(t, err, store.ErrParentMismatch, "above the cursor")
	require.Equal(t, before, m.dump(t))
}

func TestARescanAdvancesWithoutGaps(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	var blocks []store.SeenBlock
	for range 6 {
		blocks = append(blocks, m.record(t))
	}
	rescan := m.rescan(t, blocks[0].Number, blocks[4].Number, "r")
	next := func() uint64 {
		t.Helper()
		open := m.look(t).Rescans
		if len(open) == 0 {
			return 0
		}
		return open[0].Next
	}
	read := func(from, to int) {
		t.Helper()
		_, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(blocks[from:to]...))
		require.NoError(t, err)
	}
	read(2, 4)
	require.Equal(t, blocks[0].Number, next(), "a gap was left")
	read(0, 2)
	require.Equal(t, blocks[2].Number, next())
	read(0, 1)
	require.Equal(t, blocks[2].Number, next(), "never back")
	read(1, 6)
	require.Zero(t, next(), "finished, also when the batch reaches further")
	r, err := m.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: 1, Last: 1}, storetest.By(), "r")
	require.NoError(t, err)
	require.True(t, r.Finished, "the same request is the same rescan")
	require.Equal(t, rescan.ID, r.ID)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.rescan'`))
}

func TestARescanStaysBelowTheCursor(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	m.advance(t, 10)
	ancestor := m.tip
	m.advance(t, 10)
	rescan := m.rescan(t, 105, 500, "r")
	require.Equal(t, m.tip.Number, rescan.To)
	m.rollback(t, ancestor)
	require.Equal(t, ancestor.Number, m.look(t).Rescans[0].To, "what was undone is not there to be read again")

	_, err := m.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: 400, Last: 500}, storetest.By(), "above")
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	_, err = m.DB.RequestRescan(t.Context(), "nowhere", store.Interval{First: 1, Last: 2}, storetest.By(), "nowhere")
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(err))

	ofOrder, err := m.DB.RequestOrderRescan(t.Context(), order.ID, store.Interval{}, storetest.By(), "order")
	require.NoError(t, err)
	require.Equal(t, uint64(100), ofOrder.From, "since its address was handed out")
	require.Equal(t, ancestor.Number, ofOrder.To)
	require.False(t, ofOrder.Again)
	again, err := m.DB.RequestOrderRescan(t.Context(), order.ID, store.Interval{}, storetest.By(), "order")
	require.NoError(t, err)
	require.True(t, again.Again)
	_, err = m.DB.RequestOrderRescan(t.Context(), m.Opening(t), store.Interval{}, storetest.By(), "opening")
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = m.DB.RequestOrderRescan(t.Context(), payment.NewOrderID(), store.Interval{}, storetest.By(), "none")
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestTheShortestRescanGoesFirst(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.rescan(t, 0, 90, "long")
	short := m.rescan(t, 95, 96, "short")
	require.Equal(t, short.ID, m.look(t).Rescans[0].ID)
}
