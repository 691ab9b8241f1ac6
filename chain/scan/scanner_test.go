package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// bundle is a fake chain, a recorder and the scanner between them.
type bundle struct {
	*testing.T

	fake    *chaintest.Fake
	memory  *memory
	source  chaintest.Source
	options scan.Options
}

func quick() scan.Policy {
	return scan.Policy{
		FinalEvery: time.Millisecond, NearHead: 8, MaxRange: 20, MinPoll: time.Millisecond, MaxPoll: time.Millisecond,
		SecondLookPause: time.Hour, MinBackoff: time.Millisecond, MaxBackoff: 4 * time.Millisecond, MaxRetryAfter: 4 * time.Millisecond, MaxRescanBackoff: 4 * time.Millisecond,
	}
}

func openSource(t *testing.T, httpURL, wsURL string) chaintest.Source {
	t.Helper()
	source, err := evm.New(evm.Options{URL: httpURL, WSURL: wsURL, MaxBatch: 10})
	require.NoError(t, err)
	return source
}

func setup(t *testing.T) *bundle {
	t.Helper()
	fake := chaintest.NewFake(t, openSource)
	identity, err := fake.Source().Identity(t.Context())
	require.NoError(t, err)
	filter := chain.Filter{Native: true, Tokens: []payment.Address{fake.Token(), fake.Other()}}
	return &bundle{
		T: t, fake: fake, source: fake.Source(), options: scan.Options{Policy: quick()},
		memory: newMemory(scan.Session{Identity: identity, Start: 1, Horizon: 12, BlockTime: time.Millisecond}, filter),
	}
}

// start runs a scanner until the test ends or stop is called, which returns Run's
// error.
func (b *bundle) start() (stop func() error) {
	b.Helper()
	return b.startOn(b.source)
}

func (b *bundle) startOn(source chain.Source) (stop func() error) {
	b.Helper()
	ctx, cancel := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	scanner := &scan.Scanner{Chain: "dev", Source: source, Recorder: b.memory, Options: b.options}
	go func() { ended <- scanner.Run(ctx) }()
	stopped := false
	stop = func() error {
		if stopped {
			return nil
		}
		stopped = true
		cancel()
		return <-ended
	}
	b.Cleanup(func() { _ = stop() })
	return stop
}

// runToEnd runs a scanner until it ends by itself.
func (b *bundle) runToEnd() error {
	b.Helper()
	ctx, cancel := await.Context(b.Context())
	defer cancel()
	scanner := &scan.Scanner{Chain: "dev", Source: b.source, Recorder: b.memory, Options: b.options}
	return scanner.Run(ctx)
}

func (b *bundle) pay(to payment.Address, amount uint64) chaintest.Mined {
	return b.fake.Mine(b.T, chaintest.TokenTransfer{Token: b.fake.Token(), To: to, Amount: amount})
}

// recorded waits until a block is the cursor.
func (b *bundle) recorded(block payment.BlockRef) {
	b.Helper()
	ok := b.memory.until(b.Context(), func() bool { return b.memory.cursor != nil && b.memory.cursor.Hash == block.Hash })
	require.True(b, ok, "block %d was not recorded", block.Number)
}

// amounts are the canonical payments' base units, each with its block's number.
func (b *bundle) amounts() map[uint64]uint64 {
	list := map[uint64]uint64{}
	for _, in := range b.memory.canonical() {
		amount, _ := in.transfer.Amount.Uint64()
		list[amount] = in.block.Number
	}
	return list
}

func TestFollows(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours, stranger := chaintest.Account(1), chaintest.Account(2)
	b.memory.issue(ours, b.fake.Token()) // the token as recipient of a failing transaction
	b.start()
	first := b.fake.Mine(t,
		chaintest.TokenTransfer{Token: b.fake.Token(), To: ours, Amount: 11},
		chaintest.TokenTransfer{Token: b.fake.Token(), To: stranger, Amount: 12},
		chaintest.Native{To: ours, Amount: 13},
		chaintest.FailingNative{Token: b.fake.Token(), Amount: 14},
		chaintest.Multi{
			{Token: b.fake.Other(), To: stranger, Amount: 15},
			{Token: b.fake.Other(), To: ours, Amount: 16},
			{Token: b.fake.Token(), To: ours, Amount: 17},
		},
	)
	second := b.pay(ours, 21)
	b.recorded(second.BlockRef)
	require.Equal(t, map[uint64]uint64{11: 1, 13: 1, 16: 1, 17: 1, 21: 2}, b.amounts())
	recorded := b.memory.canonical()
	require.Contains(t, recorded, identity{tx: first.Txs[2], native: true})
	require.Contains(t, recorded, identity{tx: first.Txs[4], position: 1})
	require.Contains(t, recorded, identity{tx: first.Txs[4], position: 2})
}

func TestCatchesUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	want := map[uint64]uint64{}
	for i := range uint64(100) {
		mined := b.pay(ours, 1000+i)
		want[1000+i] = mined.Number
	}
	b.options.Policy.MaxBatch = 3
	b.start()
	b.recorded(b.fake.Head())
	require.Equal(t, want, b.amounts())
	require.Len(t, b.memory.covered, 100)
	require.Less(t, b.fake.Calls("eth_getBlockByHash"), 20, "near the head only")
	require.Len(t, b.memory.refs, 13)
}

func TestRangesShrinkWhenRefused(t *testing.T) {
	t.Parallel()
	for _, message := range []string{
		"query returned more than 10000 results",
		"eth_getLogs is limited to a 7 blocks range",
		"block range is too wide",
		"exceed maximum block range: 7",
		"Log response size exceeded. You can make eth_getLogs requests with up to a 7 block range",
	} {
		b := setup(t)
		ours := chaintest.Account(1)
		b.memory.issue(ours)
		b.pay(ours, 5)
		b.fake.MineBlocks(90)
		b.pay(ours, 6)
		b.fake.SetFaults(chaintest.Faults{MaxRange: 7, RangeMessage: message})
		stop := b.start()
		b.recorded(b.fake.Head())
		require.ErrorIs(t, stop(), context.Canceled)
		require.Equal(t, map[uint64]uint64{5: 1, 6: 92}, b.amounts(), message)
	}
}

func TestReadsByHashWhenEveryRangeIsRefused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.pay(ours, 5)
	b.fake.MineBlocks(40)
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getLogs" && !byHash(a) {
			a.Error = &chaintest.RPCError{Code: -32000, Message: "block range limit exceeded"}
		}
	}})
	b.start()
	b.recorded(b.fake.Head())
	require.Equal(t, map[uint64]uint64{5: 1}, b.amounts())
}

func byHash(a *chaintest.Answer) bool {
	var filter struct{ BlockHash string }
	return json.Unmarshal(a.Params[0], &filter) == nil && filter.BlockHash != ""
}

func TestWaitsForALaggingNode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.pay(ours, 1)
	top := b.fake.MineBlocks(5)
	waited := make(chan scan.Progress, 1000)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case waited <- p:
		default:
		}
	}
	b.start()
	b.recorded(top)
	b.fake.SetFaults(chaintest.Faults{Lag: 4, EmptyAhead: true})
	await.Until(t, func() bool { p := await.Receive(t, waited); return p.Head < top.Number && p.Mode == scan.ModeWait })
	require.Equal(t, map[uint64]uint64{1: 1}, b.amounts())
	b.fake.SetFaults(chaintest.Faults{})
	b.recorded(b.pay(ours, 2).BlockRef)
	require.Equal(t, map[uint64]uint64{1: 1, 2: 7}, b.amounts())
	require.EqualValues(t, 7, b.memory.head)
}

// Behind a load balancer every question may be answered by a node that lags and
// says "nothing" about what it has not seen.
func TestNothingIsLostBehindALoadBalancer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	random := rand.New(rand.NewPCG(1, 2))
	b.source = everyCall{Source: b.source, before: func() {
		b.fake.SetFaults(chaintest.Faults{EmptyAhead: true, Lag: random.Uint64N(4)})
	}}
	want := map[uint64]uint64{}
	for i := range uint64(60) {
		want[100+i] = b.pay(ours, 100+i).Number
	}
	b.start()
	for i := range uint64(20) {
		mined := b.pay(ours, 200+i)
		want[200+i] = mined.Number
	}
	b.recorded(b.fake.Head())
	require.Equal(t, want, b.amounts())
}

// everyCall runs something before each call.
type everyCall struct {
	chaintest.Source

	before func()
}

func (e everyCall) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	e.before()
	return e.Source.Head(ctx, tag)
}

func (e everyCall) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	e.before()
	return e.Source.HeaderByNumber(ctx, number)
}

func (e everyCall) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	e.before()
	return e.Source.BlockByHash(ctx, hash, filter)
}

func (e everyCall) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	e.before()
	return e.Source.Range(ctx, from, to, filter)
}

func (e everyCall) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	e.before()
	return e.Source.BlocksByHash(ctx, from, to, filter)
}

func (e everyCall) Resolve(ctx context.Context, ref payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	e.before()
	return e.Source.Resolve(ctx, ref, candidates)
}

func TestPaused(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.memory.paused = true
	paused := make(chan struct{}, 1000)
	b.options.OnProgress = func(p scan.Progress) {
		if p.Mode == scan.ModePaused {
			select {
			case paused <- struct{}{}:
			default:
			}
		}
	}
	b.start()
	<-paused
	<-paused
	require.Nil(t, b.memory.cursor)
	b.memory.change(func() { b.memory.paused = false })
	b.recorded(b.fake.MineBlocks(1))
}

func TestAnAddressIssuedWhileABlockIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	late, later := chaintest.Account(1), chaintest.Account(2)
	steps := 0
	b.memory.beforeRecord = func() { // after Known, before the transaction
		steps++
		switch steps {
		case 1:
			b.memory.issue(late)
		case 2:
			b.memory.issue(later)
		}
	}
	mined := b.fake.Mine(t,
		chaintest.TokenTransfer{Token: b.fake.Token(), To: late, Amount: 3},
		chaintest.Native{To: later, Amount: 4},
	)
	b.start()
	b.recorded(mined.BlockRef)
	require.Equal(t, map[uint64]uint64{3: 1, 4: 1}, b.amounts())
}

func TestTokensAreReadAfreshForEachBlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.memory.filter = chain.Filter{}
	b.start()
	b.recorded(b.pay(ours, 1).BlockRef)
	b.memory.change(func() { b.memory.filter = chain.Filter{Tokens: []payment.Address{b.fake.Token()}} })
	// The step under way may still have the old filter; the one after may not.
	b.recorded(b.fake.MineBlocks(1))
	b.recorded(b.pay(ours, 2).BlockRef)
	require.Equal(t, map[uint64]uint64{2: 3}, b.amounts())
	require.Empty(t, b.memory.covered[1].Tokens)
	require.Len(t, b.memory.covered[3].Tokens, 1)
}

func TestALaterSessionFencesTheEarlier(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.memory.issue(chaintest.Account(1))
	ended := make(chan error, 1)
	go func() { ended <- b.runToEnd() }()
	b.recorded(b.fake.MineBlocks(2))
	session, err := b.memory.Begin(t.Context(), "dev")
	require.NoError(t, err)
	b.pay(chaintest.Account(1), 5)
	require.ErrorIs(t, <-ended, scan.ErrFenced)
	require.Empty(t, b.amounts())
	require.EqualValues(t, 2, session.Epoch)
}

func TestWrongChain(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*chain.Identity){
		"chain id": func(i *chain.Identity) { i.ChainID++ },
		"genesis":  func(i *chain.Identity) { i.Genesis[0]++ },
	} {
		b := setup(t)
		change(&b.memory.session.Identity)
		require.ErrorIs(t, b.runToEnd(), chain.ErrWrongChain, name)
		require.Nil(t, b.memory.cursor)
	}
	b := setup(t)
	b.memory.session.Identity.Genesis = payment.Hash{} // not known yet
	b.start()
	b.recorded(b.fake.MineBlocks(1))
}

func TestACommitWhoseOutcomeIsUnknown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	fails := 0
	b.memory.afterRecord = func() error {
		if fails++; fails%2 == 1 {
			return errors.New("connection lost during commit")
		}
		return nil
	}
	for i := range uint64(5) {
		b.pay(ours, 10+i)
	}
	b.start()
	b.recorded(b.fake.Head())
	require.Len(t, b.amounts(), 5)
	for _, p := range b.memory.payments {
		require.Len(t, p.inclusions, 1)
	}
}

func TestFailuresAreNamedAndPass(t *testing.T) {
	t.Parallel()
	b := setup(t)
	progress := make(chan scan.Progress, 1000)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case progress <- p:
		default:
		}
	}
	b.fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.WriteHeader(http.StatusTooManyRequests)
		return true
	}})
	b.start()
	for n := 1; n <= 3; n++ {
		p := <-progress
		require.Equal(t, scan.ModeFailed, p.Mode)
		require.Equal(t, "rate_limited", p.Failure)
		require.Equal(t, n, p.Failures)
	}
	b.fake.SetFaults(chaintest.Faults{})
	b.recorded(b.fake.MineBlocks(1))

	b.memory.change(func() { b.memory.failing = errors.New("database is away") })
	await.Until(t, func() bool { p := await.Receive(t, progress); return p.Failure == "internal" })
	b.memory.change(func() { b.memory.failing = nil })
	b.recorded(b.fake.MineBlocks(1))
}

func TestNewHeadsWakeEarly(t *testing.T) {
	t.Parallel()
	geth := chaintest.NewGeth(t, openSource)
	identity, err := geth.Source().Identity(t.Context())
	require.NoError(t, err)
	b := &bundle{T: t, source: geth.Source(), options: scan.Options{Policy: scan.Policy{MinPoll: time.Hour, MaxPoll: time.Hour}}}
	b.memory = newMemory(scan.Session{Identity: identity, Start: 1, Horizon: 12, BlockTime: time.Hour},
		chain.Filter{Native: true, Tokens: []payment.Address{geth.Token()}})
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.start()
	for i := range uint64(3) {
		b.recorded(geth.Mine(t, chaintest.TokenTransfer{Token: geth.Token(), To: ours, Amount: 10 + i}).BlockRef)
	}
	require.Len(t, b.amounts(), 3)
}
