package model

import (
	"math/big"
	"slices"
)

// SetVouched says that two operators have to agree about a payment when at least so much of an asset is at stake.
func (m *Model) SetVouched(a Asset, from *big.Int) { m.vouched[a] = from }

// MustBeVouched tells whether one operator's word is too little for what is at stake with a payment.
func (m *Model) MustBeVouched(key string) bool {
	p := m.payments[key]
	from := m.vouched[p.last().Asset]
	return from != nil && from.Cmp(m.stake(p)) <= 0
}

// True tells whether a payment is on record as it is in its block.
func (m *Model) True(key string, truth func(block string) *Block) bool {
	p := m.payments[key]
	b := truth(p.last().Block)
	if b == nil {
		return false
	}
	for _, t := range b.transfers(p.chain, true) {
		if t.key == key {
			return t.to == p.last().To && t.asset == p.last().Asset && t.amount.Cmp(p.last().Amount) == 0
		}
	}
	return false
}

// version is a block as it was told.
func (s Seen) version(b *Block, at int) *Block {
	if told := s.told(at); told != nil {
		return told
	}
	return b
}

// words counts who of several shows a transfer in a block, and who looked for it there and does not.
func (s Seen) words(name string, b *Block, at int, t transfer) (shown, denied int) {
	native, inside := t.asset.Token == "", t.place[1] == 0 && t.place[2] > 0
	for _, view := range s.Views {
		switch {
		case view.version(b, at).shows(name, t, view.Traced[at]):
			shown++
		case !native && slices.Contains(s.Tokens, t.asset.Token), native && (!inside || view.Traced[at]):
			denied++
		}
	}
	return shown, denied
}

// denied tells whether two contradict a transfer, and fewer do not.
func (s Seen) denied(name string, b *Block, at int, t transfer) bool {
	shown, denied := s.words(name, b, at, t)
	return denied > 1 && denied > shown
}

// vouched tells whether two show a transfer, and fewer do not.
func (s Seen) vouched(name string, b *Block, at int, t transfer) bool {
	shown, _ := s.words(name, b, at, t)
	return shown > 1 && 2*shown > len(s.Views)
}

func (b *Block) shows(name string, t transfer, traced bool) bool {
	return slices.ContainsFunc(b.transfers(name, traced), func(seen transfer) bool {
		return seen.key == t.key && seen.to == t.to && seen.asset == t.asset && seen.amount.Cmp(t.amount) == 0
	})
}

// lied tells whether just this was refuted of a payment before.
func (p *Payment) lied(in Inclusion) bool {
	return slices.ContainsFunc(p.Inclusions, func(was Inclusion) bool {
		return was.refuted && was.Block == in.Block && was.Asset == in.Asset && was.From == in.From && was.To == in.To && was.Amount.Cmp(in.Amount) == 0
	})
}

// mined tells whether one of a payment's places was true: the chain itself took it back.
func (p *Payment) mined() bool {
	return slices.ContainsFunc(p.Inclusions, func(was Inclusion) bool { return !was.Canonical && !was.refuted })
}
