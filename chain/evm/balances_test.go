package evm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
)

func TestBalancesAreThoseAfterTheBlock(t *testing.T) {
	t.Parallel()
	var source *evm.Source
	geth := chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		var err error
		source, err = evm.New(evm.Options{URL: httpURL, MaxBatch: 2})
		require.NoError(t, err)
		return source
	})
	first, second, nobody := chaintest.Account(1), chaintest.Account(2), chaintest.Account(3)
	block := geth.Mine(t,
		chaintest.Native{To: first, Amount: 5}, chaintest.TokenTransfer{Token: geth.Token(), To: second, Amount: 7},
		chaintest.Script{Value: 2, Acts: []chaintest.Act{{To: second, Value: 2}}})
	later := geth.Mine(t, chaintest.Native{To: first, Amount: 90})
	ask := func(at payment.BlockRef, contract payment.Address) []string {
		amounts, err := source.Balances(t.Context(), at, contract, []payment.Address{second, first, nobody})
		require.NoError(t, err)
		texts := make([]string, len(amounts))
		for i, amount := range amounts {
			texts[i] = amount.String()
		}
		return texts
	}
	require.Equal(t, []string{"2", "5", "0"}, ask(block.BlockRef, payment.Address{}))
	require.Equal(t, []string{"2", "95", "0"}, ask(later.BlockRef, payment.Address{}))
	require.Equal(t, []string{"7", "0", "0"}, ask(block.BlockRef, geth.Token()))

	_, err := source.Balances(t.Context(), block.BlockRef, first, []payment.Address{second})
	require.ErrorIs(t, err, chain.ErrNoToken, "there is no contract")
	_, err = source.Balances(t.Context(), payment.BlockRef{Number: 1, Hash: payment.Hash{1}}, payment.Address{}, []payment.Address{second})
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	geth.Reorg(t, 1, 2, chaintest.DropTxs)
	_, err = source.Balances(t.Context(), later.BlockRef, payment.Address{}, []payment.Address{first})
	require.Error(t, err, "not canonical any more")
}
