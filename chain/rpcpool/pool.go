package rpcpool

import (
	"cmp"
	"context"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var (
	_ chain.Source      = (*Pool)(nil)
	_ chain.Verifier    = (*Pool)(nil)
	_ chain.TokenReader = (*Pool)(nil)
	_ chain.Witnesser   = (*Pool)(nil)
	_ chain.Timekeeper  = (*Pool)(nil)
)

// Options adjust a pool. Only Chain is needed; the rest is for tests.
type Options struct {
	Chain string // its name, for logs and Stats
	Log   *slog.Logger
	// Now and Wait are the time.
	Now  func() time.Time
	Wait func(ctx context.Context, d time.Duration) error
	// Draw returns a number in [0, n).
	Draw func(n int64) int64
	// Grace is how long the other endpoints may take to tell of their head after the first one did. Default 3 s: whoever needs
	// longer is taken for one that does not answer.
	Grace time.Duration
}

// Config is what the endpoints have in common.
type Config struct {
	// Identity is the chain that they are meant to be on. A zero Genesis takes that of the first one that shows any.
	Identity chain.Identity
	// Known are blocks of that chain, those first that nodes are likeliest to have: by them a node is recognized that does
	// not show block 0.
	Known     []payment.BlockRef
	BlockTime time.Duration
}

// Pool is the endpoints of one chain as one source. It is safe for concurrent use, also while its members change.
type Pool struct {
	*core

	only string // ask this operator and no other, if set
}

// core is what a Pool, its Second and its Witnesses share.
type core struct {
	opts Options

	mu       sync.Mutex
	config   Config
	limits   limits
	genesis  payment.Hash // as an endpoint told; zero: not known
	members  []*member
	primary  *member   // nil: to be drawn
	since    time.Time // when the primary was drawn
	pins     pins
	trusted  Trusted
	agreed   uint64 // the highest head that two operators stood by
	disputes uint64
	probing  bool // in the background
	probes   sync.WaitGroup
	ended    bool
	closed   chan struct{}
}

// New makes a pool without members: Set them. Close it.
func New(opts Options) *Pool {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	opts.Log = opts.Log.With("chain", opts.Chain)
	if opts.Now == nil {
		opts.Now = time.Now
	}
	if opts.Wait == nil {
		opts.Wait = wait
	}
	if opts.Draw == nil {
		opts.Draw = rand.Int64N
	}
	if opts.Grace <= 0 {
		opts.Grace = 3 * time.Second
	}
	return &Pool{core: &core{opts: opts, limits: limitsFor(0), closed: make(chan struct{})}}
}

func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func (c *core) now() time.Time { return c.opts.Now() }

// Witnesses implements chain.Witnesser.
func (p *Pool) Witnesses() []chain.Witness {
	p.mu.Lock()
	defer p.mu.Unlock()
	now, q := p.now(), question{}
	if p.primary != nil {
		q.avoid = p.primary.Operator
	}
	speaks := map[string]int{} // what speaks against asking an operator: against the best of its endpoints
	for _, m := range p.members {
		against := p.objections(m, q, now)
		if ok, _, _ := m.admits(now); !ok {
			against += 2 * onTrial
		}
		if least, ok := speaks[m.Operator]; !ok || against < least {
			speaks[m.Operator] = against
		}
	}
	operators := slices.SortedFunc(maps.Keys(speaks), func(a, b string) int {
		return cmp.Or(cmp.Compare(speaks[a], speaks[b]), cmp.Compare(a, b))
	})
	witnesses := make([]chain.Witness, len(operators))
	for i, operator := range operators {
		witnesses[i] = chain.Witness{Operator: operator, Source: &Pool{core: p.core, only: operator}}
	}
	return witnesses
}

// Size is the number of endpoints.
func (c *core) Size() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.members)
}

// Has tells whether there is a member with this key: its endpoint need not be opened again.
func (c *core) Has(key [32]byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.ContainsFunc(c.members, func(m *member) bool { return m.Key == key })
}

// Set replaces the members. One that is there already, by its key, stays with all that was learnt about it, and its
// Endpoint may be nil then; another one than it had is closed. Those that are gone are closed.
func (c *core) Set(config Config, members []Member) {
	c.mu.Lock()
	if config.Identity != c.config.Identity {
		for _, m := range c.members {
			m.known = time.Time{} // as an endpoint of another chain than is wanted now
		}
		c.genesis = payment.Hash{}
	}
	c.config, c.limits = config, limitsFor(config.BlockTime)
	old := c.members
	var idle []Endpoint
	c.members = make([]*member, 0, len(members))
	for _, given := range members {
		at := slices.IndexFunc(old, func(m *member) bool { return m.Key == given.Key })
		if at < 0 {
			c.members = append(c.members, newMember(given))
			continue
		}
		m := old[at]
		if given.Endpoint != nil && given.Endpoint != m.Endpoint {
			idle = append(idle, given.Endpoint)
		}
		m.ID, m.Operator, m.Weight = given.ID, given.Operator, given.Weight
		c.members = append(c.members, m)
	}
	for _, m := range old {
		if !slices.Contains(c.members, m) {
			idle = append(idle, m.Endpoint)
			c.pins.forget(m)
			close(m.gone)
			if c.primary == m {
				c.primary = nil
			}
		}
	}
	c.mu.Unlock()
	for _, endpoint := range idle {
		endpoint.Close()
	}
}

// Close drops the members, and returns when nothing of the pool runs.
func (c *core) Close() {
	c.mu.Lock()
	if !c.ended {
		c.ended = true
		close(c.closed)
	}
	c.mu.Unlock()
	c.Set(Config{}, nil)
	c.probes.Wait()
}

// Identity implements chain.Source: it is that of an endpoint, which is the wanted one.
func (p *Pool) Identity(ctx context.Context) (chain.Identity, error) {
	return ask(ctx, p, p.question(light), func(ctx context.Context, m *member) (chain.Identity, error) { return m.Identity(ctx) })
}

// HeaderByNumber implements chain.Source.
func (p *Pool) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	q := p.question(light)
	q.number = &number
	return ask(ctx, p, q, func(ctx context.Context, m *member) (payment.BlockRef, error) {
		ref, err := m.HeaderByNumber(ctx, number)
		return ref, p.shown(m, ref, err)
	})
}

// HeaderByHash implements chain.Source.
func (p *Pool) HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error) {
	return ask(ctx, p, p.questionOf(light, hash), func(ctx context.Context, m *member) (payment.BlockRef, error) {
		ref, err := m.HeaderByHash(ctx, hash)
		return ref, p.shown(m, ref, err)
	})
}

// BlockByHash implements chain.Source. Where traces are asked for and an endpoint lacks them, one that may have them is
// asked as well; a block without them is better than none.
func (p *Pool) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	q := p.questionOf(heavy, hash)
	q.traces, q.cost, q.needs = filter.Traces, 2, needsOf(filter, chain.NeedLogs)
	var untraced *chain.Block
	block, err := ask(ctx, p, q, func(ctx context.Context, m *member) (chain.Block, error) {
		block, err := m.BlockByHash(ctx, hash, filter)
		if err = p.shown(m, block.BlockRef, err); err != nil || !filter.Traces {
			return block, err
		}
		p.traced(m, block.Traced)
		if !block.Traced && p.tracers() > 0 {
			untraced = &block
			return block, errLacking
		}
		return block, nil
	})
	if err != nil && untraced != nil && ctx.Err() == nil {
		return *untraced, nil
	}
	return block, err
}

// needsOf is what it takes to read a filter: blocks with their transactions, or logs in one way.
func needsOf(filter chain.Filter, logs chain.Need) []chain.Need {
	var needs []chain.Need
	if filter.Native || filter.Traces {
		needs = append(needs, chain.NeedBlocks)
	}
	if filter.AnyToken || len(filter.Tokens) > 0 {
		needs = append(needs, logs)
	}
	return needs
}

// Range implements chain.Source.
func (p *Pool) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	size := to - min(from, to) + 1
	q := p.question(heavy)
	q.number, q.size, q.traces = &to, size, filter.Traces
	q.cost, q.needs = int(min(size, 1<<20))+1, needsOf(filter, chain.NeedRangeLogs)
	return ask(ctx, p, q, func(ctx context.Context, m *member) ([]chain.Block, error) {
		return p.upTo(ctx, m, to, func() ([]chain.Block, error) { return m.Range(ctx, from, to, filter) })
	})
}

// BlocksByHash implements chain.Source. That it is too much says nothing about the ranges that an endpoint takes.
func (p *Pool) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	size := to - min(from, to) + 1
	q := p.question(heavy)
	q.number, q.traces = &to, filter.Traces
	q.cost, q.needs = 2*int(min(size, 1<<20))+1, needsOf(filter, chain.NeedLogs)
	return ask(ctx, p, q, func(ctx context.Context, m *member) ([]chain.Block, error) {
		return p.upTo(ctx, m, to, func() ([]chain.Block, error) { return m.BlocksByHash(ctx, from, to, filter) })
	})
}

// upTo reads blocks from an endpoint that has the last of them.
func (p *Pool) upTo(ctx context.Context, m *member, to uint64, read func() ([]chain.Block, error)) ([]chain.Block, error) {
	if err := p.reaches(ctx, m, to); err != nil {
		return nil, err
	}
	blocks, err := read()
	if err == nil && len(blocks) > 0 {
		err = p.shown(m, blocks[len(blocks)-1].BlockRef, nil)
	}
	return blocks, err
}

// Resolve implements chain.Source.
func (p *Pool) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	q := p.questionOf(heavy, block.Hash)
	q.number, q.cost, q.needs = &block.Number, len(candidates), []chain.Need{chain.NeedReceipts}
	return ask(ctx, p, q, func(ctx context.Context, m *member) ([]chain.Candidate, error) {
		return m.Resolve(ctx, block, candidates)
	})
}

// TokenMeta implements chain.TokenReader.
func (p *Pool) TokenMeta(ctx context.Context, contract payment.Address) (chain.TokenMeta, error) {
	q := p.question(light)
	q.cost = 3
	return ask(ctx, p, q, func(ctx context.Context, m *member) (chain.TokenMeta, error) {
		reader, ok := m.Endpoint.(chain.TokenReader)
		if !ok {
			return chain.TokenMeta{}, chain.ErrUnsupported
		}
		return reader.TokenMeta(ctx, contract)
	})
}

// shown notes that an endpoint has a block, unless err says that it has not.
func (c *core) shown(m *member, ref payment.BlockRef, err error) error {
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.shows(ref)
	c.pins.note(ref, m)
	return nil
}

// reaches makes sure that an endpoint whose head was below a block has it by now: what it says about blocks that it has
// not seen is not to be believed.
func (c *core) reaches(ctx context.Context, m *member, number uint64) error {
	c.mu.Lock()
	has := m.has(number) && !m.risen.IsZero()
	c.mu.Unlock()
	if has {
		return nil
	}
	head, err := m.Head(ctx, payment.TagNone)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	m.tell(head, c.limits.blocks, c.now())
	if head.Number < number {
		return chain.ErrBlockUnknown
	}
	return nil
}
