package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// three is a block as a liar and two honest operators show it; what is to be recorded is what any of them shows.
func (m *miner) three(lie, truth store.SeenBlock) store.Batch {
	batch := m.heard(lie, truth)
	batch.Views = append(batch.Views, store.View{Operator: "gamma", Blocks: []store.SeenBlock{truth}})
	return batch
}

// planned is the rescan of a block that is open.
func (m *miner) planned(t *testing.T, block store.SeenBlock) store.OpenRescan {
	t.Helper()
	for _, open := range m.look(t).Rescans {
		if open.From == block.Number && open.To == block.Number {
			return open
		}
	}
	require.Fail(t, "nobody reads it again", "block %d", block.Number)
	return store.OpenRescan{}
}

// TestOneWordMovesNoPayment: a node shows a transfer in a newer block than the recorded one. Whichever of the two blocks holds it, and
// whichever is read again first, the truth is left.
func TestOneWordMovesNoPayment(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name            string
		newer, reversed bool // the truth is in the newer block; that is read again first
		unsure          bool // the first time the newer block is read again, a liar denies it
		alone           bool
	}{
		{name: "the old block holds it"},
		{name: "the old block holds it, the new one is read first", reversed: true},
		{name: "the new block holds it", newer: true},
		{name: "the new block holds it and is read first", newer: true, reversed: true},
		{name: "the new block holds it, is read first, and one denies it", newer: true, reversed: true, unsure: true},
		{name: "the only operator says the new block", newer: true, alone: true},
		{name: "the only operator says the new block, read first", newer: true, alone: true, reversed: true},
		{name: "the only operator says the old block", alone: true},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			order := m.Order(t)
			transfer := pay(t, order, 25_000_000)
			old := m.record(t, transfer)
			transfer = old.Sightings[0].Transfer
			small := transfer
			small.Amount = payment.AmountFromUint64(1)
			if tc.newer {
				small = transfer
			}
			moved := m.block(small)
			_, err := m.rec.Record(t.Context(), m.session, m.batch(moved))
			require.NoError(t, err)
			require.Equal(t, []string{"canonical"}, m.reasons(t, transfer))
			require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
			require.Equal(t, 2, m.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.rescan' AND actor = 'recorder'`))

			say := func(block store.SeenBlock) {
				truth := shown(block)
				if (block.Hash == moved.Hash) == tc.newer {
					truth = block
				}
				batch := m.heard(truth, truth)
				if tc.unsure && block.Hash == moved.Hash {
					tc.unsure = false
					batch = m.heard(truth, shown(block))
				}
				if tc.alone {
					batch.Views, batch.Alone = batch.Views[:1], true
				}
				m.again(t, m.planned(t, block), batch)
			}
			if tc.reversed {
				say(moved)
				say(old)
			} else {
				say(old)
				say(moved)
			}
			for _, open := range m.look(t).Rescans { // what nobody could tell the first time
				require.Equal(t, moved.Number, open.From)
				say(moved)
			}
			require.Empty(t, m.look(t).Rescans)
			m.advance(t, storetest.Confirmations)
			result, err := m.DB.Credit(t.Context(), m.creditInput(t, transfer))
			require.NoError(t, err)
			require.Equal(t, store.CreditDone, result.Outcome)
			require.Equal(t, payment.StatePaid, m.state(t, order.ID))
			hash := old.Hash
			if tc.newer {
				hash = moved.Hash
			}
			require.Equal(t, 1, m.count(t, `SELECT count(*) FROM inclusions WHERE canonical AND block_hash = $1`, hash[:]))
		})
	}
}

// TestOneWordExpiresNoPaidOrder, by showing its transfer once more.
func TestOneWordExpiresNoPaidOrder(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.record(t, transfer)
	small := transfer
	small.Amount = payment.AmountFromUint64(1)
	m.record(t, small)
	m.advance(t, 6)
	m.Exec(t, `UPDATE orders SET expires_at = $2 WHERE id = $1`, order.ID, block.Time)
	_, _, err := m.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
}

// TestWhatTwoDenyIsNotRecorded, and what was refuted does not come back by itself.
func TestWhatTwoDenyIsNotRecorded(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	empty := m.record(t)
	m.advance(t, 2)
	lie := shown(empty, pay(t, order, 25_000_000))
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, store.OpenRescan{Second: true}, m.three(lie, empty)))
	require.Zero(t, m.count(t, `SELECT count(*) FROM payments`))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	require.Equal(t, store.Recorded{Matched: 1, New: 1}, m.again(t, store.OpenRescan{Second: true}, m.heard(lie, empty)), "one of two is not denied by two")
}

func TestWhatWasRefutedBeginsOnlyWhenTwoShowIt(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	invented := pay(t, order, 25_000_000)
	parent := m.tip
	block := m.record(t, invented)
	m.advance(t, 2)
	rescan := m.rescan(t, block.Number, block.Number, "r")
	batch := m.three(block, shown(block))
	require.Equal(t, store.Recorded{Matched: 1, Refuted: 1}, m.again(t, rescan, batch))
	before := m.dump(t)
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, batch), "nobody knows whether that was written down")
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.heard(block, shown(block))), "one of two")
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.batch(block)), "whoever that is")
	require.Equal(t, before, m.dump(t))
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, store.OpenRescan{Second: true}, batch), "the second look")
	require.Equal(t, []string{"refuted"}, m.reasons(t, invented))

	m.rollback(t, parent) // and the block comes back
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	require.Equal(t, []string{"refuted"}, m.reasons(t, invented))
	m.tip = block.BlockRef
	m.advance(t, 2)
	require.Equal(t, store.Recorded{Matched: 1, New: 1}, m.again(t, m.planned(t, block), m.heard(block, block)), "it is true after all")
	require.Equal(t, []string{"refuted", "canonical"}, m.reasons(t, invented))
}

// TestALieSaysNothingAboutTime: a transaction that still waits is shown in a block before the deadline, and mined after it.
func TestALieSaysNothingAboutTime(t *testing.T) {
	t.Parallel()
	for name, truly := range map[string]bool{"refuted": false, "undone by the chain": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			order := m.Order(t)
			transfer := pay(t, order, 25_000_000)
			m.Exec(t, `UPDATE orders SET expires_at = $2, late_until = $3, late_policy = 'credit_only' WHERE id = $1`,
				order.ID, m.tip.Time.Add(10*time.Second), m.tip.Time.Add(time.Hour))
			parent := m.tip
			block := m.record(t, transfer)
			if truly {
				m.rollback(t, parent)
			} else {
				rescan := m.rescan(t, block.Number, block.Number, "r")
				require.Equal(t, 1, m.again(t, rescan, m.heard(shown(block), shown(block))).Refuted)
			}
			m.step = 15 * time.Second // past the deadline, and not in the future
			m.advance(t, 1)
			mined := m.record(t, transfer)
			m.advance(t, storetest.Confirmations)
			result := m.credit(t, transfer)
			require.Equal(t, store.CreditDone, result.Outcome)
			if truly {
				require.True(t, m.payment(t, transfer).FirstAt.Equal(block.Time))
				require.Equal(t, payment.StatePaid, m.state(t, order.ID))
			} else {
				require.True(t, m.payment(t, transfer).FirstAt.Equal(mined.Time), "the only inclusion that was true")
				require.NotEqual(t, payment.StatePaid, m.state(t, order.ID), "late money, and the policy credits only")
			}
		})
	}
}

// TestALieKeepsNoShare of a customer's order: the truth has it at once, and all that it carries counts.
func TestALieKeepsNoShare(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*payment.Transfer){
		"at another place": func(x *payment.Transfer) { x.Position = 5 },
		"a smaller one":    func(x *payment.Transfer) { x.Amount = payment.AmountFromUint64(2e6) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			orders, names := m.ann(t, 25e6)
			truth := pay(t, orders[0], 25e6)
			told := truth
			lie(&told)
			block := m.record(t, told)
			m.advance(t, storetest.Confirmations)
			recorded := m.again(t, m.rescan(t, block.Number, block.Number, "r"), m.heard(shown(block, truth), shown(block, truth)))
			require.Equal(t, store.Recorded{Matched: 1, New: 1, Refuted: 1}, recorded)
			require.Equal(t, "#0 25000000", m.allocated(t, truth, names))
			require.Equal(t, store.CreditDone, m.credit(t, truth).Outcome)
			m.advance(t, 20)
			require.Equal(t, payment.StatePaid, m.state(t, orders[0].ID))
			report, err := m.DB.LedgerCheck(t.Context())
			require.NoError(t, err)
			require.True(t, report.OK(), "%v", report.Findings)
		})
	}
}
