package activities_test

import (
	"crypto/sha256"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"sync"
	"testing"
	"time"

	svix "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
	"github.com/sluicepay/sluice/webhook"
)

// shop is a merchant's server: it verifies what it gets, and answers as it is told.
type shop struct {
	*httptest.Server

	mu       sync.Mutex
	secret   webhook.Secret
	statuses []int
	events   []string
	ids      map[string]int
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{secret: webhook.NewSecret(), ids: map[string]int{}}
	verifier, err := svix.NewWebhook(s.secret.Reveal())
	require.NoError(t, err)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		defer s.mu.Unlock()
		if err := verifier.Verify(body, r.Header); err != nil {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		s.ids[r.Header.Get("webhook-id")]++
		status := http.StatusOK
		if len(s.statuses) > 0 {
			status, s.statuses = s.statuses[0], s.statuses[1:]
		}
		if status == http.StatusOK {
			s.events = append(s.events, eventType(body))
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(s.Close)
	return s
}

func eventType(body []byte) string {
	var event struct {
		Type string `json:"type"`
	}
	if err := json.Unmarshal(body, &event); err != nil {
		return err.Error()
	}
	return event.Type
}

// engine is everything that an order needs, on a database, a chain and a shop of the test's own.
type engine struct {
	*storetest.Bundle

	orders    *activities.Orders
	chain     *activities.Chain
	callbacks *activities.Callbacks
	fake      *chaintest.Fake
	shop      *shop
	endpoint  payment.EndpointID
}

func newEngine(t *testing.T) *engine {
	t.Helper()
	e := newEngineWithout(t)
	e.fake = chaintest.NewFake(t, nil)
	e.connect(t)
	return e
}

// newEngineWithout is an engine whose chain has no node yet.
func newEngineWithout(t *testing.T) *engine {
	t.Helper()
	b, orders, _ := newOrders(t)
	e := &engine{Bundle: b, orders: orders, shop: newShop(t)}
	e.subscribe(t)
	nodes := activities.NewNodes(b.DB, b.Keys, discard())
	t.Cleanup(nodes.Close)
	e.chain = &activities.Chain{
		Settle: b.DB, Sources: nodes, Log: discard(),
		WatchOptions: activities.WatchOptions{
			Recorder: activities.StoreRecorder{Store: store.NewRecorder(b.DB)},
			Policy:   scan.Policy{MinPoll: 5 * time.Millisecond, MaxPoll: 5 * time.Millisecond, MinBackoff: time.Millisecond},
		},
	}
	return e
}

// connect puts the fake node behind the bundle's chain.
func (e *engine) connect(t *testing.T) { t.Helper(); e.connectTo(t, e.fake.URL(), e.fake.Token()) }

// connectTo puts a node behind the bundle's chain, which begins anew.
func (e *engine) connectTo(t *testing.T, at string, token payment.Address) {
	t.Helper()
	node := store.RPCEndpoint{Operator: "fake", Fingerprint: sha256.Sum256([]byte(at))}
	node.URL = e.Keys.Seal([]byte(at), node.URLPlace(storetest.Chain))
	settings, err := e.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	native := store.NewAsset{ID: e.Native.ID, Code: e.Native.Symbol, Decimals: e.Native.Decimals}
	require.NoError(t, e.DB.EnableChain(t.Context(), settings, native, []store.RPCEndpoint{node}, storetest.By()))
	require.NoError(t, e.DB.AddToken(t.Context(), store.NewAsset{
		ID: payment.TokenAsset(storetest.Chain, token), Code: "TUSD", Decimals: 6,
	}, storetest.By()))
	_, err = e.PG.Owner.Exec(t.Context(), `UPDATE cursors SET block_number = NULL, block_hash = NULL, block_time = NULL WHERE chain = $1`, storetest.Chain)
	require.NoError(t, err)
	_, err = e.PG.Owner.Exec(t.Context(), `DELETE FROM coverage WHERE chain = $1`, storetest.Chain)
	require.NoError(t, err)
}

func (e *engine) subscribe(t *testing.T) {
	t.Helper()
	e.endpoint = payment.NewEndpointID()
	_, err := e.DB.CreateEndpoint(t.Context(), store.NewEndpoint{
		ID: e.endpoint, Merchant: e.Merchant, Mode: e.Mode, URL: e.shop.URL + "/hook",
		Secret: e.Keys.Seal([]byte(e.shop.secret.Reveal()), store.EndpointSecretPlace(e.endpoint)),
	}, storetest.By())
	require.NoError(t, err)
	at, err := url.Parse(e.shop.URL)
	require.NoError(t, err)
	require.NoError(t, e.DB.AllowTarget(t.Context(), store.CallbackTarget{Merchant: e.Merchant, Mode: e.Mode, Target: at.Host}, storetest.By()))
	sender := webhook.NewSender(webhook.Config{Timeout: await.Broken})
	t.Cleanup(sender.Close)
	schedule, err := webhook.ParseSchedule("0s,1ms,1ms,1ms")
	require.NoError(t, err)
	e.callbacks = &activities.Callbacks{Store: e.App, Keys: e.Keys, Sender: sender, Schedule: schedule, Timeout: await.Broken, Log: discard()}
}

// watch runs the chain's watcher until the test ends, and returns when the chain takes orders.
func (e *engine) watch(t *testing.T) {
	t.Helper()
	env := environment(e.chain.WatchChain)
	stopping, done := make(chan struct{}), make(chan struct{})
	env.SetWorkerStopChannel(stopping)
	go func() {
		defer close(done)
		_, _ = env.ExecuteActivity(e.chain.WatchChain, process.WatcherInput{Chain: storetest.Chain})
	}()
	t.Cleanup(func() {
		close(stopping)
		<-done
	})
	await.Until(t, func() bool {
		lag, err := e.DB.ChainLag(t.Context(), storetest.Chain)
		return err == nil && lag.TakesOrders()
	})
}

// deliver runs attempts of the activity as the server would, until one comes to an end.
func (e *engine) deliver(t *testing.T, id payment.OrderID) process.DeliverResult {
	t.Helper()
	var result process.DeliverResult
	await.Until(t, func() bool {
		var err error
		result, err = run[process.DeliverResult](t, e.callbacks.DeliverCallbacks, process.DeliverInput{OrderID: id, EndpointID: e.endpoint})
		return err == nil
	})
	return result
}

func TestMoneyGoesAllTheWay(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.watch(t)
	id := e.Opening(t, func(n *store.NewOrder) { n.Asset = "TUSD" })
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: id})
	require.NoError(t, err)
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)

	e.fake.Mine(t, chaintest.TokenTransfer{Token: e.fake.Token(), To: to, Amount: 25_000_000})
	await.Until(t, func() bool {
		view, err = e.orders.ReadOrder(t.Context(), process.OrderInput{OrderID: id})
		return err == nil && len(view.Payments) == 1
	})
	require.Equal(t, payment.StateConfirming, view.State)
	seen := view.Payments[0]
	require.Equal(t, "25", seen.Amount)

	settle := process.SettleInput{PaymentID: seen.ID}
	_, err = run[process.SettleResult](t, e.chain.SettlePayment, settle)
	requireWaiting(t, err, time.Second, 3*time.Second, "1 of 3 confirmations")
	e.fake.MineBlocks(1)
	_, err = run[process.SettleResult](t, e.chain.SettlePayment, settle)
	requireWaiting(t, err, time.Second, 3*time.Second, "2 of 3 confirmations")
	e.fake.MineBlocks(1)
	settled, err := run[process.SettleResult](t, e.chain.SettlePayment, settle)
	require.NoError(t, err)
	require.Equal(t, process.SettleCredited, settled.Outcome)
	require.Equal(t, payment.StatePaid, settled.Order.State)
	require.Equal(t, []payment.EndpointID{e.endpoint}, settled.Order.PendingEndpoints)
	again, err := run[process.SettleResult](t, e.chain.SettlePayment, settle)
	require.NoError(t, err)
	require.Equal(t, process.SettleAlready, again.Outcome)

	e.shop.statuses = []int{500, 500, 503}
	result := e.deliver(t, id)
	require.Zero(t, result.Parked)
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.paid"}, e.shop.events)
	require.Equal(t, 1, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM ledger_postings`))
	require.Equal(t, "25000000", storetest.Value[string](t, e.Bundle, `SELECT balance::text FROM ledger_balances WHERE kind = 'merchant:available'`))
}

// A reorganisation takes the payment away and brings it back in another block: one credit, of the second inclusion.
func TestAPaymentThatIsMinedAgainIsCreditedOnce(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.watch(t)
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: e.Opening(t, func(n *store.NewOrder) { n.Asset = "TUSD" })})
	require.NoError(t, err)
	to, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	require.NoError(t, err)
	e.fake.MineBlocks(3)
	e.fake.Mine(t, chaintest.TokenTransfer{Token: e.fake.Token(), To: to, Amount: 25_000_000})
	read := func(done func(process.OrderView) bool) process.OrderView {
		t.Helper()
		await.Until(t, func() bool {
			view, err = e.orders.ReadOrder(t.Context(), process.OrderInput{OrderID: view.ID})
			return err == nil && done(view)
		})
		return view
	}
	first := read(func(v process.OrderView) bool { return len(v.Payments) == 1 }).Payments[0]
	e.fake.Reorg(t, 1, 4, chaintest.KeepTxs)
	read(func(v process.OrderView) bool { return len(v.Payments) == 1 && v.Payments[0].Inclusion == 2 })
	var settled process.SettleResult
	await.Until(t, func() bool {
		settled, err = run[process.SettleResult](t, e.chain.SettlePayment, process.SettleInput{PaymentID: first.ID})
		return err == nil
	})
	require.Equal(t, process.SettleCredited, settled.Outcome)
	require.Equal(t, 2, settled.Inclusion)
	require.Equal(t, 1, storetest.Value[int](t, e.Bundle, `SELECT count(*) FROM ledger_postings`))
}

func TestCallbacksParkWhenTheScheduleIsOver(t *testing.T) {
	t.Parallel()
	e := newEngine(t)
	e.watch(t)
	view, err := e.orders.AllocateAddress(t.Context(), process.OrderInput{OrderID: e.Opening(t)})
	require.NoError(t, err)
	e.shop.statuses = []int{500, 500, 500, 500}
	result := e.deliver(t, view.ID)
	require.Equal(t, 1, result.Parked)
	require.Empty(t, e.shop.events)
	again, err := e.orders.Redeliver(t.Context(), process.RedeliverInput{OrderID: view.ID, By: storetest.By(), RequestID: "again"})
	require.NoError(t, err)
	require.Equal(t, []payment.EndpointID{e.endpoint}, again.Order.PendingEndpoints)
	require.Equal(t, 1, e.deliver(t, view.ID).Delivered)
	require.Equal(t, []string{"order.created"}, e.shop.events)
	require.Len(t, e.shop.ids, 1, "one event, one webhook-id, however often it is tried")
}
