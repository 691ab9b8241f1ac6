package scan_test

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// callsPerDay is what docs/operations.md says about a network: blocks, and the calls of following, heads, the second look in ranges,
// catching up, and the second look by hash.
func callsPerDay(n catalog.Network) []uint64 {
	const day = 24 * time.Hour
	p := scan.Policy{}.Defaults()
	blocks := uint64(day / n.BlockTime)
	pieces := max(blocks/p.SecondLookBlocks, uint64(day/p.SecondLookEvery))
	ranges := blocks / min(p.MaxRange, n.MaxRange)
	return []uint64{
		blocks,
		3 * blocks, // header, block, logs
		uint64(day/p.Poll(n.BlockTime)) + uint64(day/p.FinalEvery),
		blocks + pieces, // headers, and logs of many blocks
		blocks + ranges,
		2 * blocks, // headers, and logs of each block
	}
}

// TestCallsToNodesAreDocumented: the table is what the policy comes to, and the rule is what is really asked.
func TestCallsToNodesAreDocumented(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../docs/operations.md")
	require.NoError(t, err)
	for _, n := range catalog.Networks() {
		row := "| " + n.Name + " |"
		for _, calls := range callsPerDay(n) {
			row += " " + grouped(calls) + " |"
		}
		require.Contains(t, string(text), row+"\n")
	}

	fake := chaintest.NewFake(t, openSource)
	fake.MineBlocks(200)
	filter := chain.Filter{Native: true, Tokens: []payment.Address{fake.Token(), fake.Other()}}
	asked := func(methods ...string) (calls int) {
		for _, method := range methods {
			calls += fake.Calls(method)
		}
		return calls
	}
	all := func() int { return asked("eth_getBlockByNumber", "eth_getBlockByHash", "eth_getLogs") }
	before := all()
	_, err = fake.Source().Range(t.Context(), 1, 100, filter)
	require.NoError(t, err)
	require.Equal(t, 100+1, all()-before, "in ranges")
	before = all()
	_, err = fake.Source().BlocksByHash(t.Context(), 1, 100, filter)
	require.NoError(t, err)
	require.Equal(t, 2*100, all()-before, "by hash")
	before = all()
	header, err := fake.Source().HeaderByNumber(t.Context(), 7)
	require.NoError(t, err)
	_, err = fake.Source().BlockByHash(t.Context(), header.Hash, filter)
	require.NoError(t, err)
	require.Equal(t, 3, all()-before, "near the head")
}

// grouped writes a number with commas.
func grouped(n uint64) string {
	text := strconv.FormatUint(n, 10)
	for at := len(text) - 3; at > 0; at -= 3 {
		text = string(slices.Insert([]byte(text), at, ','))
	}
	return text
}
