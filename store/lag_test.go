package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// lagOf reads a chain's lag without what depends on the moment.
func lagOf(t *testing.T, b *storetest.Bundle) store.Lag {
	t.Helper()
	lag, err := b.DB.ChainLag(t.Context(), storetest.Chain)
	require.NoError(t, err)
	lag.Silent = 0
	return lag
}

func TestChainLag(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Exec(t, `UPDATE chains SET max_lag_seconds = 60`)
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	b.ReadTo(t, storetest.Chain, 100, at)
	want := store.Lag{Chain: "dev", Recorded: 100, RecordedAt: at, Head: 100}
	require.Equal(t, want, lagOf(t, b), "the block is old, and there is no newer one")

	b.Exec(t, `UPDATE cursors SET head_number = 160 WHERE chain = 'dev'`)
	want.Head, want.Blocks, want.Behind = 160, 60, time.Minute
	require.Equal(t, want, lagOf(t, b), "a minute is the limit")
	b.Exec(t, `UPDATE cursors SET head_number = 1360, blocks_per_minute = 60 WHERE chain = 'dev'`)
	want.Head, want.Blocks, want.Behind, want.Excessive, want.RetryAfter = 1360, 1260, 21*time.Minute, true, 5*time.Minute
	require.Equal(t, want, lagOf(t, b), "it falls no further back, and does not catch up")
	b.Exec(t, `UPDATE cursors SET blocks_per_minute = 660 WHERE chain = 'dev'`)
	want.RetryAfter = 1201 * time.Minute / 600
	require.Equal(t, want, lagOf(t, b), "1200 blocks too many, 600 gained each minute")
	b.Exec(t, `UPDATE cursors SET blocks_per_minute = 1000000 WHERE chain = 'dev'`)
	want.RetryAfter = 5 * time.Second
	require.Equal(t, want, lagOf(t, b), "in a moment")
	b.Exec(t, `UPDATE cursors SET head_number = 9223372036854775807 WHERE chain = 'dev'`)
	require.Equal(t, 5*time.Minute, lagOf(t, b).RetryAfter, "a head that cannot be")

	b.Exec(t, `UPDATE cursors SET head_number = 100, reported_at = now() - interval '61 seconds' WHERE chain = 'dev'`)
	lag := lagOf(t, b)
	require.True(t, lag.Excessive, "the watcher is silent")
	require.Equal(t, time.Minute, lag.RetryAfter)
	b.Exec(t, `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL, reported_at = now() WHERE chain = 'dev'`)
	lag = lagOf(t, b)
	require.True(t, lag.Excessive, "nothing is recorded yet")
	require.Equal(t, 10*time.Second, lag.RetryAfter)

	_, err := b.DB.ChainLag(t.Context(), "mars")
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(err))
	b.Exec(t, `UPDATE chains SET enabled = false WHERE name = 'other'`)
	lags, err := b.DB.ChainLags(t.Context())
	require.NoError(t, err)
	require.Len(t, lags, 2)
	require.True(t, lags[1].Disabled)
	require.False(t, lags[1].TakesOrders())
}

// No order is taken on a chain where its payment would not be seen or credited in time. Nothing of it is written, and the same
// request is taken when the chain is well.
func TestALaggingChainTakesNoOrders(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.Exec(t, `UPDATE chains SET max_lag_seconds = 60`)
	rows := func() int {
		return storetest.Value[int](t, b, `SELECT ((SELECT count(*) FROM orders) + (SELECT count(*) FROM idempotency_keys)
			+ (SELECT count(*) FROM webhook_endpoints))::int`)
	}
	ask := b.NewOrder(func(n *store.NewOrder) { n.CallbackURL = "https://shop.example/hook" })
	for _, c := range []struct{ name, spoil, mend string }{
		{
			"nothing read", `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL`,
			`UPDATE cursors SET block_number = 100, block_hash = decode(repeat('00', 32), 'hex'), block_time = now()`,
		},
		{"behind", `UPDATE cursors SET head_number = 161`, `UPDATE cursors SET head_number = 160`},
		{"silent", `UPDATE cursors SET reported_at = now() - interval '2 minutes'`, `UPDATE cursors SET reported_at = now()`},
		{"paused", `UPDATE chains SET paused_at = now()`, `UPDATE chains SET paused_at = NULL`},
		{
			"halted", `UPDATE chains SET halted_at = now(), halted_reason = 'horizon'`,
			`UPDATE chains SET halted_at = NULL, halted_reason = NULL`,
		},
	} {
		b.Exec(t, c.spoil)
		_, err := b.DB.CreateOrder(t.Context(), ask)
		require.Equal(t, payment.CodeChainLagging, payment.CodeOf(err), c.name)
		wait, ok := store.RetryAfterOf(err)
		require.True(t, ok, c.name)
		require.True(t, wait >= 5*time.Second && wait <= 5*time.Minute, "%s: %s", c.name, wait)
		require.Zero(t, rows(), c.name)
		b.Exec(t, c.mend)
	}
	claim, err := b.DB.CreateOrder(t.Context(), ask)
	require.NoError(t, err)
	require.Equal(t, store.ClaimFresh, claim.Outcome)
	b.Exec(t, `UPDATE chains SET paused_at = now()`)
	_, err = b.DB.CompleteClaim(t.Context(), claim.OrderID, store.Answer{Status: 201, Body: []byte("{}")})
	require.NoError(t, err)
	claim, err = b.DB.CreateOrder(t.Context(), ask)
	require.NoError(t, err, "what was answered is answered again")
	require.Equal(t, store.ClaimReplayed, claim.Outcome)
}

// The watcher's own words are what lag goes by.
func TestWatchingIsReported(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	silent := func() {
		m.Exec(t, `UPDATE cursors SET reported_at = now() - interval '11 minutes'`)
		require.True(t, lagOf(t, m.Bundle).Excessive)
	}
	silent()
	m.record(t)
	require.False(t, lagOf(t, m.Bundle).Excessive, "a block was recorded")
	silent()
	require.NoError(t, m.rec.ObserveHead(t.Context(), m.session, m.tip))
	require.False(t, lagOf(t, m.Bundle).Excessive, "there is none")
	silent()
	m.begin(t, storetest.Chain)
	require.True(t, lagOf(t, m.Bundle).Excessive, "a watcher that only ever begins reads nothing")
	m.begin(t, storetest.Chain)
	m.advance(t, 2)
	require.Positive(t, storetest.Value[int64](t, m.Bundle, `SELECT blocks_per_minute FROM cursors WHERE chain = 'dev'`))
}
