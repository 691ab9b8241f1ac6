package activities_test

import (
	"fmt"
	"net"
	neturl "net/url"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
	"github.com/sluicepay/sluice/webhook"
)

// tarpit listens on so many ports, four to an address, takes every request and answers none.
func tarpit(t *testing.T, ports int) (addresses []string, caught *atomic.Int64) {
	t.Helper()
	caught = &atomic.Int64{}
	for i := range ports {
		l, err := net.Listen("tcp", fmt.Sprintf("127.0.0.%d:0", 1+i/4))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, l.Close()) })
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					return
				}
				caught.Add(1)
				t.Cleanup(func() { _ = conn.Close() })
			}
		}()
		addresses = append(addresses, l.Addr().String())
	}
	return addresses, caught
}

// One merchant's endpoints on 200 ports take every request and answer none. They hold a few of the worker's places, and another
// merchant is told at once.
func TestATarpitOnManyPortsDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	const ports, workers = 200, 128 // as many as a worker sends at once
	b := storetest.New(t)
	traps, caught := tarpit(t, ports)
	well := newShop(t)
	sender := webhook.NewSender(webhook.Config{Timeout: await.Broken})
	t.Cleanup(sender.Close)
	schedule, err := webhook.ParseSchedule("0s,1h")
	require.NoError(t, err)
	callbacks := &activities.Callbacks{Store: b.DB, Keys: b.Keys, Sender: sender, Schedule: schedule, Timeout: await.Broken, Log: discard()}

	endpoint := func(url string) payment.EndpointID {
		id := payment.NewEndpointID()
		at, err := neturl.Parse(url)
		require.NoError(t, err)
		require.NoError(t, b.DB.AllowTarget(t.Context(), store.CallbackTarget{Merchant: b.Merchant, Mode: b.Mode, Target: at.Host}, storetest.By()))
		_, err = b.DB.CreateEndpoint(t.Context(), store.NewEndpoint{
			ID: id, Merchant: b.Merchant, Mode: b.Mode, URL: url,
			Secret: b.Keys.Seal([]byte(well.secret.Reveal()), store.EndpointSecretPlace(id)),
		}, storetest.By())
		require.NoError(t, err)
		return id
	}
	work := make(chan process.DeliverInput, ports)
	var trapped []payment.EndpointID
	for _, trap := range traps {
		trapped = append(trapped, endpoint("http://"+trap+"/"))
	}
	order := b.Order(t).ID // whose order.created goes to all of them
	for _, id := range trapped {
		work <- process.DeliverInput{OrderID: order, EndpointID: id}
	}
	var waiting atomic.Int64
	told := make(chan process.DeliverResult, 1)
	for range workers {
		go func() {
			for in := range work {
				result, err := run[process.DeliverResult](t, callbacks.DeliverCallbacks, in)
				switch {
				case err != nil:
					waiting.Add(1) // the worker has the place back
				case result.Delivered > 0:
					told <- result
				}
			}
		}()
	}
	t.Cleanup(func() { close(work) })

	other := *b
	other.Merchant, other.Principal = b.NewMerchant(t)
	b = &other
	hook := endpoint(well.URL + "/hook")
	work <- process.DeliverInput{OrderID: other.Order(t).ID, EndpointID: hook} // behind all the others
	require.Equal(t, 1, await.Receive(t, told, "for the other merchant to be told").Delivered)
	require.LessOrEqual(t, caught.Load(), int64(16), "requests of one merchant in flight")
	require.Equal(t, int64(ports), caught.Load()+waiting.Load())
}
