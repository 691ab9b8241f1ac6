package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// TestAnOrderIsLookedForOnEveryChain: its address is valid on all of its family, since it was made.
func TestAnOrderIsLookedForOnEveryChain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	for number, name := range map[uint64]string{4711: "second", 4712: "unread", 4713: "disabled"} {
		b.EnableChain(t, name, number, payment.Asset{ID: payment.NativeAsset(name), Symbol: "OTH", Decimals: 18})
	}
	other := mineOn(t, b, "second")
	mineOn(t, b, "disabled")
	b.Exec(t, `UPDATE chains SET enabled = false WHERE name = 'disabled'`)
	b.Exec(t, `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL WHERE chain = 'unread'`)
	require.NoError(t, other.rec.ObserveFinal(t.Context(), other.session, nil)) // marks block 100
	_, err := b.PG.Owner.Exec(t.Context(), `UPDATE recorded_marks SET marked_at = now() - interval '20 minutes'`)
	require.NoError(t, err)
	other.advance(t, 30)
	order := b.Order(t)
	_, err = b.PG.Owner.Exec(t.Context(), `UPDATE recorded_marks SET marked_at = now() - interval '10 minutes 1 second'`)
	require.NoError(t, err)
	other.advance(t, 1)
	require.NoError(t, other.rec.ObserveFinal(t.Context(), other.session, nil)) // later than the order

	for range 2 {
		_, err := b.DB.RequestOrderRescan(t.Context(), order.ID, store.Interval{}, storetest.By(), "r")
		require.NoError(t, err)
	}
	require.Equal(t, 3, other.count(t, `SELECT count(*) FROM rescans WHERE cause = 'requested' AND chain IN ('second', 'dev', 'unread', 'disabled')`))
	require.Equal(t, 3, other.count(t, `SELECT count(*) FROM audit WHERE action = 'chain.rescan' AND subject IN ('second', 'dev', 'unread', 'disabled')`))
	look := other.look(t)
	require.Len(t, look.Rescans, 1)
	require.EqualValues(t, 100-horizon, look.Rescans[0].From, "what was read when the address was made, less the horizon")
	require.Equal(t, other.tip.Number, look.Rescans[0].To)
}
