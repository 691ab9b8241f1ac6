package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestEventsReachWhoeverSubscribed(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	all := b.AddEndpoint(t, "https://shop.example.com/all")
	paid := b.AddEndpoint(t, "https://shop.example.com/paid", payment.EventOrderPaid, payment.EventOrderExpired)
	b.AddEndpoint(t, "https://shop.example.com/expired", payment.EventOrderExpired)
	disabled := b.AddEndpoint(t, "https://shop.example.com/gone")
	b.Exec(t, `UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'gone' WHERE id = $1`, disabled)
	other, _ := b.NewMerchant(t)
	b.Exec(t, `INSERT INTO webhook_endpoints (id, merchant_id, mode, url, source, secret, secret_key)
		VALUES ('whk_other', $1, 'test', 'https://other.example.com', 'merchant', '\x00', 'k'),
		       ('whk_live', $2, 'live', 'https://live.example.com', 'merchant', '\x00', 'k')`, other, b.Merchant)
	b.Order(t, func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/another-orders" })

	order, p := b.Paid(t, func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/hook" })
	own := payment.EndpointID(storetest.Value[string](t, b, `SELECT callback_endpoint_id FROM orders WHERE id = $1`, order.ID))
	type callback struct{ endpoint, event, status, reason string }
	rows, err := b.PG.Owner.Query(t.Context(), `SELECT c.endpoint_id, e.type, c.status, COALESCE(c.park_reason, '')
		FROM callbacks c JOIN events e ON e.id = c.event_id WHERE e.order_id = $1 AND c.seq = e.seq AND c.order_id = e.order_id`, order.ID)
	require.NoError(t, err)
	var got []callback
	for rows.Next() {
		var c callback
		require.NoError(t, rows.Scan(&c.endpoint, &c.event, &c.status, &c.reason))
		got = append(got, c)
	}
	require.NoError(t, rows.Err())
	require.ElementsMatch(t, []callback{
		{string(all), "order.created", "pending", ""}, {string(all), "order.paid", "pending", ""},
		{string(own), "order.created", "pending", ""}, {string(own), "order.paid", "pending", ""},
		{string(paid), "order.paid", "pending", ""},
		{string(disabled), "order.created", "parked", "endpoint_disabled"}, {string(disabled), "order.paid", "parked", "endpoint_disabled"},
	}, got)
	require.ElementsMatch(t, []payment.EndpointID{all, own, paid}, order.PendingEndpoints)
	require.Equal(t, 2, order.ParkedCallbacks)

	var event payment.Event
	body := storetest.Value[[]byte](t, b, `SELECT body FROM events WHERE order_id = $1 AND type = 'order.paid'`, order.ID)
	require.NoError(t, json.Unmarshal(body, &event))
	require.Equal(t, payment.StatePaid, event.Data.Order.State)
	require.Equal(t, "25", event.Data.Order.AmountReceived)
	require.NotNil(t, event.Data.Order.PaidAt)
	require.Equal(t, p.ID, event.Data.Payment.ID)
	require.Equal(t, payment.PaymentCredited, event.Data.Payment.State)
	require.NotNil(t, event.Data.Payment.CreditedAt)
	require.WithinDuration(t, time.Now(), event.Timestamp, time.Minute)
	require.Equal(t, string(p.ID)+"/1/payment_confirmed/order.paid", storetest.Value[string](t, b,
		`SELECT key FROM events WHERE order_id = $1 AND type = 'order.paid'`, order.ID))
}

func TestEventsOfAnOrderAreNumberedWithoutGaps(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	order := b.Order(t)
	for range 6 {
		m.record(t, pay(t, order, 1_000_000))
	}
	_, err := b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))
	require.Equal(t, []int{1, 2, 3, 4, 5, 6, 7}, storetest.Value[[]int](t, b, `SELECT array_agg(seq ORDER BY seq) FROM events WHERE order_id = $1`, order.ID))
	require.True(t, storetest.Value[bool](t, b, `SELECT bool_and(ok) FROM (SELECT created_at > lag(created_at, 1, 'epoch') OVER (ORDER BY seq) AS ok
		FROM events WHERE order_id = $1) e`, order.ID), "later events have later times")
}
