package scan_test

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
)

func TestRollsBackToTheCommonAncestor(t *testing.T) {
	t.Parallel()
	for depth := 1; depth <= 12; depth++ {
		b := setup(t)
		ours := chaintest.Account(1)
		b.memory.issue(ours)
		for i := range uint64(15) {
			b.pay(ours, 100+i)
		}
		b.start()
		b.recorded(b.fake.Head())
		before := b.amounts()

		refs := b.fake.Reorg(t, depth, depth+1, chaintest.KeepTxs)
		b.recorded(refs[len(refs)-1])
		after := b.amounts()
		require.Len(t, after, len(before))
		for amount, number := range before {
			if number < refs[0].Number {
				require.Equal(t, number, after[amount])
			} else {
				require.Equal(t, refs[0].Number, after[amount], "mined again in the first new block")
			}
		}
		for _, p := range b.memory.payments {
			last := p.inclusions[len(p.inclusions)-1]
			require.True(t, last.canonical)
			require.Len(t, p.inclusions, map[bool]int{true: 2, false: 1}[last.block.Number >= refs[0].Number])
		}
	}
}

func TestDropsWhatTheNewChainDoesNotHave(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.pay(ours, 1)
	b.pay(ours, 2)
	b.start()
	b.recorded(b.fake.Head())
	refs := b.fake.Reorg(t, 1, 2, chaintest.DropTxs)
	b.recorded(refs[1])
	require.Equal(t, map[uint64]uint64{1: 1}, b.amounts())
	require.Len(t, b.memory.payments, 2, "payments are never deleted")
}

// Another block at the cursor's height is no reason to act: nodes disagree about
// the newest block. The next one decides.
func TestWaitsForTheLongerChain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(3)
	paid := b.pay(ours, 1)
	steps := make(chan scan.Progress)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case steps <- p:
		case <-t.Context().Done():
		}
	}
	b.start()
	next := func(done func(scan.Progress) bool) {
		for p := range steps {
			if done(p) {
				return
			}
		}
	}
	next(func(p scan.Progress) bool { return p.Cursor != nil && p.Cursor.Hash == paid.Hash })

	b.fake.Reorg(t, 2, 1, chaintest.DropTxs)
	next(func(p scan.Progress) bool { return p.Head == paid.Number-1 && p.Mode == scan.ModeWait })
	b.fake.MineBlocks(1)
	next(func(p scan.Progress) bool { return p.Head == paid.Number && p.Mode == scan.ModeWait })
	require.Equal(t, map[uint64]uint64{1: paid.Number}, b.amounts())
	top := b.fake.MineBlocks(1)
	next(func(p scan.Progress) bool { return p.Cursor.Hash == top.Hash })
	require.Empty(t, b.amounts())
}

func TestAReorgWhileCatchingUp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.pay(ours, 1)
	stop := b.start()
	b.fake.MineBlocks(3)
	b.recorded(b.pay(ours, 2).BlockRef)
	require.Error(t, stop())

	// While nobody looks the chain changes below the cursor and grows by a lot.
	b.fake.Reorg(t, 2, 60, chaintest.KeepTxs)
	b.start()
	b.recorded(b.fake.Head())
	require.Equal(t, map[uint64]uint64{1: 1, 2: 4}, b.amounts())
}

func TestAReorgBelowTheHorizonHalts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	for i := range uint64(20) {
		b.pay(ours, 100+i)
	}
	stop := b.start()
	b.recorded(b.fake.Head())
	require.Error(t, stop())
	before, cursor := b.amounts(), *b.memory.cursor

	require.Len(t, before, 20)
	refs := b.fake.Reorg(t, 13, 14, chaintest.DropTxs)
	halts := 0
	b.memory.onHalt = func() {
		halts++
		require.Equal(t, cursor, *b.memory.cursor, "nothing is undone before crediting has stopped")
	}
	b.start()
	b.recorded(refs[13])
	require.Equal(t, "reorg_below_horizon", b.memory.halted)
	require.Equal(t, 1, halts)
	require.Len(t, b.amounts(), 7, "what the new chain does not have is undone")
	after := b.pay(ours, 300)
	b.recorded(after.BlockRef)
	require.Equal(t, after.Number, b.amounts()[300], "recording goes on")
}

// Far below the horizon only some blocks are known. The newest of them that the chain still has is found however many there
// are, and nothing below it is undone.
func TestAReorgFarBelowTheHorizon(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	for i := range uint64(300) {
		b.pay(ours, 1000+i)
	}
	stop := b.start()
	b.recorded(b.fake.Head())
	require.Error(t, stop())
	refs := b.fake.Reorg(t, 290, 295, chaintest.KeepTxs)
	b.start()
	b.recorded(refs[294])
	require.Len(t, b.amounts(), 300)
	for _, p := range b.memory.payments {
		last := p.inclusions[len(p.inclusions)-1]
		require.True(t, last.canonical)
		if last.block.Number <= 10 {
			require.Len(t, p.inclusions, 1, "block %d was left alone", last.block.Number)
		} else {
			require.Equal(t, refs[0].Hash, last.block.Hash)
			require.Len(t, p.inclusions, 2)
		}
	}
}

// What the chain itself called final must not change, however near to the head it is.
func TestAReorgOfWhatWasFinalHalts(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(30)
	b.pay(ours, 1)
	b.fake.MineBlocks(2) // number 32 is final
	stop := b.start()
	b.recorded(b.fake.Head())
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.final == 32 }))
	require.Error(t, stop())
	refs := b.fake.Reorg(t, 4, 5, chaintest.KeepTxs)
	b.start()
	b.recorded(refs[4])
	require.Equal(t, "reorg_below_final", b.memory.halted)
	require.Equal(t, map[uint64]uint64{1: refs[0].Number}, b.amounts())
}

func TestAReorgOfEverythingEverRecorded(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.memory.session.Start = 5
	b.fake.MineBlocks(4)
	for i := range uint64(3) {
		b.pay(ours, 100+i)
	}
	b.start()
	b.recorded(b.fake.Head())
	refs := b.fake.Reorg(t, 5, 6, chaintest.KeepTxs) // two of them below the start
	b.recorded(refs[5])
	require.Empty(t, b.amounts(), "mined again below the first block that is watched")
	b.recorded(b.pay(ours, 200).BlockRef)
	require.Equal(t, map[uint64]uint64{200: 9}, b.amounts())
}

func TestARescanAddsWhatWasMissed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	for i := range uint64(30) {
		b.pay(ours, 100+i)
	}
	b.start()
	b.recorded(b.fake.Head())
	require.Empty(t, b.amounts())
	cursor := *b.memory.cursor

	b.memory.issue(ours) // an address nobody knew of
	b.memory.change(func() { b.memory.rescans = []scan.Rescan{{ID: 7, From: 3, To: 1000, Next: 3}} })
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 31 }))
	require.Len(t, b.amounts(), 28)
	require.Equal(t, cursor, *b.memory.cursor)
	b.recorded(b.pay(ours, 900).BlockRef)
	require.Len(t, b.amounts(), 29)
}

func TestARescanThatFailsDelaysNoNewBlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(5)
	b.start()
	b.recorded(b.fake.Head())
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && bytes.Equal(a.Params[0], json.RawMessage(`"0x4"`)) {
			a.Error = &chaintest.RPCError{Code: -32000, Message: "internal error"}
		}
	}})
	b.memory.change(func() { b.memory.rescans = []scan.Rescan{{ID: 7, From: 4, To: 4, Next: 4}} })
	for i := range uint64(5) {
		b.recorded(b.pay(ours, 10+i).BlockRef)
	}
	require.EqualValues(t, 4, b.memory.rescans[0].Next)
	b.fake.SetFaults(chaintest.Faults{})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 5 }))
}

func TestARescanOfABlockThatIsNotTheRecordedOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(5)
	b.start()
	b.recorded(b.fake.Head())
	// The chain changes and does not grow, so nothing is rolled back yet.
	b.fake.Reorg(t, 3, 2, chaintest.DropTxs)
	b.pay(ours, 5)
	b.memory.change(func() { b.memory.rescans = []scan.Rescan{{ID: 7, From: 1, To: 5, Next: 1}} })
	b.recorded(b.fake.MineBlocks(1))
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 6 }))
	require.Equal(t, map[uint64]uint64{5: 5}, b.amounts())
	for _, p := range b.memory.payments {
		require.Len(t, p.inclusions, 1)
	}
}
