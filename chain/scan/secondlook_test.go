package scan_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// forgetful leaves out what it read, without a word, as long as it is told to.
type forgetful struct {
	chain.Source
	omits  atomic.Bool
	second chain.Source
}

func (f *forgetful) leaveOut(blocks []chain.Block) []chain.Block {
	if f.omits.Load() {
		for i := range blocks {
			blocks[i].Candidates = nil
		}
	}
	return blocks
}

func (f *forgetful) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := f.Source.Range(ctx, from, to, filter)
	return f.leaveOut(blocks), err
}

func (f *forgetful) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := f.Source.BlocksByHash(ctx, from, to, filter)
	return f.leaveOut(blocks), err
}

func (f *forgetful) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	block, err := f.Source.BlockByHash(ctx, hash, filter)
	return f.leaveOut([]chain.Block{block})[0], err
}

// pooled is a source of which somebody else can be asked.
type pooled struct{ *forgetful }

func (p pooled) Witnesses() []chain.Witness {
	return []chain.Witness{{Operator: "beta", Source: p.second}, {Operator: "alpha", Source: p.forgetful}}
}

func looking(b *bundle) {
	b.options.Policy.FinalEvery, b.options.Policy.SecondLookPause, b.options.Policy.SecondLookEvery =
		time.Millisecond, time.Millisecond, time.Millisecond
}

func TestASecondLookFindsWhatANodeLeftOut(t *testing.T) {
	t.Parallel()
	for name, elsewhere := range map[string]bool{"elsewhere": true, "at the same node, later": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			looking(b)
			var alarms bytes.Buffer
			b.options.Logger = slog.New(slog.NewTextHandler(&alarms, &slog.HandlerOptions{Level: slog.LevelError}))
			found := 0
			b.options.OnProgress = func(p scan.Progress) { found = p.SecondLookFound }
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(40) {
				b.pay(ours, 100+i)
			}
			node := &forgetful{Source: b.source}
			node.omits.Store(true)
			source := chain.Source(node)
			if elsewhere {
				node.second, source = b.source, pooled{node}
			}
			stop := b.startOn(source)
			b.recorded(b.fake.Head())
			if !elsewhere {
				require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[32] }))
				require.Empty(t, b.amounts(), "asking whoever leaves it out finds nothing")
				b.memory.forget(32)
				node.omits.Store(false)
			}
			require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.found == 32 }))
			require.ErrorIs(t, stop(), context.Canceled)
			require.Equal(t, 32, found)
			require.Contains(t, alarms.String(), "a second look found")
			require.Len(t, b.amounts(), 32, "what is not final yet is not looked at again")
			require.Len(t, b.memory.twice, 32)
		})
	}
}

// New blocks, and rescans of the same blocks that somebody waits for, go first.
func TestASecondLookWaitsForEverythingElse(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(40)
	b.memory.change(func() { b.memory.rescans = []scan.Rescan{{ID: 7, From: 1, To: 40, Next: 1}} })
	var read, before uint64 // how far, and how far before the first second look
	node := &watched{Source: b.source, said: func(_, to uint64) { read = max(read, to) }}
	node.second = &watched{Source: b.source, said: func(uint64, uint64) {
		if before == 0 {
			before = read
		}
	}}
	stop := b.startOn(node)
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[32] }))
	require.ErrorIs(t, stop(), context.Canceled)
	require.GreaterOrEqual(t, before, uint64(32))
}

// Whoever left something out may be the one that is called somebody else by now: both are asked.
func TestASecondLookAsksTwoOperators(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	for i := range uint64(40) {
		b.pay(ours, 100+i)
	}
	silent := &forgetful{Source: b.source}
	silent.omits.Store(true)
	node := pooled{&forgetful{Source: b.source, second: silent}}
	node.omits.Store(true)
	b.startOn(node)
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[32] }))
	require.Empty(t, b.amounts())
	b.memory.forget(32)
	node.omits.Store(false)
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.found == 32 }))
}

// A second look that cannot be had delays no new block, and comes later.
func TestASecondLookThatFailsDelaysNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(40)
	broken := &watched{Source: b.source}
	broken.failing.Store(true)
	stop := b.startOn(&apart{Source: b.source, witnesses: []chain.Witness{{Operator: "beta", Source: broken}}})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.final == 32 }))
	for i := range uint64(5) {
		b.recorded(b.pay(ours, 10+i).BlockRef)
	}
	b.memory.change(func() { require.Empty(t, b.memory.twice) })
	broken.failing.Store(false)
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[32] }))
	require.ErrorIs(t, stop(), context.Canceled)
}

// apart is heard by way of others than those who are followed.
type apart struct {
	chain.Source
	witnesses []chain.Witness
}

func (a *apart) Witnesses() []chain.Witness { return a.witnesses }

// watched tells of the blocks it is asked for.
type watched struct {
	chain.Source
	said    func(from, to uint64)
	second  chain.Source
	failing atomic.Bool
}

func (w *watched) Witnesses() []chain.Witness {
	return []chain.Witness{{Operator: "beta", Source: w.second}, {Operator: "alpha", Source: w}}
}

func (w *watched) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if err := w.ask(from, to); err != nil {
		return nil, err
	}
	return w.Source.Range(ctx, from, to, filter)
}

func (w *watched) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if err := w.ask(from, to); err != nil {
		return nil, err
	}
	return w.Source.BlocksByHash(ctx, from, to, filter)
}

func (w *watched) ask(from, to uint64) error {
	if w.failing.Load() {
		return errors.New("nobody is at home")
	}
	if w.said != nil {
		w.said(from, to)
	}
	return nil
}

// A chain on which nothing is ever called final is followed as before.
func TestAChainWithoutFinality(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && bytes.Equal(a.Params[0], json.RawMessage(`"finalized"`)) {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32602, Message: "invalid argument 0: hex string without 0x prefix"}
		}
	}})
	b.fake.MineBlocks(40)
	b.start()
	b.recorded(b.pay(ours, 1).BlockRef)
	b.recorded(b.pay(ours, 2).BlockRef)
	require.Len(t, b.amounts(), 2)
	require.Zero(t, b.memory.final)
}

// slow never comes to an end with several blocks.
type slow struct{ chain.Source }

func (s slow) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if to > from {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Source.BlocksByHash(ctx, from, to, filter)
}

// A second look that takes longer than it may is taken in smaller pieces.
func TestASecondLookThatTakesTooLongGetsSmaller(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	b.options.Policy.SecondLookTimeout, b.options.Policy.MinBackoff = 50*time.Millisecond, time.Millisecond
	b.fake.MineBlocks(40)
	stop := b.startOn(slow{b.source})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[1] }))
	require.Error(t, stop())
}
