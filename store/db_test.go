package store_test

import (
	"net"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestAnAbsentDatabaseIsUnavailable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	db, err := store.Open(t.Context(), "postgres://app:canary7d1f@"+address+"/x", store.Options{})
	require.NoError(t, err)
	defer db.Close()
	for name, call := range map[string]func() error{
		"ping":   func() error { return db.Ping(t.Context()) },
		"read":   func() error { _, err := db.ListChains(t.Context()); return err },
		"change": func() error { _, err := db.ReadOrder(t.Context(), payment.NewOrderID()); return err },
		"check":  func() error { _, err := db.LedgerCheck(t.Context()); return err },
	} {
		err := call()
		require.Equal(t, payment.CodeUnavailable, payment.CodeOf(err), "%s: %v", name, err)
		require.NotContains(t, err.Error(), "canary7d1f")
	}
	_, err = store.Open(t.Context(), "postgres://app:canary7d1f@127.0.0.1:port/x", store.Options{})
	require.Error(t, err)
	require.NotContains(t, err.Error(), "canary7d1f")
}

func TestAStatementThatTakesTooLongIsUnavailable(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	db, err := store.Open(t.Context(), b.PG.AppURL, store.Options{StatementTimeout: 50 * time.Millisecond})
	require.NoError(t, err)
	defer db.Close()
	tx, err := b.PG.App.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR UPDATE`, order.ID)
	require.NoError(t, err)
	_, err = db.CancelOrder(t.Context(), cancel(order.ID))
	require.Equal(t, payment.CodeUnavailable, payment.CodeOf(err), "%v", err)
	require.NoError(t, tx.Rollback(t.Context()))
	_, err = db.CancelOrder(t.Context(), cancel(order.ID))
	require.NoError(t, err)
}

func TestCollisionsAreRetried(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	runs := 0
	err := b.DB.Tx(t.Context(), func(exec store.Exec) error {
		runs++
		if err := exec(`INSERT INTO audit (actor, action, subject) VALUES ('x', 'y', 'z')`); err != nil {
			return err
		}
		if runs < 3 {
			return &pgconn.PgError{Code: "40P01"}
		}
		return nil
	})
	require.NoError(t, err)
	require.Equal(t, 3, runs)
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE subject = 'z'`))

	runs = 0
	err = b.DB.Tx(t.Context(), func(store.Exec) error { runs++; return &pgconn.PgError{Code: "40001"} })
	require.Equal(t, payment.CodeUnavailable, payment.CodeOf(err))
	require.Equal(t, 5, runs)
}

// Two transactions that lock the same orders in opposite wishes wait for each other and never deadlock.
func TestOrdersAreLockedInOneOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ids := []payment.OrderID{b.Order(t).ID, b.Order(t).ID, b.Order(t).ID}
	reversed := []payment.OrderID{ids[2], ids[1], ids[0], ids[2]}
	retries := concurrently(16, func(i int) int {
		wish, runs := ids, 0
		if i%2 == 0 {
			wish = reversed
		}
		for range 10 {
			n, err := b.DB.LockOrders(t.Context(), wish)
			if err != nil {
				t.Errorf("lock: %v", err)
			}
			runs += n
		}
		return runs
	})
	require.Equal(t, map[int]int{10: 16}, count(retries))
}
