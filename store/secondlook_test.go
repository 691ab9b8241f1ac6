package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// horizon is that of the bundle's chains.
const horizon = 64

// final has the chain call a block final.
func (m *miner) final(t *testing.T, block payment.BlockRef) {
	t.Helper()
	require.NoError(t, m.rec.ObserveFinal(t.Context(), m.session, &block))
}

// readTwice makes the blocks below the miner's own ones looked at twice already.
func (m *miner) readTwice(t *testing.T) {
	t.Helper()
	_, err := m.PG.Owner.Exec(t.Context(), `INSERT INTO second_looks (chain, blocks)
		SELECT chain, int8multirange(int8range(0, block_number, '[]')) FROM cursors WHERE chain = $1`, m.session.Chain)
	require.NoError(t, err)
}

func TestASecondLookRecordsAndTellsWhatWasMissed(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	missed := m.block(transfer)
	silent := missed
	silent.Sightings = nil
	_, err := m.rec.Record(t.Context(), m.session, m.batch(silent))
	require.NoError(t, err)
	m.advance(t, 2*storetest.Confirmations)
	require.Nil(t, m.look(t).SecondLook, "nothing is final yet")
	above := m.record(t)
	m.final(t, above.BlockRef)

	look := m.look(t).SecondLook
	require.Equal(t, &store.OpenRescan{From: missed.Number, To: missed.Number + 1, Next: missed.Number, Second: true, InRanges: true}, look)
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, *look, m.batch(missed))
	require.NoError(t, err)
	require.Equal(t, store.Recorded{Matched: 1, New: 1}, recorded)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	require.Equal(t, 1, m.count(t, `SELECT found FROM second_looks`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.second_look_found' AND detail->'payments' ? $1`,
		m.payment(t, transfer).ID))
	require.Equal(t, missed.Number+1, m.look(t).SecondLook.From, "the rest is still to be looked at")

	// The same block, when nobody knows whether that was written down.
	_, err = m.rec.RecordRescan(t.Context(), m.session, *look, m.batch(missed))
	require.NoError(t, err)
	require.Equal(t, 1, m.count(t, `SELECT found FROM second_looks`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.second_look_found'`))
}

func TestWhereNothingIsFinalTheHorizonIs(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	first := m.tip.Number + 1
	m.advance(t, horizon)
	require.Nil(t, m.look(t).SecondLook)
	m.advance(t, 3)
	require.Equal(t, &store.OpenRescan{From: first, To: first + 2, Next: first, Second: true, InRanges: true}, m.look(t).SecondLook)
}

// TestWhatIsReadLateIsLookedAtTwice: a backfill is the first look at its blocks.
func TestWhatIsReadLateIsLookedAtTwice(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.readTwice(t)
	block := m.record(t)
	m.advance(t, horizon)
	_, err := m.rec.RecordRescan(t.Context(), m.session, *m.look(t).SecondLook, m.batch(block))
	require.NoError(t, err)
	require.Nil(t, m.look(t).SecondLook)

	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO rescans (chain, from_block, to_block, next_block, cause, request_id, requested_by)
		VALUES ($1, $2, $2, $2, 'backfill', 'late', 'test')`, m.session.Chain, block.Number)
	require.NoError(t, err)
	require.Nil(t, m.look(t).SecondLook, "the rescan goes first")
	_, err = m.rec.RecordRescan(t.Context(), m.session, m.look(t).Rescans[0], m.batch(block))
	require.NoError(t, err)
	require.Equal(t, block.Number, m.look(t).SecondLook.From)
}

func TestABlockThatContradictsWhatIsRecordedIsNotFinal(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	block := m.record(t)
	m.advance(t, 2*storetest.Confirmations)
	other := block.BlockRef
	other.Hash = storetest.Hash()
	m.final(t, other)
	m.final(t, payment.BlockRef{Number: m.tip.Number + 1, Hash: storetest.Hash()})
	finals := `SELECT count(*) FROM cursors WHERE final_number IS NOT NULL AND chain = $1`
	require.Zero(t, m.count(t, finals, m.session.Chain))
	m.final(t, block.BlockRef)
	require.Equal(t, 1, m.count(t, finals, m.session.Chain))
}

// TestADeepReorganisationIsUndoneOnlyOnAHaltedChain: nothing is lost, and nothing is credited until somebody has looked.
func TestADeepReorganisationIsUndoneOnlyOnAHaltedChain(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order, other := m.Order(t), m.Order(t)
	m.record(t, pay(t, other, 25_000_000))
	require.NoError(t, m.rec.ObserveFinal(t.Context(), m.session, nil)) // marks the cursor
	ancestor := m.tip
	m.advance(t, 5)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.advance(t, horizon+5)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	require.Equal(t, payment.StatePaid, m.state(t, order.ID))

	known, err := m.rec.Remembered(t.Context(), m.session, ancestor.Number, 10)
	require.NoError(t, err)
	require.Equal(t, ancestor.Hash, known[0].Hash)
	before := m.dump(t)
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, ancestor), store.ErrHorizon)
	require.Equal(t, before, m.dump(t))

	require.NoError(t, m.rec.Halt(t.Context(), m.session, "reorg_below_horizon"))
	unknown := ancestor
	unknown.Number++
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, unknown), store.ErrParentMismatch, "it was never recorded")
	m.rollback(t, ancestor)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM ledger_postings WHERE kind = 'reversal'`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'reversal' AND status = 'open'`))
	require.Zero(t, m.balance(t, "merchant:available"))
	require.Equal(t, payment.StateConfirming, m.state(t, other.ID), "what is below is left alone")

	// The new chain is recorded, and credits wait for a person.
	m.record(t, transfer)
	m.advance(t, storetest.Confirmations)
	require.Equal(t, 2, m.payment(t, transfer).Inclusion)
	require.Equal(t, store.CreditHalted, m.credit(t, transfer).Outcome)
	require.NoError(t, m.DB.ResumeChain(t.Context(), m.session.Chain, process.By{Actor: "kim", Reason: "looked"}, "resume/1"))
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	require.Equal(t, store.CreditAlready, m.credit(t, transfer).Outcome)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.True(t, report.OK(), "%v", report.Findings)
}

func TestWhatWasFinalIsUndoneOnlyOnAHaltedChain(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t).BlockRef
	final := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	m.final(t, final)
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, ancestor), store.ErrFinal)
	require.NoError(t, m.rec.Halt(t.Context(), m.session, "reorg_below_final"))
	m.rollback(t, ancestor)
	require.Equal(t, int(ancestor.Number), m.count(t, `SELECT final_number FROM cursors WHERE chain = $1`, m.session.Chain))
}

// TestEverythingIsUndone: when the chain shares nothing with what was recorded, reading begins again at the start.
func TestEverythingIsUndone(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	_, err := m.PG.Owner.Exec(t.Context(), `UPDATE chains SET start_block = $1`, m.tip.Number)
	require.NoError(t, err)
	m.begin(t, m.session.Chain)
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.advance(t, horizon+1)
	require.NoError(t, m.rec.Halt(t.Context(), m.session, "reorg_below_horizon"))
	m.rollback(t, payment.BlockRef{Number: m.session.Start - 1})
	require.Equal(t, "dropped", m.payment(t, transfer).Status)
	require.Nil(t, m.look(t).Cursor)
	require.Zero(t, m.count(t, `SELECT count(*) FROM recorded_marks`))
}
