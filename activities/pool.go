package activities

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// pool is the nodes of one chain as one source. A call goes to the node that answered last; when that one fails, to the
// next, once around. A node is asked which chain it is on before it is used, and again after it failed: two nodes of
// different chains behind one name would look like a reorganisation without end.
type pool struct {
	refreshing sync.Mutex
	read       time.Time

	mu      sync.Mutex
	want    chain.Identity
	members []*member
	current int
}

type member struct {
	node

	id [32]byte
	// known: it is on the wanted chain, as far as it said. Guarded by the pool.
	known bool
}

func (p *pool) size() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.members)
}

func (p *pool) member(id [32]byte) *member {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, m := range p.members {
		if m.id == id {
			return m
		}
	}
	return nil
}

// set replaces the members, and closes those that are gone. The one in use stays in use.
func (p *pool) set(want chain.Identity, members []*member) {
	p.mu.Lock()
	old := p.members
	var used *member
	if len(old) > 0 {
		used = old[p.current%len(old)]
	}
	p.want, p.members, p.current = want, members, 0
	kept := make(map[*member]bool, len(members))
	for i, m := range members {
		kept[m] = true
		if m == used {
			p.current = i
		}
	}
	p.mu.Unlock()
	for _, m := range old {
		if !kept[m] {
			m.Close()
		}
	}
}

// pick returns the node in use and how many there are.
func (p *pool) pick() (m *member, known bool, want chain.Identity, size int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.members) == 0 {
		return nil, false, p.want, 0
	}
	p.current %= len(p.members)
	m = p.members[p.current]
	return m, m.known, p.want, len(p.members)
}

// leave goes on to the next node, unless another call did so already.
func (p *pool) leave(failed *member) {
	p.mu.Lock()
	defer p.mu.Unlock()
	failed.known = false
	if len(p.members) > 0 && p.members[p.current%len(p.members)] == failed {
		p.current++
	}
}

// ask tries the nodes once around, until one answers, or fails in a way that is the question's.
func ask[R any](ctx context.Context, p *pool, question func(node) (R, error)) (R, error) {
	var none R
	last := fmt.Errorf("%w: no node", chain.ErrUnavailable)
	for tried := 0; ; tried++ {
		m, known, want, size := p.pick()
		if m == nil || tried >= size {
			return none, last
		}
		answer, err := none, error(nil)
		if !known {
			err = p.identify(ctx, m, want)
		}
		if err == nil {
			answer, err = question(m)
		}
		if err == nil || ctx.Err() != nil || !fault(err) {
			return answer, err
		}
		last = err
		p.leave(m)
	}
}

// identify makes sure that a node is on the wanted chain.
func (p *pool) identify(ctx context.Context, m *member, want chain.Identity) error {
	got, err := m.Identity(ctx)
	if err != nil {
		return err
	}
	if got.ChainID != want.ChainID || !want.Genesis.IsZero() && got.Genesis != want.Genesis {
		return fmt.Errorf("%w: chain id %d instead of %d, or another genesis", chain.ErrWrongChain, got.ChainID, want.ChainID)
	}
	p.mu.Lock()
	m.known = true
	p.mu.Unlock()
	return nil
}

// fault tells whether an error is the node's own, so that another node may do better.
func fault(err error) bool {
	for _, reason := range []chain.ReasonError{
		chain.ErrUnavailable, chain.ErrTimeout, chain.ErrRateLimited, chain.ErrUnsupported, chain.ErrInconsistent, chain.ErrMalformed,
		chain.ErrTooLarge, chain.ErrWrongChain, chain.ErrReceiptMissing,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}

// Identity implements chain.Source.
func (p *pool) Identity(ctx context.Context) (chain.Identity, error) {
	return ask(ctx, p, func(n node) (chain.Identity, error) { return n.Identity(ctx) })
}

// Head implements chain.Source.
func (p *pool) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	return ask(ctx, p, func(n node) (payment.BlockRef, error) { return n.Head(ctx, tag) })
}

// HeaderByNumber implements chain.Source.
func (p *pool) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	return ask(ctx, p, func(n node) (payment.BlockRef, error) { return n.HeaderByNumber(ctx, number) })
}

// HeaderByHash implements chain.Source.
func (p *pool) HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error) {
	return ask(ctx, p, func(n node) (payment.BlockRef, error) { return n.HeaderByHash(ctx, hash) })
}

// BlockByHash implements chain.Source.
func (p *pool) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	return ask(ctx, p, func(n node) (chain.Block, error) { return n.BlockByHash(ctx, hash, filter) })
}

// Range implements chain.Source.
func (p *pool) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	return ask(ctx, p, func(n node) ([]chain.Block, error) { return n.Range(ctx, from, to, filter) })
}

// Resolve implements chain.Source.
func (p *pool) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	return ask(ctx, p, func(n node) ([]chain.Candidate, error) { return n.Resolve(ctx, block, candidates) })
}

// CheckInclusion implements chain.Verifier.
func (p *pool) CheckInclusion(ctx context.Context, inclusion chain.Inclusion, needed payment.Tag) (chain.Check, error) {
	return ask(ctx, p, func(n node) (chain.Check, error) { return n.CheckInclusion(ctx, inclusion, needed) })
}

// SubscribeHeads implements chain.Source, by the node that is in use now.
func (p *pool) SubscribeHeads(ctx context.Context) <-chan struct{} {
	if m, _, _, _ := p.pick(); m != nil {
		return m.SubscribeHeads(ctx)
	}
	return nil
}
