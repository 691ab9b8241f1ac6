package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func (m *miner) holes(t *testing.T, asset payment.AssetID) []store.Interval {
	t.Helper()
	holes, err := m.DB.CoverageHoles(t.Context(), asset, store.Interval{First: 0, Last: m.tip.Number})
	require.NoError(t, err)
	return holes
}

func (m *miner) look(t *testing.T) store.Watch {
	t.Helper()
	watch, err := m.rec.Watch(t.Context(), m.session)
	require.NoError(t, err)
	return watch
}

// TestATokenEnabledWhileABlockIsReadIsReadAgain: the block was fetched without it, so its coverage has a hole there, and
// somebody has to go back.
func TestATokenEnabledWhileABlockIsReadIsReadAgain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Order(t)
	m := mine(t, b)
	blind := m.block()
	token := payment.TokenAsset(storetest.Chain, storetest.Address())
	b.Exec(t, `INSERT INTO assets (id, chain, contract, code, decimals) VALUES ($1, 'dev', $2, 'NEW', 6)`, token.String(), token.Contract.Bytes())
	b.Exec(t, `INSERT INTO coverage (chain, method, contract, blocks) VALUES ('dev', 'token_logs', $1, '{[0,101)}')`, token.Contract.Bytes())
	_, err := m.rec.Record(t.Context(), m.session, m.batch(blind))
	require.NoError(t, err)
	require.Equal(t, []store.Interval{{First: 101, Last: 101}}, m.holes(t, token))

	m.watch = m.look(t)
	require.Contains(t, m.watch.Tokens, token.Contract)
	require.Len(t, m.watch.Rescans, 1)
	rescan := m.watch.Rescans[0]
	require.Equal(t, store.OpenRescan{ID: rescan.ID, From: 101, To: 101, Next: 101}, rescan)
	m.advance(t, 1)
	require.Len(t, m.look(t).Rescans, 1, "asked for once")

	_, err = m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(blind))
	require.NoError(t, err)
	require.Empty(t, m.holes(t, token))
	require.Empty(t, m.look(t).Rescans)
}

// TestAHoleThatARescanDidNotCloseIsAskedForAgain: it ran with an old filter.
func TestAHoleThatARescanDidNotCloseIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Order(t)
	m := mine(t, b)
	token := payment.TokenAsset(storetest.Chain, storetest.Address())
	b.Exec(t, `INSERT INTO assets (id, chain, contract, code, decimals) VALUES ($1, 'dev', $2, 'NEW', 6)`, token.String(), token.Contract.Bytes())
	b.Exec(t, `INSERT INTO coverage (chain, method, contract, blocks) VALUES ('dev', 'token_logs', $1, '{[0,101)}')`, token.Contract.Bytes())
	blind := m.record(t)
	rescan := m.look(t).Rescans[0]
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(blind))
	require.NoError(t, err)
	require.Empty(t, m.look(t).Rescans)
	require.NotEmpty(t, m.holes(t, token))
	m.watch = m.look(t)
	m.advance(t, 1)
	require.Len(t, m.look(t).Rescans, 1)
}

func TestNobodyReadsBackForAddressesThatDoNotExist(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	m.Exec(t, `UPDATE coverage SET blocks = '{}'`)
	m.advance(t, 1)
	require.Empty(t, m.look(t).Rescans)
	b.Order(t)
	m.advance(t, 1)
	require.Len(t, m.look(t).Rescans, 1)
}

// TestAQuarantinedBlockIsAHole: the chain goes on, and no order expires across it until it was read.
func TestAQuarantinedBlockIsAHole(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	order := b.Order(t)
	bad := m.block()
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(bad.BlockRef), "malformed"))
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(bad.BlockRef), "malformed"), "again is once")
	m.Exec(t, `UPDATE orders SET expires_at = $2, late_until = now() + interval '1 day' WHERE id = $1`, order.ID, bad.Time)
	m.advance(t, 1)
	require.Equal(t, []store.Interval{{First: bad.Number, Last: bad.Number}}, m.holes(t, b.Token.ID))
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1, "and stays planned once")
	require.Equal(t, []uint64{bad.Number, bad.Number}, []uint64{rescans[0].From, rescans[0].To})
	require.Equal(t, string(store.RescanQuarantine), storetest.Value[string](t, b, `SELECT cause FROM rescans`))
	blocks, err := m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	require.Equal(t, "malformed", blocks[0].Reason)
	require.Equal(t, bad.Hash, blocks[0].Hash)

	expired, wait, err := m.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, process.ExpireNotDue, expired.Outcome)
	require.Equal(t, string(payment.ReasonUnreadBlocks), wait.Reason)

	transfer := pay(t, order, 25_000_000)
	bad.Sightings = []store.Sighting{{Transfer: transfer, Receipt: store.ReceiptRead}}
	_, err = m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(bad))
	require.NoError(t, err)
	require.Empty(t, m.look(t).Rescans)
	require.Empty(t, m.holes(t, b.Token.ID))
	blocks, err = m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Empty(t, blocks)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID), "what the block held was found")
}

func TestAQuarantinedBlockThatWasReorganisedAwayIsNoHole(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.tip
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(m.block().BlockRef), "malformed"))
	m.advance(t, 1)
	m.rollback(t, ancestor)
	m.advance(t, 3)
	require.Empty(t, m.holes(t, m.Token.ID))
	blocks, err := m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Empty(t, blocks)
}

// TestABlockIsQuarantinedAgain after a reorganisation left it and came back.
func TestABlockIsQuarantinedAgain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Order(t)
	m := mine(t, b)
	ancestor := m.tip
	bad := m.block()
	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(bad.BlockRef), "malformed"))
	m.rollback(t, ancestor)
	other := m.record(t)
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1)
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(other))
	require.NoError(t, err)
	m.rollback(t, ancestor)

	require.NoError(t, m.rec.Quarantine(t.Context(), m.session, unread(bad.BlockRef), "receipt_missing"))
	m.tip = bad.BlockRef
	m.advance(t, 1)
	blocks, err := m.DB.QuarantinedBlocks(t.Context(), storetest.Chain, 10)
	require.NoError(t, err)
	require.Len(t, blocks, 1)
	require.Equal(t, "receipt_missing", blocks[0].Reason)
	require.Len(t, m.look(t).Rescans, 1, "it is still going to be read")
}

// TestABackfillBeginsAtTheOldestAddress: nobody could be paid before there was an address, so nothing older is read.
func TestABackfillBeginsAtTheOldestAddress(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	mark := func(number int, age string) {
		m.Exec(t, `INSERT INTO recorded_marks (chain, number, hash, block_time, marked_at) VALUES ('dev', $1, $2, now(), now() - $3::interval)`,
			number, storetest.Bytes(32), age)
	}
	m.Exec(t, `DELETE FROM recorded_marks`)
	mark(70, "3 hours")
	mark(80, "2 hours")
	mark(90, "65 minutes")
	b.Order(t)
	b.Order(t)
	m.Exec(t, `INSERT INTO recorded_marks (chain, number, hash, block_time, marked_at) SELECT 'other', 100, hash, block_time, marked_at FROM recorded_marks WHERE number = 70`)
	m.Exec(t, `UPDATE chains SET horizon = 10 WHERE name = 'dev'`)
	made := func(age string) {
		_, err := b.PG.Owner.Exec(t.Context(), `UPDATE addresses SET created_at = now() - $1::interval WHERE id = (SELECT min(id) FROM addresses)`, age)
		require.NoError(t, err)
	}
	token := payment.TokenAsset(storetest.Chain, storetest.Address())
	b.Exec(t, `INSERT INTO assets (id, chain, contract, code, decimals) VALUES ($1, 'dev', $2, 'NEW', 6)`, token.String(), token.Contract.Bytes())
	for _, tc := range []struct {
		age  string
		from uint64
	}{
		{"4 hours", 0},      // nothing was recorded by then, as far as is known
		{"2 hours", 60},     // a clock that is ten minutes wrong matters not
		{"109 minutes", 70}, // the newest that is surely older, less the horizon
		{"1 hour", 70},
		{"10 minutes", 80},
	} {
		made(tc.age)
		_, err := b.PG.Owner.Exec(t.Context(), `DELETE FROM rescans`)
		require.NoError(t, err)
		m.advance(t, 1)
		rescans := m.look(t).Rescans
		require.Len(t, rescans, 1)
		require.Equal(t, []uint64{tc.from, m.tip.Number}, []uint64{rescans[0].From, rescans[0].To}, tc.age)
	}
}
