package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// tuplesPerOrder bounds what the lives of two orders may read. It is a few rows for each of a hundred statements; what
// matters is that thousands of other orders are not among them.
const tuplesPerOrder = 1200

// The life of an order costs the same whether its merchant has one order or thousands: what is counted is how many rows
// the database hands out for it.
func TestCostDoesNotGrowWithOrders(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.AddEndpoint(t, "https://shop.example.com/hook")
	crowd(t, b, 2000)
	m := mine(t, b)

	before := tuples(t, b)
	db, err := store.Open(t.Context(), b.PG.ChainURL, store.Options{ApplicationName: "counted", StatementTimeout: await.Broken})
	require.NoError(t, err)
	worker := *b
	worker.DB = db
	m.rec = store.NewRecorder(db)
	order := worker.Order(t, func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/one-of-thousands" })
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	id := payment.PaymentID(storetest.Value[string](t, b, `SELECT id FROM payments WHERE order_id = $1`, order.ID))
	_, err = db.LoadSettlement(t.Context(), id)
	require.NoError(t, err)
	result, err := db.Credit(t.Context(), store.CreditInput{PaymentID: id, Inclusion: 1, BlockHash: m.tip.Hash, Amount: transfer.Amount})
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, result.Order.State)
	_, err = db.CancelOrder(t.Context(), cancel(worker.Order(t).ID))
	require.NoError(t, err)
	_, err = db.GetOrder(t.Context(), b.Principal, order.ID)
	require.NoError(t, err)
	_, err = db.ListOrders(t.Context(), b.Principal, store.OrderFilter{}, "", 10)
	require.NoError(t, err)
	_, err = db.ListPayments(t.Context(), b.Principal, order.ID, "", 10)
	require.NoError(t, err)
	_, err = db.Balances(t.Context(), b.Principal)
	require.NoError(t, err)
	db.Close()
	gone(t, b, "counted")

	read := map[string]int64{}
	var total int64
	for table, n := range tuples(t, b) {
		if n > before[table] {
			read[table] = n - before[table]
			total += read[table]
		}
	}
	require.Positive(t, total)
	require.Less(t, total, int64(tuplesPerOrder), "read: %v", read)
	t.Logf("read: %v", read)
}

// tuples counts the rows that the database ever handed out, by table.
func tuples(t *testing.T, b *storetest.Bundle) map[string]int64 {
	t.Helper()
	_, err := b.PG.Owner.Exec(t.Context(), `SELECT pg_stat_force_next_flush()`)
	require.NoError(t, err)
	counts := map[string]int64{}
	rows, err := b.PG.Owner.Query(t.Context(), `SELECT relname, seq_tup_read + COALESCE(idx_tup_fetch, 0) FROM pg_stat_user_tables`)
	require.NoError(t, err)
	for rows.Next() {
		var table string
		var n int64
		require.NoError(t, rows.Scan(&table, &n))
		counts[table] = n
	}
	require.NoError(t, rows.Err())
	return counts
}

// crowd fills the database with paid orders of the same merchant, each with an address, a callback URL of its own, a
// credited payment, events and callbacks.
func crowd(t *testing.T, b *storetest.Bundle, n int) {
	t.Helper()
	config, err := pgx.ParseConfig(b.PG.OwnerURL)
	require.NoError(t, err)
	config.RuntimeParams["application_name"] = "crowd"
	conn, err := pgx.ConnectConfig(t.Context(), config)
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), `CREATE TEMPORARY TABLE x AS SELECT i, 'ord_c' || i AS ord, 'adr_c' || i AS adr, 'pay_c' || i AS pay,
		'whk_c' || i AS whk, $1::text AS mer, $2::text AS token, $3::text AS xpub FROM generate_series(1, $4::int) i`,
		string(b.Merchant), b.Token.ID.String(), string(b.Wallet), n)
	require.NoError(t, err)
	for _, sql := range []string{
		`INSERT INTO ledger_accounts (kind, asset_id, merchant_id, mode) SELECT DISTINCT 'merchant:available', token, mer, 'test' FROM x`,
		`INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, secret, secret_key)
			SELECT whk, mer, 'test', 'https://shop.example.com/' || i, 'order', '\x00', 'k' FROM x`,
		`INSERT INTO orders (id, merchant_id, mode, chain, asset_id, amount, fulfil_amount, confirmations, expires_in_seconds, payment_policy,
				late_policy, late_window_seconds, callback_endpoint_id, created_at)
			SELECT ord, mer, 'test', 'dev', token, 5, 5, 3, 600, 'available', 'credit_only', 60, whk, now() - interval '1 day' - i * interval '1 second' FROM x`,
		`INSERT INTO addresses (id, family, bytes, xpub_id, derivation_index, merchant_id, mode, order_id)
			SELECT adr, 'evm', decode(lpad(to_hex(i), 40, '0'), 'hex'), xpub, 100000 + i, mer, 'test', ord FROM x`,
		`UPDATE orders o SET state = 'paid', paid_at = now(), closed_at = now(), address_id = adr, expires_at = now() - interval '1 hour',
			late_until = now(), event_seq = 2 FROM x WHERE o.id = ord`,
		`BEGIN`,
		`INSERT INTO payments (id, chain, tx_hash, native, position, address_id, order_id, merchant_id, mode, inclusion, status, credited_inclusion, first_included_at)
			SELECT pay, 'dev', decode(lpad(to_hex(i), 64, '0'), 'hex'), false, 0, adr, ord, mer, 'test', 1, 'credited', 1, now() - interval '1 day' FROM x`,
		`INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, log_index, asset_id, amount, sender, recipient)
			SELECT pay, 1, 'dev', 50, decode(repeat('aa', 32), 'hex'), now(), 0, 0, token, 5, '\x00', '\x00' FROM x`,
		`COMMIT`,
		`INSERT INTO ledger_accounts (kind, asset_id, address_id) SELECT 'custody', token, adr FROM x`,
		`INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount, payment_id, inclusion, order_id)
			SELECT pay || '/1/credit', 'credit', d.id, c.id, token, 5, pay, 1, ord
			  FROM x JOIN ledger_accounts d ON d.address_id = adr JOIN ledger_accounts c ON c.kind = 'merchant:available' AND c.merchant_id = mer`,
		`INSERT INTO events (id, merchant_id, mode, type, order_id, seq, key, body)
			SELECT 'evt_c' || i || '_' || s, mer, 'test', 'order.paid', ord, s, i || '/' || s, '{}' FROM x, generate_series(1, 2) s`,
		`INSERT INTO callbacks (id, event_id, endpoint_id, order_id, seq, status, delivered_at)
			SELECT 'cbk_c' || i || '_' || s, 'evt_c' || i || '_' || s, whk, ord, s, 'delivered', now() FROM x, generate_series(1, 2) s`,
		`INSERT INTO idempotency_keys (merchant_id, mode, key, body_hash, order_id) SELECT mer, 'test', 'c' || i, decode(repeat('00', 32), 'hex'), ord FROM x`,
	} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	for _, sql := range []string{`SELECT ledger_take_snapshot()`, `ANALYZE`} {
		_, err := conn.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
	require.NoError(t, conn.Close(t.Context()))
	gone(t, b, "crowd")
}

// gone waits until the connections of an application have ended, and with them what they still had to count.
func gone(t *testing.T, b *storetest.Bundle, application string) {
	t.Helper()
	await.Until(t, func() bool {
		return storetest.Value[bool](t, b, `SELECT NOT EXISTS (SELECT FROM pg_stat_activity WHERE application_name = $1 AND datname = current_database())`, application)
	})
}
