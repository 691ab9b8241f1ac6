package model

import "math/big"

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
