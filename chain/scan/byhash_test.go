package scan_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// shortRanges are answers to questions about ranges that are shorter than the truth, without a word.
func shortRanges(token payment.Address) map[string]func(logs []map[string]any) []map[string]any {
	return map[string]func(logs []map[string]any) []map[string]any{
		"an index that lacks a token": func(logs []map[string]any) []map[string]any {
			return slices.DeleteFunc(logs, func(log map[string]any) bool { return log["address"] == token.Lower() })
		},
		"so many logs and no more": func(logs []map[string]any) []map[string]any { return logs[:min(len(logs), 3)] },
	}
}

// short is a fault of questions about ranges alone.
func short(cut func([]map[string]any) []map[string]any) chaintest.Faults {
	return chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if logs, ok := a.Result.([]map[string]any); ok && a.Method == "eth_getLogs" && !byHash(a) {
			a.Result = cut(logs)
		}
	}}
}

// TestARangeAnswerThatIsShortLosesNothing: every block that was read in a range is read by its hash, too.
func TestARangeAnswerThatIsShortLosesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, cut := range shortRanges(b.fake.Other()) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			looking(b)
			ours, stranger, payer := chaintest.Account(1), chaintest.Account(2), chaintest.Account(3)
			b.memory.issue(ours)
			want := map[uint64]uint64{}
			for i := range uint64(40) {
				mined := b.fake.MineBlock(
					func(block *chaintest.FakeBlock) { block.Bloom = nil }, // nothing else says that there is more
					&chaintest.FakeTx{From: payer, Logs: []chaintest.FakeLog{chaintest.TransferLog(b.fake.Token(), payer, stranger, 7)}},
					&chaintest.FakeTx{From: payer, Logs: []chaintest.FakeLog{chaintest.TransferLog(b.fake.Other(), payer, ours, 100+i)}})
				want[100+i] = mined.Number
			}
			b.fake.SetFaults(short(cut))
			found := 0
			b.options.OnProgress = func(p scan.Progress) { found = p.SecondLookFound }
			stop := b.start()
			b.recorded(b.fake.Head())
			require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.byHash) == 40 }))
			require.ErrorIs(t, stop(), context.Canceled)
			require.Equal(t, want, b.amounts())
			require.Positive(t, found)
		})
	}
}

// TestARangeRefutesNothing: blocks that were read by hash have their second look in ranges. Whatever it lacks, of however many
// operators, is there all the same; what it shows and nobody recorded is read by hash.
func TestARangeRefutesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	b.options.Policy.NearHead = 100
	ours, payer := chaintest.Account(1), chaintest.Account(3)
	b.memory.issue(ours)
	for i := range uint64(40) {
		b.fake.MineBlock(func(block *chaintest.FakeBlock) { block.Bloom = nil },
			&chaintest.FakeTx{From: payer, Logs: []chaintest.FakeLog{chaintest.TransferLog(b.fake.Token(), payer, ours, 100+i)}})
	}
	b.fake.SetFaults(short(func([]map[string]any) []map[string]any { return []map[string]any{} }))
	b.startOn(several{Source: b.source, witnesses: []chain.Witness{
		{Operator: "alpha", Source: b.source}, {Operator: "beta", Source: b.source},
	}})
	require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.twice) == 32 }))
	require.Len(t, b.amounts(), 40)
	for _, p := range b.memory.payments {
		require.Len(t, p.inclusions, 1, "nothing ended")
	}
}

// failingAt cannot read one block again, in whatever way.
type failingAt struct {
	chain.Source
	number uint64
}

func (f *failingAt) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if from <= f.number && f.number <= to {
		return nil, chain.ErrInconsistent
	}
	return f.Source.BlocksByHash(ctx, from, to, filter)
}

func (f *failingAt) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	if number == f.number {
		return payment.BlockRef{}, chain.ErrInconsistent
	}
	return f.Source.HeaderByNumber(ctx, number)
}

// TestOneBlockDoesNotKeepOthersFromTheirSecondLook: it is left to a rescan of its own.
func TestOneBlockDoesNotKeepOthersFromTheirSecondLook(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	b.fake.MineBlocks(60)
	b.startOn(&failingAt{Source: b.source, number: 5})
	require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.byHash) == 59 && len(b.memory.later) > 0 }))
	require.Equal(t, []uint64{5}, b.memory.later)
}

// TestASecondLookKeepsUpWithAFastNetwork: a block each quarter of a second. Here all of them are read in ranges, and again by hash.
func TestASecondLookKeepsUpWithAFastNetwork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	looking(b)
	const perDay, blocks = 24 * 60 * 60 * 4, 1500
	b.options.Policy.MaxRange, b.options.Policy.NearHead = 500, 32
	b.fake.MineBlocks(blocks)
	began := time.Now()
	b.startOn(b.source)
	require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.byHash) == blocks }))
	took := time.Since(began)
	rate := blocks / took.Seconds()
	t.Logf("%d blocks twice in %v: a day of %d blocks in %v", blocks, took, perDay, time.Duration(perDay/rate)*time.Second)
	require.Greater(t, rate, 4.0, "blocks a second")
}
