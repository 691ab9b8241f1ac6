package model

import (
	"fmt"
	"maps"
	"math/big"
	"slices"
)

// States of an order; the first two are open.
const (
	awaiting   = "awaiting_payment"
	confirming = "confirming"
	cancelled  = "cancelled"
)

// Order is what a merchant asks for, and how it stands.
type Order struct {
	ID      string
	Address string
	// Customer: the address is the order's customer's, who may have several orders. Age tells which order is older.
	Customer bool
	Age      int
	Asset    Asset
	// Due is what is asked for, Fulfil what is enough, and less than Dust counts for nothing.
	Due, Fulfil, Dust *big.Int
	Deadline          int64   // seconds; money whose first block is later is late
	LateUntil         int64   // after this the order itself takes no late money
	Birth             *uint64 // the last recorded block when it got its address, nil before the first
	Confirmations     uint64
	Hold              bool   // the merchant's money waits for a decision
	Late              string // fulfil, credit_only or hold

	extended bool

	State  string
	Labels map[string]bool
	Events []Event
}

// Event is something a merchant is told.
type Event struct {
	Type    string
	Payment string // its key, "" when it is about none
}

// Open adds an order that has its address.
func (m *Model) Open(o Order) {
	o.State, o.Labels = awaiting, map[string]bool{}
	o.Events = []Event{{Type: "order.created"}}
	m.orders[o.ID] = &o
	if o.Customer {
		m.customers[o.Address] = true
	} else {
		m.byAddr[o.Address] = o.ID
	}
}

// LabelsOf lists the labels, sorted.
func (o *Order) LabelsOf() []string { return slices.Sorted(maps.Keys(o.Labels)) }

func (o *Order) open() bool { return o.State == awaiting || o.State == confirming }

func (o *Order) label(add ...string) {
	for _, l := range add {
		o.Labels[l] = true
	}
}

func (o *Order) unlabel(labels ...string) {
	for _, l := range labels {
		delete(o.Labels, l)
	}
}

// why is what moves an order: something about a payment's inclusion, or somebody's wish.
type why struct {
	trigger   string
	payment   *Payment
	inclusion int
	request   string
}

// tell writes an event, once for its cause.
func (m *Model) tell(o *Order, w why, event string) {
	key, about := o.ID+"/"+w.trigger+"/"+w.request+"/"+event, ""
	if w.payment != nil {
		about = w.payment.Key
		key = fmt.Sprintf("%s/%d/%s/%s", about, w.inclusion, w.trigger, event)
	}
	if !m.told[key] {
		m.told[key] = true
		o.Events = append(o.Events, Event{event, about})
	}
}

// kind says what a payment is to its order: order, asset, network or dust.
func (m *Model) kind(o *Order, in Inclusion, account string) string {
	least := m.dust[in.Asset]
	if in.Asset == o.Asset {
		least = o.Dust
	}
	switch {
	case account == "dust", account == "" && in.Amount.Cmp(least) < 0:
		return "dust"
	case in.Asset == o.Asset:
		return "order"
	case in.Asset.Chain == o.Asset.Chain:
		return "asset"
	default:
		return "network"
	}
}

// counts tells whether a payment is money that its order asked for.
func (m *Model) counts(p *Payment) bool {
	o := m.orders[p.Order]
	return o != nil && m.kind(o, *p.last(), p.Account) == "order"
}

// money is what an order has: everything that counts, the part that came in time, and how many payments may still count.
func (m *Model) money(o *Order) (sum, inTime *big.Int, live, awaited int) {
	sum, inTime = new(big.Int), new(big.Int)
	for _, p := range m.payments {
		if p.Order != o.ID || !m.counts(p) {
			continue
		}
		switch {
		case p.Status == credited:
			sum.Add(sum, p.share())
			if p.first <= o.Deadline {
				inTime.Add(inTime, p.share())
			}
		case p.Status == detected, p.Status == parked, p.returnsBy != nil:
			live++
			if p.first <= o.Deadline {
				awaited++
			}
		}
	}
	return sum, inTime, live, awaited
}

// standing is what the money amounts to.
type standing struct {
	none, enough     bool // nothing; at least what is enough
	fulfils, late    bool // it fulfils the order; and does so with late money
	over, partlyLate bool
	live, awaited    bool // something is on its way; and came in time
}

func (m *Model) standing(o *Order, about *Payment) standing {
	sum, inTime, live, awaited := m.money(o)
	takesLate := o.Late == "fulfil"
	if about != nil && about.first > o.LateUntil {
		takesLate = false
	}
	s := standing{
		none: sum.Sign() == 0, enough: sum.Cmp(o.Fulfil) >= 0, over: sum.Cmp(o.Due) > 0,
		partlyLate: inTime.Cmp(sum) < 0, live: live > 0, awaited: awaited > 0,
	}
	onTime := inTime.Cmp(o.Fulfil) >= 0
	s.fulfils = s.enough && (onTime || takesLate)
	s.late = s.fulfils && !onTime
	return s
}

// fulfil makes the order paid.
func (m *Model) fulfil(o *Order, s standing, w why) {
	o.State = "paid"
	o.unlabel("underpaid", "reversed", "late")
	event := "order.paid"
	if s.late {
		o.label("late")
		event = "order.paid_late"
	}
	m.tell(o, w, event)
	m.tooMuch(o, s, w)
}

func (m *Model) tooMuch(o *Order, s standing, w why) {
	if s.over {
		o.label("overpaid")
		m.tell(o, w, "order.overpaid")
	}
}

// detected: a payment is in a block.
func (m *Model) detected(p *Payment) {
	o := m.orders[p.Order]
	if !m.counts(p) {
		return
	}
	if o.open() {
		o.State = confirming
	}
	m.tell(o, why{"detected", p, len(p.Inclusions), ""}, "order.payment_detected")
}

// dropped: an inclusion that an order waited for is waited for no more.
func (m *Model) dropped(p *Payment, inclusion int, order string) {
	o := m.orders[order]
	if o == nil || !o.open() {
		return
	}
	s := m.standing(o, p)
	w := why{"dropped", p, inclusion, ""}
	switch {
	case s.live:
		o.State = confirming
	case o.State == awaiting:
	case s.fulfils:
		m.fulfil(o, s, w)
	default:
		o.State = awaiting
		if !s.none && !s.enough {
			o.label("underpaid")
			m.tell(o, w, "order.underpaid")
		}
	}
}

// reversed: a credited payment left the chain.
func (m *Model) reversed(p *Payment, account string) {
	o := m.orders[p.Order]
	if o == nil {
		if account != "dust" {
			m.deposited(p, "payment.reversed")
		}
		return
	}
	w := why{"reversed", p, len(p.Inclusions), ""}
	defer m.tell(o, w, "payment.reversed")
	if m.kind(o, *p.last(), account) != "order" {
		return
	}
	s := m.standing(o, nil)
	if o.State == "paid" {
		if !s.over {
			o.unlabel("overpaid")
		}
		if !s.enough {
			o.label("reversed")
		}
		return
	}
	if o.open() {
		o.State = awaiting
		if s.live {
			o.State = confirming
		}
	}
	if s.enough {
		return
	}
	o.label("reversed")
	if s.none {
		o.unlabel("underpaid")
	} else {
		o.label("underpaid")
	}
}
