package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// exhaust parks an order's callbacks one after the other.
func (c courier) exhaust(t *testing.T, order payment.OrderID, n int) []store.Delivery {
	t.Helper()
	var parked []store.Delivery
	for range n {
		d := c.take(t, order, "w")
		require.Equal(t, "parked", c.report(t, d, store.ReplyRefused, store.Next{Park: store.ParkExhausted}).Status)
		parked = append(parked, d)
	}
	return parked
}

func redeliver(order payment.OrderID, callback payment.CallbackID, request string) process.RedeliverInput {
	return process.RedeliverInput{OrderID: order, CallbackID: callback, By: storetest.By(), RequestID: request}
}

func TestRedeliverBeginsANewRound(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.cancelled(t)
	parked := c.exhaust(t, order, 2)
	view, err := c.DB.ReadCallbacks(t.Context(), process.OrderStream(order))
	require.NoError(t, err)
	require.Empty(t, view.PendingEndpoints)
	require.Equal(t, c.Merchant, view.MerchantID)
	require.Len(t, view.Parked, 2)
	require.Equal(t, process.ParkedCallback{
		ID: parked[0].CallbackID, EndpointID: c.endpoint, Event: payment.EventOrderCreated, Reason: "exhausted", Attempts: 1,
	}, view.Parked[0])
	require.Equal(t, store.Acquired{Parked: 2}, c.acquire(t, order, "w"))

	for range 2 { // asking again is asking once
		result, err := c.DB.Redeliver(t.Context(), redeliver(order, parked[1].CallbackID, "one"))
		require.NoError(t, err)
		require.Equal(t, process.OutcomeDone, result.Outcome)
		require.Equal(t, []payment.EndpointID{c.endpoint}, result.Order.PendingEndpoints)
		require.Equal(t, 1, result.Order.ParkedCallbacks)
	}
	again := c.take(t, order, "w")
	require.Equal(t, parked[1].CallbackID, again.CallbackID)
	require.Equal(t, parked[1].EventID, again.EventID, "the same webhook-id")
	require.Equal(t, 2, again.Round)
	require.Zero(t, again.Attempts)
	c.report(t, again, store.ReplyRefused, store.Next{Park: store.ParkExhausted})
	_, err = c.DB.Redeliver(t.Context(), redeliver(order, parked[1].CallbackID, "one"))
	require.NoError(t, err)
	require.Equal(t, []string{"parked/exhausted", "parked/exhausted"}, c.statuses(t, order), "a request that was carried out is over")

	_, err = c.DB.Redeliver(t.Context(), redeliver(order, "", "all"))
	require.NoError(t, err)
	require.Equal(t, []string{"pending", "pending"}, c.statuses(t, order))
	require.Equal(t, 2, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM audit WHERE action = 'callbacks.redeliver'`))
	attempts, err := c.DB.CallbackAttempts(t.Context(), parked[1].CallbackID)
	require.NoError(t, err)
	require.Equal(t, [][2]int{{1, 1}, {2, 1}}, [][2]int{{attempts[0].Round, attempts[0].N}, {attempts[1].Round, attempts[1].N}})
}

func TestRedeliverRefusals(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order, other := c.Order(t).ID, c.Order(t).ID
	d := c.take(t, order, "w")
	_, err := c.DB.Redeliver(t.Context(), redeliver(order, d.CallbackID, "pending"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = c.DB.Redeliver(t.Context(), redeliver(other, d.CallbackID, "of another order"))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	_, err = c.DB.Redeliver(t.Context(), redeliver(payment.NewOrderID(), "", "no order"))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	_, err = c.DB.ReadCallbacks(t.Context(), process.OrderStream(payment.NewOrderID()))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM audit WHERE action = 'callbacks.redeliver'`))
}

func TestADisabledEndpointGetsNothingUntilItIsEnabled(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "w")
	c.report(t, d, store.ReplyGone, store.Next{Park: store.ParkGone})
	_, err := c.DB.Redeliver(t.Context(), redeliver(order, "", "all"))
	require.NoError(t, err)
	require.Equal(t, []string{"parked/gone"}, c.statuses(t, order))
	_, err = c.DB.Redeliver(t.Context(), redeliver(order, d.CallbackID, "one"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))

	for range 2 {
		require.NoError(t, c.DB.EnableEndpoint(t.Context(), c.endpoint, storetest.By(), "enable"))
	}
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(c.DB.EnableEndpoint(t.Context(), payment.NewEndpointID(), storetest.By(), "x")))
	_, err = c.DB.Redeliver(t.Context(), redeliver(order, "", "all again"))
	require.NoError(t, err)
	require.Equal(t, []string{"pending"}, c.statuses(t, order))
}

// TestAFailureOfTheLastRoundDoesNotTouchTheNextOne: a redelivery came while the attempt was under way.
func TestAFailureOfTheLastRoundDoesNotTouchTheNextOne(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "w")
	c.Exec(t, `UPDATE callbacks SET status = 'parked', park_reason = 'endpoint_disabled'`)
	_, err := c.DB.Redeliver(t.Context(), redeliver(order, "", "r"))
	require.NoError(t, err)
	require.Equal(t, "pending", c.report(t, d, store.ReplyRefused, store.Next{Park: store.ParkExhausted}).Status)
	next := c.take(t, order, "w")
	require.Equal(t, 2, next.Round)
	require.Zero(t, next.Attempts)
}

// TestAnEndpointThatIsEnabledIsCalledAtOnce: whoever enables it says that its server is there again.
func TestAnEndpointThatIsEnabledIsCalledAtOnce(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	for range 5 {
		c.report(t, c.take(t, order, "w"), store.ReplySilence, store.Next{})
	}
	require.Equal(t, store.WaitBreaker, c.acquire(t, order, "w").Reason)
	c.Exec(t, `UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'failing'`)
	require.NoError(t, c.DB.EnableEndpoint(t.Context(), c.endpoint, storetest.By(), "enable"))
	c.take(t, order, "w")
}
