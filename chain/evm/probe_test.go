package evm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
)

func TestProbe(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.pay()
	prober, ok := b.source.(chain.Prober)
	require.True(t, ok)
	refusals := map[string]*chaintest.RPCError{}
	nothing := map[string]bool{}
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		name := a.Method
		if a.Method == "eth_getBlockByNumber" {
			name = string(a.Params[0])
		}
		switch {
		case refusals[name] != nil:
			a.Result, a.Error = nil, refusals[name]
		case nothing[name]:
			a.Result, a.Error = nil, nil
		case a.Method == "eth_getBlockReceipts", a.Method == "debug_traceBlockByHash":
			a.Result, a.Error = []any{}, nil
		}
	}})
	can, err := prober.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, all(), can)

	nothing[`"finalized"`] = true // not yet
	refusals[`"safe"`] = &chaintest.RPCError{Code: -32602, Message: "invalid argument 0: hex string without 0x prefix"}
	refusals["eth_getBlockReceipts"] = &chaintest.RPCError{Code: -32601, Message: "method not found"}
	refusals["debug_traceBlockByHash"] = &chaintest.RPCError{Code: -32000, Message: "not available on your plan"}
	can, err = prober.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, chain.Capabilities{Blocks: true, Logs: true, RangeLogs: true, Receipts: true, Finalized: true}, can)
	require.Empty(t, can.Lacks())

	refusals["eth_getLogs"] = &chaintest.RPCError{Code: -32005, Message: "limit exceeded"} // always, as some public nodes do
	refusals["eth_getTransactionReceipt"] = &chaintest.RPCError{Code: -32601, Message: "method not found"}
	can, err = prober.Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, "the logs of a block, the logs of a range of blocks, receipts", can.Lacks())

	refusals["eth_getBlockReceipts"] = &chaintest.RPCError{Code: 429, Message: "too many requests"}
	_, err = prober.Probe(t.Context())
	require.ErrorIs(t, err, chain.ErrRateLimited, "nothing was learnt")
}

func TestProbeOfARealNode(t *testing.T) {
	t.Parallel()
	if testing.Short() {
		t.Skip("a node takes a while")
	}
	geth := chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		return open(t, evm.Options{URL: httpURL})
	})
	geth.Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 5})
	can, err := geth.Source().(chain.Prober).Probe(t.Context())
	require.NoError(t, err)
	require.Equal(t, all(), can)
}

func all() chain.Capabilities {
	return chain.Capabilities{
		Blocks: true, Logs: true, RangeLogs: true, Receipts: true, Safe: true, Finalized: true, Traces: true, BlockReceipts: true,
	}
}
