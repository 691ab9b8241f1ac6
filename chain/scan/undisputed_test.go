package scan_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// loyal is an operator that still has a block that others have left, until it is told of the reorganisation.
type loyal struct {
	chain.Source
	block payment.BlockRef
	told  atomic.Bool
	asked chan struct{}
}

func (l *loyal) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	if number != l.block.Number || l.told.Load() {
		return l.Source.HeaderByNumber(ctx, number)
	}
	select {
	case l.asked <- struct{}{}:
	default:
	}
	return l.block, nil
}

func witnesses(sources ...chain.Source) []chain.Witness {
	list := make([]chain.Witness, len(sources))
	for i, source := range sources {
		list[i] = chain.Witness{Operator: fmt.Sprint("operator ", i), Source: source}
	}
	return list
}

// operators are two of them, of which the loyal one is asked second.
type operators struct {
	chain.Source
	other *loyal
}

func (o operators) Witnesses() []chain.Witness { return witnesses(o.Source, o.other) }

// firstIsLoyal are two operators, of which the loyal one is asked first. The block above the cursor is the other's nevertheless, as
// it is when the first does not have one yet.
type firstIsLoyal struct {
	*loyal
	other chain.Source
}

func (o firstIsLoyal) Witnesses() []chain.Witness { return witnesses(o.loyal, o.other) }

// Whoever still has the block says so, also when it was somebody else who showed the longer chain.
func TestTheOperatorThatIsAskedFirstIsHeardToo(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.pay(ours, 100)
	head := b.fake.Head()
	first := &loyal{Source: b.source, block: head, asked: make(chan struct{})}
	b.startOn(firstIsLoyal{loyal: first, other: b.source})
	b.recorded(head)

	refs := b.fake.Reorg(t, 1, 2, chaintest.DropTxs)
	for range 3 {
		asked(t, first.asked) // each time the step failed
	}
	require.Equal(t, map[uint64]uint64{100: head.Number}, b.amounts())

	first.told.Store(true)
	b.recorded(refs[1])
	require.Empty(t, b.amounts())
}

// A reorganisation that all operators see is followed as far down as all of them see it, and not to where one has left the chain.
func TestOneOperatorDoesNotDeepenAReorganisation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	var refs []payment.BlockRef
	for i := range uint64(4) {
		b.pay(ours, 100+i)
		refs = append(refs, b.fake.Head())
	}
	other := &loyal{Source: b.source, block: refs[1], asked: make(chan struct{})} // it has left only what is above
	b.startOn(operators{Source: b.source, other: other})
	b.recorded(refs[3])
	before := b.amounts()

	again := b.fake.Reorg(t, 3, 4, chaintest.DropTxs)
	for range 3 {
		asked(t, other.asked) // each time the step failed
	}
	require.Equal(t, before, b.amounts())

	other.told.Store(true)
	b.recorded(again[3])
	require.Len(t, b.amounts(), 1)
}

// What several operators may have vouched for is not undone on the word of one.
func TestOneOperatorAloneUndoesNothing(t *testing.T) {
	t.Parallel()
	for name, depth := range map[string]int{"within the horizon": 3, "below the horizon": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(25) {
				b.pay(ours, 100+i)
			}
			head := b.fake.Head()
			other := &loyal{Source: b.source, block: head, asked: make(chan struct{})}
			b.startOn(operators{Source: b.source, other: other})
			b.recorded(head)
			before := b.amounts()

			refs := b.fake.Reorg(t, depth, depth+1, chaintest.DropTxs)
			for range 3 {
				asked(t, other.asked) // each time the step failed
			}
			require.Equal(t, before, b.amounts())
			require.False(t, b.memory.until(endedContext(t), func() bool { return b.memory.halted != "" }))

			other.told.Store(true)
			b.recorded(refs[len(refs)-1])
			require.Len(t, b.amounts(), len(before)-depth)
		})
	}
}

// asked waits until an operator was asked.
func asked(t *testing.T, operator <-chan struct{}) {
	t.Helper()
	await.Receive(t, operator, "for somebody to ask the other operator")
}

func endedContext(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return ctx
}

// quiet is an operator that does not answer until it is mended.
type quiet struct {
	chain.Source
	mended atomic.Bool
	asked  chan struct{}
}

func (q *quiet) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	if q.mended.Load() {
		return q.Source.HeaderByNumber(ctx, number)
	}
	select {
	case q.asked <- struct{}{}:
	default:
	}
	return payment.BlockRef{}, chain.ErrUnavailable
}

type secondIsQuiet struct {
	chain.Source
	other *quiet
}

func (o secondIsQuiet) Witnesses() []chain.Witness { return witnesses(o.Source, o.other) }

// An operator that does not answer holds up no reorganisation within the horizon. Below it, where nothing limits how much is
// undone, it has to answer first.
func TestAReorganisationBelowTheHorizonWaitsForAnotherOperator(t *testing.T) {
	t.Parallel()
	for name, depth := range map[string]int{"within the horizon": 3, "below the horizon": 20} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(25) {
				b.pay(ours, 100+i)
			}
			other := &quiet{Source: b.source, asked: make(chan struct{})}
			b.startOn(secondIsQuiet{Source: b.source, other: other})
			b.recorded(b.fake.Head())
			before := b.amounts()

			refs := b.fake.Reorg(t, depth, depth+1, chaintest.DropTxs)
			asked(t, other.asked)
			if depth > 10 {
				for range 3 {
					asked(t, other.asked) // each time the step failed
				}
				require.Equal(t, before, b.amounts())
				require.False(t, b.memory.until(endedContext(t), func() bool { return b.memory.halted != "" }))
				other.mended.Store(true)
			}
			b.recorded(refs[len(refs)-1])
			require.Len(t, b.amounts(), len(before)-depth)
		})
	}
}
