package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestRecordDetectsAPayment(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	stranger := pay(t, order, 25_000_000, func(x *payment.Transfer) { x.To = storetest.Address() })

	block := m.block(stranger, transfer)
	recorded, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, store.Recorded{Matched: 1, New: 1}, recorded)

	p := m.payment(t, transfer)
	require.Equal(t, "detected", p.Status)
	require.Equal(t, order.ID, *p.Order)
	require.Equal(t, 1, p.Inclusion)
	require.True(t, block.Time.Equal(p.FirstAt))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM inclusions WHERE canonical AND block_hash = $1`, block.Hash[:]))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM payments`), "the stranger is nobody's payment")
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	require.Equal(t, []string{"order.created", "order.payment_detected"}, m.events(t, order.ID))
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, p.ID))
	require.Zero(t, m.count(t, `SELECT count(*) FROM ledger_postings`), "detection posts nothing")

	watch, err := m.rec.Watch(t.Context(), m.session)
	require.NoError(t, err)
	require.Equal(t, block.Hash, watch.Cursor.Hash)
	require.Equal(t, block.Parent, watch.Cursor.Parent)
	holes, err := m.DB.CoverageHoles(t.Context(), m.Token.ID, store.Interval{First: 0, Last: block.Number + 1})
	require.NoError(t, err)
	require.Equal(t, []store.Interval{{First: block.Number + 1, Last: block.Number + 1}}, holes)
}

func TestRecordAgainIsRecordedOnce(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	batch := m.batch(m.block(), m.block(pay(t, order, 25_000_000)), m.block())
	first, err := m.rec.Record(t.Context(), m.session, batch)
	require.NoError(t, err)
	before := m.dump(t)
	again, err := m.rec.Record(t.Context(), m.session, batch)
	require.NoError(t, err, "the outcome of the first call may be unknown to its caller")
	require.Equal(t, first, again)
	require.Equal(t, before, m.dump(t))
}

func TestRecordContinuesTheCursorOnly(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.record(t)
	tip := m.tip
	before := m.dump(t)

	gap := m.batch(m.block(), m.block())
	gap.Blocks = gap.Blocks[1:]
	_, err := m.rec.Record(t.Context(), m.session, gap)
	require.ErrorIs(t, err, store.ErrParentMismatch)

	m.tip = tip
	fork := m.block()
	fork.Parent = storetest.Hash()
	_, err = m.rec.Record(t.Context(), m.session, m.batch(fork))
	require.ErrorIs(t, err, store.ErrParentMismatch)

	m.tip = tip
	wrongNumber := m.block()
	wrongNumber.Number++
	_, err = m.rec.Record(t.Context(), m.session, m.batch(wrongNumber))
	require.ErrorIs(t, err, store.ErrParentMismatch)

	m.tip = tip
	broken := m.batch(m.block(), m.block())
	broken.Blocks[1].Parent = storetest.Hash()
	_, err = m.rec.Record(t.Context(), m.session, broken)
	require.ErrorIs(t, err, store.ErrContradiction)
	_, err = m.rec.Record(t.Context(), m.session, store.Batch{})
	require.ErrorIs(t, err, store.ErrContradiction)
	require.Equal(t, before, m.dump(t))
}

func TestTheFirstBlockIsTheConfiguredOne(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	_, err := b.PG.Owner.Exec(t.Context(), `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL;
		UPDATE chains SET start_block = 500; TRUNCATE coverage`)
	require.NoError(t, err)
	m := &miner{Bundle: b, rec: store.NewRecorder(b.DB), step: time.Second}
	m.begin(t, storetest.Chain)
	require.Nil(t, m.watch.Cursor)
	require.Equal(t, uint64(500), m.session.Start)

	m.tip = payment.BlockRef{Number: 500, Hash: storetest.Hash(), Time: time.Now()}
	_, err = m.rec.Record(t.Context(), m.session, m.batch(m.block()))
	require.ErrorIs(t, err, store.ErrParentMismatch, "block 501 would leave a hole at 500")
	parent := payment.BlockRef{Number: 499, Hash: storetest.Hash(), Time: time.Now().UTC().Truncate(time.Microsecond)}
	m.tip = parent
	m.record(t)

	// A reorganisation may take the very first block with it.
	m.rollback(t, parent)
	m.advance(t, 2)
	require.Equal(t, uint64(501), m.tip.Number)
}

// TestTheFirstBlockAndItsParentAreReorganised: the start block's parent was never recorded, so nothing can vouch for another
// one, and nothing has to.
func TestTheFirstBlockAndItsParentAreReorganised(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	_, err := b.PG.Owner.Exec(t.Context(), `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL;
		UPDATE chains SET start_block = 1000; TRUNCATE coverage`)
	require.NoError(t, err)
	m := &miner{Bundle: b, rec: store.NewRecorder(b.DB), step: time.Second}
	m.begin(t, storetest.Chain)
	other := func() payment.BlockRef {
		return payment.BlockRef{Number: 999, Hash: storetest.Hash(), Time: time.Now().UTC().Truncate(time.Microsecond)}
	}
	m.tip = other()
	m.record(t)
	for range 2 { // and once more
		m.rollback(t, other())
		require.Nil(t, m.look(t).Cursor, "nothing is recorded any more")
		m.advance(t, 2)
		require.Equal(t, m.tip.Hash, m.look(t).Cursor.Hash)
	}
	m.advance(t, 1)
	forged := other()
	forged.Number = 1000
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, forged), store.ErrParentMismatch)
	forged.Number = 998
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, forged), store.ErrParentMismatch)
}

// TestAnOldSessionWritesNothing runs every writing method of a session that was fenced.
func TestAnOldSessionWritesNothing(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.tip
	block := m.record(t, pay(t, order, 25_000_000))
	rescan, err := m.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: block.Number, Last: block.Number}, storetest.By(), "r1")
	require.NoError(t, err)
	old := m.session
	m.begin(t, storetest.Chain)
	require.Greater(t, m.session.Epoch, old.Epoch)
	before := m.dump(t)

	ctx := t.Context()
	batch := m.batch(m.block(pay(t, order, 1_000_000)))
	for name, write := range map[string]func() error{
		"record":   func() error { _, err := m.rec.Record(ctx, old, batch); return err },
		"repeated": func() error { _, err := m.rec.Record(ctx, old, m.batch(block)); return err },
		"rescan": func() error {
			_, err := m.rec.RecordRescan(ctx, old, store.OpenRescan{ID: rescan.ID}, m.batch(block))
			return err
		},
		"rollback":   func() error { return m.rec.Rollback(ctx, old, ancestor) },
		"head":       func() error { return m.rec.ObserveHead(ctx, old, payment.BlockRef{Number: 9999, Time: time.Now()}) },
		"halt":       func() error { return m.rec.Halt(ctx, old, "too_deep") },
		"quarantine": func() error { return m.rec.Quarantine(ctx, old, unread(batch.Blocks[0].BlockRef), "malformed") },
		"watch":      func() error { _, err := m.rec.Watch(ctx, old); return err },
	} {
		require.ErrorIs(t, write(), store.ErrFenced, name)
		require.Equal(t, before, m.dump(t), name)
	}
}

// TestASessionIsFencedWhileItWaits: the epoch is checked under the lock, not before it.
func TestASessionIsFencedWhileItWaits(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	before := m.count(t, `SELECT count(*) FROM payments`)
	tx, err := m.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.Background()) }()
	_, err = tx.Exec(t.Context(), `UPDATE cursors SET epoch = epoch + 1 WHERE chain = $1`, storetest.Chain)
	require.NoError(t, err)

	result := make(chan error, 1)
	batch := m.batch(m.block(pay(t, order, 25_000_000)))
	go func() {
		_, err := m.rec.Record(context.WithoutCancel(t.Context()), m.session, batch)
		result <- err
	}()
	awaitLockWaiters(t, m.Bundle, 1)
	require.NoError(t, tx.Commit(t.Context()))
	require.ErrorIs(t, <-result, store.ErrFenced)
	require.Equal(t, before, m.count(t, `SELECT count(*) FROM payments`))
}

// awaitLockWaiters waits until so many connections to the test's database wait for a lock.
func awaitLockWaiters(t *testing.T, b *storetest.Bundle, n int) {
	t.Helper()
	await.Until(t, func() bool {
		var waiting int
		err := b.PG.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid)
			WHERE NOT granted AND datname = current_database()`).Scan(&waiting)
		return err == nil && waiting >= n
	}, "nobody waits for the lock")
}

func TestTwoRunnersAtOnceRecordEachBlockOnce(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	batch := m.batch(m.block(pay(t, order, 25_000_000)))
	results := make(chan error, 8)
	for range 8 {
		go func() {
			_, err := m.rec.Record(context.WithoutCancel(t.Context()), m.session, batch)
			results <- err
		}()
	}
	for range 8 {
		require.NoError(t, <-results)
	}
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM inclusions`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM outbox`))
	require.Len(t, m.events(t, order.ID), 2)
}

func TestHeadsOnlyGrow(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	head := func(n uint64) payment.BlockRef { return payment.BlockRef{Number: n, Time: m.tip.Time} }
	require.NoError(t, m.rec.ObserveHead(t.Context(), m.session, head(120)))
	require.NoError(t, m.rec.ObserveHead(t.Context(), m.session, head(110)))
	require.Equal(t, 120, m.count(t, `SELECT head_number FROM cursors WHERE chain = $1`, storetest.Chain))
	// Unless they were a mistake: a chain would seem to lag for ever.
	require.NoError(t, m.rec.ObserveHead(t.Context(), m.session, head(1_000_000_000)))
	require.NoError(t, m.rec.ObserveHead(t.Context(), m.session, head(121)))
	require.Equal(t, 121, m.count(t, `SELECT head_number FROM cursors WHERE chain = $1`, storetest.Chain))
	require.Equal(t, 100, m.count(t, `SELECT block_number FROM cursors WHERE chain = $1`, storetest.Chain))
}

func TestPausedChainsAreLeftAloneAndDisabledOnesAreRead(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Exec(t, `UPDATE chains SET paused_at = now() WHERE name = 'dev'`)
	require.True(t, m.look(t).Paused)
	m.Exec(t, `UPDATE chains SET paused_at = NULL, enabled = false WHERE name = 'dev'`)
	require.False(t, m.look(t).Paused)
}

func TestHaltStopsOnce(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	require.NoError(t, m.rec.Halt(t.Context(), m.session, "horizon"))
	require.NoError(t, m.rec.Halt(t.Context(), m.session, "other"))
	require.Equal(t, "horizon", storetest.Value[string](t, m.Bundle, `SELECT halted_reason FROM chains WHERE name = 'dev'`))
	m.record(t) // recording goes on
}

func TestMemoryReachesDownToTheHorizon(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Exec(t, `UPDATE chains SET horizon = 3`)
	var blocks []store.SeenBlock
	for range 10 {
		blocks = append(blocks, m.block())
	}
	_, err := m.rec.Record(t.Context(), m.session, m.batch(blocks[:8]...)) // more at once than is remembered
	require.NoError(t, err)
	_, err = m.rec.Record(t.Context(), m.session, m.batch(blocks[8:]...))
	require.NoError(t, err)
	remembered, err := m.rec.Ancestors(t.Context(), m.session, m.tip.Number, 100)
	require.NoError(t, err)
	require.Len(t, remembered, 4)
	require.Equal(t, m.tip.Hash, remembered[0].Hash)
	require.Equal(t, m.tip.Number-3, remembered[3].Number)
	few, err := m.rec.Ancestors(t.Context(), m.session, m.tip.Number-1, 2)
	require.NoError(t, err)
	require.Equal(t, remembered[1:3], few)

	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, blocks[5].BlockRef), store.ErrHorizon)
	m.rollback(t, blocks[6].BlockRef)
	m.advance(t, 1)
}

func TestUnknownChain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	_, err := store.NewRecorder(b.DB).Begin(t.Context(), "nowhere")
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(err))
}
