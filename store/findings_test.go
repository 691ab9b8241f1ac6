package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// unit keeps amounts above what is dust.
const unit = 1_000_000

// coin is a native transfer to an order's address, inside a call: nobody saw it.
func coin(t *testing.T, order process.OrderView, amount uint64) payment.Transfer {
	t.Helper()
	return pay(t, order, amount*unit, func(p *payment.Transfer) {
		p.Native, p.Contract, p.Position = true, payment.Address{}, 1
	})
}

// compare has the balances of all addresses compared, of which holds says what one holds.
func (m *miner) compare(t *testing.T, holds map[string]uint64) store.BalancesCompared {
	t.Helper()
	round, err := m.rec.BalancesDue(t.Context(), m.session, 100)
	require.NoError(t, err)
	require.Equal(t, m.tip.Number-2*storetest.Confirmations, round.Block.Number)
	require.NotEmpty(t, round.Addresses)
	seen := make([]payment.Amount, len(round.Addresses))
	for i, address := range round.Addresses {
		seen[i] = payment.AmountFromUint64(holds[address.Text()] * unit)
	}
	result, err := m.rec.RecordBalances(t.Context(), m.session, round, seen)
	require.NoError(t, err)
	again, err := m.rec.RecordBalances(t.Context(), m.session, round, seen)
	require.NoError(t, err)
	require.Zero(t, again.Findings, "again is once")
	return result
}

func (m *miner) books(t *testing.T, want map[string]int) {
	t.Helper()
	for kind, balance := range want {
		require.Equal(t, balance*unit, m.count(t, `SELECT COALESCE(sum(balance), 0) FROM ledger_balances WHERE kind = $1 AND asset_id = $2`,
			kind, payment.NativeAsset(m.session.Chain).String()), kind)
	}
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.True(t, report.OK(), "%v", report.Findings)
}

func TestAFindingIsNobodysUntilItsPaymentIsProven(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	hidden, other := coin(t, order, 700), coin(t, order, 50)
	unseen := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	holds := map[string]uint64{order.Address: 1000}
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, holds))
	m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 1000, "merchant:held": 0, "merchant:available": 0})

	// One that comes after the comparison has nothing to do with it.
	m.record(t, other)
	m.advance(t, 2*storetest.Confirmations)
	holds[order.Address] = 1050
	require.Equal(t, store.BalancesCompared{}, m.compare(t, holds))
	require.Equal(t, store.CreditDone, m.credit(t, other).Outcome)
	m.books(t, map[string]int{"custody": -1050, "suspense:unattributed": 1000})

	// One that is found in a block before it was what had been found.
	proven := store.SeenBlock{BlockRef: unseen, Sightings: []store.Sighting{{Transfer: hidden, Receipt: store.ReceiptRead}}}
	rescan := m.rescan(t, unseen.Number, unseen.Number, "look")
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescan, m.batch(proven))
	require.NoError(t, err)
	m.advance(t, 1)
	require.Equal(t, store.BalancesCompared{}, m.compare(t, holds), "recorded and found, but there once")
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	require.Equal(t, store.CreditAlready, m.credit(t, hidden).Outcome)
	m.books(t, map[string]int{"custody": -1050, "suspense:unattributed": 300})
	m.advance(t, 1)
	require.Equal(t, store.BalancesCompared{}, m.compare(t, holds))
}

// What was found in a block that is undone may be mined again in another, and be proven there: it must not be held twice.
func TestAFindingInABlockThatIsUndoneIsWithdrawn(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	hidden := coin(t, order, 700)
	ancestor := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations+1)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 1000}))
	m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 1000})
	m.rollback(t, ancestor)
	m.books(t, map[string]int{"custody": 0, "suspense:unattributed": 0})

	m.advance(t, 2)
	m.record(t, hidden)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	m.books(t, map[string]int{"custody": -700, "suspense:unattributed": 0})
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 1000}), "found anew at a height that was undone")
	m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": 300})
}

// TestAPaymentThatWasRecordedInTimeConsumesNothing: it was counted when the difference was found.
func TestAPaymentThatWasRecordedInTimeConsumesNothing(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	known := coin(t, order, 100)
	m.record(t, known)
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 130}))
	require.Equal(t, store.CreditDone, m.credit(t, known).Outcome)
	m.books(t, map[string]int{"custody": -130, "suspense:unattributed": 30})
}

func TestLessThanRecordedIsAnAlarmAndNoPosting(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	m.record(t, coin(t, order, 100))
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, map[string]uint64{order.Address: 60}))
	m.books(t, map[string]int{"custody": 0, "suspense:unattributed": 0})
	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	short := map[string]int64{}
	for _, a := range alarms {
		short[a.Name] = a.Shortfalls
	}
	require.EqualValues(t, 1, short[m.session.Chain])
	m.advance(t, 1)
	require.Equal(t, store.BalancesCompared{}, m.compare(t, map[string]uint64{order.Address: 100}))
	require.Zero(t, m.count(t, `SELECT count(*) FROM balance_checks WHERE shortfall > 0`))
}

// TestNobodyComparesWhereNodesTrace: the transfers themselves are seen there.
func TestNobodyComparesWhereNodesTrace(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Order(t)
	m.advance(t, 2*storetest.Confirmations+1)
	b, err := m.rec.BalancesDue(t.Context(), m.session, 10)
	require.NoError(t, err)
	require.NotEmpty(t, b.Addresses)
	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO coverage (chain, method, blocks)
		SELECT chain, 'traces', int8multirange(int8range(0, block_number, '[]')) FROM cursors WHERE chain = $1
		ON CONFLICT (chain, method, contract) DO UPDATE SET blocks = EXCLUDED.blocks`, m.session.Chain)
	require.NoError(t, err)
	b, err = m.rec.BalancesDue(t.Context(), m.session, 10)
	require.NoError(t, err)
	require.Empty(t, b.Addresses)
}

// TestTheApplicationCannotMakeUpFindings: only about recorded blocks, and never to a merchant.
func TestTheApplicationCannotMakeUpFindings(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Order(t)
	m.record(t)
	for name, sql := range map[string]string{
		"unknown block": `SELECT ledger_post_finding((SELECT id FROM addresses LIMIT 1), 'dev/native', 1, 1000000, '\x00', 5)`,
		"nothing":       `SELECT ledger_post_finding((SELECT id FROM addresses LIMIT 1), 'dev/native', 1, 101, (SELECT hash FROM chain_blocks WHERE chain = 'dev' AND number = 101), 0)`,
		"more of one":   `UPDATE balance_findings SET amount = amount + 1`,
	} {
		_, err := m.PG.Chain.Exec(t.Context(), sql)
		require.Error(t, err, name)
	}
}
