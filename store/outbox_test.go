package store_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func (m *miner) claim(t *testing.T, owner string, limit int) []store.OutboxMessage {
	t.Helper()
	messages, err := m.DB.ClaimOutbox(t.Context(), owner, []string{storetest.Chain}, limit, time.Minute)
	require.NoError(t, err)
	return messages
}

func TestWakeUpsAreClaimedOnce(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	var transfers []payment.Transfer
	for range 40 {
		transfers = append(transfers, pay(t, order, 1_000_000))
	}
	m.record(t, transfers...)
	claimed := make(chan []store.OutboxMessage, 8)
	for i := range 8 {
		go func() {
			messages, err := m.DB.ClaimOutbox(context.WithoutCancel(t.Context()), fmt.Sprint("relay", i), []string{storetest.Chain}, 7, time.Minute)
			if err != nil {
				t.Error(err)
			}
			claimed <- messages
		}()
	}
	seen := map[int64]bool{}
	for range 8 {
		for _, message := range <-claimed {
			require.False(t, seen[message.ID], "claimed twice")
			seen[message.ID] = true
			require.Equal(t, 1, message.Attempts)
			require.Equal(t, order.ID, message.OrderID)
			require.Equal(t, process.SignalRequestID(message.PaymentID, 1, "seen"), message.RequestID)
			require.Equal(t, process.SignalPaymentSeen, message.Signal)
		}
	}
	require.Len(t, seen, 40)
	require.Empty(t, m.claim(t, "late", 100))
	other, err := m.DB.ClaimOutbox(t.Context(), "other", []string{storetest.Other}, 100, time.Minute)
	require.NoError(t, err)
	require.Empty(t, other)
}

func TestALeaseThatEndsIsTakenOver(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.record(t, pay(t, m.Order(t), 25_000_000))
	first := m.claim(t, "first", 10)
	require.Len(t, first, 1)
	m.Exec(t, `UPDATE outbox SET due_at = now() - interval '1 second'`)
	second := m.claim(t, "second", 10)
	require.Len(t, second, 1)
	require.Equal(t, 2, second[0].Attempts)

	require.NoError(t, m.DB.RetryLater(t.Context(), "first", first[0].ID, 0))
	require.Empty(t, m.claim(t, "third", 10), "the first owner's lease is over, so it cannot give it back")
	require.NoError(t, m.DB.MarkSent(t.Context(), first[0].ID, store.OutboxSignalled))
	require.NoError(t, m.DB.MarkSent(t.Context(), first[0].ID, store.OutboxMoot))
	require.Equal(t, "signalled", storetest.Value[string](t, m.Bundle, `SELECT outcome FROM outbox`))
	require.NoError(t, m.DB.RetryLater(t.Context(), "second", first[0].ID, 0))
	require.Empty(t, m.claim(t, "third", 10), "what was sent stays sent")
}

func TestRetryLater(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.record(t, pay(t, m.Order(t), 25_000_000))
	message := m.claim(t, "relay", 10)[0]
	require.NoError(t, m.DB.RetryLater(t.Context(), "relay", message.ID, time.Hour))
	require.Empty(t, m.claim(t, "relay", 10))
	m.Exec(t, `UPDATE outbox SET due_at = now()`)
	require.Len(t, m.claim(t, "relay", 10), 1)
}

func TestSentWakeUpsAreForgotten(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.record(t, pay(t, m.Order(t), 1_000_000), pay(t, m.Order(t), 1_000_000), pay(t, m.Order(t), 1_000_000))
	messages := m.claim(t, "relay", 2)
	for _, message := range messages {
		require.NoError(t, m.DB.MarkSent(t.Context(), message.ID, store.OutboxSignalled))
	}
	n, err := m.DB.PruneSent(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	require.Zero(t, n)
	m.Exec(t, `UPDATE outbox SET sent_at = now() - interval '2 hours' WHERE sent_at IS NOT NULL`)
	n, err = m.DB.PruneSent(t.Context(), time.Hour, 1)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = m.DB.PruneSent(t.Context(), time.Hour, 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM outbox`))
}

func TestWhereAWakeUpGoes(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 1_000_000)
	m.record(t, transfer)
	message := m.claim(t, "relay", 1)[0]
	review := func(cause process.ReviewCause) store.Route { return store.Route{To: store.RouteReview, Cause: cause} }
	starts, nobody := store.Route{To: store.RouteOrder}, store.Route{To: store.RouteNobody}
	for _, tc := range []struct {
		name, order, payment string
		change               func(*store.OutboxMessage)
		want                 store.Route
	}{
		{"open", `state = 'confirming'`, ``, nil, starts},
		{"open, lost", `state = 'awaiting_payment'`, ``, func(m *store.OutboxMessage) { m.Signal = process.SignalPaymentDropped }, starts},
		{"paid", `state = 'paid', paid_at = now()`, ``, nil, review(process.CauseClosedOrder)},
		{"paid, and this is what paid it", `state = 'paid', paid_at = now()`, `status = 'credited', credited_inclusion = 1`, nil, nobody},
		{"paid, lost", `state = 'paid', paid_at = now()`, ``, func(m *store.OutboxMessage) { m.Signal = process.SignalPaymentDropped }, nobody},
		{"expired, in the window", `state = 'expired', late_until = now() + interval '1 hour'`, ``, nil, starts},
		{"cancelled, in the window", `state = 'cancelled', late_until = now() + interval '1 hour'`, ``, nil, starts},
		{"expired, after the window", `state = 'expired', late_until = now()`, ``, nil, review(process.CauseLate)},
		{"expired, after the window, parked", `state = 'expired', late_until = now()`, `status = 'parked'`, nil, review(process.CauseLate)},
		{"expired, a newer inclusion has its own", `state = 'expired', late_until = now()`, ``, func(m *store.OutboxMessage) { m.Inclusion = 2 }, nobody},
		{"no order", ``, ``, func(m *store.OutboxMessage) { m.OrderID = "" }, review(process.CauseDeposit)},
		{"a review, whatever the order", `state = 'confirming'`, ``, func(m *store.OutboxMessage) { m.ReviewCause = process.CauseReversal }, review(process.CauseReversal)},
	} {
		m.Exec(t, `UPDATE payments SET status = 'detected', credited_inclusion = NULL`)
		if tc.order != "" {
			m.Exec(t, `UPDATE orders SET `+tc.order)
		}
		if tc.payment != "" {
			m.Exec(t, `UPDATE payments SET `+tc.payment)
		}
		about := message
		if tc.change != nil {
			tc.change(&about)
		}
		route, err := m.DB.Route(t.Context(), about)
		require.NoError(t, err, tc.name)
		require.Equal(t, tc.want, route, tc.name)
	}
}

func TestSweepWakesWhatWasForgotten(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	forgotten, settled, gone := pay(t, order, 1_000_000), pay(t, order, 2_000_000), pay(t, order, 3_000_000)
	m.record(t, forgotten, settled)
	ancestor := m.tip
	m.record(t, gone)
	m.rollback(t, ancestor)
	m.credit(t, settled)
	sweep := func() store.Swept {
		t.Helper()
		swept, err := m.DB.SweepUnsettled(t.Context(), storetest.Chain, time.Hour, 100)
		require.NoError(t, err)
		return swept
	}
	age := func() { t.Helper(); m.Exec(t, `UPDATE payments SET last_woken_at = now() - interval '2 hours'`) }
	require.Zero(t, sweep(), "told a moment ago")
	age()
	require.Zero(t, sweep(), "the first wake-up is still on its way")
	for _, message := range m.claim(t, "relay", 100) {
		require.NoError(t, m.DB.MarkSent(t.Context(), message.ID, store.OutboxSignalled))
	}
	require.Equal(t, store.Swept{Payments: 1}, sweep())
	require.Zero(t, sweep())
	id := m.payment(t, forgotten).ID
	require.Equal(t, []string{"1/seen", "1/wake/1"}, m.wakeUps(t, id))
	for _, message := range m.claim(t, "relay", 100) {
		require.Equal(t, id, message.PaymentID)
		require.Equal(t, order.ID, message.OrderID)
		require.NoError(t, m.DB.MarkSent(t.Context(), message.ID, store.OutboxSignalled))
	}
	age()
	sweep()
	require.Equal(t, []string{"1/seen", "1/wake/1", "1/wake/2"}, m.wakeUps(t, id), "each under a key of its own")
}

// TestSweepAndCredit: a sweep locks payments and refers to their orders, a credit locks orders before payments; they must not
// wait for each other.
func TestSweepAndCredit(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(1_000_000_000_000) })
	var transfers []payment.Transfer
	for range 30 {
		transfers = append(transfers, pay(t, order, 1_000_000))
	}
	m.record(t, transfers...)
	m.Exec(t, `UPDATE outbox SET sent_at = now(), outcome = 'moot'`)
	m.Exec(t, `UPDATE payments SET last_woken_at = now() - interval '1 hour'`)
	var inputs []store.CreditInput
	for _, transfer := range transfers {
		inputs = append(inputs, m.creditInput(t, transfer))
	}
	ctx := context.WithoutCancel(t.Context())
	done := make(chan error, 3)
	for part := range 2 {
		go func() {
			for _, in := range inputs[part*15 : part*15+15] {
				if _, err := m.DB.Credit(ctx, in); err != nil {
					done <- err
					return
				}
			}
			done <- nil
		}()
	}
	go func() {
		for range 15 {
			if _, err := m.DB.SweepUnsettled(ctx, storetest.Chain, time.Minute, 2); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	for range 3 {
		require.NoError(t, <-done)
	}
	require.Equal(t, 30_000_000, m.balance(t, "merchant:available"))
}

func TestSweepWakesOpenReviews(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.tip
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	m.credit(t, transfer)
	m.rollback(t, ancestor)
	for _, message := range m.claim(t, "relay", 100) {
		require.NoError(t, m.DB.MarkSent(t.Context(), message.ID, store.OutboxSignalled))
	}
	m.Exec(t, `UPDATE reviews SET last_woken_at = now() - interval '2 hours'`)
	swept, err := m.DB.SweepUnsettled(t.Context(), storetest.Chain, time.Hour, 100)
	require.NoError(t, err)
	require.Equal(t, store.Swept{Reviews: 1}, swept)
	messages := m.claim(t, "relay", 100)
	require.Len(t, messages, 1)
	require.Equal(t, process.CauseReversal, messages[0].ReviewCause)
	swept, err = m.DB.SweepUnsettled(t.Context(), storetest.Chain, time.Hour, 100)
	require.NoError(t, err)
	require.Zero(t, swept)
}
