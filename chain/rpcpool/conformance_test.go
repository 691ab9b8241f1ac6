package rpcpool_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/rpcpool"
)

// two opens a pool of two endpoints, of two operators, on one node.
func two(t *testing.T, httpURL, wsURL string) chaintest.Source {
	t.Helper()
	pool := rpcpool.New(rpcpool.Options{Chain: "dev"})
	var members []rpcpool.Member
	for i, operator := range []string{"alpha", "beta"} {
		source, err := evm.New(evm.Options{URL: httpURL, WSURL: wsURL})
		require.NoError(t, err)
		members = append(members, rpcpool.Member{Endpoint: source, Key: [32]byte{byte(i)}, ID: int64(i), Operator: operator, Weight: 100})
	}
	pool.Set(rpcpool.Config{Identity: chain.Identity{ChainID: 1337}}, members)
	return pool
}

func TestAPoolIsASource(t *testing.T) {
	t.Parallel()
	t.Run("fake", func(t *testing.T) {
		t.Parallel()
		chaintest.RunSource(t, func(t *testing.T) chaintest.Bench { t.Helper(); return chaintest.NewFake(t, two) })
	})
	t.Run("geth", func(t *testing.T) {
		t.Parallel()
		if testing.Short() {
			t.Skip("a node for each test takes a while")
		}
		chaintest.RunSource(t, func(t *testing.T) chaintest.Bench { t.Helper(); return chaintest.NewGeth(t, two) })
	})
}
