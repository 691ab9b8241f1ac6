package evm_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
)

func TestHugeAnswersOverWebSocket(t *testing.T) {
	t.Parallel()
	geth := chaintest.NewGeth(t, func(t *testing.T, _, wsURL string) chaintest.Source {
		t.Helper()
		return open(t, evm.Options{URL: wsURL, MaxAnswer: 4_000})
	})
	source := geth.Source()
	txs := make([]chaintest.Tx, 10)
	for i := range txs {
		txs[i] = chaintest.Native{To: chaintest.Account(1), Amount: 5}
	}
	mined := geth.Mine(t, txs...)
	_, err := source.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
	require.Error(t, err)
	require.Contains(t, []string{"answer_too_large", "unavailable"}, chain.Reason(err))
	head, err := source.Head(t.Context(), payment.TagNone)
	require.NoError(t, err, "the connection is made anew")
	require.Equal(t, mined.BlockRef, head)
}
