package scan_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
)

// A rescan far below the head reads the new chain after a deep reorganisation that was not followed yet. Nothing of it may be
// recorded: a block with a payment would be taken for one that the old and the new chain have in common, and what
// both do not share below it would never be undone.
func TestARescanDuringADeepReorganisation(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.fake.MineBlocks(9)
	undone := b.pay(ours, 4) // block 10
	b.fake.MineBlocks(30)
	stop := b.start()
	b.recorded(b.fake.Head())
	require.Error(t, stop())
	require.Equal(t, map[uint64]uint64{4: undone.Number}, b.amounts())

	b.fake.Reorg(t, 33, 2, chaintest.DropTxs)
	paid := b.pay(ours, 5) // block 10
	b.fake.MineBlocks(25)  // lower than the cursor: a node that lags, as far as anybody can tell
	tried := make(chan bool, 1)
	b.options.OnProgress = func(p scan.Progress) {
		if p.RescanFailure != "" || len(b.memory.rescans) == 0 || b.memory.rescans[0].Next > 1 {
			select {
			case tried <- p.RescanFailure == "parent_mismatch":
			default:
			}
		}
	}
	b.memory.rescans = []scan.Rescan{{ID: 7, From: 1, To: 20, Next: 1}}
	b.start()
	require.True(t, <-tried, "what is read again is not of the recorded chain")
	require.Equal(t, map[uint64]uint64{4: undone.Number}, b.amounts())

	b.recorded(b.fake.MineBlocks(10))
	require.Equal(t, "reorg_below_horizon", b.memory.halted)
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 21 }))
	require.Equal(t, map[uint64]uint64{5: paid.Number}, b.amounts())
}
