package evm_test

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/payment"
)

// without removes a token's logs from answers to questions about blocks by their hash, or about ranges.
func without(token payment.Address, byHash bool) faultproxy.Fault {
	return faultproxy.Change("eth_getLogs", func(c *faultproxy.Call) {
		filter, _ := json.Marshal(c.Params[0])
		var by struct{ BlockHash string }
		if json.Unmarshal(filter, &by) != nil || (by.BlockHash != "") != byHash {
			return
		}
		logs, _ := c.Result.([]any)
		kept := []any{}
		for _, log := range logs {
			if log.(map[string]any)["address"] != token.Lower() {
				kept = append(kept, log)
			}
		}
		c.Result = kept
	})
}

// TestBlocksByHashShowWhatARangeLacks, on a real node: a block holds a transfer of one token to a stranger and one of another to an
// order, and the index over blocks lacks the second.
func TestBlocksByHashShowWhatARangeLacks(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	first := b.Mine(t, chaintest.TokenTransfer{Token: b.Token(), To: chaintest.Account(2), Amount: 3},
		chaintest.TokenTransfer{Token: b.Other(), To: chaintest.Account(1), Amount: 4})
	last := b.Mine(t)
	filter := chain.Filter{Tokens: []payment.Address{b.Token(), b.Other()}}
	b.proxy.Set(without(b.Other(), false))
	blocks, err := b.source.Range(t.Context(), first.Number, last.Number, filter)
	require.NoError(t, err)
	require.Len(t, blocks[0].Candidates, 1, "nothing says that there is more")
	blocks, err = b.source.BlocksByHash(t.Context(), first.Number, last.Number, filter)
	require.NoError(t, err)
	require.Len(t, blocks[0].Candidates, 2)
}

// TestReceiptsProveWhatAnAnswerByHashLacks: where the bloom filter tells of a token that the answer has nothing of, the block's receipts
// decide, if the endpoint's blocks prove themselves.
func TestReceiptsProveWhatAnAnswerByHashLacks(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	mined := b.Mine(t, chaintest.TokenTransfer{Token: b.Token(), To: chaintest.Account(2), Amount: 3},
		chaintest.TokenTransfer{Token: b.Other(), To: chaintest.Account(1), Amount: 4})
	filter := chain.Filter{Tokens: []payment.Address{b.Token(), b.Other()}}
	read := func() []chain.Candidate {
		blocks, err := b.source.BlocksByHash(t.Context(), mined.Number, mined.Number, filter)
		require.NoError(t, err)
		resolved, err := b.source.Resolve(t.Context(), blocks[0].BlockRef, blocks[0].Candidates)
		require.NoError(t, err)
		return resolved
	}
	whole := read()
	require.Len(t, whole, 2)
	require.Zero(t, b.proxy.Calls(blockReceipts), "nothing is in doubt")
	b.proxy.Set(without(b.Other(), true))
	require.Equal(t, whole, read())
	require.Equal(t, 1, b.proxy.Calls(blockReceipts))

	b.proxy.Set(without(b.Other(), true), faultproxy.Refuse(blockReceipts, -32601, "method not found"))
	require.Len(t, read(), 1, "a bloom filter is a hint, and what was answered has to do")
}
