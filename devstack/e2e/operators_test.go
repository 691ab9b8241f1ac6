package e2e_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// operators is a world whose first chain is reached through two operators' endpoints.
type operators struct {
	*world

	one, two *relay
}

// TestTwoOperators lets endpoints fail and lie. The steps share a world and come one after the other; each leaves both endpoints
// well.
func TestTwoOperators(t *testing.T) {
	t.Parallel()
	o := &operators{}
	o.world = private(t, options{blockTime: -1, endpoints: func(chain, rpc, _ string) []stack.Endpoint {
		if chain != dev {
			return nil
		}
		o.one, o.two = newRelay(t, rpc), newRelay(t, rpc)
		return []stack.Endpoint{{RPC: o.one.server.URL, Operator: "one"}, {RPC: o.two.server.URL, Operator: "two"}}
	}})
	_, err := o.Sluice(t.Context(), nil, "chain", "evidence", "set", dev, "single", "--from", "0", "--reason", "one of them fails in these tests")
	require.NoError(t, err)
	for _, step := range []struct {
		name string
		test func(*testing.T)
	}{
		{"an endpoint breaks off in the middle of a block", o.failover},
		{"all endpoints are down for a while", o.allDown},
		{"one endpoint lies beside an honest one", o.liar},
		{"every history replays", func(t *testing.T) { require.NoError(t, o.replay(t.Context())) }},
		{"the chains agree with the books", func(t *testing.T) { require.NoError(t, o.compare(t.Context())) }},
	} {
		if !t.Run(step.name, step.test) {
			return
		}
	}
}

// failover: the endpoint that is asked for the receipts of the payment's block has told of the block already, and is gone before
// it has told of the receipts. The other one takes over, with the same block.
func (o *operators) failover(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	placed := m.order(t, request{Asset: token, Amount: "25"})
	broken := make(chan string, 1)
	breaksAt := func(name string) func(string) bool {
		return func(method string) bool {
			if method != "eth_getTransactionReceipt" && method != "eth_getBlockReceipts" {
				return false
			}
			select {
			case broken <- name:
				return true
			default: // the other one stays
				return false
			}
		}
	}
	o.one.change(func() { o.one.breaks = breaksAt("one") })
	o.two.change(func() { o.two.breaks = breaksAt("two") })
	o.pay(t, placed, "25")
	o.mine(t, confirmations)
	m.requireEnd(t, placed.ID, paid)
	require.Len(t, broken, 1, "one of them was asked, and broke off")
	o.well()
}

// allDown: a payment is mined and confirmed while nobody answers.
func (o *operators) allDown(t *testing.T) {
	m := o.merchant(t, merchantOptions{})
	placed := m.order(t, request{Asset: token, Amount: "25"})
	for _, r := range []*relay{o.one, o.two} {
		r.change(func() { r.down = true })
	}
	o.pay(t, placed, "25")
	o.mine(t, confirmations)
	o.await(t, "the watcher has noticed", func() (bool, any, <-chan struct{}) {
		pulse := o.heartbeat(t, process.WatcherWorkflowID(dev))
		return strings.Contains(pulse, `"failure"`), pulse, nil
	})
	require.Equal(t, "awaiting_payment", m.get(t, placed.ID).State)
	o.well()
	m.requireEnd(t, placed.ID, paid)
}

// liar: an operator says that 25 arrived where it was 1, everywhere where it can be asked, and while the other one is away it is
// believed so far as to be recorded. It is not credited on that word, nor when the other one contradicts. What is true is
// recorded, and credited, when the transaction is mined again.
func (o *operators) liar(t *testing.T) {
	_, err := o.Sluice(t.Context(), nil, "chain", "evidence", "set", dev, "agreed", "--from", "0")
	require.NoError(t, err)
	m := o.merchant(t, merchantOptions{})
	placed := m.order(t, request{Asset: token, Amount: "25"})
	o.one.change(func() { o.one.lie = exaggerate })
	o.two.change(func() { o.two.down = true })
	o.pay(t, placed, "1")
	o.mine(t, 2*confirmations)
	o.awaitRow(t, "the lie is recorded", `SELECT EXISTS (SELECT FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
		WHERE p.order_id = $1 AND i.amount = 25000000)`, placed.ID)
	o.awaitRefused(t, placed.ID, "inconsistent") // the receipts do not hash to the block that it names
	o.two.change(func() { o.two.down = false })
	o.awaitRefused(t, placed.ID, "operators_disagree")
	require.Empty(t, o.list(t, `SELECT key FROM ledger_postings WHERE order_id = $1`, placed.ID))
	require.Equal(t, "confirming", m.get(t, placed.ID).State)

	o.well()
	o.awaitRefused(t, placed.ID, "content_changed")
	require.Empty(t, o.list(t, `SELECT key FROM ledger_postings WHERE order_id = $1`, placed.ID))
	_, err = o.Dev.Node.Reorg(gethnode.ReorgOptions{Depth: 2 * confirmations, Blocks: 2*confirmations + 1})
	require.NoError(t, err)
	o.mine(t, confirmations)
	m.requireEnd(t, placed.ID, ending{
		state: "awaiting_payment", labels: []string{"underpaid"}, received: "1",
		events:   []string{"order.created", "order.payment_detected", "order.payment_detected", "order.underpaid"},
		payments: []string{"1 credited"}, postings: []string{"credit merchant:available 1000000 USDC"},
	})
	evidence := o.list(t, `SELECT evidence FROM payments WHERE order_id = $1`, placed.ID)
	require.Contains(t, [][]string{{"agreed"}, {"proven"}}, evidence, "one operator's word is not enough")
}

// exaggerate makes 25 of what is 1, in whatever is said.
func exaggerate(_ string, _, result json.RawMessage) json.RawMessage {
	return bytes.ReplaceAll(result, fmt.Appendf(nil, "%064x", 1_000_000), fmt.Appendf(nil, "%064x", 25_000_000))
}

// awaitRefused waits until an order's payment was checked, and the check failed for a reason.
func (w *world) awaitRefused(t *testing.T, orderID, reason string) {
	t.Helper()
	w.await(t, "a check of "+orderID+" fails: "+reason, func() (bool, any, <-chan struct{}) {
		described, err := w.temporal.DescribeWorkflowExecution(t.Context(), process.OrderWorkflowID(payment.OrderID(orderID)), "")
		if err != nil {
			return false, err, nil
		}
		for _, p := range described.GetPendingActivities() {
			if p.GetActivityType().GetName() == process.ActivitySettlePayment && strings.Contains(p.GetLastFailure().GetMessage(), reason) {
				return true, nil, nil
			}
		}
		return false, described.GetPendingActivities(), nil
	})
}

// well ends whatever goes wrong.
func (o *operators) well() {
	for _, r := range []*relay{o.one, o.two} {
		r.change(func() { r.down, r.breaks, r.lie = false, nil, nil })
	}
}
