package rpcpool_test

import (
	"bytes"
	"context"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
)

// blockTime makes the limits: 30 s without a block, or 30 blocks, are too many.
const blockTime = time.Second

// rig is a pool of fake nodes, and the time.
type rig struct {
	*testing.T
	*rpcpool.Pool

	fakes []*chaintest.Fake
	gates []*gate
	all   []rpcpool.Member
	log   *bytes.Buffer

	mu     sync.Mutex
	time   time.Time
	waited time.Duration
	draw   int64 // what the lot says, modulo
}

// newRig makes a pool with a node for each of the operators named. All nodes have the same blocks as long as they mine the
// same ones.
func newRig(t *testing.T, operators ...string) *rig {
	t.Helper()
	r := &rig{T: t, time: time.Unix(1_700_000_000, 0), log: &bytes.Buffer{}}
	for i, operator := range operators {
		fake := chaintest.NewFake(t, nil)
		g := newGate(t, fake.URL())
		r.fakes, r.gates = append(r.fakes, fake), append(r.gates, g)
		r.all = append(r.all, rpcpool.Member{Endpoint: g, Key: [32]byte{byte(i)}, ID: int64(i), Operator: operator, Weight: 100})
	}
	r.Pool = rpcpool.New(rpcpool.Options{
		Chain: "dev", Log: slog.New(slog.NewTextHandler(r.log, nil)), Now: r.now, Wait: r.wait,
		Draw: func(n int64) int64 { return r.draw % n },
	})
	t.Cleanup(r.Close)
	r.Set(config(), r.members())
	return r
}

// members are those that the pool began with.
func (r *rig) members() []rpcpool.Member { return r.all }

func config() rpcpool.Config {
	return rpcpool.Config{Identity: chain.Identity{ChainID: 1337}, BlockTime: blockTime}
}

func (r *rig) now() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.time
}

func (r *rig) pass(d time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.time = r.time.Add(d)
}

func (r *rig) wait(ctx context.Context, d time.Duration) error {
	r.pass(d)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waited += d
	return ctx.Err()
}

// mine makes the same block at every node.
func (r *rig) mine(txs ...chaintest.Tx) chaintest.Mined {
	r.Helper()
	var mined chaintest.Mined
	for i, fake := range r.fakes {
		one := fake.Mine(r.T, txs...)
		if i > 0 {
			require.Equal(r, mined, one, "the nodes have grown apart")
		}
		mined = one
	}
	return mined
}

// grow makes the same empty blocks at every node.
func (r *rig) grow(count int) (head payment.BlockRef) {
	for _, fake := range r.fakes {
		head = fake.MineBlocks(count)
	}
	return head
}

func (r *rig) head() uint64 {
	r.Helper()
	ref, err := r.Head(r.Context(), payment.TagNone)
	require.NoError(r, err)
	return ref.Number
}

func (r *rig) endpoint(i int) rpcpool.EndpointStats { return r.Stats().Endpoints[i] }

// primary is the number of the primary.
func (r *rig) primary() int {
	r.Helper()
	for i, e := range r.Stats().Endpoints {
		if e.Primary {
			return i
		}
	}
	return -1
}

// Source is an endpoint that says nothing about what it can do.
type Source interface {
	rpcpool.Endpoint
	chain.TokenReader
}

// gate stands before a node, counts what it is asked, and fails when it is told to.
type gate struct {
	Source

	mu    sync.Mutex
	fail  func(method string) error
	calls map[string]int
	edit  func(*chain.Check)
	trace func(*chain.Block)
}

func newGate(t *testing.T, url string) *gate {
	t.Helper()
	source, err := evm.New(evm.Options{URL: url})
	require.NoError(t, err)
	return &gate{Source: source, calls: map[string]int{}}
}

// fails makes every question fail, nil none. Only says for which ones.
func (g *gate) fails(err error, only ...string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.fail = func(method string) error {
		for _, name := range only {
			if name == method {
				return err
			}
		}
		if len(only) > 0 {
			return nil
		}
		return err
	}
}

func (g *gate) count(method string) int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.calls[method]
}

func (g *gate) enter(method string) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.calls[method]++
	if g.fail != nil {
		return g.fail(method)
	}
	return nil
}

func (g *gate) Identity(ctx context.Context) (chain.Identity, error) {
	if err := g.enter("identity"); err != nil {
		return chain.Identity{}, err
	}
	return g.Source.Identity(ctx)
}

func (g *gate) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	if err := g.enter("head"); err != nil {
		return payment.BlockRef{}, err
	}
	return g.Source.Head(ctx, tag)
}

func (g *gate) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	if err := g.enter("number"); err != nil {
		return payment.BlockRef{}, err
	}
	return g.Source.HeaderByNumber(ctx, number)
}

func (g *gate) HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error) {
	if err := g.enter("hash"); err != nil {
		return payment.BlockRef{}, err
	}
	return g.Source.HeaderByHash(ctx, hash)
}

func (g *gate) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	if err := g.enter("block"); err != nil {
		return chain.Block{}, err
	}
	block, err := g.Source.BlockByHash(ctx, hash, filter)
	if g.trace != nil {
		g.trace(&block)
	}
	return block, err
}

func (g *gate) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if err := g.enter("range"); err != nil {
		return nil, err
	}
	return g.Source.Range(ctx, from, to, filter)
}

func (g *gate) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	if err := g.enter("resolve"); err != nil {
		return nil, err
	}
	return g.Source.Resolve(ctx, block, candidates)
}

func (g *gate) CheckInclusion(ctx context.Context, in chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	if err := g.enter("check"); err != nil {
		return chain.Check{}, err
	}
	check, err := g.Source.CheckInclusion(ctx, in, demand)
	if g.edit != nil && err == nil {
		g.edit(&check)
	}
	return check, err
}

// prober is a gate that says what its node can do.
type prober struct {
	*gate

	caps chain.Capabilities
}

func (p *prober) Probe(context.Context) (chain.Capabilities, error) {
	return p.caps, p.enter("probe")
}
