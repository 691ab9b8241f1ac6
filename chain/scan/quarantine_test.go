package scan_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// withoutReceipt makes the node answer null for a transaction's receipt, for ever.
func withoutReceipt(tx payment.Hash) chaintest.Faults {
	return chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getTransactionReceipt" && strings.Contains(string(a.Params[0]), tx.String()) {
			a.Result = nil
		}
	}}
}

func TestABlockThatCannotBeReadDoesNotEndTheChain(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"near the head": 2, "while catching up": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var out bytes.Buffer
			b.options.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))
			b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
			given := 0
			b.options.OnProgress = func(p scan.Progress) { given = p.Quarantined }
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			b.pay(ours, 1)
			bad := b.pay(ours, 2)
			b.pay(ours, 3)
			b.fake.MineBlocks(more)
			b.fake.SetFaults(withoutReceipt(bad.Txs[0]))
			stop := b.start()
			b.recorded(b.fake.Head())
			require.ErrorIs(t, stop(), context.Canceled)
			require.Equal(t, map[uint64]uint64{1: 1, 3: 3}, b.amounts())
			require.Equal(t, map[uint64]string{2: "receipt_missing"}, b.memory.given)
			require.Equal(t, chain.Filter{Native: true}, b.memory.covered[2], "a hole that everybody can see, and no larger than it is")
			require.Len(t, b.memory.covered, 3+more)
			require.Equal(t, 1, given)
			require.Equal(t, 1, strings.Count(out.String(), "is quarantined"))

			b.fake.SetFaults(chaintest.Faults{})
			b.start()
			require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.given) == 0 }), "the rescan read it")
			require.Equal(t, map[uint64]uint64{1: 1, 2: 2, 3: 3}, b.amounts())
		})
	}
}

// A node that does not answer, or not yet long enough, says nothing about the block.
func TestABlockIsNotGivenUpLightly(t *testing.T) {
	t.Parallel()
	ours := chaintest.Account(1)
	away := func(w http.ResponseWriter, _ *http.Request, answer []byte) bool {
		if !bytes.Contains(answer, []byte("logs")) {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	for name, try := range map[string]struct {
		after  time.Duration
		faults func(payment.Hash) chaintest.Faults
	}{
		"too early":       {after: time.Hour, faults: withoutReceipt},
		"does not answer": {after: time.Nanosecond, faults: func(payment.Hash) chaintest.Faults { return chaintest.Faults{HTTP: away} }},
	} {
		b := setup(t)
		b.memory.issue(ours)
		b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, try.after
		failed := make(chan int, 1000)
		b.options.OnProgress = func(p scan.Progress) {
			select {
			case failed <- p.Failures:
			default:
			}
		}
		bad := b.pay(ours, 2)
		b.fake.SetFaults(try.faults(bad.Txs[0]))
		stop := b.start()
		for <-failed < 10 {
		}
		require.Empty(t, b.memory.given, name)
		b.fake.SetFaults(chaintest.Faults{})
		b.recorded(bad.BlockRef)
		require.Error(t, stop())
		require.Equal(t, map[uint64]uint64{2: 1}, b.amounts(), name)
	}
}

// A rescan that fails waits by itself; those behind it in the list go on.
func TestARescanThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	for i := range uint64(6) {
		b.pay(ours, 100+i)
	}
	bad := b.pay(ours, 200)
	for i := range uint64(3) {
		b.pay(ours, 300+i)
	}
	reported := make(chan string, 1000)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case reported <- p.RescanFailure:
		default:
		}
	}
	stop := b.start()
	b.recorded(b.fake.Head())
	b.fake.SetFaults(withoutReceipt(bad.Txs[0]))
	b.memory.issue(ours)
	b.memory.change(func() {
		b.memory.rescans = []scan.Rescan{{ID: 1, From: 5, To: 9, Next: 5}, {ID: 2, From: 1, To: 4, Next: 1}, {ID: 3, From: 10, To: 10, Next: 10}}
	})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[1].Next == 5 && b.memory.rescans[2].Next == 11 }))
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next >= 7 }), "up to the block that cannot be read, which may be left for later by now")
	for <-reported != "receipt_missing" {
	}
	b.fake.SetFaults(chaintest.Faults{})
	require.True(t, b.memory.until(t.Context(), func() bool {
		return !slices.ContainsFunc(b.memory.rescans, func(r scan.Rescan) bool { return r.Next <= r.To })
	}))
	require.Len(t, b.amounts(), 10)
	require.Error(t, stop())
}

// picky is a source that does not read some blocks, whatever it calls that, or their neighbours either.
type picky struct {
	chain.Source
	refuse func(number uint64, filter chain.Filter) error
}

func (p picky) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	block, err := p.Source.BlockByHash(ctx, hash, filter)
	if err == nil {
		err = p.refuse(block.Number, filter)
	}
	return block, err
}

func (p picky) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if err := p.refuses(from, to, filter); err != nil {
		return nil, err
	}
	return p.Source.Range(ctx, from, to, filter)
}

func (p picky) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if err := p.refuses(from, to, filter); err != nil {
		return nil, err
	}
	return p.Source.BlocksByHash(ctx, from, to, filter)
}

func (p picky) refuses(from, to uint64, filter chain.Filter) error {
	for number := from; number <= to; number++ {
		if err := p.refuse(number, filter); err != nil {
			return err
		}
	}
	return nil
}

// Whatever a block is refused with, the chain goes on when its neighbours are answered for, and waits when they are not.
func TestEveryErrorClassDecidesAboutQuarantine(t *testing.T) {
	t.Parallel()
	ours := chaintest.Account(1)
	start := func(t *testing.T, refuse func(uint64, chain.Filter) error) (*bundle, chan scan.Progress) {
		t.Helper()
		b := setup(t)
		b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
		progress := make(chan scan.Progress, 1000)
		b.options.OnProgress = func(p scan.Progress) {
			select {
			case progress <- p:
			default:
			}
		}
		b.memory.issue(ours)
		for i := range uint64(6) {
			b.pay(ours, 1+i)
		}
		b.startOn(picky{Source: b.source, refuse: refuse})
		return b, progress
	}
	waits := func(t *testing.T, b *bundle, progress chan scan.Progress) {
		t.Helper()
		for p := range progress {
			require.Zero(t, p.Quarantined)
			if p.Failures > 12 {
				break
			}
		}
		b.memory.change(func() { require.Empty(t, b.memory.given) })
	}
	for _, class := range []chain.ReasonError{
		chain.ErrUnavailable, chain.ErrTimeout, chain.ErrRateLimited, chain.ErrBlockUnknown, chain.ErrReceiptMissing, chain.ErrReorged,
		chain.ErrRangeTooLarge, chain.ErrUnsupported, chain.ErrInconsistent, chain.ErrMalformed, chain.ErrTooLarge, chain.ErrNoToken,
	} {
		t.Run(string(class), func(t *testing.T) {
			t.Parallel()
			b, _ := start(t, func(number uint64, _ chain.Filter) error {
				if number == 3 {
					return class
				}
				return nil
			})
			b.recorded(b.fake.Head())
			require.Equal(t, map[uint64]string{3: string(class)}, b.memory.given)
			require.Len(t, b.amounts(), 5)
		})
		t.Run(string(class)+" for all", func(t *testing.T) {
			t.Parallel()
			b, progress := start(t, func(uint64, chain.Filter) error { return class })
			waits(t, b, progress)
		})
		if class != chain.ErrBlockUnknown && class != chain.ErrReceiptMissing {
			continue
		}
		// A node that lags answers for everything below.
		t.Run(string(class)+" from here on", func(t *testing.T) {
			t.Parallel()
			b, progress := start(t, func(number uint64, _ chain.Filter) error {
				if number >= 3 {
					return class
				}
				return nil
			})
			waits(t, b, progress)
		})
	}
	for name, err := range map[string]error{"of operators": chain.ErrDisagreement, "of the database": errors.New("connection lost")} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, progress := start(t, func(number uint64, _ chain.Filter) error {
				if number == 3 {
					return err
				}
				return nil
			})
			waits(t, b, progress)
		})
	}
}

// The part of a block that can be read is recorded, and only the rest is a hole.
func TestWhatCanBeReadOfABlockIsRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
	b.memory.issue(ours)
	b.fake.MineBlocks(2)
	bad := b.fake.Mine(t, chaintest.TokenTransfer{Token: b.fake.Token(), To: ours, Amount: 5}, chaintest.Native{To: ours, Amount: 6})
	b.fake.MineBlocks(2)
	stop := b.startOn(picky{Source: b.source, refuse: func(number uint64, filter chain.Filter) error {
		if number == bad.Number && filter.Native {
			return chain.ErrTooLarge
		}
		return nil
	}})
	b.recorded(b.fake.Head())
	require.Error(t, stop())
	require.Equal(t, map[uint64]uint64{5: bad.Number}, b.amounts())
	require.False(t, b.memory.covered[bad.Number].Native)
	require.NotEmpty(t, b.memory.covered[bad.Number].Tokens)
	require.True(t, b.memory.byHash[bad.Number], "which holds up no order for what was read")
	require.Contains(t, b.memory.given, bad.Number)

	b.start()
	require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.given) == 0 }))
	require.Equal(t, map[uint64]uint64{5: bad.Number, 6: bad.Number}, b.amounts())
}

// A block that nobody has by its number is named by its child.
func TestABlockWithoutAHeaderDoesNotEndTheChain(t *testing.T) {
	t.Parallel()
	for name, lost := range map[string]bool{"by number only": false, "at all": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			ours := chaintest.Account(1)
			b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
			b.memory.issue(ours)
			for i := range uint64(5) {
				b.pay(ours, 1+i)
			}
			b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
				block, ok := a.Result.(map[string]any)
				byHash := a.Method == "eth_getBlockByHash"
				if ok && block["number"] == "0x3" && (!byHash || lost) && strings.HasPrefix(a.Method, "eth_getBlock") {
					a.Result = nil
				}
			}})
			stop := b.start()
			b.recorded(b.fake.Head())
			require.Error(t, stop())
			if !lost {
				require.Empty(t, b.memory.given)
				require.Len(t, b.amounts(), 5)
				return
			}
			require.Contains(t, b.memory.given, uint64(3))
			require.Len(t, b.amounts(), 4)
		})
	}
}

// clock is a source of whom others can be asked about times.
type clock struct{ picky }

func (clock) AgreeOnTime(_ context.Context, block payment.BlockRef) payment.BlockRef {
	block.TimeBasis = payment.TimeAgreed
	return block
}

// A block of which nothing can be read is the chain's clock all the same: operators are asked about its time.
func TestOperatorsAgreeOnTheTimeOfAQuarantinedBlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
	given := 0
	b.options.OnProgress = func(p scan.Progress) { given = p.Quarantined }
	b.fake.MineBlocks(6)
	source := clock{picky{Source: b.source, refuse: func(number uint64, _ chain.Filter) error {
		if number == 3 {
			return chain.ErrTooLarge
		}
		return nil
	}}}
	stop := b.startOn(source)
	b.recorded(b.fake.Head())
	require.Error(t, stop())
	require.Equal(t, 1, given)
	for _, recorded := range b.memory.refs {
		require.Equal(t, payment.TimeAgreed, recorded.TimeBasis, "of block %d", recorded.Number)
	}
}

// A block that is never read again, whatever that is called, keeps neither the blocks above it in its rescan from being read, nor any
// from their second look. An outage leaves nothing for later.
func TestOneBlockHoldsUpNothingThatIsReadAgain(t *testing.T) {
	t.Parallel()
	const bad = 5
	for name, job := range map[string]*scan.Rescan{"a second look": nil, "a rescan": {ID: 1, From: 1, To: 20, Next: 1}} {
		for _, class := range []chain.ReasonError{
			chain.ErrUnavailable, chain.ErrTimeout, chain.ErrRateLimited, chain.ErrBlockUnknown, chain.ErrUnsupported, chain.ErrMalformed,
		} {
			for outage := range map[bool]bool{false: true, true: true} {
				if outage && class == chain.ErrMalformed {
					continue // that is no outage
				}
				t.Run(fmt.Sprint(name, " ", class, " ", outage), func(t *testing.T) {
					t.Parallel()
					b := setup(t)
					looking(b)
					b.options.Policy.MaxRescanBackoff = 2 * time.Millisecond
					b.options.Policy.MinBackoff = time.Millisecond
					b.fake.MineBlocks(60)
					node := &again{Source: b.source, refuse: func(from, to uint64) error {
						if from <= bad && bad <= to || outage {
							return class
						}
						return nil
					}}
					if job != nil {
						b.memory.rescans = []scan.Rescan{*job}
					}
					stop := b.startOn(node)
					if outage {
						require.True(t, b.memory.until(t.Context(), func() bool { return node.asked.Load() > 30 }))
						require.Error(t, stop())
						require.Empty(t, b.memory.later)
						return
					}
					require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.later) > 0 && b.memory.twice[20] }))
					require.Error(t, stop())
					require.Equal(t, uint64(bad), b.memory.later[0])
				})
			}
		}
	}
}

// again is a source that does not read some blocks again.
type again struct {
	chain.Source
	refuse func(from, to uint64) error
	asked  atomic.Int64
}

func (a *again) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	a.asked.Add(1)
	if err := a.refuse(from, to); err != nil {
		return nil, err
	}
	return a.Source.BlocksByHash(ctx, from, to, filter)
}

func (a *again) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	block, err := a.Source.BlockByHash(ctx, hash, filter)
	if err == nil && block.Number <= 28 { // those above are read by hash for the first time
		err = a.refuse(block.Number, block.Number)
	}
	return block, err
}
