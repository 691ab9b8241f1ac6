package model

import (
	"fmt"
	"math/big"
	"slices"
)

// MayCredit returns why a payment must not be credited now, "" when it may. head is the newest block that whoever was
// asked knows of, tagged the newest one with a tag, and canonical tells whether a block is in the chain up to there.
func (m *Model) MayCredit(key string, head uint64, tagged func(tag string) uint64, canonical func(block string) bool) string {
	p := m.payments[key]
	if p == nil {
		return "nobody has seen it"
	}
	in, c := p.last(), m.chains[p.chain]
	switch {
	case p.Status == credited:
		return "it is credited"
	case p.Status == dropped, !in.Canonical:
		return "its block is not in the recorded chain"
	case c.paused:
		return "the chain is paused"
	case c.halted:
		return "the chain is halted"
	case !canonical(in.Block):
		return "its block is not in the chain"
	case head < in.Number || head-in.Number+1 < m.needs(p):
		return fmt.Sprintf("%d confirmations are needed: block %d, head %d", m.needs(p), in.Number, head)
	case m.tag(p) != "" && tagged(m.tag(p)) < in.Number:
		return "its block is not " + m.tag(p)
	}
	return ""
}

// Shown is what a check of an inclusion has shown: so many confirmations, or more, a block with this tag above it, and whether
// two operators agreed.
type Shown struct {
	Confirmations uint64
	Tag           string
	Agreed        bool
}

// Creditable returns why the books must not take a credit of this inclusion in this block, "" when they may: what matters then is
// what is recorded.
func (m *Model) Creditable(key string, inclusion int, block string, shown Shown) string {
	p := m.payments[key]
	switch {
	case p.Status != detected && p.Status != parked:
		return "it is " + p.Status
	case inclusion != len(p.Inclusions), p.last().Block != block:
		return "it is elsewhere by now"
	case m.chains[p.chain].paused, m.chains[p.chain].halted:
		return "the chain is paused or halted"
	case shown.Confirmations < m.needs(p), tags[shown.Tag] < tags[m.tag(p)]:
		return "more is at stake by now"
	case !shown.Agreed && m.MustBeVouched(key):
		return "nobody else vouches for it"
	}
	return ""
}

// SetTier says that payments need more confirmations, and a tag, when at least so much of an asset is at stake.
func (m *Model) SetTier(a Asset, from *big.Int, confirmations uint64, tag string) {
	m.tiers[a] = append(slices.Clone(m.tiers[a]), tier{from, confirmations, tag})
}

// tags are what a chain calls its blocks, the higher the stronger.
var tags = map[string]int{"": 0, "safe": 1, "finalized": 2}

// SetTag says what the chain has to call a block, before a payment in it is credited.
func (m *Model) SetTag(name, tag string) { m.chains[name].tag = tag }

// tag is what the chain has to call a payment's block.
func (m *Model) tag(p *Payment) string {
	strongest, stake := m.chains[p.chain].tag, m.stake(p)
	for _, t := range m.tiers[p.last().Asset] {
		if t.from.Cmp(stake) <= 0 && tags[t.tag] > tags[strongest] {
			strongest = t.tag
		}
	}
	return strongest
}

// tier is a number of confirmations for large amounts.
type tier struct {
	from          *big.Int
	confirmations uint64
	tag           string
}

// needs is the number of confirmations that count: the order's own on its chain, and what the amount at stake asks for: one
// large sum in small pieces is a large sum.
func (m *Model) needs(p *Payment) uint64 {
	o, asset := m.orders[p.Order], p.last().Asset
	need := m.chains[p.chain].confirmations
	if o != nil && o.Asset.Chain == p.chain {
		need = max(need, o.Confirmations)
	}
	stake := m.stake(p)
	for _, t := range m.tiers[asset] {
		if t.from.Cmp(stake) <= 0 {
			need = max(need, t.confirmations)
		}
	}
	return need
}

// stake is what is due, or what all payments come to if that is more.
func (m *Model) stake(p *Payment) *big.Int {
	o, asset, stake := m.orders[p.Order], p.last().Asset, new(big.Int)
	for _, other := range m.payments {
		if o != nil && other.Order == p.Order && other.Status != dropped && other.last().Asset == asset {
			stake.Add(stake, other.last().Amount)
		}
	}
	if o != nil && o.Asset == asset && o.Due.Cmp(stake) > 0 {
		stake = o.Due
	}
	if deposits := m.inAnHour(p); deposits.Cmp(stake) > 0 {
		return deposits
	}
	return stake
}

// Credit takes note that a payment was credited.
func (m *Model) Credit(key string) {
	p := m.payments[key]
	o := m.orders[p.Order]
	if o == nil {
		m.creditDeposit(p)
		return
	}
	kind := m.kind(o, *p.last(), "")
	unasked := kind != "order" || p.first > o.Deadline || o.State == cancelled
	switch {
	case kind == "dust":
		p.Account = "dust"
	case o.Hold, unasked && o.Late == "hold":
		p.Account = "held"
	default:
		p.Account = "available"
	}
	p.Status, p.Credited = credited, len(p.Inclusions)
	over := o.State == cancelled
	m.confirmed(o, p, kind)
	m.reviewCredit(p, kind, over)
	if kind != "dust" {
		m.deposited(p, "deposit.credited")
	}
}

// confirmed: a payment was credited.
func (m *Model) confirmed(o *Order, p *Payment, kind string) {
	w := why{"confirmed", p, len(p.Inclusions), ""}
	switch kind {
	case "dust":
		if o.State == confirming {
			m.dropped(p, len(p.Inclusions), o.ID)
		}
		return
	case "asset":
		o.label("wrong_asset")
		m.tell(o, w, "payment.mismatched")
		return
	case "network":
		o.label("wrong_network")
		m.tell(o, w, "payment.mismatched")
		return
	}
	s := m.standing(o, p)
	switch {
	case o.State == cancelled:
		o.label("late")
		m.tell(o, w, "payment.late")
		if s.enough {
			o.unlabel("underpaid", "reversed")
		}
	case o.State == "paid":
		if s.enough {
			o.unlabel("reversed", "underpaid")
			m.tooMuch(o, s, w)
		}
	case s.fulfils:
		m.fulfil(o, s, w)
	case s.enough: // but only with money that is too late
		o.label("late")
		m.tell(o, w, "payment.late")
		o.unlabel("underpaid", "reversed")
		o.rest(s)
	default:
		if s.partlyLate || o.State == "expired" {
			o.label("late")
		}
		if !s.live {
			o.label("underpaid")
			m.tell(o, w, "order.underpaid")
		}
		o.rest(s)
	}
}

// rest puts an open order into the state that its payments on the way make.
func (o *Order) rest(s standing) {
	switch {
	case !o.open():
	case s.live:
		o.State = confirming
	default:
		o.State = awaiting
	}
}

// Balances are what each kind of account holds of each asset; custody by address as well.
func (m *Model) Balances() map[string]*big.Int {
	sums := map[string]*big.Int{}
	add := func(account string, a Asset, amount *big.Int) {
		key := account + " " + a.Chain + " " + a.Token
		if sums[key] == nil {
			sums[key] = new(big.Int)
		}
		sums[key].Add(sums[key], amount)
	}
	for _, p := range m.payments {
		if p.Status == credited {
			in := p.last()
			account := p.Account
			if p.Released {
				account = "available"
			}
			add(account, in.Asset, in.Amount)
			add("custody of "+in.To, in.Asset, new(big.Int).Neg(in.Amount))
		}
	}
	return sums
}
