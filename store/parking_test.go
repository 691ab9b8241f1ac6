package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// TestGoneSticksWhateverBecomesOfTheRest: somebody has one of the endpoint's callbacks and does not let go of it.
func TestGoneSticksWhateverBecomesOfTheRest(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order, held, free := c.cancelled(t), c.Order(t).ID, c.Order(t).ID
	d := c.take(t, order, "w")
	tx, err := c.PG.Chain.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `SELECT FROM callbacks WHERE order_id = $1 FOR UPDATE`, held)
	require.NoError(t, err)

	ctx, cancel := await.Context(t.Context())
	defer cancel()
	result, err := c.DB.RecordAttempt(ctx, d, attempt(store.ReplyGone), store.Next{Park: store.ParkGone})
	require.NoError(t, err)
	require.True(t, result.EndpointDisabled)
	require.Equal(t, []string{"parked/endpoint_disabled"}, c.statuses(t, free))
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, store.Acquired{Parked: 1}, c.acquire(t, held, "w"), "on sight")
}

// TestAllCallbacksOfAGoneEndpointAreParked: more than one batch of them, found by an index.
func TestAllCallbacksOfAGoneEndpointAreParked(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "w")
	c.Exec(t, `INSERT INTO events (id, merchant_id, mode, type, order_id, seq, key, body)
		SELECT 'evt_c' || i, merchant_id, mode, 'order.paid', id, 100 + i, 'c' || i, '{}' FROM orders, generate_series(1, 1234) i`)
	c.Exec(t, `INSERT INTO callbacks (id, event_id, endpoint_id, order_id, seq) SELECT 'cbk_c' || seq, id, $1, order_id, seq FROM events WHERE seq > 100`, c.endpoint)
	c.report(t, d, store.ReplyGone, store.Next{Park: store.ParkGone})
	require.Equal(t, 1235, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callbacks WHERE status = 'parked'`))
	require.Equal(t, 1, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM pg_indexes WHERE tablename = 'callbacks'
		AND indexdef LIKE '%(endpoint_id%WHERE (status = ''pending''::text)'`))
}
