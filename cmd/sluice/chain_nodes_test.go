package main

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
)

func (b *bench) tryEnable(nodes ...*chaintest.Fake) result {
	b.Helper()
	args := []string{"chain", "enable", "dev", "--chain-id", "1337", "--native-symbol", "ETH", "--block-time", "1s", "--confirmations", "3", "--operator", "acme"}
	for _, node := range nodes {
		args = append(args, "--rpc", node.URL())
	}
	return b.run("", args...)
}

// deaf is a node that refuses every question for logs, as some public ones do.
func deaf(t *testing.T) *chaintest.Fake {
	t.Helper()
	node := chaintest.NewFake(t, nil)
	node.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getLogs" {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32005, Message: "limit exceeded"}
		}
	}})
	return node
}

func TestANodeThatSendsNoLogsIsNotEnough(t *testing.T) {
	b := setup(t)
	r := b.tryEnable(deaf(t))
	require.NotZero(t, r.code)
	require.Contains(t, r.err, "no node given sends the logs of a block, the logs of a range of blocks: payments would not be found")
	require.Zero(t, b.count(`SELECT count(*)::int FROM chains`))
	r = b.tryEnable(deaf(t), chaintest.NewFake(t, nil))
	require.Zero(t, r.code, r.err)
	require.Contains(t, r.out, "--rpc number 1 does not send the logs of a block, the logs of a range of blocks: it is used for the rest")
}

func TestNodesWithoutBlock0CanBeEnabled(t *testing.T) {
	b := setup(t)
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	for _, node := range []*chaintest.Fake{first, second} {
		node.MineBlocks(3)
		node.Prune(1, &chaintest.RPCError{Code: 4444, Message: "pruned history unavailable"})
	}
	for _, nodes := range [][]*chaintest.Fake{{first}, {first, second}} {
		r := b.tryEnable(nodes...)
		require.Zero(t, r.code, r.err)
	}
	require.Equal(t, 1, b.count(`SELECT count(*)::int FROM chains WHERE genesis_hash IS NULL`))

	// One that was recorded tells them apart, also when there is one node only.
	b.exec(`INSERT INTO recorded_marks (chain, number, hash, block_time) VALUES ('dev', 2, decode(repeat('ab', 32), 'hex'), now())`)
	r := b.tryEnable(first)
	require.NotZero(t, r.code)
	require.Contains(t, r.err, "wrong_chain")
}
