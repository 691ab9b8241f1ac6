package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// recordAt records the next block as a node tells of it.
func (m *miner) recordAt(t *testing.T, at time.Time, basis payment.TimeBasis, transfers ...payment.Transfer) store.SeenBlock {
	t.Helper()
	block := m.block(transfers...)
	block.Time, block.TimeBasis = at, basis
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	m.tip.Time = m.chainTime(t)
	return block
}

// chainTime is the chain's clock as it is recorded.
func (m *miner) chainTime(t *testing.T) time.Time {
	t.Helper()
	return storetest.Value[time.Time](t, m.Bundle, `SELECT block_time FROM cursors WHERE chain = $1`, m.session.Chain)
}

func (m *miner) held(t *testing.T) int {
	t.Helper()
	return m.count(t, `SELECT times_held FROM cursors WHERE chain = $1`, m.session.Chain)
}

// onTime tells whether a payment came before its order's deadline.
func (m *miner) onTime(t *testing.T, transfer payment.Transfer) bool {
	t.Helper()
	return storetest.Value[bool](t, m.Bundle, `SELECT p.first_included_at <= o.expires_at FROM payments p JOIN orders o ON o.id = p.order_id
		WHERE p.id = $1`, m.payment(t, transfer).ID)
}

// Paid in time, and one node says that the block is of the day after tomorrow: the order is paid, and it is an alarm.
func TestABlockFromTheFutureMakesNobodyLate(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.recordAt(t, time.Now().Add(48*time.Hour), payment.TimeClaimed, transfer)
	require.True(t, m.onTime(t, transfer))
	require.WithinDuration(t, time.Now().Add(payment.ClockSlack), m.chainTime(t), 30*time.Second, "nobody believes that it is so late")
	require.Equal(t, 1, m.held(t))
	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, alarms[0].TimesHeld)

	m.advance(t, 2)
	p := m.payment(t, transfer)
	result := m.Credit(t, storetest.Payment{ID: p.ID, Inclusion: 1, Block: block.BlockRef, Amount: transfer.Amount},
		func(in *store.CreditInput) { in.Policy = payment.ConfirmationPolicy{Confirmations: 100} })
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels, "it is not late")
}

// The block is told to be of a minute after the deadline, which is to come: it was seen before.
func TestMoneySeenBeforeTheDeadlineIsOnTime(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	overdue(t, m.Bundle, order.ID, -time.Minute)
	transfer := pay(t, order, 25_000_000)
	m.recordAt(t, time.Now().Add(90*time.Second), payment.TimeProven, transfer)
	require.True(t, m.onTime(t, transfer), "by our own clock")
	require.Zero(t, m.held(t))
}

// One node says that a block is older than its parent. The chain's clock does not go back, and what is late stays late.
func TestATimeBeforeItsParentsMakesNobodyOnTime(t *testing.T) {
	t.Parallel()
	for _, basis := range []payment.TimeBasis{payment.TimeClaimed, payment.TimeDisputed} {
		m := mine(t, storetest.New(t))
		order := m.Order(t)
		overdue(t, m.Bundle, order.ID, 2*time.Minute) // the chain is a minute behind
		before := m.chainTime(t)
		transfer := pay(t, order, 25_000_000)
		m.recordAt(t, time.Unix(0, 0), basis, transfer)
		require.True(t, before.Equal(m.chainTime(t)))
		require.False(t, m.onTime(t, transfer))
		require.Equal(t, 1, m.held(t))
	}
}

// After an outage everything is recorded late, so the block's believed time decides, whatever it rests on.
func TestCatchingUpGoesByTheBelievedTime(t *testing.T) {
	t.Parallel()
	for _, basis := range []payment.TimeBasis{payment.TimeClaimed, payment.TimeAgreed, payment.TimeProven} {
		m := mine(t, storetest.New(t))
		m.ReadTo(t, storetest.Chain, 100, time.Now().Add(-3*time.Hour))
		m.begin(t, storetest.Chain)
		m.tip = *m.watch.Cursor
		order := m.Order(t)
		overdue(t, m.Bundle, order.ID, time.Hour)
		early, late := pay(t, order, 1_000_000), pay(t, order, 2_000_000)
		m.recordAt(t, time.Now().Add(-2*time.Hour), basis, early)
		m.recordAt(t, time.Now().Add(-30*time.Minute), basis, late)
		require.True(t, m.onTime(t, early))
		require.False(t, m.onTime(t, late))
		require.Zero(t, m.held(t))
	}
}

func TestWhatIsProvenOrAgreedIsBelieved(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	for _, basis := range []payment.TimeBasis{payment.TimeProven, payment.TimeAgreed} {
		for _, at := range []time.Time{time.Now().Add(10 * time.Minute), time.Now().Add(-10 * time.Minute)} {
			m.recordAt(t, at.Truncate(time.Second), basis)
			require.True(t, at.Truncate(time.Second).Equal(m.chainTime(t)))
		}
	}
	require.Zero(t, m.held(t))
}

// One word about a block that is read again changes no time that is remembered; deeper than that it is held between those of the
// recorded blocks around it. What is proven by then counts.
func TestTimesOfBlocksThatAreReadAgain(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	known, forgotten, proven := pay(t, order, 1), pay(t, order, 2), pay(t, order, 3)
	first := m.record(t)
	second, third := m.record(t), m.record(t)
	m.advance(t, 2)
	_, err := m.PG.Owner.Exec(t.Context(), `DELETE FROM chain_blocks WHERE number = $1`, second.Number)
	require.NoError(t, err)

	missed := func(block store.SeenBlock, at time.Time, basis payment.TimeBasis, transfer payment.Transfer) time.Time {
		block.Time, block.TimeBasis = at, basis
		m.again(t, m.rescan(t, block.Number, block.Number, transfer.TxHash.String()), m.batch(shown(block, transfer)))
		return m.payment(t, transfer).FirstAt
	}
	require.True(t, first.Time.Equal(missed(first, time.Unix(0, 0), payment.TimeClaimed, known)))
	require.True(t, first.Time.Equal(missed(second, time.Unix(0, 0), payment.TimeClaimed, forgotten)))
	at := third.Time.Add(-time.Minute)
	require.True(t, at.Equal(missed(third, at, payment.TimeProven, proven)))
}

// The common ancestor of a reorganisation is a recorded block: its time is the recorded one, not what a node says today.
func TestAReorganisationKeepsTheTimeOfItsAncestor(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t)
	m.advance(t, 2)
	told := ancestor.BlockRef
	told.Time, told.TimeBasis = time.Now().Add(48*time.Hour), payment.TimeClaimed
	m.rollback(t, told)
	require.True(t, ancestor.Time.Equal(m.chainTime(t)))
}
