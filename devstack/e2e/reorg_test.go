package e2e_test

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
)

// reorgs is a world whose chain is reorganised.
type reorgs struct{ *world }

// TestReorganisations takes blocks back, at every stage that a payment in them may have reached. The steps share a world and
// come one after the other, because a block belongs to everybody.
func TestReorganisations(t *testing.T) {
	t.Parallel()
	r := reorgs{private(t, options{blockTime: -1})}
	for _, step := range []struct {
		name string
		test func(*testing.T)
	}{
		{"mined again before it counted", r.minedAgain},
		{"gone before it counted", r.gone},
		{"gone after it counted", r.reversed},
		{"mined again after it counted", r.creditedAgain},
		{"every history replays", func(t *testing.T) { require.NoError(t, r.replay(t.Context())) }},
		{"the chains agree with the books", func(t *testing.T) { require.NoError(t, r.compare(t.Context())) }},
	} {
		if !t.Run(step.name, step.test) {
			return
		}
	}
}

// reorganise replaces the newest blocks by as many and one more.
func (r reorgs) reorganise(t *testing.T, depth int, drop bool) {
	t.Helper()
	_, err := r.Dev.Node.Reorg(gethnode.ReorgOptions{Depth: depth, Blocks: depth + 1, Drop: drop})
	require.NoError(t, err)
	if !drop {
		return
	}
	// The faucet's next transaction takes the nonce of the one that is gone: another one than that, not the same again.
	r.faucet.ForgetNonce()
	_, err = r.faucet.SendNative(t.Context(), r.faucet.Address(), big.NewInt(1))
	require.NoError(t, err)
}

// minedAgain: the transaction is in another block, so it is the same payment, counted once.
func (r reorgs) minedAgain(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	r.mine(t, 1)
	m.awaitEvents(t, o.ID, "order.created", "order.payment_detected")
	r.reorganise(t, 1, false)
	r.awaitRow(t, "the payment has a second inclusion", `SELECT EXISTS (SELECT FROM payments WHERE order_id = $1 AND inclusion = 2)`, o.ID)
	r.mine(t, confirmations)
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   []string{"order.created", "order.payment_detected", "order.payment_detected", "order.paid"},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
}

// gone: the transaction is nowhere any more. The order waits for it for a while, and then for another payment.
func (r reorgs) gone(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	r.mine(t, 1)
	m.awaitEvents(t, o.ID, "order.created", "order.payment_detected")
	r.reorganise(t, 1, true)
	r.awaitRow(t, "the payment is dropped", `SELECT EXISTS (SELECT FROM payments WHERE order_id = $1 AND status = 'dropped')`, o.ID)
	require.Equal(t, "confirming", m.get(t, o.ID).State, "it may come back")
	r.mine(t, 2*confirmations)
	m.requireEnd(t, o.ID, ending{
		state: "awaiting_payment", events: []string{"order.created", "order.payment_detected"}, payments: []string{"25 dropped"},
	})
	r.pay(t, o, "25")
	r.mine(t, confirmations)
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   []string{"order.created", "order.payment_detected", "order.payment_detected", "order.paid"},
		payments: []string{"25 dropped", "25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
}

// reversed: the credit is taken back by an entry, the order stays fulfilled and says so, and a new payment makes it whole.
func (r reorgs) reversed(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	r.mine(t, confirmations)
	m.requireEnd(t, o.ID, paid)
	r.reorganise(t, confirmations, true)
	reversed := ending{
		state: "paid", labels: []string{"reversed"},
		events:   append(append([]string{}, paidEvents...), "payment.reversed"),
		payments: []string{"25 dropped"},
		postings: []string{"credit merchant:available 25000000 USDC", "reversal custody 25000000 USDC"},
		reviews:  []string{"reversal open"},
	}
	r.mine(t, 2*confirmations) // until nobody waits for it to come back
	m.requireEnd(t, o.ID, reversed)
	r.pay(t, o, "25")
	r.mine(t, confirmations)
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   append(append([]string{}, reversed.events...), "order.payment_detected"),
		payments: []string{"25 dropped", "25 credited"},
		postings: append(append([]string{}, reversed.postings...), "credit merchant:available 25000000 USDC"),
		reviews:  []string{"reversal open", "closed_order open"},
	})
}

// creditedAgain: what was credited is taken back and, because the transaction is in another block, credited again. The sums are
// as before, the books show all three.
func (r reorgs) creditedAgain(t *testing.T) {
	m := r.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	r.pay(t, o, "25")
	r.mine(t, confirmations)
	m.requireEnd(t, o.ID, paid)
	r.reorganise(t, confirmations, false)
	r.mine(t, 2*confirmations)
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   append(append([]string{}, paidEvents...), "payment.reversed", "order.payment_detected"),
		payments: []string{"25 credited"},
		postings: []string{
			"credit merchant:available 25000000 USDC", "reversal custody 25000000 USDC", "credit merchant:available 25000000 USDC",
		},
		reviews: []string{"reversal open", "closed_order open"},
	})
}
