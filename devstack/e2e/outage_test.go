package e2e_test

import (
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// outages is a world in which things are killed and stopped. Its blocks come when a test says so, so that a test decides
// what happens between two of them.
type outages struct {
	*world

	rpc *faultproxy.Proxy
}

// TestOutages takes the parts away one after the other. The steps share a world, because starting one takes longer than
// most of them; each has a merchant of its own and leaves everything running.
func TestOutages(t *testing.T) {
	t.Parallel()
	o := &outages{}
	o.world = private(t, options{blockTime: -1, endpoints: func(chain, rpc, ws string) []stack.Endpoint {
		if chain != dev {
			return nil
		}
		o.rpc = proxied(t, rpc)
		return []stack.Endpoint{{RPC: "http://" + o.rpc.Addr(), WS: ws, Operator: "local"}}
	}})
	for _, step := range []struct {
		name string
		test func(*testing.T)
	}{
		{"worker killed between detection and credit", o.workerKilled},
		{"API killed between commit and answer", o.apiKilled},
		{"Temporal away", o.temporalAway},
		{"PostgreSQL away", o.postgresAway},
		{"RPC away", o.rpcAway},
		{"every history replays", func(t *testing.T) { require.NoError(t, o.replay(t.Context())) }},
		{"the chains agree with the books", func(t *testing.T) { require.NoError(t, o.compare(t.Context())) }},
	} {
		if !t.Run(step.name, step.test) {
			return // it may have left something away
		}
	}
}

// proxied puts a proxy in front of a node.
func proxied(t *testing.T, rpc string) *faultproxy.Proxy {
	t.Helper()
	proxy, err := faultproxy.Start(strings.TrimPrefix(rpc, "http://"))
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, proxy.Close()) })
	return proxy
}

// paid is how an order of 25 USDC ends that is paid at once.
var paid = ending{
	state: "paid", received: "25", events: paidEvents,
	payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
}

// detected pays an order and seals the payment's block alone, so that it is seen and not confirmed.
func (o *outages) detected(t *testing.T, m *merchant, placed order) {
	t.Helper()
	o.pay(t, placed, "25")
	o.mine(t, 1)
	m.awaitState(t, placed.ID, "confirming")
}

func (o *outages) workerKilled(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	placed := m.order(t, request{Asset: token, Amount: "25"})
	o.detected(t, m, placed)
	m.awaitEvents(t, placed.ID, "order.created", "order.payment_detected")
	o.awaitCalm(t, placed.ID)
	o.Worker.Kill()
	o.mine(t, confirmations)
	require.Empty(t, o.list(t, `SELECT key FROM ledger_postings WHERE order_id = $1`, placed.ID), "it was killed before the credit")
	require.NoError(t, o.Worker.Start(t.Context()))
	m.requireEnd(t, placed.ID, paid)
}

// apiKilled kills the API while two requests are under way: one whose workflow has started and waits for a worker, and one
// whose workflow has not, because Temporal is away.
func (o *outages) apiKilled(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	r := request{Chain: dev, Asset: token, Amount: "25"}
	require.NoError(t, o.API.Stop())
	require.NoError(t, o.API.Start(t.Context(), "SLUICE_OPEN_TIMEOUT="+patience.String()))
	require.NoError(t, o.Worker.Stop())

	cut := make(chan error, 2)
	send := func(key string) {
		_, err := m.try(t.Context(), http.MethodPost, "/v1/orders", key, r)
		cut <- err
	}
	go send("started")
	started := o.claimed(t, m, "started")
	o.await(t, "the workflow has started", func() (bool, any, <-chan struct{}) {
		_, err := o.temporal.DescribeWorkflowExecution(t.Context(), process.OrderWorkflowID(payment.OrderID(started)), "")
		return err == nil, err, nil
	})
	require.NoError(t, o.StopTemporal())
	go send("committed")
	committed := o.claimed(t, m, "committed")
	o.API.Kill()
	for range 2 {
		require.Error(t, <-cut, "nobody was answered")
	}

	require.NoError(t, o.StartTemporal(t.Context()))
	require.NoError(t, o.Worker.Start(t.Context()))
	require.NoError(t, o.API.Start(t.Context()))
	for key, id := range map[string]string{"started": started, "committed": committed} {
		var placed order
		m.repeat(t, key, r).into(t, http.StatusCreated, &placed)
		require.Equal(t, id, placed.ID, "the order that was committed first")
		again := m.post(t, key, r)
		again.into(t, http.StatusCreated, &placed)
		require.Equal(t, "true", again.header.Get("Idempotency-Replayed"))
		require.Equal(t, id, placed.ID)
		o.detected(t, m, placed)
		o.mine(t, confirmations)
		m.requireEnd(t, id, paid)
	}
	o.requireOrders(t, m, 2)
}

// claimed waits until a creation is committed and returns its order.
func (o *outages) claimed(t *testing.T, m *merchant, key string) string {
	t.Helper()
	var ids []string
	o.await(t, "the creation "+key+" is committed", func() (bool, any, <-chan struct{}) {
		ids = o.list(t, `SELECT k.order_id FROM idempotency_keys k JOIN orders o ON o.id = k.order_id
			WHERE k.merchant_id = $1 AND k.key = $2 AND o.state = 'opening'`, m.id, key)
		return len(ids) == 1, ids, nil
	})
	return ids[0]
}

// awaitCalm waits until nothing of an order is being done at this moment: its activities, if any, wait for their next try.
// What is killed in the middle is done again, but not before the server has given up on it, and a callback twice.
func (o *outages) awaitCalm(t *testing.T, orderID string) {
	t.Helper()
	o.await(t, orderID+" is calm", func() (bool, any, <-chan struct{}) {
		described, err := o.temporal.DescribeWorkflowExecution(t.Context(), process.OrderWorkflowID(payment.OrderID(orderID)), "")
		calm := err == nil && described.GetPendingWorkflowTask() == nil
		for _, p := range described.GetPendingActivities() {
			calm = calm && p.GetState() == enumspb.PENDING_ACTIVITY_STATE_SCHEDULED && p.GetLastFailure() != nil
		}
		return calm, err, nil
	})
}

// requireOrders checks that a merchant has so many orders, each with one address and one beginning.
func (o *outages) requireOrders(t *testing.T, m *merchant, n int) {
	t.Helper()
	for _, query := range []string{
		`SELECT id FROM orders WHERE merchant_id = $1`,
		`SELECT id FROM addresses WHERE merchant_id = $1`,
		`SELECT id FROM events WHERE merchant_id = $1 AND type = 'order.created'`,
	} {
		require.Len(t, o.list(t, query, m.id), n, query)
	}
}

// requireAway checks that a creation is put off.
func requireAway(t *testing.T, a answer) {
	t.Helper()
	require.Equal(t, http.StatusServiceUnavailable, a.status, a.String())
	require.Equal(t, "unavailable", a.problem())
	require.Positive(t, a.retryAfter())
}

// temporalAway: no order can be opened. Afterwards there is one for each request, and a payment of an earlier order that was
// mined meanwhile is found.
func (o *outages) temporalAway(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	r := request{Chain: dev, Asset: token, Amount: "25"}
	before := m.order(t, r)
	m.requireEnd(t, before.ID, ending{state: "awaiting_payment", events: []string{"order.created"}})
	o.awaitCalm(t, before.ID)
	require.NoError(t, o.StopTemporal())
	requireAway(t, m.post(t, "while-away", r))
	requireAway(t, m.post(t, "while-away", r))
	o.pay(t, before, "25")
	o.mine(t, confirmations)
	require.NoError(t, o.StartTemporal(t.Context()))

	var placed order
	m.repeat(t, "while-away", r).into(t, http.StatusCreated, &placed)
	o.requireOrders(t, m, 2)
	m.requireEnd(t, before.ID, paid)
	o.pay(t, placed, "25")
	o.mine(t, confirmations)
	m.requireEnd(t, placed.ID, paid)
}

// postgresAway: nothing can be done at all. A payment that is mined meanwhile is found afterwards.
func (o *outages) postgresAway(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	r := request{Chain: dev, Asset: token, Amount: "25"}
	before := m.order(t, r)
	m.requireEnd(t, before.ID, ending{state: "awaiting_payment", events: []string{"order.created"}})
	o.awaitCalm(t, before.ID)
	require.NoError(t, o.StopPostgres())
	requireAway(t, m.post(t, "while-away", r))
	requireAway(t, m.call(t, http.MethodGet, "/v1/orders/"+before.ID, "", nil))
	o.pay(t, before, "25")
	o.mine(t, confirmations)
	require.NoError(t, o.StartPostgres(t.Context()))
	o.db.Reset()

	var placed order
	m.repeat(t, "while-away", r).into(t, http.StatusCreated, &placed)
	o.requireOrders(t, m, 2)
	m.requireEnd(t, before.ID, paid)
	o.pay(t, placed, "25")
	o.mine(t, confirmations)
	m.requireEnd(t, placed.ID, paid)
}

// rpcAway: a payment is mined, and confirmed, while no node answers.
func (o *outages) rpcAway(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	placed := m.order(t, request{Asset: token, Amount: "25"})
	o.rpc.Set(faultproxy.Cut)
	o.pay(t, placed, "25")
	o.mine(t, confirmations)
	o.await(t, "the watcher has noticed", func() (bool, any, <-chan struct{}) {
		pulse := o.heartbeat(t, process.WatcherWorkflowID(dev))
		return strings.Contains(pulse, `"failure"`), pulse, nil
	})
	require.Equal(t, "awaiting_payment", m.get(t, placed.ID).State)
	o.rpc.Set(faultproxy.Pass)
	m.requireEnd(t, placed.ID, paid)
}

// heartbeat is what a workflow's activities said last, as support reads it.
func (w *world) heartbeat(t *testing.T, workflowID string) string {
	t.Helper()
	described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
	require.NoError(t, err)
	var text strings.Builder
	for _, p := range described.GetPendingActivities() {
		for _, payload := range p.GetHeartbeatDetails().GetPayloads() {
			fmt.Fprintf(&text, "%s ", payload.GetData())
		}
	}
	return text.String()
}
