package store_test

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// While one creation of a merchant takes its time, repetitions of what was answered are answered, and however many others of his wait,
// no more than one of them has a connection: other merchants get theirs.
func TestWhoWaitsForAMerchantsTurnHoldsNoConnection(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	answered := b.NewOrder()
	claim, err := b.DB.CreateOrder(t.Context(), answered)
	require.NoError(t, err)
	_, err = b.DB.CompleteClaim(t.Context(), claim.OrderID, store.Answer{Status: 201, Body: []byte("{}")})
	require.NoError(t, err)
	db, err := store.Open(t.Context(), b.PG.AppURL, store.Options{MaxConns: 3, StatementTimeout: time.Minute})
	require.NoError(t, err)
	t.Cleanup(db.Close)

	// Somebody has the merchant's lock.
	other, err := b.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Rollback(context.WithoutCancel(t.Context())) })
	_, err = other.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('orders of ' || $1::text || ' in test', 0))`, string(b.Merchant))
	require.NoError(t, err)
	var waiting sync.WaitGroup
	for range 64 {
		waiting.Go(func() {
			_, err := db.CreateOrder(t.Context(), b.NewOrder())
			if err != nil {
				t.Error(err)
			}
		})
	}
	blocked := `SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`
	await.Until(t, func() bool { return storetest.Value[int](t, b, blocked) > 0 }, "for a creation to wait")

	for range 200 {
		replay, err := db.CreateOrder(t.Context(), answered)
		require.NoError(t, err)
		require.Equal(t, store.ClaimReplayed, replay.Outcome)
	}
	stranger, _ := b.NewMerchant(t)
	for range 20 {
		_, err = db.CreateOrder(t.Context(), b.NewOrder(func(n *store.NewOrder) { n.Merchant = stranger }))
		require.NoError(t, err)
	}
	require.Equal(t, 1, storetest.Value[int](t, b, blocked))
	require.NoError(t, other.Rollback(t.Context()))
	waiting.Wait()
	require.Equal(t, 85, storetest.Value[int](t, b, `SELECT count(*) FROM orders`))
}

// Whoever stops waiting leaves no trace.
func TestAnEndedWaitForATurn(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	other, err := b.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	t.Cleanup(func() { _ = other.Rollback(context.WithoutCancel(t.Context())) })
	_, err = other.Exec(t.Context(), `SELECT pg_advisory_xact_lock(hashtextextended('orders of ' || $1::text || ' in test', 0))`, string(b.Merchant))
	require.NoError(t, err)
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	var gone sync.WaitGroup
	for range 8 {
		gone.Go(func() {
			if _, err := b.DB.CreateOrder(ctx, b.NewOrder()); err == nil {
				t.Error("the lock was not held")
			}
		})
	}
	gone.Wait()
	require.NoError(t, other.Rollback(t.Context()))
	_, err = b.DB.CreateOrder(t.Context(), b.NewOrder())
	require.NoError(t, err)
}

// What is used up in one mode is there in the other.
func TestLimitsAreOfOneMode(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		change func(*store.NewMerchant)
		code   payment.Code
	}{
		"open orders":       {func(m *store.NewMerchant) { m.MaxOpenOrders = 2 }, payment.CodeOpenOrderCap},
		"orders per minute": {func(m *store.NewMerchant) { m.OrdersPerMinute = 2 }, payment.CodeRateLimited},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t, c.change)
			b.EnableLive(t)
			for range 2 {
				_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
				require.NoError(t, err)
			}
			_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
			require.Equal(t, c.code, payment.CodeOf(err))
			for i := range 2 {
				_, err := b.DB.CreateOrder(t.Context(), b.NewOrder(storetest.OnLive))
				require.NoError(t, err, fmt.Sprint(i))
			}
			_, err = b.DB.CreateOrder(t.Context(), b.NewOrder(storetest.OnLive))
			require.Equal(t, c.code, payment.CodeOf(err))
		})
	}
}
