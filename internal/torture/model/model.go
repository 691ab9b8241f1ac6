package model

import (
	"cmp"
	"fmt"
	"maps"
	"math/big"
	"slices"
)

// What a payment is: dropped ones are in no block of the chain.
const (
	detected = "detected"
	credited = "credited"
	dropped  = "dropped"
)

// Model is what should be in the database.
type Model struct {
	chains    map[string]*chain
	dust      map[Asset]*big.Int // of every asset that was ever enabled
	tiers     map[Asset][]tier
	vouched   map[Asset]*big.Int // from which amount two operators have to agree
	orders    map[string]*Order
	byAddr    map[string]string // address to order
	customers map[string]bool   // their addresses
	hold      bool              // the merchant's money waits for a decision
	payments  map[string]*Payment
	// told are the events that were written, by what caused them: the same cause has no second effect.
	told map[string]bool
	// reviews are what persons are asked to look at, and done what they decided, by its request.
	reviews map[Subject]Review
	done    map[string]bool
	// Refuted counts the inclusions that operators contradicted, Moved those that they showed elsewhere.
	Refuted, Moved int
}

// chain is how far a chain is recorded.
type chain struct {
	confirmations uint64
	horizon       uint64
	recorded      []*Block        // the recorded chain, from its first block
	covered       map[string]seen // by token, "" for the coin
	byHash        map[string]seen // of those, what was read block by block and not in ranges only
	quarantined   map[uint64]Seen // given up on and not read since, with how they were seen
	paused        bool
	deep
	times
}

// seen are the numbers of blocks that were read.
type seen map[uint64]bool

// Payment is a transfer that was seen.
type Payment struct {
	Key        string
	Order      string
	Inclusions []Inclusion
	Status     string // detected, parked, credited, dropped
	Credited   int    // the inclusion that is credited, 0 for none
	Account    string // where it is credited to
	Released   bool   // from there, to what is available
	Reversals  int    // how often a credit was taken back
	first      int64  // block time of the first inclusion
	returnsBy  *uint64
	chain      string
	part       *part   // of one to a customer's address
	Replaces   bool    // it took the place of a missing one
	Events     []Event // that are about no order
}

// Inclusion is a payment's place in one block.
type Inclusion struct {
	Block     string
	Number    uint64
	Asset     Asset
	From, To  string
	Amount    *big.Int
	Canonical bool
	refuted   bool // several contradicted it
	place     place
}

// New makes an empty model.
func New() *Model {
	return &Model{
		chains: map[string]*chain{}, dust: map[Asset]*big.Int{}, tiers: map[Asset][]tier{}, vouched: map[Asset]*big.Int{}, orders: map[string]*Order{}, byAddr: map[string]string{},
		customers: map[string]bool{}, payments: map[string]*Payment{}, told: map[string]bool{}, reviews: map[Subject]Review{}, done: map[string]bool{},
	}
}

// Clone returns a copy that shares nothing that changes.
func (m *Model) Clone() *Model {
	c := New()
	c.Refuted, c.Moved = m.Refuted, m.Moved
	maps.Copy(c.dust, m.dust)
	maps.Copy(c.tiers, m.tiers)
	maps.Copy(c.vouched, m.vouched)
	maps.Copy(c.byAddr, m.byAddr)
	maps.Copy(c.told, m.told)
	maps.Copy(c.customers, m.customers)
	maps.Copy(c.reviews, m.reviews)
	maps.Copy(c.done, m.done)
	c.hold = m.hold
	for name, of := range m.chains {
		copied := *of
		copied.recorded = slices.Clone(of.recorded)
		copied.quarantined, copied.believed = maps.Clone(of.quarantined), maps.Clone(of.believed)
		copied.covered = map[string]seen{}
		for token, blocks := range of.covered {
			copied.covered[token] = maps.Clone(blocks)
		}
		copied.byHash = map[string]seen{}
		for token, blocks := range of.byHash {
			copied.byHash[token] = maps.Clone(blocks)
		}
		c.chains[name] = &copied
	}
	for id, order := range m.orders {
		copied := *order
		copied.Labels = maps.Clone(order.Labels)
		copied.Events = slices.Clone(order.Events)
		c.orders[id] = &copied
	}
	for key, p := range m.payments {
		copied := *p
		copied.Inclusions, copied.Events = slices.Clone(p.Inclusions), slices.Clone(p.Events)
		c.payments[key] = &copied
	}
	return c
}

// EnableChain adds a chain with its confirmation policy.
func (m *Model) EnableChain(name string, confirmations, horizon uint64) {
	m.chains[name] = &chain{
		confirmations: confirmations, horizon: horizon, covered: map[string]seen{}, byHash: map[string]seen{}, quarantined: map[uint64]Seen{},
		times: times{believed: map[string]int64{}},
	}
}

// EnableAsset says that an asset is looked for from now on, and what is dust of it.
func (m *Model) EnableAsset(a Asset, dustBelow *big.Int) { m.dust[a] = dustBelow }

// Pause stops crediting on a chain, or lets it go on.
func (m *Model) Pause(name string, on bool) { m.chains[name].paused = on }

// Cursor is the last recorded block of a chain, nil before the first.
func (m *Model) Cursor(name string) *Block {
	recorded := m.chains[name].recorded
	if len(recorded) == 0 {
		return nil
	}
	return recorded[len(recorded)-1]
}

// Recorded returns the recorded chain.
func (m *Model) Recorded(name string) []*Block { return m.chains[name].recorded }

// Payments returns the payments by key.
func (m *Model) Payments() map[string]*Payment { return m.payments }

// Orders returns the orders by id.
func (m *Model) Orders() map[string]*Order { return m.orders }

// Seen is how blocks were looked at.
type Seen struct {
	Native bool     // the coin was looked for
	Tokens []string // that were looked for
	Traced []bool   // which of the blocks were traced
	ByHash bool     // each block by itself, and not in a range
	// Told are the blocks as whoever was asked told of them, nil for the truth; shorter where all the rest is true.
	Told []*Block
	// Said is what was said of the blocks' times, at the time Now, in seconds.
	Said []Said
	Now  int64
	// Views are the same of each operator, when they were asked one by one.
	Views []Seen
}

// lookedFor tells whether transfers of a token, "" for the coin, were looked for.
func (s Seen) lookedFor(token string) bool {
	if token == "" {
		return s.Native
	}
	return slices.Contains(s.Tokens, token)
}

func (s Seen) told(i int) *Block {
	if i < len(s.Told) {
		return s.Told[i]
	}
	return nil
}

// Record takes note of blocks that were recorded in one transaction. before
// tells which of two payments comes first where time does not.
func (m *Model) Record(name string, blocks []*Block, how Seen, before func(a, b string) bool) error {
	c, last := m.chains[name], blocks[len(blocks)-1]
	cursor := m.Cursor(name)
	if cursor != nil && cursor.ID == last.ID {
		return nil // recorded already, and nobody knew
	}
	for _, b := range blocks {
		if cursor != nil && b.Parent != cursor.ID {
			return fmt.Errorf("block %d (%s) was recorded on top of %s, which is not its parent", b.Number, b.ID, cursor.ID)
		}
		cursor = b
	}
	for i, b := range blocks {
		c.believe(b, how, i)
	}
	c.recorded = append(c.recorded, blocks...)
	c.remembered = max(c.remembered, last.Number-min(last.Number, c.horizon))
	var over []*Payment
	for _, p := range m.payments {
		if p.chain == name && p.returnsBy != nil && *p.returnsBy < last.Number {
			over = append(over, p)
		}
	}
	slices.SortFunc(over, func(a, b *Payment) int {
		if before(a.Key, b.Key) {
			return -1
		}
		return 1
	})
	m.place(name, blocks, how, true)
	for _, p := range over {
		if p.returnsBy == nil || p.Status != dropped {
			continue // it returned
		}
		m.giveUp(p)
	}
	return nil
}

// giveUp waits for a payment no more.
func (m *Model) giveUp(p *Payment) {
	p.returnsBy = nil
	m.dropped(p, len(p.Inclusions), p.Order)
}

// Rescan takes note of recorded blocks that were read again.
func (m *Model) Rescan(name string, blocks []*Block, how Seen) error {
	c := m.chains[name]
	for _, b := range blocks {
		if i := b.Number - c.recorded[0].Number; i >= uint64(len(c.recorded)) || c.recorded[i].ID != b.ID {
			return fmt.Errorf("block %d (%s) was read again and is not the recorded one", b.Number, b.ID)
		}
		delete(c.quarantined, b.Number)
	}
	if !how.ByHash { // it agreed with what is recorded, as far as that is seen in ranges
		c.cover(blocks, how)
		return nil
	}
	for i, b := range blocks {
		m.refute(name, b, how, i)
	}
	m.place(name, blocks, how, false)
	return nil
}

// refute ends what two operators contradict in a block, unless it is credited.
func (m *Model) refute(name string, b *Block, how Seen, at int) {
	recorded := m.above(name, b.Number-1)
	slices.Reverse(recorded)
	for _, p := range recorded {
		in := p.last()
		if p.Status != detected && p.Status != parked || in.Block != b.ID {
			continue
		}
		if how.denied(name, b, at, transfer{key: p.Key, asset: in.Asset, to: in.To, amount: in.Amount, place: in.place}) {
			m.Refuted++
			m.drop(p, m.Cursor(name).Number, true)
		}
	}
}

// Quarantine takes note of a block that was passed over, as far as it was seen.
func (m *Model) Quarantine(name string, b *Block, how Seen, before func(a, b string) bool) error {
	if cursor := m.Cursor(name); cursor != nil && cursor.ID == b.ID {
		return nil
	}
	if err := m.Record(name, []*Block{b}, how, before); err != nil {
		return err
	}
	m.chains[name].quarantined[b.Number] = how
	return nil
}

// place puts the transfers of blocks on record, of new ones or of some that were recorded before.
func (m *Model) place(name string, blocks []*Block, how Seen, fresh bool) {
	c := m.chains[name]
	for i, b := range blocks {
		for _, t := range how.version(b, i).transfers(name, how.Traced[i]) {
			_, enabled := m.dust[t.asset]
			if enabled && m.Ours(t.to) && how.lookedFor(t.asset.Token) {
				if !how.denied(name, b, i, t) {
					m.include(name, b, t, c.firstSeen(b, how, i), fresh, how.vouched(name, b, i, t))
				}
			}
		}
	}
	c.cover(blocks, how)
}

// cover takes note of what was looked for in blocks.
func (c *chain) cover(blocks []*Block, how Seen) {
	for _, token := range append([]string{""}, how.Tokens...) {
		if c.covered[token] == nil {
			c.covered[token], c.byHash[token] = seen{}, seen{}
		}
		for _, b := range blocks {
			c.covered[token][b.Number] = true
			if how.ByHash {
				c.byHash[token][b.Number] = true
			}
		}
	}
}

// include gives a payment its place in a block.
func (m *Model) include(name string, b *Block, t transfer, seen int64, fresh, vouched bool) {
	in := Inclusion{Block: b.ID, Number: b.Number, Asset: t.asset, From: t.from, To: t.to, Amount: t.amount, Canonical: true, place: t.place}
	p := m.payments[t.key]
	if p == nil {
		p = &Payment{Key: t.key, chain: name, first: seen}
		m.payments[t.key] = p
	} else if p.Status != dropped {
		if last := p.last(); fresh || !vouched || last.Block == in.Block || p.Status == credited {
			return // the very same, read again; or one word against another
		}
		m.Moved++
		m.drop(p, m.Cursor(name).Number, true) // no chain has it twice, so what was told before was a lie
	} else if !vouched && p.lied(in) {
		return
	}
	if !p.mined() {
		p.first = seen
	}
	old := p.Order
	replaced := m.attribute(p, b, t)
	p.Inclusions = append(p.Inclusions, in)
	p.Status, p.returnsBy = detected, nil
	m.detected(p)
	if replaced != nil {
		p.Replaces = true
		m.giveUp(replaced)
	}
	if n := len(p.Inclusions); n > 1 && (old != p.Order || !m.counts(p)) {
		m.dropped(p, n-1, old) // whoever waited for it waits in vain
	}
}

// Rollback takes note that every block above a height was undone.
func (m *Model) Rollback(name string, to uint64) {
	c := m.chains[name]
	cursor := m.Cursor(name)
	if cursor == nil || cursor.Number <= to {
		return
	}
	for _, p := range m.above(name, to) {
		m.drop(p, cursor.Number, false)
	}
	for len(c.recorded) > 0 && c.recorded[len(c.recorded)-1].Number > to {
		b := c.recorded[len(c.recorded)-1]
		for token, blocks := range c.covered {
			delete(blocks, b.Number)
			delete(c.byHash[token], b.Number)
		}
		delete(c.quarantined, b.Number)
		c.recorded = c.recorded[:len(c.recorded)-1]
	}
	m.lowerBirths(name, to)
	m.undone(name, to)
}

// above lists the payments in blocks above a height in the order in which they are undone: the last block first, in it the last
// transaction, in that the last log, then its internal transfers from the last, and its value at the end.
func (m *Model) above(name string, to uint64) []*Payment {
	var above []*Payment
	for _, p := range m.payments {
		if p.chain == name && p.last().Canonical && p.last().Number > to {
			above = append(above, p)
		}
	}
	slices.SortFunc(above, func(a, b *Payment) int {
		return cmp.Or(cmp.Compare(b.last().Number, a.last().Number), slices.Compare(b.last().place[:], a.last().place[:]))
	})
	return above
}

func (p *Payment) last() *Inclusion { return &p.Inclusions[len(p.Inclusions)-1] }

// drop ends a payment's inclusion. What was credited of it is taken back.
func (m *Model) drop(p *Payment, cursor uint64, refuted bool) {
	wasCredited, account := p.Status == credited, p.Account
	p.last().Canonical, p.last().refuted = false, refuted
	p.Status, p.Credited, p.Account, p.Released = dropped, 0, "", false
	window := m.chains[p.chain].confirmations
	if o := m.orders[p.Order]; o != nil && o.Asset.Chain == p.chain {
		window = o.Confirmations
	}
	until := cursor + window
	p.returnsBy = &until
	if wasCredited {
		m.OpenReview(Subject{p.Key, len(p.Inclusions), "reversal"})
		p.Reversals++
		m.reversed(p, account)
	} else {
		m.dropped(p, len(p.Inclusions), p.Order)
	}
}
