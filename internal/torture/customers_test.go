package torture_test

import (
	"context"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// mostOrders is how many orders a history has, and mostOfCustomers when some of them are customers'.
const (
	mostOrders      = 5
	mostOfCustomers = 7
)

// open opens an order of somebody's, or two of one customer's.
func (h *history) open() {
	most := mostOrders
	if h.known {
		most = mostOfCustomers
	}
	if len(h.orders) >= most {
		return
	}
	o := h.request(h.customer())
	if o == nil {
		return
	}
	h.allocate(o)
	birth := h.model.Cursor(o.node.name).Number
	opened := o.opened
	opened.Address, opened.Birth = o.address.Lower(), &birth
	h.orders = append(h.orders, o)
	h.model.Open(opened)
	h.setDeadline(o)
}

// customer draws whose order the next one is; "" is nobody whom the merchant knows.
func (h *history) customer() string {
	if !h.known || !h.often("a customer's", 75) {
		return ""
	}
	return h.anyCustomer()
}

// more is how many orders there are from the beginning, beside the first.
func (h *history) more() int {
	if !h.known {
		return 0
	}
	return h.draw("more orders", 0, 3)
}

// paying draws what somebody pays for an order: what it still owes, a part of it, more, or what it asked for.
func (h *history) paying(o *asked) *big.Int {
	owed := h.model.Owed(string(o.id), "")
	switch h.draw("paying", 0, 4) {
	case 0:
		return o.due
	case 1:
		return new(big.Int).Div(new(big.Int).Add(o.due, big.NewInt(1)), big.NewInt(2))
	case 2:
		return owed.Add(owed, big.NewInt(int64(h.draw("surplus", 1, 300))))
	default:
		if owed.Sign() == 0 {
			return o.due
		}
		return owed
	}
}

// request makes an order that has no address yet. nil: its chain takes none.
func (h *history) request(customer string) *asked {
	n := h.node()
	o := &asked{node: n, customer: customer, token: h.draw("asset", -1, len(n.known)-1), due: big.NewInt(int64(h.draw("due", 100, 1000)))}
	for _, other := range h.orders {
		if customer != "" && other.customer == customer && h.often("of the same money", 50) {
			n, o.node, o.token = other.node, other.node, other.token
			break
		}
	}
	code := "ETH"
	if o.token >= 0 {
		code = fmt.Sprintf("T%d", o.token)
	}
	var wish payment.ConfirmationPolicy
	if h.often("wish", 20) {
		wish.Confirmations = n.confirmations + 1
	}
	claim, err := h.DB.CreateOrder(h.ctx, h.NewOrder(func(order *store.NewOrder) {
		order.Merchant, order.Chain, order.Asset, order.Amount, order.Wish = h.merchant, n.name, code, payment.AmountFromUint64(o.due.Uint64()), wish
		if customer != "" {
			order.CustomerID, order.AddressMode = customer, payment.AddressPerCustomer
		}
	}))
	if n.paused || h.model.Halted(n.name) || h.model.Cursor(n.name) == nil {
		require.Equal(h.rt, payment.CodeChainLagging, payment.CodeOf(err), "nobody would see its payment")
		return nil
	}
	h.must(err)
	o.id = claim.OrderID
	h.age++
	tolerance := new(big.Int).Mul(o.due, big.NewInt(int64(h.policy.tolerance)))
	tolerance.Div(tolerance, big.NewInt(10_000))
	o.opened = model.Order{
		ID: string(o.id), Customer: customer != "", Age: h.age, Asset: model.Asset{Chain: n.name}, Due: o.due,
		Fulfil: new(big.Int).Sub(o.due, tolerance), Dust: big.NewInt(dustBelow), Deadline: never, LateUntil: never,
		Confirmations: max(n.confirmations, wish.Confirmations), Hold: h.policy.hold, Late: string(h.policy.late),
	}
	if o.token >= 0 {
		o.opened.Asset.Token = n.tokens[o.token].Lower()
	}
	return o
}

// setDeadline gives an order a deadline of the chain's own time, which is long past: whoever looks at another clock sees them
// all expired.
func (h *history) setDeadline(o *asked) {
	deadline := o.node.head().Time + int64(h.draw("blocks to live", 0, 12)*blockTime) + blockTime/2
	lateUntil := deadline + int64(h.draw("late blocks", 0, 6)*blockTime)
	h.Exec(h.t, `UPDATE orders SET expires_at = $2, late_until = $3 WHERE id = $1`, o.id, time.Unix(deadline, 0), time.Unix(lateUntil, 0))
	h.model.SetDeadline(string(o.id), deadline, lateUntil)
}

// attempt gives an order its address, as a worker does: its customer's, derived once more, or a new one.
func (h *history) attempt(ctx context.Context, id payment.OrderID) (process.OrderView, error) {
	for {
		a, err := h.DB.BeginAllocation(ctx, id)
		if err != nil || a.Done != nil {
			return deref(a.Done), err
		}
		if a.Known != nil {
			return h.DB.ReuseAddress(ctx, id, made(string(a.Known.Wallet.ID), 0, uint64(a.Known.Index)))
		}
		index, err := h.issue(ctx, a.Wallet.ID)
		if err != nil {
			return process.OrderView{}, err
		}
		view, err := h.DB.FinishAllocation(ctx, id, a.Wallet.ID, index, made(string(a.Wallet.ID), 0, uint64(index)))
		if payment.CodeOf(err) != payment.CodeStale { // else the customer got an address meanwhile
			return view, err
		}
	}
}

// addressed takes note of an order's address. All orders of a customer have one.
func (h *history) addressed(o *asked, view process.OrderView) {
	address, err := payment.ParseAddress(payment.FamilyEVM, view.Address)
	h.must(err)
	o.address = address
	for _, other := range h.orders {
		same := o.customer != "" && other.customer == o.customer
		require.Equal(h.rt, same, other.address == address, "the addresses of %s and %s", o.id, other.id)
	}
}

const (
	factsOfAllocations = `SELECT p.chain, '0x' || encode(p.tx_hash, 'hex'), p.native, p.position, COALESCE(al.order_id, ''), COALESCE(al.amount::text, '')
		FROM allocations al JOIN payments p ON p.id = al.payment_id WHERE p.merchant_id = $1`
	factsOfBirths = `SELECT id, birth_block FROM orders WHERE merchant_id = $1`
)

// predictedOfCustomers is what payments to standing addresses should be for, and what should be told of deposits.
func predictedOfCustomers(m *model.Model) []string {
	var lines []string
	for id, o := range m.Orders() {
		lines = append(lines, fmt.Sprintf("order %s born %s", id, born(o.Birth)))
	}
	for key, p := range m.Payments() {
		if allocation := p.Allocation(); allocation != "" {
			lines = append(lines, fmt.Sprintf("payment %s: %s", key, allocation))
		}
		for i, e := range p.Events {
			lines = append(lines, fmt.Sprintf("payment %s event %02d: %s", key, i+1, e.Type))
		}
	}
	return lines
}

// askOfCustomers asks for the same of the database.
func (h *history) askOfCustomers(batch *pgx.Batch, lines *[]string) {
	h.ask(batch, factsOfAllocations, func(row pgx.Rows) error {
		var chain, tx, order, amount string
		var native bool
		var position int
		err := row.Scan(&chain, &tx, &native, &position, &order, &amount)
		allocation := "deposit"
		if order != "" {
			allocation = fmt.Sprintf("%s of it for %s", amount, order)
		}
		*lines = append(*lines, fmt.Sprintf("payment %s: %s", name(chain, tx, native, position), allocation))
		return err
	})
	h.ask(batch, factsOfBirths, func(row pgx.Rows) error {
		var id string
		var birth *uint64
		err := row.Scan(&id, &birth)
		*lines = append(*lines, fmt.Sprintf("order %s born %s", id, born(birth)))
		return err
	})
}

// countCustomers adds what a history that has ended had of customers.
func (h *history) countCustomers() {
	ofCustomer := map[string]int{}
	for _, o := range h.orders {
		if o.customer != "" {
			ofCustomer[o.customer]++
		}
	}
	for _, n := range ofCustomer {
		if n > 1 {
			h.tally.add("address shared", 1)
		}
	}
	for _, p := range h.model.Payments() {
		if p.Replaces {
			h.tally.add("place taken", 1)
		}
		for _, e := range p.Events {
			h.tally.add("event "+e.Type+" of a deposit", 1)
		}
		switch {
		case p.Status != "credited" || p.Allocation() == "":
		case p.Order == "" && p.Account != "dust":
			h.tally.add("deposit", 1)
		case p.Deposit() && p.Account != "dust":
			h.tally.add("surplus", 1)
		case p.Account != "dust":
			h.tally.add("allocated", 1)
		}
	}
}

// payer draws who signs a transaction: mostly the same.
func (h *history) payer() uint64 {
	if h.often("another payer", 25) {
		return 1
	}
	return 0
}

// spedUp has somebody sign the transaction again, perhaps, so that it pays more for being mined. Either one is mined in the new
// chain, or both, which are two payments then.
func (h *history) spedUp(tx *transaction, again *[]*transaction) bool {
	if !h.known || !h.often("sped up", 20) {
		return false
	}
	h.tally.add("sped up", 1)
	*again = append(*again, &transaction{payer: tx.payer, failed: tx.failed, effects: slices.Clone(tx.effects), calls: slices.Clone(tx.calls)})
	if h.often("both", 25) {
		*again = append(*again, tx)
	}
	return true
}
