package torture_test

import (
	"errors"
	"fmt"
	"sync"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// openAtOnce opens two orders of one customer at once, each by two workers that both believe it is theirs to do, while
// payments to the customer are recorded. An order is either there when a block is recorded, and may take its payments, or
// younger than it.
func (h *history) openAtOnce() {
	if !h.known || len(h.orders)+2 > mostOfCustomers {
		return
	}
	customer := h.anyCustomer()
	var orders []*asked
	for range 2 {
		if o := h.request(customer); o != nil {
			orders = append(orders, o)
		}
	}
	if len(orders) == 0 {
		return
	}
	n := orders[0].node
	if h.often("reorganised meanwhile", 40) {
		h.reorganise(n, 1)
	}
	for _, other := range h.orders {
		if other.customer == customer { // there is an address to be paid at
			h.payAll(n, orders, other.address)
			break
		}
	}
	var rivals []rival
	for _, o := range orders {
		rivals = append(rivals, h.opening(o))
	}
	h.tally.add("opened at once", len(orders))
	h.compete(n, rivals)
	for _, o := range orders {
		require.Equal(h.rt, orders[0].address, o.address, "one customer, one address")
		h.orders = append(h.orders, o)
		h.setDeadline(o)
	}
}

// anyCustomer draws one.
func (h *history) anyCustomer() string {
	if h.often("another customer", 25) {
		return "bob"
	}
	return "ann"
}

// payAll pays orders at the address that they are going to have, in blocks of a chain.
func (h *history) payAll(n *node, orders []*asked, to payment.Address) {
	for _, o := range orders {
		e := effect{native: o.token < 0, token: max(o.token, 0), to: to, amount: o.due}
		n.mine([]*transaction{{effects: []effect{e}, payer: h.payer()}})
	}
}

// opening gives an order its address.
func (h *history) opening(o *asked) rival {
	const workers = 2
	var views [workers]process.OrderView
	var errs [workers]error
	return rival{
		name: "open",
		do: func() {
			var all sync.WaitGroup
			for i := range workers {
				all.Go(func() { views[i], errs[i] = h.attempt(h.ctx, o.id) })
			}
			all.Wait()
		},
		came: func() step {
			h.must(errors.Join(errs[:]...))
			for _, view := range views {
				h.addressed(o, view)
			}
			return func(m *model.Model) error {
				opened := o.opened
				opened.Address = o.address.Lower()
				if cursor := m.Cursor(o.node.name); cursor != nil {
					opened.Birth = &cursor.Number
				}
				m.Open(opened)
				return nil
			}
		},
	}
}

// compete has rivals act while a chain is recorded, and finds an order of events that explains what came of it.
func (h *history) compete(n *node, rivals []rival) {
	h.racing, h.steps = true, nil
	var all sync.WaitGroup
	for _, r := range rivals {
		all.Go(r.do)
	}
	h.scan(n, scanFault{steps: h.draw("steps", 2, 8)})
	all.Wait()
	h.racing = false
	h.explain(rivals)
}

// born says after which block an order was opened.
func born(birth *uint64) string {
	if birth == nil {
		return "before any block"
	}
	return fmt.Sprintf("after %d", *birth)
}
