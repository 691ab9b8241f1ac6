package e2e_test

import (
	"context"
	"math/big"
	"testing"

	"github.com/ethereum/go-ethereum/common"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/devstack/stack"
)

// dev2 is the second chain. It has the same coin, and the same token under the same address with other decimals.
const dev2 = stack.SecondName

// purse pays on a chain.
type purse struct {
	chain  *stack.Chain
	faucet *gethnode.Payer
	token  common.Address
	manual bool
}

// newPurse gives a chain's faucet tokens to pay with.
func (w *world) newPurse(ctx context.Context, chain *stack.Chain) (*purse, error) {
	p := &purse{chain: chain, token: common.HexToAddress(chain.Token()), manual: w.manual}
	var err error
	if p.faucet, err = chain.Node.Payer(ctx); err != nil {
		return nil, err
	}
	minted, err := p.faucet.Mint(ctx, p.token, p.faucet.Address(), plenty)
	if err != nil {
		return nil, err
	}
	if p.manual {
		if _, err := chain.Node.Mine(1); err != nil {
			return nil, err
		}
	}
	_, err = p.faucet.Wait(ctx, minted)
	return p, err
}

// pay sends amount, a decimal, of an asset to an order's address, whatever the order asks for.
func (p *purse) pay(t *testing.T, o order, asset, amount string) common.Hash {
	t.Helper()
	to := common.HexToAddress(o.Address)
	var (
		hash common.Hash
		err  error
	)
	if asset == native {
		hash, err = p.faucet.SendNative(t.Context(), to, baseUnits(t, amount, 18))
	} else {
		hash, err = p.faucet.Transfer(t.Context(), p.token, to, baseUnits(t, amount, p.chain.Decimals))
	}
	require.NoError(t, err)
	return hash
}

// multisend pays several orders in one transaction of a contract, in the first chain's coin or its token.
func (w *world) multisend(t *testing.T, asset, amount string, orders ...order) common.Hash {
	t.Helper()
	var calls []gethnode.Call
	sum := new(big.Int)
	for _, o := range orders {
		to := common.HexToAddress(o.Address)
		if asset == native {
			value := baseUnits(t, amount, 18)
			sum.Add(sum, value)
			calls = append(calls, gethnode.Call{To: to, Value: value})
		} else {
			calls = append(calls, gethnode.Call{To: w.token, Data: gethnode.TransferData(to, baseUnits(t, amount, 6))})
		}
	}
	hash, err := w.faucet.Send(t.Context(), gethnode.Tx{To: &w.caller, Value: sum, Data: gethnode.CallerData(calls...), Gas: 2_000_000})
	require.NoError(t, err)
	return hash
}

// The second chain is a chain like the first: its token is another asset, with other decimals.
func TestPaidOnTheSecondChain(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Chain: dev2, Asset: token, Amount: "25"})
	w.second.pay(t, o, token, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited on dev2"}, postings: []string{"credit merchant:available 25000000000000000000 USDC on dev2"},
	})
}

// The address is valid on both chains, and the token even has the same name and contract on both. What came on the other chain
// is posted as what it is, does not fulfil the order, and a person looks at it.
func TestWrongNetwork(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.second.pay(t, o, token, "25")
	strayed := ending{
		state: "awaiting_payment", labels: []string{"wrong_network"},
		events:   []string{"order.created", "payment.mismatched"},
		payments: []string{"25 credited on dev2"}, postings: []string{"credit merchant:available 25000000000000000000 USDC on dev2"},
		reviews: []string{"wrong_asset open"},
	}
	m.requireEnd(t, o.ID, strayed)
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", labels: strayed.labels, received: "25",
		events:   append(append([]string{}, strayed.events...), "order.payment_detected", "order.paid"),
		payments: []string{"25 credited on dev2", "25 credited"},
		postings: []string{strayed.postings[0], "credit merchant:available 25000000 USDC"},
		reviews:  strayed.reviews,
	})
}

// Another asset on the order's own chain: the same.
func TestWrongAsset(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	_, err := w.faucet.SendNative(t.Context(), common.HexToAddress(o.Address), baseUnits(t, "0.01", 18))
	require.NoError(t, err)
	m.requireEnd(t, o.ID, ending{
		state: "awaiting_payment", labels: []string{"wrong_asset"},
		events:   []string{"order.created", "payment.mismatched"},
		payments: []string{"0.01 credited"}, postings: []string{"credit merchant:available 10000000000000000 ETH"},
		reviews: []string{"wrong_asset open"},
	})
}

func TestOverpaidAtOnce(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "30")
	m.requireEnd(t, o.ID, ending{
		state: "paid", labels: []string{"overpaid"}, received: "30",
		events:   append(append([]string{}, paidEvents...), "order.overpaid"),
		payments: []string{"30 credited"}, postings: []string{"credit merchant:available 30000000 USDC"},
	})
}

// A contract pays two orders of two merchants in one transaction, by calls that no receipt lists.
func TestInternalTransfersFromAMultisend(t *testing.T) {
	t.Parallel()
	w := shared(t)
	one, two := w.merchant(t, merchantOptions{}), w.merchant(t, merchantOptions{})
	a, b := one.order(t, request{Asset: native, Amount: "0.01"}), two.order(t, request{Asset: native, Amount: "0.01"})
	hash := w.multisend(t, native, "0.01", a, b)
	for m, o := range map[*merchant]order{one: a, two: b} {
		m.requireEnd(t, o.ID, ending{
			state: "paid", received: "0.01", events: paidEvents,
			payments: []string{"0.01 credited"}, postings: []string{"credit merchant:available 10000000000000000 ETH"},
		})
		require.Equal(t, hash.Hex(), m.payments(t, o.ID)[0].TxHash)
	}
}

// Two transfers of one transaction belong to an order each.
func TestTwoOrdersInOneTransaction(t *testing.T) {
	t.Parallel()
	w := shared(t)
	one, two := w.merchant(t, merchantOptions{}), w.merchant(t, merchantOptions{})
	a, b := one.order(t, request{Asset: token, Amount: "25"}), two.order(t, request{Asset: token, Amount: "25"})
	hash := w.multisend(t, token, "25", a, b)
	var ids []string
	for m, o := range map[*merchant]order{one: a, two: b} {
		m.requireEnd(t, o.ID, paid)
		seen := m.payments(t, o.ID)
		require.Equal(t, hash.Hex(), seen[0].TxHash)
		ids = append(ids, seen[0].ID)
	}
	require.NotEqual(t, ids[0], ids[1])
}

// Money that comes when nothing of the order runs any more is credited by a review, which waits for somebody to see it.
func TestMoneyAfterTheLateWindow(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{create: []string{"--late-window", "2s", "--late-policy", "fulfil"}})
	o := m.order(t, request{Asset: token, Amount: "25", ExpiresIn: shortLife})
	m.requireEnd(t, o.ID, ending{state: "expired", events: []string{"order.created", "order.expired"}, closed: true})
	// The window ends by the chain's clock, which knows whole seconds only.
	w.awaitRow(t, "the window is over", `SELECT EXISTS (SELECT FROM orders o JOIN cursors c ON c.chain = o.chain
		WHERE o.id = $1 AND c.block_time > o.late_until)`, o.ID)
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "expired", labels: []string{"late"}, received: "25", closed: true,
		events:   []string{"order.created", "order.expired", "order.payment_detected", "payment.late"},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
		reviews: []string{"late open"},
	})
}
