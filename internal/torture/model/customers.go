package model

import (
	"cmp"
	"fmt"
	"math/big"
	"slices"
)

// part is for which of his customer's orders a payment to a standing address is. It is decided when the payment is first
// recorded, and kept when it is mined again.
type part struct {
	address string
	asset   Asset
	order   string   // "" for none: all of it is a deposit
	amount  *big.Int // how much of the payment counts for the order
}

// hour is how close to each other deposits are one sum, in seconds.
const hour = 3600

// Hold says that the merchant's money waits for a decision, also where it is for no order.
func (m *Model) Hold() { m.hold = true }

// Ours tells whether an address was ever given out.
func (m *Model) Ours(address string) bool {
	_, own := m.byAddr[address]
	return own || m.customers[address]
}

// attribute says whose money a payment is that is in this block now. What it was before is still on it. It returns the
// missing payment whose place this one takes, if it takes one.
func (m *Model) attribute(p *Payment, b *Block, t transfer) (replaced *Payment) {
	if order, own := m.byAddr[t.to]; own {
		p.Order, p.part = order, nil
		return nil
	}
	if m.keeps(p, t) {
		if p.part.order != "" {
			p.part = &part{t.to, t.asset, p.part.order, least(p.part.amount, t.amount)}
		}
		return nil
	}
	if missing := m.replaces(p, b, t); missing != nil {
		p.part = missing.part
		p.Order = p.part.order
		return missing
	}
	p.part = &part{address: t.to, asset: t.asset}
	if o := m.choose(p, b, t); o != nil {
		p.part.order, p.part.amount = o.ID, least(m.Owed(o.ID, p.Key), t.amount)
	}
	p.Order = p.part.order
	return nil
}

// replaces finds the missing payment that this one was signed in the stead of: as much of the same from the same sender to the
// same address, and waited for. Of several, that which was first in the chain.
func (m *Model) replaces(p *Payment, b *Block, t transfer) *Payment {
	var first *Payment
	for _, other := range m.payments {
		if other == p || other.Status != dropped || other.returnsBy == nil || other.last().refuted || other.part == nil || other.part.order == "" {
			continue
		}
		was := other.last()
		if was.Asset != t.asset || was.From != t.from || was.To != t.to || was.Amount.Cmp(t.amount) != 0 {
			continue
		}
		o := m.orders[other.part.order]
		owed := new(big.Int).Add(m.Owed(o.ID, p.Key), other.part.amount)
		switch {
		case o.State == cancelled, o.Birth != nil && *o.Birth >= b.Number, p.first > o.LateUntil, owed.Cmp(other.part.amount) < 0:
		case first == nil, was.before(first.last()):
			first = other
		}
	}
	return first
}

// before tells which of two places of a chain comes first.
func (in *Inclusion) before(other *Inclusion) bool {
	return cmp.Or(cmp.Compare(in.Number, other.Number), slices.Compare(in.place[:], other.place[:])) < 0
}

// keeps tells whether a payment that is mined again keeps its place: the same money at the same address does, while it is
// waited for and as long as nobody took the place after that.
func (m *Model) keeps(p *Payment, t transfer) bool {
	was := p.part
	switch {
	case was == nil, p.last().refuted, was.address != t.to, was.asset != t.asset:
		return false
	case was.order == "":
		return true
	}
	o := m.orders[was.order]
	switch {
	case t.amount.Cmp(o.Dust) < 0:
		return false
	case p.returnsBy != nil:
		return true
	default:
		return o.State != cancelled && m.Owed(o.ID, p.Key).Cmp(least(was.amount, t.amount)) >= 0
	}
}

// choose finds the order that a payment is for: one that owes exactly this, else the oldest.
func (m *Model) choose(p *Payment, b *Block, t transfer) *Order {
	var takers []*Order
	for _, o := range m.orders {
		switch {
		case !o.Customer, o.Address != t.to, o.Asset != t.asset:
		case !o.open() && o.State != "expired":
		case o.Birth != nil && *o.Birth >= b.Number, p.first > o.LateUntil:
		case t.amount.Cmp(o.Dust) < 0, m.Owed(o.ID, p.Key).Sign() == 0:
		default:
			takers = append(takers, o)
		}
	}
	slices.SortFunc(takers, func(a, b *Order) int { return cmp.Compare(a.Age, b.Age) })
	for _, o := range takers {
		if m.Owed(o.ID, p.Key).Cmp(t.amount) == 0 {
			return o
		}
	}
	if len(takers) == 0 {
		return nil
	}
	return takers[0]
}

// Owed is what an order asks for beyond what is meant for it already, leaving out one payment.
func (m *Model) Owed(id, except string) *big.Int {
	owed := new(big.Int).Set(m.orders[id].Due)
	for _, p := range m.payments {
		if p.Key != except && p.part != nil && p.part.order == id && (p.Status != dropped || p.returnsBy != nil && !p.last().refuted) {
			owed.Sub(owed, p.part.amount)
		}
	}
	if owed.Sign() < 0 {
		return new(big.Int)
	}
	return owed
}

func least(a, b *big.Int) *big.Int {
	if a.Cmp(b) < 0 {
		return a
	}
	return b
}

// share is how much of a payment is for its order.
func (p *Payment) share() *big.Int {
	switch {
	case p.part == nil:
		return p.last().Amount
	case p.part.order == "":
		return new(big.Int)
	default:
		return p.part.amount
	}
}

// rest is how much of a payment to a standing address is for no order.
func (p *Payment) rest() *big.Int {
	if p.part == nil {
		return new(big.Int)
	}
	return new(big.Int).Sub(p.last().Amount, p.share())
}

// Deposit tells whether a part of the payment, or all of it, is for no order.
func (p *Payment) Deposit() bool { return p.rest().Sign() > 0 }

// Allocation says for which order a payment to a standing address is, and how much of it; "" for money to an order's own.
func (p *Payment) Allocation() string {
	switch {
	case p.part == nil:
		return ""
	case p.part.order == "":
		return "deposit"
	default:
		return fmt.Sprintf("%s of it for %s", p.part.amount, p.part.order)
	}
}

// inAnHour is what a customer deposits around the time of a payment of which something is a deposit.
func (m *Model) inAnHour(p *Payment) *big.Int {
	sum := new(big.Int)
	if !p.Deposit() {
		return sum
	}
	for _, other := range m.payments {
		apart := other.first - p.first
		if other.Status != dropped && other.part != nil && other.part.address == p.part.address && other.last().Asset == p.last().Asset &&
			apart <= hour && apart >= -hour {
			sum.Add(sum, other.rest())
		}
	}
	return sum
}

// deposited: a payment was credited, or taken back, and the part that is for no order is told of. What is
// taken back of an order's payment is that order's own event.
func (m *Model) deposited(p *Payment, event string) {
	key := fmt.Sprintf("%s/%d/%s", p.Key, len(p.Inclusions), event)
	if !p.Deposit() || m.told[key] {
		return
	}
	m.told[key] = true
	if o := m.orders[p.Order]; o != nil {
		o.Events = append(o.Events, Event{event, p.Key})
		return
	}
	p.Events = append(p.Events, Event{event, p.Key})
}

// lowerBirths puts the births of orders back: what was paid for them may be mined again below the block that was the last one
// when they got their address.
func (m *Model) lowerBirths(name string, to uint64) {
	for _, o := range m.orders {
		if o.Asset.Chain == name && o.Birth != nil && *o.Birth > to {
			o.Birth = &to
		}
	}
}

// SetDeadline says until when an order's money is in time, and until when the order itself takes late money.
func (m *Model) SetDeadline(id string, deadline, lateUntil int64) {
	m.orders[id].Deadline, m.orders[id].LateUntil = deadline, lateUntil
}

// creditDeposit credits a payment that is for no order: it is late for nothing.
func (m *Model) creditDeposit(p *Payment) {
	p.Status, p.Credited = credited, len(p.Inclusions)
	switch {
	case p.last().Amount.Cmp(m.dust[p.last().Asset]) < 0:
		p.Account = "dust"
		m.reviewCredit(p, "dust", false)
		return
	case m.hold:
		p.Account = "held"
	default:
		p.Account = "available"
	}
	m.deposited(p, "deposit.credited")
	m.reviewCredit(p, "deposit", false)
}
