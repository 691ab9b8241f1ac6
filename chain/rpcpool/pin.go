package rpcpool

import (
	"slices"

	"github.com/sluicepay/sluice/payment"
)

// pinned is how many blocks are remembered. Reads of a block follow each other within a moment; the rest is for
// reorganisations, whose blocks are read by hash from the top down.
const pinned = 512

// pins remember which endpoints have shown that they have a block: the parts of a block are asked from one of them, so
// that they fit together and that a node behind the same balancer's back, which lags, is not asked at all. They are
// guarded by the pool.
type pins struct {
	blocks map[payment.Hash]*pin
	order  []payment.Hash // oldest first
}

type pin struct {
	number  uint64
	parent  payment.Hash
	holders []*member // the one that answered last comes last
	said    map[*member]payment.BlockRef
}

// note remembers that a member has a block.
func (p *pins) note(ref payment.BlockRef, m *member) {
	if p.blocks == nil {
		p.blocks = map[payment.Hash]*pin{}
	}
	at := p.blocks[ref.Hash]
	if at == nil {
		if len(p.order) >= pinned {
			delete(p.blocks, p.order[0])
			p.order = slices.Delete(p.order, 0, 1)
		}
		at = &pin{said: map[*member]payment.BlockRef{}}
		p.blocks[ref.Hash] = at
		p.order = append(p.order, ref.Hash)
	}
	at.number, at.parent, at.said[m] = ref.Number, ref.Parent, ref
	at.holders = append(slices.DeleteFunc(at.holders, func(h *member) bool { return h == m }), m)
}

// holders lists who is known to have a block, the one that answered last at the end.
func (p *pins) holders(hash payment.Hash) []*member {
	if at := p.blocks[hash]; at != nil {
		return at.holders
	}
	return nil
}

// number is a block's height, when it is known.
func (p *pins) number(hash payment.Hash) (uint64, bool) {
	if at := p.blocks[hash]; at != nil {
		return at.number, true
	}
	return 0, false
}

// claims tells whether a member has shown a block whose parent this is.
func (p *pins) claims(parent payment.Hash, m *member) bool {
	for _, at := range p.blocks {
		if at.parent == parent && slices.Contains(at.holders, m) {
			return true
		}
	}
	return false
}

// drop forgets that a member has a block: it said otherwise.
func (p *pins) drop(hash payment.Hash, m *member) {
	if at := p.blocks[hash]; at != nil {
		at.holders = slices.DeleteFunc(at.holders, func(h *member) bool { return h == m })
		delete(at.said, m)
	}
}

// told is what each operator has said of a block.
func (p *pins) told(hash payment.Hash) map[string]payment.BlockRef {
	votes := map[string]payment.BlockRef{}
	if at := p.blocks[hash]; at != nil {
		for m, ref := range at.said {
			votes[m.Operator] = ref
		}
	}
	return votes
}

// hear remembers what a member says of a block that others have shown. Whoever is only asked about its time is not who it was read
// from, and stays the one who is asked first whether its payments count.
func (p *pins) hear(ref payment.BlockRef, m *member) {
	if at := p.blocks[ref.Hash]; at != nil {
		at.said[m] = ref
	}
}

// forget removes a member that left the pool.
func (p *pins) forget(m *member) {
	for hash := range p.blocks {
		p.drop(hash, m)
	}
}
