package store_test

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// The roles of programs try to break each rule of the books with SQL of their own, as a defect or an intruder would. Those of the
// postings are the chain worker's to break: the other role posts none of them.
func TestTheApplicationCannotBreakTheBooks(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order, paid := b.Paid(t)                                                                                                        // credited
	held := b.Pay(t, b.Order(t), 25_000_000)                                                                                        // credited to held
	b.Credit(t, held, func(in *store.CreditInput) { in.Review = process.CauseHeld })                                                //
	fresh := b.Pay(t, b.Order(t), 25_000_000)                                                                                       // detected
	gone := b.Pay(t, b.Order(t), 25_000_000)                                                                                        // no longer canonical
	b.Drop(t, gone, 105)                                                                                                            //
	released := b.Pay(t, b.Order(t), 25_000_000)                                                                                    // held, then released
	b.Credit(t, released, func(in *store.CreditInput) { in.Review = process.CauseHeld })                                            //
	review := process.ReviewInput{PaymentID: released.ID, Inclusion: 1, Cause: process.CauseHeld}                                   //
	_, err := b.DB.ReadReview(t.Context(), review)                                                                                  //
	require.NoError(t, err)                                                                                                         //
	_, err = b.DB.ResolveReview(t.Context(), process.ResolveReviewInput{Review: review, RequestID: "x", Move: process.MoveRelease}) //
	require.NoError(t, err)
	_, err = b.DB.TakeSnapshot(t.Context())
	require.NoError(t, err)
	other, _ := b.NewMerchant(t)
	accounts(t, b, other, fresh, gone)

	const post = `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion, reverses)
		SELECT $1, $2, d.id, c.id, $3, $4::numeric, $5, $6, (SELECT id FROM ledger_postings WHERE key = $7) FROM `
	for name, sql := range map[string]string{
		"edit a posting":              `UPDATE ledger_postings SET amount = 1`,
		"delete a posting":            `DELETE FROM ledger_postings`,
		"truncate":                    `TRUNCATE ledger_postings CASCADE`,
		"edit an account":             `UPDATE ledger_accounts SET kind = 'fees'`,
		"delete an account":           `DELETE FROM ledger_accounts`,
		"edit a snapshot":             `UPDATE ledger_snapshots SET balance = 1`,
		"insert a snapshot":           `INSERT INTO ledger_snapshots (account_id, through_posting, balance) SELECT min(id), 1000, 5 FROM ledger_accounts`,
		"delete a snapshot":           `DELETE FROM ledger_snapshots`,
		"disable a trigger":           `ALTER TABLE ledger_postings DISABLE TRIGGER ledger_posting_is_true`,
		"disable all triggers":        `SET session_replication_role = replica`,
		"drop a constraint":           `ALTER TABLE ledger_postings DROP CONSTRAINT ledger_postings_key_key`,
		"replace a function":          `CREATE OR REPLACE FUNCTION ledger_posting_is_true() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'`,
		"shadow a table":              `CREATE TABLE public.inclusions2 (id int)`,
		"become the owner":            `SET ROLE sluice_owner`,
		"edit an inclusion":           `UPDATE inclusions SET amount = amount + 1`,
		"move an inclusion":           `UPDATE inclusions SET payment_id = 'pay_x'`,
		"delete an inclusion":         `DELETE FROM inclusions`,
		"delete a payment":            `DELETE FROM payments`,
		"delete an order":             `DELETE FROM orders`,
		"edit an event":               `UPDATE events SET body = ''`,
		"delete an event":             `DELETE FROM events`,
		"edit the audit":              `UPDATE audit SET actor = 'somebody else'`,
		"truncate the audit":          `TRUNCATE audit`,
		"edit an address":             `UPDATE addresses SET bytes = decode(repeat('00', 20), 'hex')`,
		"two unreversed credits":      `UPDATE payments SET credited_inclusion = 2 WHERE status = 'credited'`,
		"credited without inclusion":  `UPDATE payments SET credited_inclusion = NULL WHERE status = 'credited'`,
		"an account of no asset":      `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('fees', 'dev/doge')`,
		"a merchant's custody":        `INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) SELECT 'custody', 'dev/native', id, 'test' FROM merchants LIMIT 1`,
		"a second account of a kind":  `INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) SELECT kind, asset_id, merchant_id, mode FROM ledger_accounts WHERE kind = 'merchant:available'`,
		"available without merchant":  `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('merchant:available', 'dev/native')`,
		"read the migration's tables": `DELETE FROM goose_db_version`,
	} {
		for _, pool := range []execer{b.PG.App, b.PG.Chain} {
			_, err := pool.Exec(t.Context(), sql)
			require.Error(t, err, name)
		}
	}

	token, native := b.Token.ID.String(), b.Native.ID.String()
	custody := func(p storetest.Payment) string {
		return `(SELECT a.id FROM ledger_accounts a JOIN payments p ON p.address_id = a.address_id WHERE p.id = '` + string(p.ID) + `' AND a.asset_id = '` + token + `') d, `
	}
	account := func(kind, who, as string) string {
		return `(SELECT id FROM ledger_accounts WHERE kind = '` + kind + `' AND asset_id = '` + token + `' AND merchant_id IS NOT DISTINCT FROM ` + who + `) ` + as
	}
	mine := `'` + string(b.Merchant) + `'`
	theirs := `'` + string(other) + `'`
	available, heldBy := account("merchant:available", mine, "c"), account("merchant:held", mine, "c")
	const amount = "25000000"
	credit := func(p storetest.Payment) string { return string(p.ID) + "/1/credit" }
	for name, p := range map[string]struct {
		key, kind, asset, amount string
		payment                  any
		inclusion                any
		reverses                 string
		accounts                 string
	}{
		"too much":                  {credit(fresh), "credit", token, "25000001", fresh.ID, 1, "", custody(fresh) + available},
		"too little":                {credit(fresh), "credit", token, "24999999", fresh.ID, 1, "", custody(fresh) + available},
		"nothing":                   {credit(fresh), "credit", token, "0", fresh.ID, 1, "", custody(fresh) + available},
		"less than nothing":         {credit(fresh), "credit", token, "-25000000", fresh.ID, 1, "", custody(fresh) + available},
		"a fraction":                {"x", "manual", token, "0.5", nil, nil, "", account("suspense:unattributed", "NULL", "d") + ", " + available},
		"another asset":             {credit(fresh), "credit", native, amount, fresh.ID, 1, "", custody(fresh) + available},
		"another key":               {"once more", "credit", token, amount, fresh.ID, 1, "", custody(fresh) + available},
		"no inclusion":              {"x", "credit", token, amount, nil, nil, "", custody(fresh) + available},
		"an inclusion to come":      {string(fresh.ID) + "/2/credit", "credit", token, amount, fresh.ID, 2, "", custody(fresh) + available},
		"not canonical":             {credit(gone), "credit", token, amount, gone.ID, 1, "", custody(gone) + available},
		"another address's custody": {credit(fresh), "credit", token, amount, fresh.ID, 1, "", custody(paid) + available},
		"no custody":                {credit(fresh), "credit", token, amount, fresh.ID, 1, "", account("suspense:unattributed", "NULL", "d") + ", " + available},
		"another merchant":          {credit(fresh), "credit", token, amount, fresh.ID, 1, "", custody(fresh) + account("merchant:available", theirs, "c")},
		"to ourselves":              {credit(fresh), "credit", token, amount, fresh.ID, 1, "", custody(fresh) + account("fees", "NULL", "c")},
		"one account on both sides": {credit(fresh), "credit", token, amount, fresh.ID, 1, "", custody(fresh) + "(SELECT d2.id FROM " + custody(fresh)[:len(custody(fresh))-4] + "d2) c"},
		"a second credit":           {string(paid.ID) + "/1/credit", "credit", token, amount, paid.ID, 1, "", custody(paid) + available},
		"a reversal of nothing":     {string(fresh.ID) + "/1/reversal", "reversal", token, amount, fresh.ID, 1, "", account("merchant:available", mine, "d") + ", " + custody(fresh)[:len(custody(fresh))-4] + "c"},
		"a reversal of another":     {string(fresh.ID) + "/1/reversal", "reversal", token, amount, fresh.ID, 1, credit(paid), account("merchant:available", mine, "d") + ", " + custody(paid)[:len(custody(paid))-4] + "c"},
		"a part of a reversal":      {string(paid.ID) + "/1/reversal", "reversal", token, "1", paid.ID, 1, credit(paid), account("merchant:available", mine, "d") + ", " + custody(paid)[:len(custody(paid))-4] + "c"},
		"a reversal from elsewhere": {string(paid.ID) + "/1/reversal", "reversal", token, amount, paid.ID, 1, credit(paid), account("merchant:held", mine, "d") + ", " + custody(paid)[:len(custody(paid))-4] + "c"},
		"a reversal of what was released": {
			string(released.ID) + "/1/reversal", "reversal", token, amount, released.ID, 1, credit(released),
			account("merchant:held", mine, "d") + ", " + custody(released)[:len(custody(released))-4] + "c",
		},
		"release of too much":        {string(held.ID) + "/1/release", "release", token, "25000001", held.ID, 1, "", account("merchant:held", mine, "d") + ", " + available},
		"release to another":         {string(held.ID) + "/1/release", "release", token, amount, held.ID, 1, "", account("merchant:held", mine, "d") + ", " + account("merchant:available", theirs, "c")},
		"release of what is not":     {string(paid.ID) + "/1/release", "release", token, amount, paid.ID, 1, "", account("merchant:held", mine, "d") + ", " + available},
		"release under another key":  {"free money", "release", token, amount, held.ID, 1, "", account("merchant:held", mine, "d") + ", " + available},
		"a second release":           {string(released.ID) + "/1/release2", "release", token, amount, released.ID, 1, "", account("merchant:held", mine, "d") + ", " + available},
		"hold of what is available":  {string(paid.ID) + "/1/unrelease", "hold", token, amount, paid.ID, 1, "", account("merchant:available", mine, "d") + ", " + heldBy},
		"income from our own moves":  {"gas", "internal", token, amount, nil, nil, "", account("fees", "NULL", "d") + ", " + available},
		"custody made by hand":       {"gift", "manual", token, amount, nil, nil, "", custody(paid) + available},
		"a finding for a merchant":   {"found", "finding", token, amount, nil, nil, "", custody(paid) + available},
		"another's money by hand":    {"gift", "manual", token, amount, nil, nil, "", account("merchant:available", theirs, "d") + ", " + available},
		"a loss made income":         {"gift", "manual", token, amount, nil, nil, "", account("fees", "NULL", "d") + ", " + available},
		"a move of our own":          {"gas", "internal", token, amount, nil, nil, "", account("fees", "NULL", "d") + ", " + account("suspense:unattributed", "NULL", "c")},
		"a finding":                  {"found", "finding", token, amount, nil, nil, "", custody(paid) + account("suspense:unattributed", "NULL", "c")},
		"a kind that there is not":   {"x", "interest", token, amount, nil, nil, "", account("fees", "NULL", "d") + ", " + available},
		"a payment that there isn't": {"pay_x/1/credit", "credit", token, amount, "pay_x", 1, "", custody(fresh) + available},
	} {
		before := storetest.Value[int](t, b, `SELECT count(*) FROM ledger_postings`)
		tag, err := b.PG.Chain.Exec(t.Context(), post+p.accounts, p.key, p.kind, p.asset, p.amount, p.payment, p.inclusion, p.reverses)
		require.Error(t, err, "%s: wrote %d", name, tag.RowsAffected())
		require.NotContains(t, err.Error(), "syntax", name)
		require.Equal(t, before, storetest.Value[int](t, b, `SELECT count(*) FROM ledger_postings`), name)
	}

	// The same statement with nothing wrong in it is taken: the attempts above failed for their reasons.
	_, err = b.PG.Chain.Exec(t.Context(), post+custody(fresh)+available, credit(fresh), "credit", token, amount, fresh.ID, 1, "")
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, order.State)
}

// accounts opens the accounts that the attempts need.
func accounts(t *testing.T, b *storetest.Bundle, other payment.MerchantID, payments ...storetest.Payment) {
	t.Helper()
	token := b.Token.ID.String()
	for _, p := range payments {
		b.Exec(t, `INSERT INTO ledger_accounts (kind, asset_id, address_id) SELECT 'custody', $2, address_id FROM payments WHERE id = $1`, p.ID, token)
	}
	b.Exec(t, `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('fees', $1), ('suspense:unattributed', $1)`, token)
	b.Exec(t, `INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) VALUES ('merchant:available', $1, $2, 'test')`, token, other)
}

// Numbers are handed out before their transaction commits. A snapshot waits for those under way, or it would miss them for
// ever.
func TestSnapshotWaitsForPostingsUnderWay(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	slow := b.Pay(t, b.Order(t), 25_000_000)
	b.Paid(t)

	// A posting with a low number, not committed.
	tx, err := b.PG.Chain.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = tx.Rollback(context.WithoutCancel(t.Context())) }()
	post(t, tx, b, slow)
	b.Paid(t) // a higher number, committed

	taken := make(chan int64, 1)
	go func() {
		through, err := b.DB.TakeSnapshot(t.Context())
		if err != nil {
			t.Errorf("take snapshot: %v", err)
		}
		taken <- through
	}()
	await.Until(t, func() bool {
		return storetest.Value[bool](t, b, `SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted AND relation = 'ledger_postings'::regclass)`)
	}, "the snapshot waits")
	require.NoError(t, tx.Commit(t.Context()))
	require.Equal(t, storetest.Value[int64](t, b, `SELECT max(id) FROM ledger_postings`), <-taken)
	require.Equal(t, [2]string{"75000000", "0"}, balances(t, b, b.Token.ID))
	b.CheckBooks(t)
}

// post credits a payment by SQL, in a transaction of the test's.
func post(t *testing.T, tx pgx.Tx, b *storetest.Bundle, p storetest.Payment) {
	t.Helper()
	token := b.Token.ID.String()
	_, err := tx.Exec(t.Context(), `INSERT INTO ledger_accounts (kind, asset_id, address_id) SELECT 'custody', $2, address_id FROM payments WHERE id = $1`, p.ID, token)
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
		SELECT $1 || '/1/credit', 'credit', d.id, c.id, $2, $3::numeric, $1, 1
		  FROM ledger_accounts d JOIN payments p ON p.address_id = d.address_id, ledger_accounts c
		 WHERE p.id = $1 AND c.kind = 'merchant:available' AND c.asset_id = $2 AND c.merchant_id = $4`,
		string(p.ID), token, p.Amount.String(), string(b.Merchant))
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `UPDATE payments SET status = 'credited', credited_inclusion = 1 WHERE id = $1`, p.ID)
	require.NoError(t, err)
}

func TestSnapshotsWhileCrediting(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	payments := make([]storetest.Payment, 24)
	for i := range payments {
		payments[i] = b.Pay(t, b.Order(t), 25_000_000)
	}
	stop := meanwhile(t, func(ctx context.Context) error { _, err := b.DB.TakeSnapshot(ctx); return err })
	concurrently(len(payments), func(i int) error {
		p := payments[i]
		_, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount})
		if err != nil {
			t.Errorf("credit: %v", err)
		}
		return err
	})
	stop()
	require.Equal(t, [2]string{"600000000", "0"}, balances(t, b, b.Token.ID))
	b.CheckBooks(t)
}

// The check finds what the rules prevent: here somebody with the owner's rights went around them.
func TestLedgerCheckFindsWhatIsWrong(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	_, p := b.Paid(t)
	b.Paid(t)
	_, err := b.DB.TakeSnapshot(t.Context())
	require.NoError(t, err)
	b.Paid(t)
	b.CheckBooks(t)
	for _, table := range []string{"ledger_postings", "ledger_accounts"} {
		_, err := b.PG.Owner.Exec(t.Context(), `ALTER TABLE `+table+` DISABLE TRIGGER USER`)
		require.NoError(t, err)
	}
	for name, tc := range map[string]struct {
		sql   string
		rules []string
	}{
		"an edited amount": {
			`UPDATE ledger_postings SET amount = amount + 1 WHERE payment_id = $1`,
			[]string{store.RuleBalances, store.RuleSnapshots, store.RuleCredited, store.RuleCustody},
		},
		"a snapshot that is not the sum": {
			`UPDATE ledger_snapshots SET balance = balance + 1 WHERE account_id = (SELECT credit_account FROM ledger_postings WHERE payment_id = $1)`,
			[]string{store.RuleBalances, store.RuleSnapshots, store.RuleTotals},
		},
		"a posting that is gone": {
			`DELETE FROM ledger_postings WHERE payment_id = $1`,
			[]string{store.RuleBalances, store.RuleSnapshots, store.RuleCredited, store.RuleCustody},
		},
		"a credit without its payment": {
			`UPDATE payments SET status = 'detected', credited_inclusion = NULL WHERE id = $1`,
			[]string{store.RuleCredits, store.RuleCustody},
		},
		"a credit from a block that is gone": {
			`UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = $1`,
			[]string{store.RuleCredited},
		},
		"a second credit": {
			`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
				SELECT 'again', 'hold', debit_account, credit_account, asset_id, amount, payment_id, inclusion FROM ledger_postings WHERE payment_id = $1`,
			nil, // refused by a constraint that no trigger makes
		},
		"a release of nothing": {
			`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
				SELECT payment_id || '/1/release', 'release', debit_account, credit_account, asset_id, amount, payment_id, inclusion FROM ledger_postings WHERE payment_id = $1`,
			[]string{store.RuleReleases},
		},
		"money moved by hand": {
			`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
				SELECT 'gift', 'manual', debit_account, credit_account, asset_id, 1 FROM ledger_postings WHERE payment_id = $1`,
			[]string{store.RuleKinds},
		},
		"custody of another address": {
			`UPDATE ledger_postings SET debit_account = (SELECT max(id) FROM ledger_accounts WHERE kind = 'custody') WHERE payment_id = $1`,
			[]string{store.RuleBalances, store.RuleSnapshots, store.RuleCredited, store.RuleCustody},
		},
	} {
		found := findings(t, b, tc.sql, string(p.ID))
		if tc.rules == nil {
			require.Nil(t, found, name)
			continue
		}
		for _, rule := range tc.rules {
			require.Positive(t, found[rule], "%s: %v", name, found)
		}
	}
	b.CheckBooks(t)
}

// findings makes the change, counts what the check finds by rule, and takes the change back. Nil: the change is refused.
func findings(t *testing.T, b *storetest.Bundle, sql string, args ...any) map[string]int {
	t.Helper()
	backup := []string{"ledger_postings", "ledger_snapshots", "payments", "inclusions"}
	run := func(sql string, args ...any) error {
		_, err := b.PG.Owner.Exec(t.Context(), sql, args...)
		return err
	}
	for _, table := range backup {
		require.NoError(t, run(`CREATE TABLE backup_`+table+` AS SELECT * FROM `+table))
	}
	defer func() {
		conn, err := b.PG.Owner.Begin(t.Context())
		require.NoError(t, err)
		for _, sql := range []string{
			`SET CONSTRAINTS ALL DEFERRED`,
			`DELETE FROM ledger_postings`, `DELETE FROM ledger_snapshots`,
			`INSERT INTO ledger_postings OVERRIDING SYSTEM VALUE SELECT * FROM backup_ledger_postings`,
			`INSERT INTO ledger_snapshots SELECT * FROM backup_ledger_snapshots`,
			`UPDATE payments p SET status = o.status, credited_inclusion = o.credited_inclusion FROM backup_payments o WHERE o.id = p.id`,
			`UPDATE inclusions i SET canonical = o.canonical, ended_at = o.ended_at, end_reason = o.end_reason
				FROM backup_inclusions o WHERE o.payment_id = i.payment_id AND o.n = i.n`,
			`DROP TABLE backup_ledger_postings, backup_ledger_snapshots, backup_payments, backup_inclusions`,
		} {
			_, err := conn.Exec(t.Context(), sql)
			require.NoError(t, err)
		}
		require.NoError(t, conn.Commit(t.Context()))
	}()
	if err := run(sql, args...); err != nil {
		return nil
	}
	report, err := b.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.False(t, report.OK())
	found := map[string]int{}
	for _, f := range report.Findings {
		require.NotEmpty(t, f.Subject)
		found[f.Rule]++
	}
	return found
}
