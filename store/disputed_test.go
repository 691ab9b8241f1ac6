package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// TestDisputedBalancesLeaveOthersTheirTurn, however many there are, and come round again themselves.
func TestDisputedBalancesLeaveOthersTheirTurn(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	first, second := m.Order(t), m.Order(t)
	m.record(t)
	m.advance(t, 2*storetest.Confirmations)
	require.Equal(t, 1, m.count(t, `WITH moved AS (UPDATE balance_checks SET agreed_block = born_block + 1
		WHERE address_id = (SELECT address_id FROM orders WHERE id = $1) AND asset_id = $2 RETURNING 1) SELECT count(*) FROM moved`,
		first.ID, payment.NativeAsset(m.session.Chain).String()), "one is behind the other")
	due := func() store.BalanceRound {
		round, err := m.rec.BalancesDue(t.Context(), m.session, 1)
		require.NoError(t, err)
		require.Len(t, round.Addresses, 1)
		return round
	}
	seen := map[string]int{}
	for range 6 {
		round := due()
		seen[round.Addresses[0].Text()]++
		agreed, unclear := round.Divide([]bool{true})
		require.Empty(t, agreed.Addresses)
		require.NoError(t, m.rec.BalancesDisputed(t.Context(), m.session, unclear))
	}
	require.Equal(t, map[string]int{first.Address: 3, second.Address: 3}, seen)
	require.Zero(t, m.count(t, `SELECT count(*) FROM balance_findings`))

	// Once they are agreed about, it is as if they had always been.
	for range 2 {
		round := due()
		agreed, unclear := round.Divide([]bool{false})
		require.Empty(t, unclear.Addresses)
		result, err := m.rec.RecordBalances(t.Context(), m.session, agreed, []payment.Amount{payment.AmountFromUint64(5 * unit)})
		require.NoError(t, err)
		require.Equal(t, store.BalancesCompared{Findings: 1}, result)
	}
	require.Zero(t, m.count(t, `SELECT count(*) FROM balance_checks WHERE disputed_at IS NOT NULL`))
}
