package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

// A new chain is read from when the oldest address was made. A node that says that all of its blocks are older must not have the
// payments since then left out.
func TestTheStartOfAChainIsNotOneNodesWord(t *testing.T) {
	t.Parallel()
	liar, honest := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	var head, then payment.BlockRef
	for _, fake := range []*chaintest.Fake{liar, honest} {
		then = fake.MineBlocks(5)
		head = fake.MineBlocks(20)
	}
	liar.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if block, ok := a.Result.(map[string]any); ok && block["timestamp"] != nil {
			block["timestamp"] = "0x1"
		}
	}})
	for _, urls := range [][]string{{liar.URL(), honest.URL()}, {honest.URL(), liar.URL()}} {
		start, err := chainEnable{RPC: urls}.lowestAt(t.Context(), head, then.Time)
		require.NoError(t, err)
		require.Equal(t, then.Number, start)
	}
}
