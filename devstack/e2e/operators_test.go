package e2e_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/stack"
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
	for _, step := range []struct {
		name string
		test func(*testing.T)
	}{
		{"an endpoint breaks off in the middle of a block", o.failover},
		{"all endpoints are down for a while", o.allDown},
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

// well ends whatever goes wrong.
func (o *operators) well() {
	for _, r := range []*relay{o.one, o.two} {
		r.change(func() { r.down, r.breaks, r.lie = false, nil, nil })
	}
}
