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
// next, once around. A node that answers and has fallen behind is left too: one that has seen no new block for the pool's
// patience, or that lacks a block that is asked about. A node is asked which chain it is on before it is used, and again after it failed: two nodes of
// different chains behind one name would look like a reorganisation without end.
type pool struct {
	now func() time.Time

	refreshing sync.Mutex
	read       time.Time

	mu      sync.Mutex
	want    chain.Identity
	members []*member
	current int
	// patience is how long a node may tell of the same newest block while there is another node.
	patience time.Duration
}

type member struct {
	node

	id [32]byte
	// known: it is on the wanted chain, as far as it said. Guarded by the pool.
	known bool
	// head is the newest block that it told of, and risen when that was news. Guarded by the pool.
	head  uint64
	risen time.Time
}

// minPatience is the least patience: on a fast chain ten block times are a hiccup.
const minPatience = 30 * time.Second

// errBehind makes ask go on to the next node although this one answered.
var errBehind = errors.New("the node has fallen behind")

// frozen notes what a node told of the chain's head. It tells whether the node stands still and another one could do better;
// a node that stays in use, because the others do no better, gets its time again.
func (p *pool) frozen(m *member, head uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := p.now()
	if head > m.head || m.risen.IsZero() {
		m.head, m.risen = head, now
		return false
	}
	if len(p.members) < 2 || now.Sub(m.risen) < p.patience {
		return false
	}
	m.risen = now
	return true
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
func (p *pool) set(want chain.Identity, patience time.Duration, members []*member) {
	p.mu.Lock()
	old := p.members
	var used *member
	if len(old) > 0 {
		used = old[p.current%len(old)]
	}
	p.want, p.members, p.current, p.patience = want, members, 0, max(patience, minPatience)
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
func ask[R any](ctx context.Context, p *pool, question func(*member) (R, error)) (R, error) {
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
	if errors.Is(err, errBehind) {
		return true
	}
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
	return ask(ctx, p, func(n *member) (chain.Identity, error) { return n.Identity(ctx) })
}

// Head implements chain.Source. When no node does better, the highest head of those that stand still is the answer.
func (p *pool) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	var old *payment.BlockRef
	head, err := ask(ctx, p, func(m *member) (payment.BlockRef, error) {
		head, err := m.Head(ctx, tag)
		if err == nil && tag == payment.TagNone && p.frozen(m, head.Number) {
			if old == nil || old.Number < head.Number {
				old = &head
			}
			return head, errBehind
		}
		return head, err
	})
	if err != nil && old != nil {
		return *old, nil
	}
	return head, err
}

// HeaderByNumber implements chain.Source.
func (p *pool) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	return ask(ctx, p, func(n *member) (payment.BlockRef, error) { return n.HeaderByNumber(ctx, number) })
}

// HeaderByHash implements chain.Source.
func (p *pool) HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error) {
	return ask(ctx, p, func(n *member) (payment.BlockRef, error) { return n.HeaderByHash(ctx, hash) })
}

// BlockByHash implements chain.Source.
func (p *pool) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	return ask(ctx, p, func(n *member) (chain.Block, error) { return n.BlockByHash(ctx, hash, filter) })
}

// Range implements chain.Source.
func (p *pool) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	return ask(ctx, p, func(n *member) ([]chain.Block, error) { return n.Range(ctx, from, to, filter) })
}

// Resolve implements chain.Source.
func (p *pool) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	return ask(ctx, p, func(n *member) ([]chain.Candidate, error) { return n.Resolve(ctx, block, candidates) })
}

// CheckInclusion implements chain.Verifier. NodeBehind means that no node has the block.
func (p *pool) CheckInclusion(ctx context.Context, inclusion chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	var behind *chain.Check
	check, err := ask(ctx, p, func(m *member) (chain.Check, error) {
		check, err := m.CheckInclusion(ctx, inclusion, demand)
		if err == nil && check.Outcome == chain.NodeBehind && p.size() > 1 {
			behind = &check
			return check, errBehind
		}
		return check, err
	})
	if err != nil && behind != nil {
		return *behind, nil
	}
	return check, err
}

// SubscribeHeads implements chain.Source, by the node that is in use now.
func (p *pool) SubscribeHeads(ctx context.Context) <-chan struct{} {
	if m, _, _, _ := p.pick(); m != nil {
		return m.SubscribeHeads(ctx)
	}
	return nil
}
