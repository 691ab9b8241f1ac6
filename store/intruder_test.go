package store_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// intrusion is a way in: statements of one session, one after the other, whatever the earlier ones came to. $token, $mine, $theirs, $held and
// $fresh are filled in.
type intrusion struct {
	name string
	sql  []string
}

// move takes what is available to one merchant and gives it to another, as only the owner may.
const move = `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
	SELECT 'gift/' || gen_random_uuid(), 'manual', d.id, c.id, '$token', 1000000 FROM ledger_accounts d, ledger_accounts c
	 WHERE d.kind = 'merchant:available' AND d.asset_id = '$token' AND d.merchant_id = '$mine'
	   AND c.kind = 'merchant:available' AND c.asset_id = '$token' AND c.merchant_id = '$theirs'`

// inflate credits a payment that is detected with more than it carried.
const inflate = `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion)
	SELECT '$fresh/1/credit', 'credit', d.id, c.id, '$token', 99000000000000, '$fresh', 1 FROM ledger_accounts d, ledger_accounts c, payments p
	 WHERE p.id = '$fresh' AND d.kind = 'custody' AND d.asset_id = '$token' AND d.address_id = p.address_id
	   AND c.kind = 'merchant:available' AND c.asset_id = '$token' AND c.merchant_id = '$mine'`

// hide releases money that is held, which the application may, with a number that hides all later postings from balances.
const hide = `INSERT INTO ledger_postings (id, key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion) OVERRIDING SYSTEM VALUE
	SELECT 9223372036854775806, '$held/1/release', 'release', c.credit_account, a.id, c.asset_id, c.amount, c.payment_id, c.inclusion
	  FROM ledger_postings c, ledger_accounts a
	 WHERE c.key = '$held/1/credit' AND a.kind = 'merchant:available' AND a.asset_id = '$token' AND a.merchant_id = '$mine'`

// intrusions are tried as the application's role and as the chain worker's.
func intrusions() []intrusion {
	everyone := `SELECT c.oid, c.relname, r.oid AS relowner FROM pg_catalog.pg_class c, pg_catalog.pg_roles r WHERE r.rolname = current_user`
	return []intrusion{
		{"a temporary pg_class", []string{`CREATE TEMP TABLE pg_class AS ` + everyone, move}},
		{"a temporary view of pg_class", []string{`CREATE TEMP VIEW pg_class AS ` + everyone, move}},
		{"pg_class in a path", []string{`CREATE TEMP TABLE pg_class AS ` + everyone, `SET search_path = pg_temp, public, pg_catalog`, move}},
		{"temporary inclusions", []string{`CREATE TEMP TABLE inclusions AS SELECT * FROM public.inclusions`,
			`UPDATE pg_temp.inclusions SET amount = 99000000000000`, inflate}},
		{"temporary payments", []string{`CREATE TEMP TABLE payments AS SELECT * FROM public.payments`,
			`UPDATE pg_temp.payments SET merchant_id = '$theirs'`, strings.ReplaceAll(inflate, "$mine", "$theirs"),
			strings.ReplaceAll(strings.ReplaceAll(inflate, "$mine", "$theirs"), "99000000000000", "25000000")}},
		{"temporary accounts", []string{`CREATE TEMP TABLE ledger_accounts AS SELECT * FROM public.ledger_accounts`,
			`UPDATE pg_temp.ledger_accounts SET merchant_id = '$mine'`, move,
			strings.ReplaceAll(strings.ReplaceAll(inflate, "$mine", "$theirs"), "99000000000000", "25000000")}},
		{"temporary postings, for a snapshot", []string{`CREATE TEMP TABLE ledger_postings AS SELECT * FROM public.ledger_postings`,
			`UPDATE pg_temp.ledger_postings SET id = id + 1000, amount = 5`, `SELECT ledger_take_snapshot()`}},
		{"temporary snapshots", []string{`CREATE TEMP TABLE ledger_snapshots (account_id bigint, through_posting bigint, balance numeric)`,
			`INSERT INTO pg_temp.ledger_snapshots VALUES (1, 9223372036854775806, 5)`, `SELECT ledger_take_snapshot()`}},
		{"a temporary type", []string{`CREATE TYPE pg_temp.ledger_accounts AS (id bigint, kind text)`, move}},
		{"a temporary domain", []string{`CREATE DOMAIN pg_temp.text AS pg_catalog.text`, move}},
		{"a function of its own", []string{`CREATE FUNCTION pg_temp.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'`, move}},
		{"a function in public", []string{`CREATE FUNCTION public.pg_has_role(name, oid, text) RETURNS boolean LANGUAGE sql AS 'SELECT true'`,
			`SET search_path = public, pg_catalog`, move}},
		{"an operator of its own", []string{`CREATE FUNCTION pg_temp.never(numeric, numeric) RETURNS boolean LANGUAGE sql AS 'SELECT false'`,
			`CREATE OPERATOR pg_temp.<> (LEFTARG = numeric, RIGHTARG = numeric, FUNCTION = pg_temp.never)`,
			`SET search_path = pg_temp, public, pg_catalog`, inflate}},
		{"an operator in public", []string{`CREATE OPERATOR public.<> (LEFTARG = base_units, RIGHTARG = base_units, FUNCTION = pg_catalog.numeric_eq)`, inflate}},
		{"a cast", []string{`CREATE CAST (base_units AS text) WITH INOUT AS IMPLICIT`, inflate}},
		{"a schema of its own", []string{`CREATE SCHEMA mine`, `CREATE TABLE mine.pg_class AS ` + everyone, `SET search_path = mine, public`, move}},
		{"a schema called after the role", []string{`CREATE SCHEMA AUTHORIZATION CURRENT_USER`, move}},
		{"no path at all", []string{`SET search_path = ''`, strings.ReplaceAll(move, "ledger_", "public.ledger_")}},
		{"another role", []string{`SET ROLE sluice_owner`, move}},
		{"the superuser", []string{`SET ROLE postgres`, `SET SESSION AUTHORIZATION postgres`, move}},
		{"a membership", []string{`GRANT sluice_owner TO CURRENT_USER`, `GRANT sluice_chain TO sluice_app`, `SET ROLE sluice_owner`, move}},
		{"more rights", []string{`ALTER ROLE CURRENT_USER SUPERUSER`, `ALTER ROLE CURRENT_USER CREATEROLE`, `GRANT ALL ON ledger_postings TO CURRENT_USER`,
			`ALTER TABLE ledger_postings OWNER TO CURRENT_USER`, move, `DELETE FROM ledger_postings`}},
		{"somebody else's password", []string{`ALTER ROLE sluice_owner PASSWORD 'x'`, move}},
		{"no triggers", []string{`SET session_replication_role = replica`, move, inflate}},
		{"no triggers from now on", []string{`ALTER ROLE CURRENT_USER SET session_replication_role = replica`, move}},
		{"a rule", []string{`CREATE RULE nothing AS ON INSERT TO ledger_postings DO INSTEAD NOTHING`,
			`CREATE RULE more AS ON INSERT TO payments DO ALSO DELETE FROM ledger_postings`, move}},
		{"a trigger", []string{`CREATE TRIGGER a BEFORE INSERT ON ledger_postings FOR EACH ROW EXECUTE FUNCTION suppress_redundant_updates_trigger()`,
			`CREATE EVENT TRIGGER b ON ddl_command_end EXECUTE FUNCTION ledger_append_only()`, move}},
		{"a trigger function on a table of its own", []string{`CREATE TEMP TABLE own (id text, family text)`,
			`CREATE TRIGGER a AFTER INSERT ON own FOR EACH ROW EXECUTE FUNCTION balance_checks_of_address()`,
			`INSERT INTO own SELECT id, family FROM addresses`}},
		{"a policy", []string{`CREATE POLICY p ON ledger_postings USING (false)`, `ALTER TABLE ledger_postings ENABLE ROW LEVEL SECURITY`, move}},
		{"inheritance", []string{`CREATE TEMP TABLE child () INHERITS (ledger_postings)`, `INSERT INTO child (id, key, kind, debit_account, credit_account, asset_id, amount)
			SELECT id + 1000, 'child', kind, debit_account, credit_account, asset_id, amount FROM ledger_postings`}},
		{"a number of its own", []string{hide}},
		{"a number of its own, prepared", []string{`PREPARE hidden AS ` + hide, `EXECUTE hidden`}},
		{"numbers of its own in a block", []string{`DO $do$ BEGIN ` + hide + `; EXCEPTION WHEN OTHERS THEN NULL; END $do$`}},
		{"the sequence", []string{`SELECT setval('ledger_postings_id_seq', 9223372036854775806)`, `SELECT nextval('ledger_postings_id_seq')`,
			`ALTER SEQUENCE ledger_postings_id_seq RESTART`, `ALTER TABLE ledger_postings ALTER id RESTART WITH 1`}},
		{"a posting of yesterday", []string{strings.Replace(strings.Replace(strings.Replace(hide, "OVERRIDING SYSTEM VALUE", "", 1), "(id,", "(created_at,", 1),
			"9223372036854775806", "now() - interval '1 day'", 1)}},
		{"a copy", []string{`COPY ledger_postings FROM '/dev/null'`, `COPY ledger_postings FROM PROGRAM 'true'`, `COPY ledger_postings (id) TO PROGRAM 'true'`}},
		{"large objects", []string{`SELECT lo_create(4711)`, `SELECT lo_import('/etc/passwd')`, `SELECT lo_export(4711, '/tmp/x')`, move}},
		{"files", []string{`SELECT pg_read_file('/etc/passwd')`, `SELECT pg_reload_conf()`, `ALTER SYSTEM SET session_replication_role = replica`}},
		{"an extension", []string{`CREATE EXTENSION dblink`, `CREATE EXTENSION hstore`, `CREATE LANGUAGE plperl`, `LOAD 'x'`}},
		{"a merge", []string{`MERGE INTO ledger_postings p USING (SELECT 1) s ON true WHEN MATCHED THEN DELETE`,
			`MERGE INTO ledger_postings p USING (SELECT 1) s ON true WHEN MATCHED THEN UPDATE SET amount = 1`}},
		{"a conflict", []string{`INSERT INTO ledger_postings AS p (key, kind, debit_account, credit_account, asset_id, amount)
			SELECT key, kind, debit_account, credit_account, asset_id, amount FROM ledger_postings ON CONFLICT (key) DO UPDATE SET amount = 1`}},
		{"a cursor", []string{`BEGIN`, `DECLARE c CURSOR FOR SELECT * FROM ledger_postings FOR UPDATE`, `FETCH c`, `DELETE FROM ledger_postings WHERE CURRENT OF c`, `COMMIT`}},
		{"a writing query", []string{`WITH gone AS (DELETE FROM ledger_postings RETURNING *) SELECT count(*) FROM gone`}},
		{"everything of the owner's", []string{`REASSIGN OWNED BY sluice_owner TO CURRENT_USER`, `DROP OWNED BY sluice_owner CASCADE`}},
		{"defaults for later", []string{`ALTER DEFAULT PRIVILEGES FOR ROLE sluice_owner GRANT ALL ON TABLES TO PUBLIC`}},
		{"locks", []string{`SELECT pg_advisory_lock(1)`, `BEGIN`, `LOCK TABLE ledger_postings IN ACCESS EXCLUSIVE MODE`, `ROLLBACK`, move}},
		{"odd settings", []string{`SET standard_conforming_strings = off`, `SET transform_null_equals = on`, `SET check_function_bodies = off`,
			`SET plpgsql.variable_conflict = use_column`, `SET row_security = off`, `SET DateStyle = 'SQL, DMY'`, move, inflate}},
		{"another isolation", []string{`BEGIN ISOLATION LEVEL SERIALIZABLE`, move, `COMMIT`, `BEGIN ISOLATION LEVEL REPEATABLE READ`, inflate, `COMMIT`}},
		{"functions of the owner", []string{
			`SELECT ledger_settle_finding(1, 'merchant', 'x', 'y', 'z')`, `SELECT ledger_withdraw_finding(1)`,
			`SELECT ledger_unsettle_finding(1, -5, 'x', NULL, NULL)`}},
		{"functions about findings, called in bad faith", []string{
			`SELECT ledger_post_finding((SELECT address_id FROM payments LIMIT 1), '$token', -1, 101, '\x00', 'Infinity')`,
			`SELECT ledger_post_finding((SELECT address_id FROM payments LIMIT 1), '$token', NULL, NULL, NULL, 'NaN')`,
			`SELECT ledger_consume_findings('$fresh', 1)`, `SELECT ledger_consume_findings('$held', NULL)`,
			`SELECT ledger_withdraw_findings('dev', -1)`, `SELECT ledger_withdraw_findings(NULL, NULL)`, `SELECT ledger_take_snapshot()`}},
	}
}

// theBooks is everything that an intrusion must not have changed. A snapshot may be taken.
const theBooks = `SELECT (SELECT string_agg(b::text, ' ' ORDER BY b.account_id) FROM ledger_balances b)
	|| (SELECT string_agg(l::text, ' ' ORDER BY l.id) FROM ledger_postings l)
	|| (SELECT string_agg(p.id || p.merchant_id || p.status || p.address_id, ' ' ORDER BY p.id) FROM payments p)
	|| (SELECT string_agg(i::text, ' ' ORDER BY i.payment_id, i.n) FROM inclusions i)`

// TestNoWayIntoTheBooks: somebody who speaks SQL as one of the roles that programs log in as moves no money, makes none and hides none.
//
//nolint:tparallel // each way is compared with the books before it
func TestNoWayIntoTheBooks(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Paid(t)
	held, fresh := b.Pay(t, b.Order(t), 25_000_000), b.Pay(t, b.Order(t), 25_000_000)
	b.Credit(t, held, func(in *store.CreditInput) { in.Review = process.CauseHeld })
	other, _ := b.NewMerchant(t)
	accounts(t, b, other, fresh)
	fill := strings.NewReplacer("$token", b.Token.ID.String(), "$mine", string(b.Merchant), "$theirs", string(other), "$held", string(held.ID), "$fresh", string(fresh.ID))
	for role, url := range map[string]string{"app": b.PG.AppURL, "chain": b.PG.ChainURL} {
		for _, way := range intrusions() {
			t.Run(role+"/"+way.name, func(t *testing.T) {
				before := storetest.Value[string](t, b, theBooks)
				said := intrude(t, url, way, fill)
				require.Equal(t, before, storetest.Value[string](t, b, theBooks), "%s", said)
			})
		}
	}
	b.CheckBooks(t)
}

// intrude runs a session and returns what was said.
func intrude(t *testing.T, url string, way intrusion, fill *strings.Replacer) string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), url)
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.WithoutCancel(t.Context())) }()
	var said strings.Builder
	for _, sql := range way.sql {
		tag, err := conn.Exec(t.Context(), fill.Replace(sql))
		if err != nil {
			require.NotContains(t, err.Error(), "syntax", sql)
		}
		fmt.Fprintf(&said, "%s %v\n", tag, err)
	}
	return said.String()
}

// recording is what only the chain worker does, said in SQL that is right in every other way.
func recording() map[string]string {
	const inclusion = `INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, log_index, asset_id, amount, sender, recipient,
			canonical, ended_at, end_reason)
		SELECT payment_id, 2, chain, block_number, block_hash, block_time, tx_index, log_index, asset_id, 99000000000000, sender, recipient, false, now(), 'reorg'
		  FROM inclusions WHERE payment_id = '$fresh'`
	return map[string]string{
		"a payment": `INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, first_included_at)
			SELECT 'pay_x', chain, decode(repeat('ab', 32), 'hex'), native, position, address_id, order_id, merchant_id, mode, 1, 'detected', now() FROM payments WHERE id = '$fresh'`,
		"an inclusion":            inclusion,
		"an inclusion's end":      `UPDATE inclusions SET canonical = false, ended_at = now(), end_reason = 'reorg' WHERE payment_id = '$fresh'`,
		"an inclusion's return":   `UPDATE inclusions SET canonical = true, ended_at = NULL, end_reason = NULL`,
		"another merchant":        `UPDATE payments SET merchant_id = '$theirs' WHERE id = '$fresh'`,
		"another mode":            `UPDATE payments SET mode = mode WHERE id = '$fresh'`,
		"another address":         `UPDATE payments SET address_id = address_id WHERE id = '$fresh'`,
		"another order":           `UPDATE payments SET order_id = NULL WHERE id = '$fresh'`,
		"another time":            `UPDATE payments SET first_included_at = now() - interval '1 day' WHERE id = '$fresh'`,
		"a loss":                  `UPDATE payments SET status = 'ignored' WHERE id = '$fresh'`,
		"a drop":                  `UPDATE payments SET status = 'dropped', dropped_at = now() WHERE id = '$fresh'`,
		"what counts as credited": `UPDATE payments SET status = 'credited', credited_inclusion = 1 WHERE id = '$fresh'`,
		"better evidence":         `UPDATE payments SET evidence = 'proven'`,
		"a credit":                strings.Replace(inflate, "99000000000000", "25000000", 1),
		"a reversal": `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion, reverses)
			SELECT '$held/1/reversal', 'reversal', credit_account, debit_account, asset_id, amount, payment_id, inclusion, id FROM ledger_postings WHERE key = '$held/1/credit'`,
		"a weak credit":        `INSERT INTO weak_credits (payment_id, inclusion, chain, asset_id, amount) VALUES ('$fresh', 1, 'dev', '$token', 1)`,
		"a share":              `UPDATE allocations SET amount = 1`,
		"no share":             `DELETE FROM allocations`,
		"a cursor":             `UPDATE cursors SET block_number = block_number + 1`,
		"an epoch":             `UPDATE cursors SET epoch = epoch + 1`,
		"a head":               `UPDATE cursors SET head_number = 1000000`,
		"a block":              `INSERT INTO chain_blocks (chain, number, hash, parent_hash, block_time) SELECT 'dev', 1000, block_hash, block_hash, now() FROM inclusions LIMIT 1`,
		"a block less":         `DELETE FROM chain_blocks`,
		"a mark less":          `DELETE FROM recorded_marks`,
		"a hole that was read": `UPDATE coverage SET blocks = '{[0,1000000)}'`,
		"a hole":               `UPDATE coverage SET blocks = '{}'`,
		"a quarantine":         `UPDATE quarantined_blocks SET resolved_at = now()`,
		"a second look":        `INSERT INTO second_looks (chain, blocks) VALUES ('other', '{[0,1000000)}')`,
		"a rescan's end":       `UPDATE rescans SET finished_at = now()`,
		"a wake-up less":       `DELETE FROM outbox`,
		"a wake-up as sent":    `UPDATE outbox SET sent_at = now(), outcome = 'moot'`,
		"an unknown token":     `UPDATE unknown_contracts SET transfers = 0`,
		"a comparison":         `UPDATE balance_checks SET shortfall = 0, checked_at = now()`,
		"findings of a block":  `SELECT ledger_withdraw_findings('dev', 1000000)`,
		"what is explained":    `SELECT ledger_consume_findings('$fresh', 1)`,
	}
}

// TestOnlyTheChainWorkerRecords: the roles of API, orders and callbacks invent no payment, move none, and credit none.
func TestOnlyTheChainWorkerRecords(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Paid(t)
	held, fresh := b.Pay(t, b.Order(t), 25_000_000), b.Pay(t, b.Order(t), 25_000_000)
	b.Credit(t, held, func(in *store.CreditInput) { in.Review = process.CauseHeld })
	other, _ := b.NewMerchant(t)
	accounts(t, b, other, fresh)
	fill := strings.NewReplacer("$token", b.Token.ID.String(), "$mine", string(b.Merchant), "$theirs", string(other), "$held", string(held.ID), "$fresh", string(fresh.ID))
	for name, sql := range recording() {
		_, err := b.PG.App.Exec(t.Context(), fill.Replace(sql))
		refused, ok := errors.AsType[*pgconn.PgError](err)
		require.True(t, ok, "%s: %v", name, err)
		require.Equal(t, "42501", refused.Code, "%s: %v", name, err) // insufficient_privilege
		tx, err := b.PG.Chain.Begin(t.Context())
		require.NoError(t, err)
		tag, err := tx.Exec(t.Context(), fill.Replace(sql))
		require.NoError(t, err, name)
		if strings.Contains(sql, "payments") || strings.Contains(sql, "postings") {
			require.Positive(t, tag.RowsAffected(), name) // or a trigger had nothing to refuse
		}
		require.NoError(t, tx.Rollback(t.Context()))
	}
}

// list reads one column as the owner.
func list(t *testing.T, b *storetest.Bundle, sql string) []string {
	t.Helper()
	rows, err := b.PG.Owner.Query(t.Context(), sql)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

// TestEveryFunctionHasItsPath: what a function of the schema names is what the schema says, whatever a session looks into first. Nobody may call
// one who was not named.
func TestEveryFunctionHasItsPath(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	require.Empty(t, list(t, b, `SELECT p.oid::regprocedure::text FROM pg_proc p
		WHERE p.pronamespace = 'public'::regnamespace AND NOT COALESCE('search_path=pg_catalog, public, pg_temp' = ANY(p.proconfig), false)`),
		"say SET search_path = pg_catalog, public, pg_temp in their definitions")
	require.Empty(t, list(t, b, `SELECT p.oid::regprocedure::text FROM pg_proc p
		WHERE p.pronamespace = 'public'::regnamespace AND has_function_privilege('public', p.oid, 'EXECUTE')`),
		"REVOKE ALL ON FUNCTION … FROM PUBLIC, and grant it to whom it concerns")
	for role, functions := range map[string][]string{
		"sluice_app":   {"ledger_take_snapshot"},
		"sluice_chain": {"ledger_consume_findings", "ledger_post_finding", "ledger_take_snapshot", "ledger_withdraw_findings"},
	} {
		require.Equal(t, functions, list(t, b, `SELECT p.proname::text FROM pg_proc p
			WHERE p.pronamespace = 'public'::regnamespace AND p.prosecdef AND has_function_privilege('`+role+`', p.oid, 'EXECUTE') ORDER BY 1`),
			"%s may call these with the owner's rights: look at them as an intruder would", role)
	}
}

// TestRightsThatNobodyNeeds: the roles of programs give rows no numbers, and neither empty tables nor add to them.
func TestRightsThatNobodyNeeds(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	require.Empty(t, list(t, b, `SELECT r.role || ' ' || c.relname || '.' || t.attname
		  FROM pg_class c JOIN pg_attribute t ON t.attrelid = c.oid AND t.attidentity <> '', unnest(ARRAY['sluice_app', 'sluice_chain']) AS r(role)
		 WHERE c.relnamespace = 'public'::regnamespace
		   AND has_column_privilege(r.role, c.oid, t.attnum, 'INSERT')`),
		"grant INSERT on the other columns of a table whose rows are numbered")
	require.Empty(t, list(t, b, `SELECT r.role || ' ' || c.relname FROM pg_class c, unnest(ARRAY['sluice_app', 'sluice_chain']) AS r(role)
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind IN ('r', 'v') AND has_table_privilege(r.role, c.oid, 'TRUNCATE, TRIGGER, REFERENCES')`))
	require.Empty(t, list(t, b, `SELECT r.role || ' ' || c.relname FROM pg_class c, unnest(ARRAY['sluice_app', 'sluice_chain']) AS r(role)
		 WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'S' AND has_sequence_privilege(r.role, c.oid, 'USAGE, UPDATE')`))
	require.Empty(t, list(t, b, `SELECT c.relname::text FROM pg_class c, aclexplode(c.relacl) a WHERE c.relnamespace = 'public'::regnamespace AND a.grantee = 0`),
		"nothing is everybody's")
	require.Empty(t, list(t, b, `SELECT role || ' ' || right_ FROM unnest(ARRAY['sluice_app', 'sluice_chain', 'public']) AS role, unnest(ARRAY['CREATE', 'TEMPORARY']) AS right_
		 WHERE has_database_privilege(role, current_database(), right_)
		 UNION ALL SELECT role || ' schema' FROM unnest(ARRAY['sluice_app', 'sluice_chain', 'public']) AS role WHERE has_schema_privilege(role, 'public', 'CREATE')`))
}
