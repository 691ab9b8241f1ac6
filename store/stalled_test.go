package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// Sweeping costs what is overdue, however many orders there are that are over.
func TestSweepingDoesNotReadEveryOrder(t *testing.T) {
	t.Parallel()
	const crowded = 2000
	b := storetest.New(t)
	crowd(t, b, crowded)
	overdue := b.Order(t)
	b.Exec(t, `UPDATE orders SET expires_at = now() - interval '1 hour', last_woken_at = now() - interval '1 hour' WHERE id = $1`, overdue.ID)
	before := tuples(t, b)["orders"]
	db, err := store.Open(t.Context(), b.PG.AppURL, store.Options{ApplicationName: "counted", StatementTimeout: await.Broken})
	require.NoError(t, err)
	found, err := db.SweepOrders(t.Context(), time.Minute, 10)
	require.NoError(t, err)
	require.Equal(t, []store.StalledOrder{{ID: overdue.ID, TakesPayments: true}}, found)
	db.Close()
	gone(t, b, "counted")
	require.Less(t, tuples(t, b)["orders"]-before, int64(crowded/10))
}

func TestSweepOrders(t *testing.T) {
	t.Parallel()
	const silent = 15 * time.Minute
	b := storetest.New(t)
	b.AddEndpoint(t, "https://shop.example/hooks")
	moved := b.Order(t)
	overdue := b.Order(t)
	mute, _ := b.Paid(t)
	told, _ := b.Paid(t)
	b.Exec(t, `UPDATE callbacks SET status = 'delivered', delivered_at = now() WHERE order_id <> $1`, mute.ID)
	b.Exec(t, `UPDATE callbacks SET due_at = now() - interval '1 hour' WHERE order_id = $1`, mute.ID)
	b.Exec(t, `UPDATE orders SET expires_at = now() - interval '1 hour' WHERE id = ANY($1)`, []string{string(overdue.ID), string(told.ID)})

	sweep := func(limit int) []store.StalledOrder {
		found, err := b.DB.SweepOrders(t.Context(), silent, limit)
		require.NoError(t, err)
		return found
	}
	require.Empty(t, sweep(10), "all of them were made a moment ago")

	b.Exec(t, `UPDATE orders SET last_woken_at = now() - interval '1 hour'`)
	first := sweep(1)
	require.Len(t, first, 1, "the limit holds")
	found := append(first, sweep(10)...)
	require.ElementsMatch(t, []store.StalledOrder{{ID: overdue.ID, TakesPayments: true}, {ID: mute.ID}}, found,
		"neither %s, whose deadline is ahead, nor %s, whose callbacks are delivered", moved.ID, told.ID)
	require.Empty(t, sweep(10), "they were found a moment ago")
}
