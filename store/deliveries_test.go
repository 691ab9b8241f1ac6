package store_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

const leaseTTL = time.Minute

// courier sends callbacks of a bundle's endpoint without any HTTP.
type courier struct {
	*storetest.Bundle
	endpoint payment.EndpointID
}

func setupCourier(t *testing.T) courier {
	t.Helper()
	b := storetest.New(t)
	return courier{Bundle: b, endpoint: b.AddEndpoint(t, "https://shop.example/hook")}
}

func (c courier) acquire(t *testing.T, order payment.OrderID, owner string) store.Acquired {
	t.Helper()
	acquired, err := c.DB.AcquireDelivery(t.Context(), process.OrderStream(order), c.endpoint, owner, leaseTTL)
	require.NoError(t, err)
	return acquired
}

func (c courier) take(t *testing.T, order payment.OrderID, owner string) store.Delivery {
	t.Helper()
	acquired := c.acquire(t, order, owner)
	require.NotNil(t, acquired.Delivery, "%+v", acquired)
	return *acquired.Delivery
}

func (c courier) report(t *testing.T, d store.Delivery, reply store.Reply, next store.Next) store.AttemptResult {
	t.Helper()
	result, err := c.DB.RecordAttempt(t.Context(), d, attempt(reply), next)
	require.NoError(t, err)
	return result
}

func attempt(reply store.Reply) store.Attempt {
	return store.Attempt{Reply: reply, Outcome: string(reply), Latency: time.Millisecond, StartedAt: time.Now()}
}

// cancelled is an order with two events: created and cancelled.
func (c courier) cancelled(t *testing.T) payment.OrderID {
	t.Helper()
	order := c.Order(t)
	_, err := c.DB.CancelOrder(t.Context(), process.CancelInput{OrderID: order.ID, By: storetest.By(), RequestID: "cancel/" + string(order.ID)})
	require.NoError(t, err)
	return order.ID
}

func (c courier) statuses(t *testing.T, order payment.OrderID) []string {
	t.Helper()
	return storetest.Value[[]string](t, c.Bundle, `SELECT array_agg(concat_ws('/', status, park_reason) ORDER BY seq) FROM callbacks WHERE order_id = $1`, order)
}

func TestEventsOfAnOrderGoOutInOrder(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.cancelled(t)
	first := c.take(t, order, "w")
	require.Equal(t, payment.EventOrderCreated, first.Type)
	require.Equal(t, "https://shop.example/hook", first.URL)
	require.Equal(t, storetest.Value[[]byte](t, c.Bundle, `SELECT body FROM events WHERE id = $1`, first.EventID), first.Body)
	require.Zero(t, first.Attempts)
	require.Nil(t, first.Previous)
	require.NotContains(t, fmt.Sprint(first.LogValue()), "shop.example")

	require.Equal(t, "pending", c.report(t, first, store.ReplyRefused, store.Next{After: time.Hour}).Status)
	waiting := c.acquire(t, order, "w")
	require.Nil(t, waiting.Delivery, "the second event waits for the first")
	require.Equal(t, store.WaitNotDue, waiting.Reason)
	require.InDelta(t, time.Hour.Seconds(), waiting.Delay.Seconds(), 5)

	c.Exec(t, `UPDATE callbacks SET due_at = now()`)
	again := c.take(t, order, "w")
	require.Equal(t, first.CallbackID, again.CallbackID)
	require.Equal(t, 1, again.Attempts)
	require.Equal(t, "delivered", c.report(t, again, store.ReplyAccepted, store.Next{}).Status)
	second := c.take(t, order, "w")
	require.Equal(t, payment.EventOrderCancelled, second.Type)
	c.report(t, second, store.ReplyAccepted, store.Next{})
	require.Equal(t, store.Acquired{}, c.acquire(t, order, "w"), "nothing is left")

	attempts, err := c.DB.CallbackAttempts(t.Context(), first.CallbackID)
	require.NoError(t, err)
	require.Len(t, attempts, 2)
	require.Equal(t, 2, attempts[1].N)
}

func TestOneSenderPerOrderAndEndpoint(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.cancelled(t)
	results := make(chan store.Acquired, 12)
	for i := range 12 {
		go func() {
			acquired, err := c.DB.AcquireDelivery(context.WithoutCancel(t.Context()), process.OrderStream(order), c.endpoint, fmt.Sprint("w", i), leaseTTL)
			if err != nil {
				t.Error(err)
			}
			results <- acquired
		}()
	}
	var taken []store.Delivery
	for range 12 {
		if acquired := <-results; acquired.Delivery != nil {
			taken = append(taken, *acquired.Delivery)
		} else {
			require.Equal(t, store.WaitLeased, acquired.Reason)
		}
	}
	require.Len(t, taken, 1)
	require.Equal(t, 2, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM endpoint_slots WHERE owner IS NOT NULL`), "the server's and the merchant's")

	same := c.take(t, order, taken[0].Owner)
	require.Equal(t, taken[0].CallbackID, same.CallbackID, "the owner itself may ask again")
	require.Equal(t, 2, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM endpoint_slots WHERE owner IS NOT NULL`), "the server's and the merchant's")
}

// TestFourInFlightPerServer: over all orders and workers. The rest wait, and other servers do not notice.
func TestFourInFlightPerServer(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	other := c
	other.endpoint = c.AddEndpoint(t, "https://other.example/hook")
	var orders []payment.OrderID
	for range 9 {
		orders = append(orders, c.Order(t).ID)
	}
	results := make(chan store.Acquired, len(orders))
	for i, order := range orders {
		go func() {
			acquired, err := c.DB.AcquireDelivery(context.WithoutCancel(t.Context()), process.OrderStream(order), c.endpoint, fmt.Sprint("w", i), leaseTTL)
			if err != nil {
				t.Error(err)
			}
			results <- acquired
		}()
	}
	var flying []store.Delivery
	for range orders {
		if acquired := <-results; acquired.Delivery != nil {
			flying = append(flying, *acquired.Delivery)
		} else {
			require.Equal(t, store.WaitBusy, acquired.Reason)
			require.Positive(t, acquired.Delay)
		}
	}
	require.Len(t, flying, 4)
	require.Equal(t, 4, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_leases`), "who waits holds nothing")
	other.take(t, orders[0], "o")

	c.report(t, flying[0], store.ReplyAccepted, store.Next{})
	require.NoError(t, c.DB.ReleaseDelivery(t.Context(), flying[1]))
	free := 0
	for i, order := range orders {
		if acquired := c.acquire(t, order, fmt.Sprint("x", i)); acquired.Delivery != nil {
			free++
		}
	}
	require.Equal(t, 2, free)
}

func TestASlotOfADeadSenderIsUsedAgain(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	for range 4 {
		c.take(t, c.Order(t).ID, "dead")
	}
	order := c.Order(t).ID
	require.Equal(t, store.WaitBusy, c.acquire(t, order, "w").Reason)
	c.Exec(t, `UPDATE endpoint_slots SET until = now() - interval '1 second' WHERE slot = 3`)
	c.take(t, order, "w")
}

// However many servers a merchant has, all of them together are sent so much at once. Another merchant, and its own other mode,
// have as much.
func TestAMerchantsServersShareItsSlots(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	const most = 16
	order := c.Order(t).ID
	var flying []store.Delivery
	acquire := func(c courier, order payment.OrderID, port int) store.Acquired {
		c.endpoint = c.AddEndpoint(t, fmt.Sprintf("https://shop.example:%d/hook", port))
		c.Exec(t, `INSERT INTO callbacks (id, event_id, endpoint_id, order_id, seq)
			SELECT 'cbk_' || $2, e.id, $2, e.order_id, e.seq FROM events e WHERE e.order_id = $1`, order, c.endpoint)
		return c.acquire(t, order, "w")
	}
	for port := range most {
		acquired := acquire(c, order, 10001+port)
		require.NotNil(t, acquired.Delivery, "%+v", acquired)
		flying = append(flying, *acquired.Delivery)
	}
	busy := acquire(c, order, 20000)
	require.Equal(t, store.WaitBusy, busy.Reason)
	require.Positive(t, busy.Delay)

	other, bundle := c, *c.Bundle
	other.Bundle = &bundle
	other.Merchant, other.Principal = c.NewMerchant(t)
	require.NotNil(t, acquire(other, other.Order(t).ID, 20000).Delivery, "another merchant")
	c.EnableLive(t)
	live := c
	copied := *c.Bundle
	live.Bundle, copied.Mode = &copied, payment.ModeLive
	require.NotNil(t, acquire(live, c.Order(t, storetest.OnLive).ID, 20000).Delivery, "its other mode")

	c.report(t, flying[0], store.ReplyAccepted, store.Next{})
	require.NotNil(t, acquire(c, order, 20001).Delivery, "one was given back")
}

// TestALostLease: the sender was slow, another one took over. Its failure does not count, its success does.
func TestALostLease(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	slow := c.take(t, order, "slow")
	c.Exec(t, `UPDATE callback_leases SET until = now() - interval '1 second'`)
	fast := c.take(t, order, "fast")
	require.Equal(t, slow.CallbackID, fast.CallbackID)

	_, err := c.DB.RecordAttempt(t.Context(), slow, attempt(store.ReplySilence), store.Next{Park: store.ParkExhausted})
	require.ErrorIs(t, err, store.ErrLeaseLost)
	require.Equal(t, []string{"pending"}, c.statuses(t, order))
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_attempts`))

	require.Equal(t, "delivered", c.report(t, slow, store.ReplyAccepted, store.Next{}).Status, "the event has arrived")
	require.Equal(t, "delivered", c.report(t, fast, store.ReplyRefused, store.Next{After: time.Hour}).Status)
	require.Equal(t, 2, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_attempts`), "both were made")
	require.Equal(t, store.Acquired{}, c.acquire(t, order, "w"))
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_leases`))
}

func TestALeaseThatRanOutAndNobodyTookIsStillGood(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "slow")
	c.Exec(t, `UPDATE callback_leases SET until = now() - interval '1 second'`)
	require.Equal(t, "pending", c.report(t, d, store.ReplySilence, store.Next{After: time.Second}).Status)
}

func TestAnAttemptIsRecordedOnce(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "w")
	at := attempt(store.ReplyRefused)
	at.Status, at.Excerpt = 500, "no\x00pe "+strings.Repeat("é", 600)
	for range 3 {
		result, err := c.DB.RecordAttempt(t.Context(), d, at, store.Next{After: time.Hour})
		require.NoError(t, err)
		require.Equal(t, store.AttemptResult{Status: "pending"}, result)
	}
	attempts, err := c.DB.CallbackAttempts(t.Context(), d.CallbackID)
	require.NoError(t, err)
	require.Len(t, attempts, 1)
	require.Equal(t, 500, attempts[0].Status)
	require.LessOrEqual(t, len(attempts[0].Excerpt), 1024)
	require.True(t, strings.HasPrefix(attempts[0].Excerpt, "nope é"))
	require.Equal(t, 1, storetest.Value[int](t, c.Bundle, `SELECT attempts FROM callbacks`))

	c.Exec(t, `UPDATE callbacks SET due_at = now()`)
	last := c.take(t, order, "w")
	for range 2 {
		require.Equal(t, "delivered", c.report(t, last, store.ReplyAccepted, store.Next{}).Status)
	}
}

func TestBothSecretsSignDuringARotation(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	c.Exec(t, `UPDATE webhook_endpoints SET previous_secret = 'old', previous_secret_key = 'k', previous_secret_until = now() + interval '1 hour'`)
	d := c.take(t, order, "w")
	require.Equal(t, "old", string(d.Previous.Bytes))
	c.Exec(t, `UPDATE webhook_endpoints SET previous_secret_until = now()`)
	require.Nil(t, c.take(t, order, "w").Previous)
}

// TestTheBreaker: five silences in a row leave the endpoint alone, for everybody; then one may try.
func TestTheBreaker(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order, other := c.Order(t).ID, c.Order(t).ID
	fail := func(reply store.Reply) {
		t.Helper()
		c.report(t, c.take(t, order, "w"), reply, store.Next{})
	}
	for range 4 {
		fail(store.ReplySilence)
	}
	fail(store.ReplyRefused) // it is there: the count begins anew
	for range 5 {
		fail(store.ReplySilence)
	}
	for _, id := range []payment.OrderID{order, other} {
		waiting := c.acquire(t, id, "w")
		require.Equal(t, store.WaitBreaker, waiting.Reason)
		require.InDelta(t, 30, waiting.Delay.Seconds(), 5)
	}
	require.Equal(t, 10, storetest.Value[int](t, c.Bundle, `SELECT max(attempts) FROM callbacks`), "waiting is no attempt")
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_leases`))

	expire := func() { t.Helper(); c.Exec(t, `UPDATE endpoint_breakers SET open_until = now()`) }
	expire()
	probe := c.take(t, order, "w")
	require.Equal(t, store.WaitBreaker, c.acquire(t, other, "x").Reason, "one may try")
	c.report(t, probe, store.ReplySilence, store.Next{})
	require.InDelta(t, 60, c.acquire(t, order, "w").Delay.Seconds(), 5, "twice as long")

	expire()
	c.take(t, order, "dies")
	expire() // its time is over, it never reported
	c.Exec(t, `UPDATE callback_leases SET until = now() - interval '1 second'`)
	probe = c.take(t, order, "w")
	c.report(t, probe, store.ReplyAccepted, store.Next{})
	c.take(t, other, "w")
}

func TestTheBreakerNeverWaitsForEver(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.Order(t).ID
	d := c.take(t, order, "w")
	c.Exec(t, `INSERT INTO endpoint_breakers (merchant_id, target, failures) VALUES ($1, 'test https://shop.example', 100000)`, c.Merchant)
	c.report(t, d, store.ReplySilence, store.Next{})
	require.InDelta(t, 600, c.acquire(t, order, "w").Delay.Seconds(), 5)
}

func TestGoneDisablesTheEndpoint(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order, other := c.cancelled(t), c.Order(t).ID
	flying := c.take(t, other, "x")
	result := c.report(t, c.take(t, order, "w"), store.ReplyGone, store.Next{Park: store.ParkGone})
	require.Equal(t, store.AttemptResult{Status: "parked", EndpointDisabled: true}, result)
	require.Equal(t, []string{"parked/gone", "parked/endpoint_disabled"}, c.statuses(t, order))
	require.Equal(t, []string{"parked/endpoint_disabled"}, c.statuses(t, other))
	require.Equal(t, "gone", storetest.Value[string](t, c.Bundle, `SELECT disabled_reason FROM webhook_endpoints`))
	require.Equal(t, store.Acquired{Parked: 2}, c.acquire(t, order, "w"))

	// What was in flight arrives all the same.
	require.Equal(t, "delivered", c.report(t, flying, store.ReplyAccepted, store.Next{}).Status)
	late := c.Order(t).ID
	require.Equal(t, []string{"parked/endpoint_disabled"}, c.statuses(t, late))
}

// TestAnEventThatCrossesTheDisablingIsParkedOnSight: it was written for an endpoint that was still enabled.
func TestAnEventThatCrossesTheDisablingIsParkedOnSight(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order := c.cancelled(t)
	c.Exec(t, `UPDATE webhook_endpoints SET disabled_at = now(), disabled_reason = 'gone'`)
	require.Equal(t, store.Acquired{Parked: 2}, c.acquire(t, order, "w"))
	require.Equal(t, []string{"parked/endpoint_disabled", "parked/endpoint_disabled"}, c.statuses(t, order))
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callback_leases`))
}

func TestFiveDaysOfFailureDisable(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	order, other := c.Order(t).ID, c.Order(t).ID
	fail := func() store.AttemptResult {
		t.Helper()
		c.Exec(t, `UPDATE callbacks SET due_at = now()`)
		return c.report(t, c.take(t, order, "w"), store.ReplyRefused, store.Next{After: time.Hour})
	}
	fail()
	c.Exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '4 days 23 hours', failures = 50`)
	require.Equal(t, store.AttemptResult{Status: "pending"}, fail())
	c.report(t, c.take(t, other, "w"), store.ReplyAccepted, store.Next{})
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM webhook_endpoints WHERE failing_since IS NOT NULL`), "one success begins anew")

	fail()
	c.Exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '5 days 1 hour', failures = 9, failed_at = now() - interval '27 hours'`)
	require.Equal(t, store.AttemptResult{Status: "parked", EndpointDisabled: true}, fail())
	require.Equal(t, []string{"parked/endpoint_disabled"}, c.statuses(t, order))
	require.Equal(t, "failing", storetest.Value[string](t, c.Bundle, `SELECT disabled_reason FROM webhook_endpoints`))
}

// TestAFewFailuresDaysApartDisableNothing: nobody knows how the endpoint was in between.
func TestAFewFailuresDaysApartDisableNothing(t *testing.T) {
	t.Parallel()
	for name, past := range map[string]string{
		"two, with nothing in between":  `failures = 1, failed_at = now() - interval '5 days 1 hour'`,
		"many, with nothing in between": `failures = 50, failed_at = now() - interval '2 days 1 hour'`,
		"nine, over the five days":      `failures = 8, failed_at = now() - interval '1 hour'`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := setupCourier(t)
			order := c.Order(t).ID
			c.report(t, c.take(t, order, "w"), store.ReplyRefused, store.Next{})
			c.Exec(t, `UPDATE webhook_endpoints SET failing_since = now() - interval '5 days 1 hour', `+past)
			result := c.report(t, c.take(t, order, "w"), store.ReplyRefused, store.Next{})
			require.Equal(t, store.AttemptResult{Status: "pending"}, result)
		})
	}
}

func TestRecordingManyAttemptsAtOnce(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	var flying []store.Delivery
	for i := range 4 {
		flying = append(flying, c.take(t, c.cancelled(t), fmt.Sprint("w", i)))
	}
	done := make(chan error, 4)
	for i, d := range flying {
		reply := store.ReplyRefused
		if i == 0 {
			reply = store.ReplyGone
		}
		go func() {
			_, err := c.DB.RecordAttempt(context.WithoutCancel(t.Context()), d, attempt(reply), store.Next{After: time.Second})
			done <- err
		}()
	}
	for range 4 {
		require.NoError(t, <-done)
	}
	require.Zero(t, storetest.Value[int](t, c.Bundle, `SELECT count(*) FROM callbacks WHERE status = 'pending'`))
}
