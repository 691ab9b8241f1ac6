package evm_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
)

// payInside mines an internal transfer beside the payments of pay.
func (b *bundle) payInside() chaintest.Mined {
	b.filter.Traces = true
	return b.fake.Mine(b.T,
		chaintest.TokenTransfer{Token: b.fake.Token(), To: chaintest.Account(1), Amount: 5},
		chaintest.Script{Value: 9, Acts: []chaintest.Act{{To: chaintest.Account(1), Value: 6}, {To: chaintest.Account(2), Value: 3}}},
	)
}

// traceOf rewrites the trace of one transaction of a block.
func traceOf(t *testing.T, i int, rewrite func(traced, root map[string]any)) func(*chaintest.Answer) {
	t.Helper()
	return func(a *chaintest.Answer) {
		list := rewritten(t, a.Result, func(map[string]any) {}).([]any)
		traced := list[i].(map[string]any)
		rewrite(traced, traced["result"].(map[string]any))
		a.Result = list
	}
}

func firstCall(root map[string]any) map[string]any { return root["calls"].([]any)[0].(map[string]any) }

// Without a trace that fits, a block is read all the same, and says what is lacking.
func TestBlocksThatCannotBeTraced(t *testing.T) {
	t.Parallel()
	refuse := func(code int, message string) func(*testing.T) func(*chaintest.Answer) {
		return func(*testing.T) func(*chaintest.Answer) {
			return func(a *chaintest.Answer) { a.Result, a.Error = nil, &chaintest.RPCError{Code: code, Message: message} }
		}
	}
	change := func(rewrite func(traced, root map[string]any)) func(*testing.T) func(*chaintest.Answer) {
		return func(t *testing.T) func(*chaintest.Answer) { t.Helper(); return traceOf(t, 1, rewrite) }
	}
	tests := map[string]struct {
		answer func(t *testing.T) func(*chaintest.Answer)
		asked  int // of three blocks
	}{
		"no such method": {refuse(-32601, "the method debug_traceBlockByHash does not exist/is not available"), 1},
		"not paid for":   {refuse(-32000, "debug_traceBlockByHash is not available on the Free tier, please upgrade"), 1},
		"no state":       {refuse(-32000, "required historical state unavailable (reexec=128)"), 1},
		"busy":           {refuse(-32000, "server busy"), 1},
		"rate":           {refuse(-32005, "rate limit"), 1},
		"timeout":        {refuse(-32002, "request timed out"), 1},
		"too large":      {refuse(-32003, "response too large"), 3},
		"null":           {func(*testing.T) func(*chaintest.Answer) { return func(a *chaintest.Answer) { a.Result = nil } }, 1},
		"one missing": {func(t *testing.T) func(*chaintest.Answer) {
			t.Helper()
			return func(a *chaintest.Answer) { a.Result = rewritten(t, a.Result, func(map[string]any) {}).([]any)[1:] }
		}, 1},
		"swapped": {func(t *testing.T) func(*chaintest.Answer) {
			t.Helper()
			return func(a *chaintest.Answer) {
				list := rewritten(t, a.Result, func(map[string]any) {}).([]any)
				list[0], list[1] = list[1], list[0]
				a.Result = list
			}
		}, 1},
		"swapped without hashes": {func(t *testing.T) func(*chaintest.Answer) {
			t.Helper()
			return func(a *chaintest.Answer) {
				list := rewritten(t, a.Result, func(m map[string]any) { delete(m, "txHash") }).([]any)
				list[0], list[1] = list[1], list[0]
				a.Result = list
			}
		}, 1},
		"failed to trace":  {change(func(traced, _ map[string]any) { traced["error"] = "execution timeout" }), 1},
		"no result":        {change(func(traced, _ map[string]any) { traced["result"] = nil }), 1},
		"another hash":     {change(func(traced, _ map[string]any) { traced["txHash"] = payment.Hash{7} }), 1},
		"unknown frame":    {change(func(_, root map[string]any) { firstCall(root)["type"] = "EXTCALL" }), 1},
		"no recipient":     {change(func(_, root map[string]any) { delete(firstCall(root), "to") }), 1},
		"value over 2^256": {change(func(_, root map[string]any) { firstCall(root)["value"] = "0x1" + zeros(64) }), 1},
		"a number":         {change(func(_, root map[string]any) { firstCall(root)["value"] = 6 }), 1},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			mined := b.payInside()
			b.answer("debug_traceBlockByHash", test.answer(t))
			for range 3 {
				block, err := b.read(mined.Hash)
				require.NoError(t, err)
				require.False(t, block.Traced)
				require.Len(t, block.Candidates, 2, "what needs no trace is found all the same")
			}
			require.Equal(t, test.asked, b.fake.Calls("debug_traceBlockByHash"), "asked in vain only once")
			blocks, err := b.source.Range(t.Context(), 1, mined.Number, b.filter)
			require.NoError(t, err)
			require.False(t, blocks[len(blocks)-1].Traced)
		})
	}
}

func zeros(n int) string {
	out := make([]byte, n)
	for i := range out {
		out[i] = '0'
	}
	return string(out)
}

func TestANodeThatLearnsToTrace(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.Reprobe = time.Nanosecond })
	mined := b.payInside()
	b.answer("debug_traceBlockByHash", func(a *chaintest.Answer) {
		a.Result, a.Error = nil, &chaintest.RPCError{Code: -32601, Message: "method not found"}
	})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.False(t, block.Traced)
	b.fake.SetFaults(chaintest.Faults{})
	block, err = b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.Traced)
	require.Len(t, block.Candidates, 4)
}

// Older nodes do not name the transactions of a trace.
func TestATraceWithoutHashes(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.payInside()
	b.change("debug_traceBlockByHash", func(m map[string]any) { delete(m, "txHash") })
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.Traced)
	require.Len(t, block.Candidates, 4)
	require.EqualValues(t, 2, block.Candidates[3].Position)
}

// The words of other nodes for the same frames.
func TestFramesInOtherSpellings(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.payInside()
	b.answer("debug_traceBlockByHash", traceOf(t, 1, func(_, root map[string]any) {
		firstCall(root)["type"] = "call"
		firstCall(root)["value"] = "0x06"
		firstCall(root)["error"] = ""
		firstCall(root)["calls"] = nil
	}))
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.Traced)
	require.Len(t, block.Candidates, 4)
}

func TestTracedRangesAreSmall(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.payInside()
	b.fake.MineBlocks(200)
	_, err := b.source.Range(t.Context(), 1, 65, b.filter)
	require.ErrorIs(t, err, chain.ErrRangeTooLarge)
	blocks, err := b.source.Range(t.Context(), 1, 64, b.filter)
	require.NoError(t, err)
	require.True(t, blocks[mined.Number-1].Traced)
	require.Equal(t, 1, b.fake.Calls("debug_traceBlockByHash"), "empty blocks need no trace")

	b.answer("debug_traceBlockByHash", func(a *chaintest.Answer) {
		a.Result, a.Error = nil, &chaintest.RPCError{Code: -32601, Message: "method not found"}
	})
	blocks, err = b.source.Range(t.Context(), 1, 64, b.filter)
	require.NoError(t, err)
	require.False(t, blocks[0].Traced)
	_, err = b.source.Range(t.Context(), 1, 200, b.filter)
	require.NoError(t, err, "where nothing is traced, ranges may be large")
}

func TestACheckOfAnInternalTransferNeedsATrace(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.payInside()
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	c := block.Candidates[2]
	require.EqualValues(t, 1, c.Position)
	in := chain.Inclusion{
		BlockNumber: mined.Number, BlockHash: mined.Hash, TxHash: c.TxHash, Native: true, Position: 1, From: c.From, To: c.To, Amount: c.Amount,
	}
	tests := map[string]struct {
		answer func(*chaintest.Answer)
		want   error
	}{
		"no such method": {func(a *chaintest.Answer) {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32601, Message: "method not found"}
		}, chain.ErrUnsupported},
		"no state": {func(a *chaintest.Answer) {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "missing trie node 0xab"}
		}, chain.ErrUnsupported},
		"busy": {func(a *chaintest.Answer) {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "server busy"}
		}, chain.ErrUnavailable},
		"failed after all": {func(a *chaintest.Answer) {
			a.Result = rewritten(t, a.Result, func(m map[string]any) { m["error"] = "out of gas" })
		}, chain.ErrInconsistent},
		"unknown frame": {func(a *chaintest.Answer) {
			a.Result = rewritten(t, a.Result, func(m map[string]any) { firstCall(m)["type"] = "" })
		}, chain.ErrMalformed},
		"a number": {func(a *chaintest.Answer) { a.Result = 5 }, chain.ErrMalformed},
	}
	for name, test := range tests {
		b.answer("debug_traceTransaction", test.answer)
		_, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{})
		require.ErrorIs(t, err, test.want, name)
	}
	b.answer("debug_traceTransaction", func(a *chaintest.Answer) { a.Result = nil })
	check, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, chain.MissingReceipt, check.Outcome)
	b.answer("debug_traceTransaction", func(a *chaintest.Answer) {
		a.Result = rewritten(t, a.Result, func(m map[string]any) { firstCall(m)["error"] = "execution reverted" })
	})
	check, err = b.source.CheckInclusion(t.Context(), in, chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, chain.ContentChanged, check.Outcome)
}

func TestTracingEndsWithItsContext(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.payInside()
	ctx, cancel := context.WithCancel(t.Context())
	b.answer("debug_traceBlockByHash", func(*chaintest.Answer) { cancel() })
	_, err := b.source.BlockByHash(ctx, mined.Hash, b.filter)
	require.ErrorIs(t, err, context.Canceled)
	b.fake.SetFaults(chaintest.Faults{})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.Traced, "and is held against no endpoint")
}
