package scan_test

import (
	"context"
	"maps"
	"runtime"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// crash runs a scanner that dies at the n-th time it passes a point, without any
// cleaning up, and returns when it is dead or has nothing more to do.
func (b *bundle) crash(at scan.Point, n int) {
	ctx, cancel := await.Context(context.Background())
	defer cancel()
	options := b.options
	options.Fault = func(p scan.Point) {
		if p != at {
			return
		}
		if n--; n == 0 {
			runtime.Goexit()
		}
	}
	idle := 0
	options.OnProgress = func(p scan.Progress) {
		if p.Mode == scan.ModeWait {
			idle++
		}
		if idle == 2 {
			cancel()
		}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = (&scan.Scanner{Chain: "dev", Source: b.source, Recorder: b.memory, Options: options}).Run(ctx)
	}()
	<-done
}

// expect is what the chain itself holds for our addresses, read straight from the
// blocks that the fake was given.
func expect(blocks []chaintest.Mined, paid map[payment.Hash]uint64) map[uint64]uint64 {
	want := map[uint64]uint64{}
	for _, block := range blocks {
		for _, tx := range block.Txs {
			if amount, ok := paid[tx]; ok {
				want[amount] = block.Number
			}
		}
	}
	return want
}

func TestCrashAtEveryPoint(t *testing.T) {
	t.Parallel()
	for _, point := range scan.Points() {
		for n := 1; n <= 3; n++ {
			b := setup(t)
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			for i := range uint64(14) {
				b.pay(ours, 100+i)
			}
			b.crash(point, n)
			b.pay(ours, 200)
			b.crash(point, n)
			refs := b.fake.Reorg(t, 3, 4, chaintest.KeepTxs)
			b.crash(point, n)
			b.crash(point, 1)
			stop := b.start()
			b.recorded(refs[3])
			require.ErrorIs(t, stop(), context.Canceled)

			amounts := b.amounts()
			require.Len(t, amounts, 15, "%s %d", point, n)
			for i := range uint64(12) {
				require.Equal(t, 1+i, amounts[100+i], "%s %d", point, n)
			}
			for _, amount := range []uint64{112, 113, 200} {
				require.Equal(t, refs[0].Number, amounts[amount], "%s %d", point, n)
			}
			for _, p := range b.memory.payments {
				canonical := 0
				for _, in := range p.inclusions {
					if in.canonical {
						canonical++
					}
				}
				require.Equal(t, 1, canonical)
			}
		}
	}
}

// Whatever happens to the chain, the node and the process, in the end exactly the
// canonical transfers to our addresses count.
func TestAnyHistory(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		h := &history{bundle: setup(t), rt: rt, paid: map[payment.Hash]uint64{}}
		h.memory.issue(chaintest.Account(1), chaintest.Account(2))
		rt.Repeat(map[string]func(*rapid.T){
			"mine":   func(*rapid.T) { h.mine() },
			"empty":  func(*rapid.T) { h.blocks = append(h.blocks, chaintest.Mined{BlockRef: h.fake.MineBlocks(1)}) },
			"many":   func(*rapid.T) { h.many() },
			"reorg":  func(*rapid.T) { h.reorg() },
			"crash":  func(*rapid.T) { h.run() },
			"faults": func(*rapid.T) { h.faults() },
		})
		h.calm()
	})
}

type history struct {
	*bundle

	rt     *rapid.T
	blocks []chaintest.Mined // canonical, from block 1
	paid   map[payment.Hash]uint64
	amount uint64
	known  uint64 // the cursor's number may be this far: how deep a reorg may go
}

func (h *history) mine() {
	to := chaintest.Account(byte(rapid.IntRange(1, 3).Draw(h.rt, "to"))) // 3 is a stranger
	h.amount++
	var tx chaintest.Tx
	switch rapid.IntRange(0, 2).Draw(h.rt, "kind") {
	case 0:
		tx = chaintest.Native{To: to, Amount: h.amount}
	case 1:
		tx = chaintest.TokenTransfer{Token: h.fake.Token(), To: to, Amount: h.amount}
	default:
		tx = chaintest.Multi{{Token: h.fake.Other(), To: chaintest.Account(3), Amount: 1}, {Token: h.fake.Token(), To: to, Amount: h.amount}}
	}
	mined := h.fake.Mine(h.T, tx)
	h.blocks = append(h.blocks, mined)
	if to != chaintest.Account(3) {
		h.paid[mined.Txs[0]] = h.amount
	}
}

func (h *history) many() {
	for range rapid.IntRange(5, 25).Draw(h.rt, "blocks") {
		h.blocks = append(h.blocks, chaintest.Mined{BlockRef: h.fake.MineBlocks(1)})
	}
}

func (h *history) reorg() {
	// Mostly within the horizon, and as deep as it goes now and then.
	deepest := len(h.blocks)
	if rapid.IntRange(0, 4).Draw(h.rt, "deep") > 0 {
		deepest = min(deepest, int(h.memory.session.Horizon))
	}
	if deepest == 0 {
		return
	}
	depth := rapid.IntRange(1, deepest).Draw(h.rt, "depth")
	count := depth + rapid.IntRange(0, 2).Draw(h.rt, "longer by")
	keep := chaintest.Keep(rapid.Bool().Draw(h.rt, "keep"))
	cut := len(h.blocks) - depth
	var txs []payment.Hash
	for _, block := range h.blocks[cut:] {
		txs = append(txs, block.Txs...)
	}
	if keep == chaintest.DropTxs {
		txs = nil
	}
	refs := h.fake.Reorg(h.T, depth, count, keep)
	h.blocks = h.blocks[:cut:cut]
	for _, ref := range refs {
		h.blocks = append(h.blocks, chaintest.Mined{BlockRef: ref, Txs: txs})
		txs = nil
	}
}

func (h *history) run() {
	point := rapid.SampledFrom(scan.Points()).Draw(h.rt, "point")
	h.crash(point, rapid.IntRange(1, 4).Draw(h.rt, "times"))
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	if h.memory.cursor != nil {
		h.known = h.memory.cursor.Number
	}
}

func (h *history) faults() {
	faults := chaintest.Faults{}
	switch rapid.IntRange(0, 3).Draw(h.rt, "fault") {
	case 1:
		faults.Lag, faults.EmptyAhead = rapid.Uint64Range(1, 5).Draw(h.rt, "lag"), true
	case 2:
		faults.MaxRange, faults.RangeMessage = rapid.Uint64Range(1, 9).Draw(h.rt, "range"), "block range too large"
	}
	h.fake.SetFaults(faults)
}

// calm lets the scanner come to the end on a chain that does nothing more.
func (h *history) calm() {
	h.fake.SetFaults(chaintest.Faults{})
	h.blocks = append(h.blocks, chaintest.Mined{BlockRef: h.fake.MineBlocks(1)})
	head := h.blocks[len(h.blocks)-1].BlockRef
	if h.known >= head.Number { // a shorter chain is not followed until it has grown
		for range h.known - head.Number + 1 {
			head = h.fake.MineBlocks(1)
		}
	}
	stop := h.start()
	h.recorded(head)
	require.ErrorIs(h.rt, stop(), context.Canceled)
	want := expect(h.blocks, h.paid)
	if got := h.amounts(); !maps.Equal(want, got) {
		h.rt.Fatalf("recorded %v instead of %v", got, want)
	}
	h.memory.mu.Lock()
	defer h.memory.mu.Unlock()
	for number := uint64(1); number <= head.Number; number++ {
		require.Contains(h.rt, h.memory.covered, number, "coverage has a hole")
	}
}
