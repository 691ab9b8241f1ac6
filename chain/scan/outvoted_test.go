package scan_test

import (
	"bytes"
	"context"
	"log/slog"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// elsewhere is an operator that names other hashes of all blocks.
type elsewhere struct{ chain.Source }

func (e elsewhere) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := e.Source.Range(ctx, from, to, filter)
	return e.rename(blocks), err
}

func (e elsewhere) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := e.Source.BlocksByHash(ctx, from, to, filter)
	return e.rename(blocks), err
}

func (elsewhere) rename(blocks []chain.Block) []chain.Block {
	for i := range blocks {
		blocks[i].Hash[0] ^= 1
		blocks[i].Parent[0] ^= 1
	}
	return blocks
}

func (e elsewhere) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	header, err := e.Source.HeaderByNumber(ctx, number)
	header.Hash[0] ^= 1
	return header, err
}

// turncoat shows what everybody shows, and then says that the chain has other blocks.
type turncoat struct{ elsewhere }

func (t turncoat) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	return t.Source.Range(ctx, from, to, filter)
}

func (t turncoat) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	return t.Source.BlocksByHash(ctx, from, to, filter)
}

// misplacing lies in receipts only.
type misplacing struct{ chain.Source }

func (m misplacing) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	done, err := m.Source.Resolve(ctx, block, candidates)
	for i := range done {
		done[i].Position += 7
	}
	return done, err
}

// withholding shows blocks and gives no receipts.
type withholding struct{ chain.Source }

func (withholding) Resolve(context.Context, payment.BlockRef, []chain.Candidate) ([]chain.Candidate, error) {
	return nil, chain.ErrReceiptMissing
}

// stingy always finds that it is asked for too much.
type stingy struct{ chain.Source }

func (stingy) Range(context.Context, uint64, uint64, chain.Filter) ([]chain.Block, error) {
	return nil, chain.ErrRangeTooLarge
}

func (stingy) BlocksByHash(context.Context, uint64, uint64, chain.Filter) ([]chain.Block, error) {
	return nil, chain.ErrRangeTooLarge
}

func (stingy) BlockByHash(context.Context, payment.Hash, chain.Filter) (chain.Block, error) {
	return chain.Block{}, chain.ErrRangeTooLarge
}

// TestOneOperatorKeepsNobodyFromReadingAgain, whatever it answers, where two others agree: it is outvoted.
func TestOneOperatorKeepsNobodyFromReadingAgain(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(chain.Source) chain.Source{
		"other blocks":        func(s chain.Source) chain.Source { return elsewhere{s} },
		"another chain":       func(s chain.Source) chain.Source { return turncoat{elsewhere{s}} },
		"other receipts":      func(s chain.Source) chain.Source { return misplacing{s} },
		"no receipts":         func(s chain.Source) chain.Source { return withholding{s} },
		"too much, always":    func(s chain.Source) chain.Source { return stingy{s} },
		"a transfer too many": func(s chain.Source) chain.Source { return repeating{s} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			looking(b)
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(40) {
				b.pay(ours, 100+i)
			}
			b.startOn(several{Source: b.source, witnesses: []chain.Witness{
				{Operator: "liar", Source: lie(b.source)}, {Operator: "alpha", Source: b.source}, {Operator: "beta", Source: b.source},
			}})
			b.recorded(b.fake.Head())
			require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[1] && b.memory.twice[32] }))
			require.Len(t, b.amounts(), 40)
			b.memory.change(func() { require.Len(t, b.memory.payments, 40, "nothing is recorded on the word of one") })
		})
	}
}

// Where nobody has a majority, nothing is read again.
func TestTwoOperatorsWithOtherBlocksAreADisagreement(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.fake.MineBlocks(40)
	b.memory.rescans = []scan.Rescan{{ID: 7, From: 1, To: 20, Next: 1, Requested: true}}
	failures := make(chan string, 100)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case failures <- p.RescanFailure:
		default:
		}
	}
	stop := b.startOn(several{Source: b.source, witnesses: []chain.Witness{
		{Operator: "alpha", Source: b.source}, {Operator: "beta", Source: elsewhere{b.source}},
	}})
	for range 5 { // also when one operator would do
		for <-failures != "operators_disagree" {
		}
	}
	require.ErrorIs(t, stop(), context.Canceled)
	require.Equal(t, uint64(1), b.memory.rescans[0].Next)
}

// TestALieInReceiptsIsContradicted: when blocks are read, who lies in receipts looks like everybody else.
func TestALieInReceiptsIsContradicted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	for i := range uint64(40) {
		b.pay(ours, 100+i)
	}
	node := misplacing{b.source}
	stop := b.startOn(node)
	b.recorded(b.fake.Head())
	require.ErrorIs(t, stop(), context.Canceled)
	looking(b)
	stop = b.startOn(several{Source: node, witnesses: []chain.Witness{
		{Operator: "liar", Source: node}, {Operator: "alpha", Source: b.source}, {Operator: "beta", Source: b.source},
	}})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.twice[32] }))
	require.ErrorIs(t, stop(), context.Canceled)
	lies := 0
	for id := range b.memory.canonical() {
		if id.position >= 7 {
			lies++
		}
	}
	require.Equal(t, 8, lies, "those that are not final yet")
	require.Len(t, b.memory.canonical(), 40)
}

// repeating shows every transfer in the next block as well.
type repeating struct{ chain.Source }

func (r repeating) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := r.Source.Range(ctx, from, to, filter)
	return r.repeat(blocks), err
}

func (r repeating) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := r.Source.BlocksByHash(ctx, from, to, filter)
	return r.repeat(blocks), err
}

func (repeating) repeat(blocks []chain.Block) []chain.Block {
	for i := len(blocks) - 1; i > 0; i-- {
		for _, c := range blocks[i-1].Candidates {
			c.Resolution = chain.Resolved
			blocks[i].Candidates = append(blocks[i].Candidates, c)
		}
	}
	return blocks
}

// TestATransferInTwoBlocksIsReadBlockByBlock: blocks that contradict each other cannot be recorded at once. Each of them can.
func TestATransferInTwoBlocksIsReadBlockByBlock(t *testing.T) {
	t.Parallel()
	for name, job := range map[string]*scan.Rescan{"a second look": nil, "a rescan": {ID: 7, From: 1, To: 32, Next: 1, Requested: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var alarms bytes.Buffer
			b.options.Logger = slog.New(slog.NewTextHandler(&alarms, &slog.HandlerOptions{Level: slog.LevelError}))
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(40) {
				b.pay(ours, 100+i)
			}
			if job == nil {
				looking(b)
			} else {
				b.memory.rescans = []scan.Rescan{*job}
			}
			b.startOn(several{Source: b.source, witnesses: []chain.Witness{
				{Operator: "liar", Source: repeating{b.source}}, {Operator: "alpha", Source: b.source},
			}})
			b.recorded(b.fake.Head())
			require.True(t, b.memory.until(t.Context(), func() bool {
				return b.memory.twice[32] || job != nil && b.memory.rescans[0].Next == 33
			}))
			require.Len(t, b.amounts(), 40)
			require.Empty(t, alarms.String(), "nothing that was recorded was contradicted")
		})
	}
}
