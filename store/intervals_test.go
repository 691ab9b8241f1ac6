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

// total is what the chain should say of all addresses' coin, after the newest block.
func (m *miner) total(t *testing.T) int {
	t.Helper()
	ids, err := m.DB.AddressPage(t.Context(), m.session.Chain, "", 100)
	require.NoError(t, err)
	held, err := m.DB.HeldAt(t.Context(), payment.FamilyEVM, []payment.AssetID{payment.NativeAsset(m.session.Chain)}, ids, m.tip.Number)
	require.NoError(t, err)
	sum := int64(0)
	for _, h := range held {
		sum += h.Total.Big().Int64()
	}
	require.Zero(t, sum%unit)
	return int(sum / unit)
}

// TestAFindingReachesBackToTheLastAgreement: a comparison that showed less than recorded explained nothing, so what is found
// after it may have come before it.
func TestAFindingReachesBackToTheLastAgreement(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	m.advance(t, 2*storetest.Confirmations+1)
	require.Equal(t, store.BalancesCompared{}, m.compare(t, nil))
	agreed := m.tip.Number - 2*storetest.Confirmations

	known, hidden := coin(t, order, 100), coin(t, order, 40)
	m.record(t, known)
	unseen := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, map[string]uint64{order.Address: 60}), "a node that lags, or lies")
	m.advance(t, 1)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 140}))
	require.EqualValues(t, agreed, m.open(t)[0].After)

	m.prove(t, unseen, hidden)
	require.Equal(t, 140, m.total(t))
	require.Equal(t, store.CreditDone, m.credit(t, known).Outcome)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	require.Equal(t, 140, m.total(t))
	m.books(t, map[string]int{"custody": -140, "suspense:unattributed": 0})
}

// TestAWithdrawnFindingOpensItsWholeInterval: what it had found may lie below the common ancestor.
func TestAWithdrawnFindingOpensItsWholeInterval(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	unseen := m.record(t).BlockRef
	m.advance(t, 2)
	ancestor := m.tip
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 70}))
	after := m.open(t)[0].After
	m.rollback(t, payment.BlockRef{Number: unseen.Number + 1, Hash: ancestor.Parent, Time: ancestor.Time})
	m.advance(t, 2*storetest.Confirmations+1)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 70}))
	require.Equal(t, after, m.open(t)[0].After)
	hidden := coin(t, order, 70)
	m.prove(t, unseen, hidden)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	m.books(t, map[string]int{"custody": -70, "suspense:unattributed": 0})
}

// TestWhatIsHeldIsTheSameBeforeAndAfterAFindingIsExplained: which payments explain which findings is one rule.
func TestWhatIsHeldIsTheSameBeforeAndAfterAFindingIsExplained(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	first := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 100}))
	// Recorded after the first finding and before the second: it explains the first, and of what it carries beyond that, nothing.
	early := coin(t, order, 120)
	m.prove(t, first, early)
	require.Equal(t, 120, m.total(t))
	second := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 170}))
	require.Equal(t, 170, m.total(t))
	late := coin(t, order, 30)
	m.prove(t, second, late)
	require.Equal(t, 170, m.total(t))

	require.Equal(t, store.CreditDone, m.credit(t, early).Outcome)
	require.Equal(t, 170, m.total(t))
	m.books(t, map[string]int{"custody": -170, "suspense:unattributed": 50})
	require.Equal(t, store.CreditDone, m.credit(t, late).Outcome)
	require.Equal(t, 170, m.total(t))
	m.books(t, map[string]int{"custody": -170, "suspense:unattributed": 20})
	// One from before the second interval explains nothing of what was found in it.
	before := coin(t, order, 5)
	m.prove(t, first, before)
	require.Equal(t, 175, m.total(t))
	require.Equal(t, store.CreditDone, m.credit(t, before).Outcome)
	require.Equal(t, 175, m.total(t))
	m.books(t, map[string]int{"custody": -175, "suspense:unattributed": 20})

	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 2, alarms[0].Explained)
	require.EqualValues(t, 1, alarms[0].Findings)
	require.Equal(t, 2, m.count(t, `SELECT count(*) FROM audit WHERE action = 'ledger.finding_explained' AND actor = 'engine'`))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE subject = $1 AND detail ->> 'amount' = '100000000'`, string(m.payment(t, early).ID)))
}

// TestAPaymentThatWaitedForTheComparisonIsLaterThanIt: its transaction began before, and it was not counted.
func TestAPaymentThatWaitedForTheComparisonIsLaterThanIt(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	unseen := m.record(t).BlockRef
	m.advance(t, 2*storetest.Confirmations)
	tx, err := m.PG.Chain.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	var began time.Time
	require.NoError(t, tx.QueryRow(t.Context(), `SELECT now()`).Scan(&began))
	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{order.Address: 70}))

	hidden := coin(t, order, 70)
	id := payment.NewPaymentID()
	_, err = tx.Exec(t.Context(), `INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, first_included_at)
		SELECT $1, 'dev', $2, true, 1, a.id, a.order_id, a.merchant_id, a.mode, 1, 'detected', $3 FROM addresses a`, id, hidden.TxHash[:], unseen.Time)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, asset_id, amount, sender, recipient)
		SELECT $1, 1, 'dev', $2, $3, $4, 0, 'dev/native', 70000000, a.bytes, a.bytes FROM addresses a`, id, unseen.Number, unseen.Hash[:], unseen.Time)
	require.NoError(t, err)
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	m.books(t, map[string]int{"custody": -70, "suspense:unattributed": 0})
}

// TestACoinAndAnAddressOfTheSameMomentAreCompared: each is inserted while the other is not committed yet.
func TestACoinAndAnAddressOfTheSameMomentAreCompared(t *testing.T) {
	t.Parallel()
	for name, order := range map[string][2]string{"address first": {newAddress, newCoin}, "coin first": {newCoin, newAddress}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t)
			b.Exec(t, `INSERT INTO chains (name, family, chain_id, display_name, block_time_ms, confirmations) VALUES ('late', 'evm', 9, 'late', 1000, 3)`)
			b.Order(t)
			tx, err := b.PG.Chain.Begin(t.Context())
			require.NoError(t, err)
			defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
			_, err = tx.Exec(t.Context(), order[0])
			require.NoError(t, err)
			done := make(chan error, 1)
			go func() {
				_, err := b.PG.Chain.Exec(t.Context(), order[1])
				done <- err
			}()
			// The second one is over, or waits for the first.
			await.Until(t, func() bool {
				return len(done) == 1 || storetest.Value[bool](t, b, `SELECT EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)`)
			})
			require.NoError(t, tx.Commit(t.Context()))
			require.NoError(t, <-done)
			require.Equal(t, 2, storetest.Value[int](t, b, `SELECT count(*) FROM balance_checks WHERE asset_id = 'late/native'`))
		})
	}
}

const (
	newCoin    = `INSERT INTO assets (id, chain, code, decimals) VALUES ('late/native', 'late', 'LATE', 18)`
	newAddress = `INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, customer_id)
		SELECT 'adr_new', 'evm', decode(repeat('bb', 20), 'hex'), xpub_id, derivation_index + 1, merchant_id, mode, 'kim' FROM addresses`
)

// due is whose balances are to be compared.
func (m *miner) due(t *testing.T) []string {
	t.Helper()
	round, err := m.rec.BalancesDue(t.Context(), m.session, 100)
	require.NoError(t, err)
	texts := []string{}
	for _, address := range round.Addresses {
		texts = append(texts, address.Text())
	}
	return texts
}

// TestBalancesAreComparedAcrossAHoleInTheTraces: once, of whoever was there, until it is closed or behind them.
func TestBalancesAreComparedAcrossAHoleInTheTraces(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Exec(t, `UPDATE chains SET horizon = 6`)
	m.tracedTo(t, 100)
	there := m.Order(t)
	for range 2 * storetest.Confirmations {
		m.recordTraced(t, true)
	}
	require.Empty(t, m.due(t), "everything was traced")
	hole := m.recordTraced(t, false)
	for range 2*storetest.Confirmations - 1 {
		m.recordTraced(t, true)
	}
	require.Empty(t, m.due(t), "the block is not that deep yet")
	m.recordTraced(t, true)
	require.Equal(t, []string{there.Address}, m.due(t))
	younger := m.Order(t)
	require.Equal(t, []string{there.Address}, m.due(t), "who was not there was not paid")

	require.Equal(t, store.BalancesCompared{Findings: 1}, m.compare(t, map[string]uint64{there.Address: 70}))
	m.recordTraced(t, true)
	require.Equal(t, []string{there.Address}, m.due(t), "what was found is open")
	hidden := coin(t, there, 70)
	m.prove(t, hole.BlockRef, hidden)
	require.Equal(t, store.CreditDone, m.credit(t, hidden).Outcome)
	m.books(t, map[string]int{"custody": -70, "suspense:unattributed": 0})
	require.Empty(t, m.due(t), "it agreed beyond the hole")
	require.NotEqual(t, there.Address, younger.Address)

	// A shortfall stays open until it is gone.
	m.Exec(t, `UPDATE balance_checks SET shortfall = 1 WHERE address_id = (SELECT id FROM addresses WHERE order_id = $1)`, younger.ID)
	require.Equal(t, []string{younger.Address}, m.due(t))
}

// TestBlocksThatNobodyTracedStayVisible: also when they are not asked for any more, as a hole of the traces.
func TestBlocksThatNobodyTracedStayVisible(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Order(t)
	progress := func() [2]int64 {
		list, err := m.DB.ListProgress(t.Context())
		require.NoError(t, err)
		alarms, err := m.DB.ListChainAlarms(t.Context())
		require.NoError(t, err)
		for i, chain := range list {
			require.Equal(t, chain.Untraced, alarms[i].Untraced)
			require.Equal(t, chain.TracesGivenUp, alarms[i].TracesGivenUp)
			if chain.Name == m.session.Chain {
				return [2]int64{chain.Untraced, chain.TracesGivenUp}
			}
		}
		return [2]int64{}
	}
	m.recordTraced(t, false)
	require.Equal(t, [2]int64{0, 0}, progress(), "nobody traces this chain")
	m.recordTraced(t, true)
	require.Equal(t, [2]int64{0, 0}, progress(), "and nobody did before")
	m.recordTraced(t, false)
	m.recordTraced(t, false)
	require.Equal(t, [2]int64{2, 0}, progress(), "the newest ones, too")
	m.Exec(t, `UPDATE chains SET block_time_ms = 60 * 60 * 1000`)
	for range 24 {
		m.recordTraced(t, true)
	}
	require.Equal(t, [2]int64{2, 0}, progress())
	m.recordTraced(t, true)
	require.Equal(t, [2]int64{2, 1}, progress(), "a day and an hour ago")
	m.Exec(t, `UPDATE chains SET traces = false`)
	require.Equal(t, [2]int64{0, 0}, progress())
}

// TestFindingsOfAnAddressDoNotOverlap: whatever interval is asked for, what the last one found is explained.
func TestFindingsOfAnAddressDoNotOverlap(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Order(t)
	for i, block := range []store.SeenBlock{m.record(t), m.record(t)} {
		m.Exec(t, `SELECT ledger_post_finding((SELECT id FROM addresses), 'dev/native', 5, $1, $2, 7)`, block.Number, block.Hash[:])
		require.EqualValues(t, []int{5, 101}[i], m.open(t)[i].After)
	}
}
