package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// orderAt is an order that names its own callback URL, and a courier for that URL's endpoint.
func (c courier) orderAt(t *testing.T, url string) (courier, payment.OrderID) {
	t.Helper()
	id := c.Order(t, func(n *store.NewOrder) { n.CallbackURL = url }).ID
	c.endpoint = payment.EndpointID(storetest.Value[string](t, c.Bundle, `SELECT callback_endpoint_id FROM orders WHERE id = $1`, id))
	return c, id
}

// TestURLsOfOneServerShareItsSlots: a URL of its own for every order gets no more requests to a server that hangs.
func TestURLsOfOneServerShareItsSlots(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	urls := []string{"https://dead.example/cb?order=%d", "https://DEAD.example:443/cb/%d", "https://dead.example:0443?%d", "https://dead.example/%d"}
	var flying []store.Delivery
	var senders []courier
	var delays []time.Duration
	var waiter courier
	var waiting payment.OrderID
	for i := range 40 {
		at, order := c.orderAt(t, fmt.Sprintf(urls[i%len(urls)], i))
		acquired := at.acquire(t, order, "w")
		if acquired.Delivery != nil {
			flying, senders = append(flying, *acquired.Delivery), append(senders, at)
			continue
		}
		require.Equal(t, store.WaitBusy, acquired.Reason)
		delays = append(delays, acquired.Delay)
		waiter, waiting = at, order
	}
	require.Len(t, flying, 4)
	require.Less(t, delays[0], 2*time.Second)
	queued := func(until string) time.Duration {
		c.Exec(t, `UPDATE endpoint_breakers SET queued_until = now() + $1::interval`, until)
		return waiter.acquire(t, waiting, "x").Delay
	}
	require.Greater(t, queued("20 seconds"), 4*time.Second, "the more wait, the longer")
	require.Greater(t, queued("1 hour"), 20*time.Second)
	require.LessOrEqual(t, slices.Max(append(delays, queued("1 hour"))), 30*time.Second)

	for _, url := range []string{"http://dead.example/", "https://dead.example:8443/", "https://alive.example/"} {
		at, order := c.orderAt(t, url)
		at.take(t, order, "w")
	}
	senders[0].report(t, flying[0], store.ReplyAccepted, store.Next{})
	at, order := c.orderAt(t, "https://dead.example/free")
	at.take(t, order, "w")
}

// TestADeliverySaysWhereItsSecretOpens: for an order's own URL, with the merchant's secret.
func TestADeliverySaysWhereItsSecretOpens(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	at, order := c.orderAt(t, "https://own.example/cb")
	require.Equal(t, store.MerchantSecretPlace(c.Merchant, payment.ModeTest), at.take(t, order, "w").SealedAt)
	require.Equal(t, store.EndpointSecretPlace(c.endpoint), c.take(t, order, "w").SealedAt)
}

// TestTheBreakerIsTheServers: what one URL of it has shown holds for the others.
func TestTheBreakerIsTheServers(t *testing.T) {
	t.Parallel()
	c := setupCourier(t)
	for i := range 5 {
		at, order := c.orderAt(t, fmt.Sprintf("https://dead.example/cb?order=%d", i))
		at.report(t, at.take(t, order, "w"), store.ReplySilence, store.Next{After: time.Hour})
	}
	at, order := c.orderAt(t, "https://dead.example/another")
	require.Equal(t, store.WaitBreaker, at.acquire(t, order, "w").Reason)
	at, order = c.orderAt(t, "https://alive.example/cb")
	at.take(t, order, "w")
	require.Equal(t, "https://alive.example", storetest.Value[string](t, c.Bundle, `SELECT target FROM webhook_endpoints WHERE id = $1`, at.endpoint))
}
