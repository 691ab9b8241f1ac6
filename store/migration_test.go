package store_test

import (
	"context"
	"encoding/hex"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"github.com/pressly/goose/v3"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/migrations"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// migrator moves the miner's database between versions.
func (m *miner) migrator(t *testing.T) *goose.Provider {
	t.Helper()
	config, err := pgx.ParseConfig(m.PG.OwnerURL)
	require.NoError(t, err)
	db := stdlib.OpenDB(*config)
	t.Cleanup(func() { _ = db.Close() })
	provider, err := goose.NewProvider(goose.DialectPostgres, db, migrations.FS, goose.WithDisableGlobalRegistry(true))
	require.NoError(t, err)
	return provider
}

// TestFindingsOfTheReleaseBeforeAreTrueAfterwards: one that was explained in part and withdrawn then says of both how much it was.
func TestFindingsOfTheReleaseBeforeAreTrueAfterwards(t *testing.T) {
	t.Parallel()
	m, order, unseen, _ := found(t)
	migrator := m.migrator(t)
	_, err := migrator.DownTo(t.Context(), 14)
	require.NoError(t, err)
	tx, err := m.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	for _, sql := range []string{
		`INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, credited_inclusion, first_included_at, settle_deadline)
		 SELECT 'pay_x', 'dev', '\x` + hex.EncodeToString(unseen.Parent[:]) + `', true, 1, a.id, a.order_id, a.merchant_id, a.mode, 1, 'credited', 1, now(), now()
		   FROM addresses a WHERE a.order_id = '` + string(order.ID) + `'`,
		`INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, asset_id, amount, sender, recipient)
		 SELECT 'pay_x', 1, 'dev', f.block, f.block_hash, now(), 0, f.asset_id, 700000000, a.bytes, a.bytes
		   FROM balance_findings f JOIN addresses a ON a.id = f.address_id`,
		`INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) SELECT 'merchant:available', 'dev/native', merchant_id, mode FROM payments`,
		`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
		 SELECT 'pay_x/1/credit', 'credit', d.id, c.id, 'dev/native', 700000000, 'pay_x', 1 FROM ledger_accounts d, ledger_accounts c
		  WHERE d.kind = 'custody' AND d.asset_id = 'dev/native' AND c.kind = 'merchant:available' AND c.asset_id = 'dev/native'`,
		`SELECT ledger_consume_findings('pay_x', 1)`,
		`SELECT ledger_withdraw_findings('dev', 0)`,
	} {
		_, err = tx.Exec(t.Context(), sql)
		require.NoError(t, err, sql)
	}
	require.NoError(t, tx.Commit(t.Context()))
	_, err = migrator.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, 700*unit, m.count(t, `SELECT explained::bigint FROM balance_findings WHERE withdrawn_at IS NOT NULL`))
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	for _, f := range report.Findings {
		require.NotEqual(t, store.RuleFindings, f.Rule, "%v", f)
	}
}

// TestAFindingOfAnOlderReleaseIsOpenAfterwards: the releases before version 14 knew no withdrawing.
func TestAFindingOfAnOlderReleaseIsOpenAfterwards(t *testing.T) {
	t.Parallel()
	m, _, _, _ := found(t)
	migrator := m.migrator(t)
	_, err := migrator.DownTo(t.Context(), 13)
	require.NoError(t, err)
	require.Zero(t, m.count(t, `SELECT count(*) FROM information_schema.columns WHERE table_name = 'balance_findings' AND column_name = 'withdrawn_at'`))
	_, err = migrator.Up(t.Context())
	require.NoError(t, err)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM balance_findings WHERE withdrawn_at IS NULL AND consumed = 0`))
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.Empty(t, report.Findings)
}

// TestThereIsNoWayBackFromASettlement: the release before would take it back from where it is not.
func TestThereIsNoWayBackFromASettlement(t *testing.T) {
	t.Parallel()
	for _, settled := range []bool{false, true} {
		m, order, unseen, finding := found(t)
		if settled {
			_, err := m.owner(t).SettleFinding(t.Context(), finding.ID, store.FindingMerchant, storetest.By(), "")
			require.NoError(t, err)
		}
		m.prove(t, unseen, coin(t, order, 700))
		migrator := m.migrator(t)
		_, err := migrator.DownTo(t.Context(), 14)
		if settled {
			require.ErrorContains(t, err, "no way back")
		} else {
			require.NoError(t, err)
		}
		_, err = migrator.Up(t.Context())
		require.NoError(t, err)
		m.record(t, pay(t, order, 1e6))
		suspense, available := 1000, 0
		if settled {
			suspense, available = 0, 1000
		}
		m.books(t, map[string]int{"custody": -1000, "suspense:unattributed": suspense, "merchant:available": available})
	}
}

// TestMigratingWhileBlocksAreRecorded: whoever records has the cursor first, so a migration waits for it before it takes anything.
func TestMigratingWhileBlocksAreRecorded(t *testing.T) {
	t.Parallel()
	for from, table := range map[int64]string{14: "inclusions", 15: "inclusions", 16: "allocations"} {
		m := mine(t, storetest.New(t))
		migrator := m.migrator(t)
		_, err := migrator.DownTo(t.Context(), from)
		require.NoError(t, err)
		recorder, err := m.PG.Owner.Begin(t.Context())
		require.NoError(t, err)
		t.Cleanup(func() { _ = recorder.Rollback(context.WithoutCancel(t.Context())) }) // nothing waits for it when this fails
		_, err = recorder.Exec(t.Context(), `UPDATE cursors SET updated_at = now()`)
		require.NoError(t, err)
		migrated := make(chan error, 1)
		go func() { _, err := migrator.UpTo(t.Context(), from+1); migrated <- err }()
		await.Until(t, func() bool {
			return m.count(t, `SELECT count(*) FROM pg_locks WHERE NOT granted AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`) > 0
		}, "the migration waits")
		_, err = recorder.Exec(t.Context(), `UPDATE `+table+` SET amount = amount`)
		require.NoError(t, err)
		require.NoError(t, recorder.Commit(t.Context()))
		require.NoError(t, <-migrated)
	}
}

// TestPaymentsOfAnotherModeAreSettledBeforeModesAreKeptApart: afterwards there is no account that they could be credited to.
func TestPaymentsOfAnotherModeAreSettledBeforeModesAreKeptApart(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.Pay(t, m.Order(t), 25_000_000)
	migrator := m.migrator(t)
	_, err := migrator.DownTo(t.Context(), 26)
	require.NoError(t, err)
	m.Exec(t, `UPDATE chains SET chain_id = 1 WHERE name = 'dev'`)
	for _, status := range []string{"detected", "parked"} {
		m.Exec(t, `UPDATE payments SET status = '`+status+`'`)
		_, err = migrator.Up(t.Context())
		require.ErrorContains(t, err, "migrate when they are settled", status)
	}
	m.Exec(t, `UPDATE payments SET status = 'ignored'`)
	_, err = migrator.Up(t.Context())
	require.NoError(t, err)
}
