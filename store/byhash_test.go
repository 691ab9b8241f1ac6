package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// inRange records a block as it was read in a range.
func (m *miner) inRange(t *testing.T, transfers ...payment.Transfer) store.SeenBlock {
	t.Helper()
	block := m.block(transfers...)
	batch := m.batch(block)
	batch.ByHash = false
	_, err := m.rec.Record(t.Context(), m.session, batch)
	require.NoError(t, err)
	return block
}

// TestBlocksReadInRangesAreReadByHashFirst: at once, and not when they are final, from the births of open orders on and then the rest.
func TestBlocksReadInRangesAreReadByHashFirst(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	first := m.inRange(t)
	order := m.Order(t)
	second := m.inRange(t)
	m.record(t)

	watch := m.look(t)
	require.EqualValues(t, 2, watch.Ranged)
	require.Equal(t, &store.OpenRescan{From: second.Number, To: second.Number, Next: second.Number, Second: true, Urgent: true}, watch.SecondLook)
	_, err := m.rec.RecordRescan(t.Context(), m.session, *watch.SecondLook, m.batch(second))
	require.NoError(t, err)
	require.Equal(t, &store.OpenRescan{From: first.Number, To: first.Number, Next: first.Number, Second: true}, m.look(t).SecondLook)
	m.Exec(t, `UPDATE orders SET birth_block = NULL WHERE id = $1`, order.ID)
	require.True(t, m.look(t).SecondLook.Urgent, "nothing was recorded when it was opened")
	_, err = m.rec.RecordRescan(t.Context(), m.session, *m.look(t).SecondLook, m.batch(first))
	require.NoError(t, err)
	require.Nil(t, m.look(t).SecondLook, "the rest is not final")
	require.Zero(t, m.look(t).Ranged)

	m.rollback(t, first.BlockRef)
	m.inRange(t)
	require.Equal(t, second.Number, m.look(t).SecondLook.From, "another block of that height is read again, too")
}

// TestAnOrderWaitsForBlocksThatWereReadInRanges, until they were read by their hash: what a range lacks is found in time.
func TestAnOrderWaitsForBlocksThatWereReadInRanges(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	missed := m.inRange(t)
	deadlineAt(t, m.Bundle, order.ID, missed.Time)
	m.record(t)
	outcome, reason := m.expire(t, order.ID)
	require.Equal(t, process.ExpireNotDue, outcome)
	require.Equal(t, "blocks_read_in_ranges_only", reason)

	transfer := pay(t, order, 25_000_000)
	missed.Sightings = []store.Sighting{{Transfer: transfer, Receipt: store.ReceiptRead}}
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, *m.look(t).SecondLook, m.batch(missed))
	require.NoError(t, err)
	require.Equal(t, 1, recorded.New)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.second_look_found'`))
	outcome, _ = m.expire(t, order.ID)
	require.Equal(t, process.ExpireLive, outcome)
}

// TestWhatHoldsNoExpiry: blocks that were read by hash, those outside the order's life, and any of them after an hour of the chain's time.
func TestWhatHoldsNoExpiry(t *testing.T) {
	t.Parallel()
	for name, life := range map[string]func(t *testing.T, m *miner) payment.OrderID{
		"read by hash": func(t *testing.T, m *miner) payment.OrderID {
			t.Helper()
			order := m.Order(t)
			deadlineAt(t, m.Bundle, order.ID, m.record(t).Time)
			m.record(t)
			return order.ID
		},
		"before it was opened": func(t *testing.T, m *miner) payment.OrderID {
			t.Helper()
			m.inRange(t)
			order := m.Order(t)
			deadlineAt(t, m.Bundle, order.ID, m.record(t).Time)
			m.record(t)
			return order.ID
		},
		"after the first block past its deadline": func(t *testing.T, m *miner) payment.OrderID {
			t.Helper()
			order := m.Order(t)
			deadlineAt(t, m.Bundle, order.ID, m.record(t).Time)
			m.record(t)
			m.inRange(t)
			return order.ID
		},
		"read by hash since": func(t *testing.T, m *miner) payment.OrderID {
			t.Helper()
			order := m.Order(t)
			block := m.inRange(t)
			deadlineAt(t, m.Bundle, order.ID, block.Time)
			m.record(t)
			_, err := m.rec.RecordRescan(t.Context(), m.session, *m.look(t).SecondLook, m.batch(block))
			require.NoError(t, err)
			return order.ID
		},
		"an hour ago": func(t *testing.T, m *miner) payment.OrderID {
			t.Helper()
			m.tip.Time = time.Now().Add(-5 * time.Hour)
			order := m.Order(t)
			deadlineAt(t, m.Bundle, order.ID, m.inRange(t).Time)
			m.step = time.Hour
			m.record(t)
			_, reason := m.expire(t, order.ID)
			require.Equal(t, "blocks_read_in_ranges_only", reason)
			m.step = time.Second
			m.record(t)
			return order.ID
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			id := life(t, m)
			outcome, reason := m.expire(t, id)
			require.Equal(t, process.ExpireExpired, outcome, reason)
		})
	}
}

// TestASecondLookInRangesOnlyConfirms: when it shows anything else than what is recorded, to anybody, the blocks have to be read by hash.
func TestASecondLookInRangesOnlyConfirms(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.record(t, transfer)
	m.advance(t, 2*storetest.Confirmations)
	m.final(t, block.BlockRef)
	look := *m.look(t).SecondLook
	require.True(t, look.InRanges)
	without, other, more := block, block, block
	without.Sightings = nil
	other.Sightings = m.seen(block, pay(t, order, 1_000_000))
	more.Sightings = append(other.Sightings, block.Sightings...)
	before := m.dump(t)
	for name, seen := range map[string][]store.SeenBlock{
		"nothing": {without}, "something else": {other}, "more": {more}, "nothing, to one of two": {block, without}, "nothing, to both": {without, without},
	} {
		batch := m.batch(seen[0])
		batch.ByHash = false
		for i, view := range seen {
			batch.Views = append(batch.Views, store.View{Operator: string(rune('a' + i)), Blocks: []store.SeenBlock{view}})
		}
		_, err := m.rec.RecordRescan(t.Context(), m.session, look, batch)
		require.ErrorIs(t, err, store.ErrHearsay, name)
		require.Equal(t, before, m.dump(t), name)
		require.NotNil(t, m.look(t).SecondLook)
	}
	batch := m.batch(block)
	batch.ByHash = false
	_, err := m.rec.RecordRescan(t.Context(), m.session, look, batch)
	require.NoError(t, err)
	require.Nil(t, m.look(t).SecondLook)
}

// seen are the sightings of a block with one transfer.
func (m *miner) seen(block store.SeenBlock, transfer payment.Transfer) []store.Sighting {
	transfer.TxIndex, transfer.LogIndex = uint(len(block.Sightings)), uint(len(block.Sightings))
	return []store.Sighting{{Transfer: transfer, Receipt: store.ReceiptRead}}
}

// TestARangeRefutesNothing: two operators whose ranges lack a transfer end nothing, in whatever they read again.
func TestARangeRefutesNothing(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	transfer := pay(t, m.Order(t), 25_000_000)
	block := m.record(t, transfer)
	rescan, err := m.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: block.Number, Last: block.Number}, storetest.By(), "again")
	require.NoError(t, err)
	block.Sightings = nil
	batch := m.batch(block)
	batch.ByHash = false
	batch.Views = []store.View{{Operator: "a", Blocks: batch.Blocks}, {Operator: "b", Blocks: batch.Blocks}}
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, store.OpenRescan{ID: rescan.ID, From: block.Number, To: block.Number, Next: block.Number, Requested: true}, batch)
	require.NoError(t, err)
	require.Zero(t, recorded.Refuted)
	require.Equal(t, "detected", m.payment(t, transfer).Status)
}

// TestASecondLookIsLeftForLater: the block gets a rescan of its own, and the next one is looked at. It does not happen to many at once.
func TestASecondLookIsLeftForLater(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	first := m.inRange(t).Number
	for range 20 {
		m.inRange(t)
	}
	for i := range uint64(16) {
		require.Equal(t, first+i, m.look(t).SecondLook.From)
		for range 2 {
			require.NoError(t, m.rec.LookLater(t.Context(), m.session, store.OpenRescan{Next: first + i, Second: true}))
		}
	}
	require.NoError(t, m.rec.LookLater(t.Context(), m.session, store.OpenRescan{Next: first + 16, Second: true}))
	require.Equal(t, first+16, m.look(t).SecondLook.From)
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 16)
	stale := m.session
	m.begin(t, storetest.Chain)
	require.ErrorIs(t, m.rec.LookLater(t.Context(), stale, store.OpenRescan{Next: first, Second: true}), store.ErrFenced)
}

// TestARescanLeavesABlockForLater: what stands at a block goes on behind it, and the blocks behind it get their second look.
func TestARescanLeavesABlockForLater(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	first := m.inRange(t).Number
	last := m.inRange(t).Number
	m.rescan(t, first, last, "look")
	require.Nil(t, m.look(t).SecondLook, "the rescan will read them")
	for range 2 {
		require.NoError(t, m.rec.LookLater(t.Context(), m.session, m.look(t).Rescans[0]))
	}
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 2)
	for i, at := range []uint64{last, first} {
		require.Equal(t, at, rescans[i].Next)
		require.Equal(t, at, rescans[i].To)
		require.True(t, rescans[i].Requested)
	}
	for _, rescan := range rescans { // nothing is left of one block
		require.NoError(t, m.rec.LookLater(t.Context(), m.session, rescan))
	}
	require.Len(t, m.look(t).Rescans, 2)
}
