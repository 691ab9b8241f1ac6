package store_test

import (
	"bytes"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// paidOut has the merchant's available coins sent out.
func (m *miner) paidOut(t *testing.T, amount int) {
	t.Helper()
	for _, sql := range []string{
		`INSERT INTO ledger_accounts (kind, asset_id) VALUES ('in_transit', 'dev/native')`,
		`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
		 SELECT 'payout-1', 'manual', a.id, b.id, a.asset_id, current_setting('test.amount')::numeric FROM ledger_accounts a, ledger_accounts b
		  WHERE a.kind = 'merchant:available' AND b.kind = 'in_transit' AND a.asset_id = 'dev/native' AND b.asset_id = 'dev/native'`,
	} {
		tx, err := m.PG.Owner.Begin(t.Context())
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), `SELECT set_config('test.amount', ($1::bigint)::text, true)`, amount*unit)
		require.NoError(t, err)
		_, err = tx.Exec(t.Context(), sql)
		require.NoError(t, err)
		require.NoError(t, tx.Commit(t.Context()))
	}
}

func (m *miner) overdrawn(t *testing.T) int64 {
	t.Helper()
	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	for _, a := range alarms {
		if a.Name == m.session.Chain {
			return a.Overdrawn
		}
	}
	require.Fail(t, "no such chain")
	return 0
}

// TestAReorganisationThatTakesBackASettlementIsTold: an audit row always, and an alarm while the merchant has less than nothing.
func TestAReorganisationThatTakesBackASettlementIsTold(t *testing.T) {
	t.Parallel()
	for _, paidOut := range []int{0, 600} {
		m, _, unseen, finding := found(t)
		_, err := m.owner(t).SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
		require.NoError(t, err)
		if paidOut > 0 {
			m.paidOut(t, paidOut)
		}
		require.Zero(t, m.overdrawn(t))
		m.rollback(t, payment.BlockRef{Number: unseen.Number - 1, Hash: unseen.Parent, Time: unseen.Time})
		require.Equal(t, -paidOut*unit, m.count(t, `SELECT balance::bigint FROM ledger_balances WHERE kind = 'merchant:available' AND asset_id = 'dev/native'`))
		require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'ledger.finding_withdrawn' AND subject = ($1::bigint)::text
			AND detail ->> 'settled' = '1000000000' AND detail ->> 'settled_to' = 'merchant:available' AND detail ->> 'merchant' = $2`, finding.ID, m.Merchant))
		require.EqualValues(t, min(paidOut, 1), m.overdrawn(t))
	}
}

// TestWithdrawingASettlementByHandIsTold: as a reorganisation that does.
func TestWithdrawingASettlementByHandIsTold(t *testing.T) {
	t.Parallel()
	m, order, _, finding := found(t)
	var log bytes.Buffer
	owner, err := store.Open(t.Context(), m.PG.OwnerURL, store.Options{MaxConns: 2, StatementTimeout: await.Broken, Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	t.Cleanup(owner.Close)
	_, err = owner.SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
	require.NoError(t, err)
	m.paidOut(t, 1)
	m.advance(t, 1)
	require.Equal(t, store.BalancesCompared{Shortfalls: 1}, m.compare(t, map[string]uint64{order.Address: 0}))
	_, err = owner.SettleFinding(t.Context(), finding.ID, store.FindingWithdraw, storetest.By(), "")
	require.NoError(t, err)
	require.EqualValues(t, 1, m.overdrawn(t))
	require.Contains(t, log.String(), "leaves less than nothing available")
	require.Contains(t, log.String(), string(m.Merchant))
}

// TestTheApplicationWithdrawsNoFindingOfARecordedBlock: it could take back what a person settled to a merchant otherwise.
func TestTheApplicationWithdrawsNoFindingOfARecordedBlock(t *testing.T) {
	t.Parallel()
	m, _, unseen, finding := found(t)
	_, err := m.owner(t).SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
	require.NoError(t, err)
	for _, above := range []int64{-1, int64(unseen.Number), int64(m.tip.Number) - 1} {
		_, err = m.PG.Chain.Exec(t.Context(), `SELECT ledger_withdraw_findings('dev', $1)`, above)
		require.ErrorContains(t, err, "are recorded", above)
	}
	_, err = m.PG.Chain.Exec(t.Context(), `SELECT ledger_withdraw_findings('dev', NULL)`)
	require.Error(t, err)
	m.books(t, map[string]int{"custody": -1000, "merchant:available": 1000})

	// Above the cursor there is nothing to withdraw, and a reorganisation does it as it ever did.
	_, err = m.PG.Chain.Exec(t.Context(), `SELECT ledger_withdraw_findings('dev', $1)`, int64(m.tip.Number))
	require.NoError(t, err)
	m.books(t, map[string]int{"custody": -1000, "merchant:available": 1000})
	m.rollback(t, payment.BlockRef{Number: unseen.Number - 1, Hash: unseen.Parent, Time: unseen.Time})
	m.books(t, map[string]int{"custody": 0, "merchant:available": 0})
}
