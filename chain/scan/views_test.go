package scan_test

import (
	"bytes"
	"context"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// liar tells other amounts than there are, and stands by them, as long as it lies.
type liar struct {
	chain.Source
	lies atomic.Bool
}

func (l *liar) tell(blocks []chain.Block) []chain.Block {
	if l.lies.Load() {
		for i := range blocks {
			for j := range blocks[i].Candidates {
				c := &blocks[i].Candidates[j]
				units, _ := c.Amount.Uint64()
				c.Amount = payment.AmountFromUint64(1_000 + units)
			}
		}
	}
	return blocks
}

func (l *liar) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := l.Source.Range(ctx, from, to, filter)
	return l.tell(blocks), err
}

func (l *liar) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := l.Source.BlocksByHash(ctx, from, to, filter)
	return l.tell(blocks), err
}

func (l *liar) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	block, err := l.Source.BlockByHash(ctx, hash, filter)
	return l.tell([]chain.Block{block})[0], err
}

// Resolve reads the receipts of what there is, and says them of what it told.
func (l *liar) Resolve(ctx context.Context, block payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	honest, err := l.Source.BlockByHash(ctx, block.Hash, chain.Filter{Native: true, Tokens: tokensOf(candidates)})
	if err != nil {
		return nil, err
	}
	honestly := slices.Clone(candidates)
	for i := range honestly {
		for _, c := range honest.Candidates {
			if c.TxHash == honestly[i].TxHash && c.LogIndex == honestly[i].LogIndex {
				honestly[i].Amount = c.Amount
			}
		}
	}
	resolved, err := l.Source.Resolve(ctx, block, honestly)
	for i := range resolved {
		resolved[i].Amount = candidates[i].Amount
	}
	return resolved, err
}

func tokensOf(candidates []chain.Candidate) []payment.Address {
	var tokens []payment.Address
	for _, c := range candidates {
		tokens = append(tokens, c.Contract)
	}
	return tokens
}

// several are operators, of whom the first answers what is not asked of each.
type several struct {
	chain.Source
	witnesses []chain.Witness
}

func (s several) Witnesses() []chain.Witness { return s.witnesses }

// operatorsOf makes one liar and so many honest operators.
func operatorsOf(b *bundle, honest int) (*liar, several) {
	first := &liar{Source: b.source}
	pool := several{Source: first, witnesses: []chain.Witness{{Operator: "first", Source: first}}}
	for _, name := range []string{"alpha", "beta", "gamma"}[:honest] {
		pool.witnesses = append(pool.witnesses, chain.Witness{Operator: name, Source: b.source})
	}
	return first, pool
}

// TestWhatANodeMadeUpIsReplacedByTheTruth once two operators show it: by a second look, or a rescan that a person asked for.
func TestWhatANodeMadeUpIsReplacedByTheTruth(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		honest    int
		stillLies bool
		rescan    *scan.Rescan // instead of a second look
		replaced  bool
	}{
		"it does not lie any more":                     {honest: 1, replaced: true},
		"it still lies, and nobody knows who is right": {honest: 1, stillLies: true},
		"it still lies, and two contradict it":         {honest: 2, stillLies: true, replaced: true},
		"a rescan that a person asked for":             {honest: 2, stillLies: true, rescan: &scan.Rescan{Requested: true}, replaced: true},
		"a backfill asks whoever answers":              {honest: 2, rescan: &scan.Rescan{}},
		"the only operator, when a person asked":       {rescan: &scan.Rescan{Requested: true}, replaced: true},
		"the only operator, by itself":                 {},
	} {
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
			node, pool := operatorsOf(b, test.honest)
			node.lies.Store(true)
			stop := b.startOn(node)
			b.recorded(b.fake.Head())
			require.ErrorIs(t, stop(), context.Canceled)
			require.Contains(t, b.amounts(), uint64(1_105))
			node.lies.Store(test.stillLies)

			if test.rescan == nil {
				looking(b)
			} else {
				job := *test.rescan
				job.ID, job.From, job.To, job.Next = 7, 1, 20, 1
				b.memory.rescans = []scan.Rescan{job}
			}
			stop = b.startOn(pool)
			require.True(t, b.memory.until(t.Context(), func() bool {
				return b.memory.twice[32] || test.rescan != nil && b.memory.rescans[0].Next == 21
			}))
			require.ErrorIs(t, stop(), context.Canceled)
			if !test.replaced {
				require.Contains(t, b.amounts(), uint64(1_105))
				require.NotContains(t, b.amounts(), uint64(105))
				return
			}
			require.NotContains(t, b.amounts(), uint64(1_105))
			require.Contains(t, b.amounts(), uint64(105))
			require.Len(t, b.amounts(), 40, "each is one payment")
			require.Contains(t, alarms.String(), "what was recorded is not on the chain")
		})
	}
}
