package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func inCoin(n *store.NewOrder) {
	n.Asset, n.Amount = "ETH", payment.AmountFromUint64(1_000_000_000_000_000_000)
}

// traced is a miner on a chain that was traced up to block 100, and whose node was told that its blocks take a minute.
func traced(t *testing.T) *miner {
	t.Helper()
	m := mine(t, storetest.New(t))
	m.Exec(t, `UPDATE chains SET block_time_ms = 60000`) // an hour is sixty blocks
	m.step = time.Minute
	m.tip.Time = time.Now().Add(-5 * time.Hour) // so that our own clock never stands in the way
	m.tracedTo(t, 100)
	return m
}

// expire tries to close an order.
func (m *miner) expire(t *testing.T, id payment.OrderID) (process.ExpireOutcome, string) {
	t.Helper()
	result, wait, err := m.DB.ExpireOrder(t.Context(), id)
	require.NoError(t, err)
	return result.Outcome, wait.Reason
}

// TestAnOrderForTheCoinWaitsForTraces: for as long as they are about to come, so that a payment inside a call is not overlooked.
func TestAnOrderForTheCoinWaitsForTraces(t *testing.T) {
	t.Parallel()
	m := traced(t)
	order, other := m.Order(t, inCoin), m.Order(t)
	m.recordTraced(t, true)
	missed := m.recordTraced(t, false)
	for _, o := range []payment.OrderID{order.ID, other.ID} {
		deadlineAt(t, m.Bundle, o, missed.Time.Add(30*time.Second))
	}
	m.recordTraced(t, true)
	outcome, reason := m.expire(t, order.ID)
	require.Equal(t, process.ExpireNotDue, outcome)
	require.Equal(t, "blocks_not_traced_yet", reason)
	outcome, _ = m.expire(t, other.ID)
	require.Equal(t, process.ExpireExpired, outcome, "a token's transfers are in receipts")

	inside := pay(t, order, 1_000_000_000_000_000_000, func(x *payment.Transfer) { x.Position = 1 })
	missed.Traced = true
	missed.Sightings = []store.Sighting{{Transfer: inside, Receipt: store.ReceiptRead}}
	rescans := m.look(t).Rescans
	require.Len(t, rescans, 1)
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(missed))
	require.NoError(t, err)
	outcome, _ = m.expire(t, order.ID)
	require.Equal(t, process.ExpireLive, outcome)
	m.advance(t, storetest.Confirmations)
	require.Equal(t, store.CreditDone, m.credit(t, inside).Outcome)
	require.Equal(t, payment.StatePaid, m.state(t, order.ID))
}

// TestAnOrderForTheCoinExpiresWithoutTracesAfterAnHour: and what is found after that is in time by its block all the same.
func TestAnOrderForTheCoinExpiresWithoutTracesAfterAnHour(t *testing.T) {
	t.Parallel()
	// By the number of blocks, and where they come more slowly than was said, by their times.
	for step, blocks := range map[time.Duration]int{time.Minute: 59, 5 * time.Minute: 12} {
		t.Run(step.String(), func(t *testing.T) {
			t.Parallel()
			expiresAfterAnHour(t, step, blocks)
		})
	}
}

func expiresAfterAnHour(t *testing.T, step time.Duration, blocks int) {
	t.Helper()
	m := traced(t)
	m.step = step
	order := m.Order(t, inCoin)
	missed := m.recordTraced(t, false)
	deadlineAt(t, m.Bundle, order.ID, missed.Time.Add(30*time.Second))
	for range blocks {
		m.recordTraced(t, true)
	}
	_, reason := m.expire(t, order.ID)
	require.Equal(t, "blocks_not_traced_yet", reason)
	m.recordTraced(t, true)
	outcome, _ := m.expire(t, order.ID)
	require.Equal(t, process.ExpireExpired, outcome)

	inside := pay(t, order, 1_000_000_000_000_000_000, func(x *payment.Transfer) { x.Position = 1 })
	missed.Traced = true
	missed.Sightings = []store.Sighting{{Transfer: inside, Receipt: store.ReceiptRead}}
	rescans := m.look(t).Rescans
	require.NotEmpty(t, rescans)
	_, err := m.rec.RecordRescan(t.Context(), m.session, rescans[0], m.batch(missed))
	require.NoError(t, err)
	require.Equal(t, store.CreditDone, m.credit(t, inside).Outcome)
	require.Equal(t, missed.Time.Unix(), m.payment(t, inside).FirstAt.Unix())
	require.Equal(t, "paid {}", storetest.Value[string](t, m.Bundle, `SELECT state || ' ' || labels::text FROM orders WHERE id = $1`, order.ID), "in time")
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM payments p JOIN orders o ON o.id = p.order_id WHERE p.first_included_at <= o.expires_at`))
}

// TestNothingElseWaitsForTraces: what matters is the order's own life, on a chain that is being traced.
func TestNothingElseWaitsForTraces(t *testing.T) {
	t.Parallel()
	for name, set := range map[string]func(t *testing.T, m *miner, order process.OrderView){
		"no node ever traced": func(t *testing.T, m *miner, _ process.OrderView) {
			m.Exec(t, `UPDATE coverage SET blocks = '{}' WHERE method = 'traces'`)
		},
		"none did for an hour": func(t *testing.T, m *miner, _ process.OrderView) {
			m.Exec(t, `UPDATE coverage SET blocks = '{[0,101)}' WHERE method = 'traces'`)
			m.Exec(t, `UPDATE chains SET block_time_ms = 1200000`)
		},
		"traces are switched off": func(t *testing.T, m *miner, _ process.OrderView) { m.Exec(t, `UPDATE chains SET traces = false`) },
		"before it was born": func(t *testing.T, m *miner, order process.OrderView) {
			m.Exec(t, `UPDATE orders SET birth_block = 102 WHERE id = $1`, order.ID)
		},
		"after its deadline": func(t *testing.T, m *miner, order process.OrderView) {
			m.Exec(t, `UPDATE orders SET expires_at = (SELECT block_time FROM chain_blocks WHERE chain = 'dev' AND number = 101) WHERE id = $1`, order.ID)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := traced(t)
			order := m.Order(t, inCoin)
			m.recordTraced(t, true)
			deadline := m.recordTraced(t, false).Time.Add(30 * time.Second)
			deadlineAt(t, m.Bundle, order.ID, deadline)
			m.recordTraced(t, true)
			m.recordTraced(t, true)
			_, reason := m.expire(t, order.ID)
			require.Equal(t, "blocks_not_traced_yet", reason)
			set(t, m, order)
			outcome, _ := m.expire(t, order.ID)
			require.Equal(t, process.ExpireExpired, outcome)
		})
	}
}
