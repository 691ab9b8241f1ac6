package evm_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/payment"
)

// A header that gives the block's hash proves its time, however it is asked for. One with another time proves nothing, and nothing
// is refused for that.
func TestHeadersProveTheirTime(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	mined := b.Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 1})
	asked := func() []payment.BlockRef {
		head, err := b.source.Head(t.Context(), payment.TagNone)
		require.NoError(t, err)
		header, err := b.source.HeaderByHash(t.Context(), mined.Hash)
		require.NoError(t, err)
		block, err := b.source.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
		require.NoError(t, err)
		blocks, err := b.source.Range(t.Context(), mined.Number, mined.Number, chain.Filter{Native: true})
		require.NoError(t, err)
		return []payment.BlockRef{head, header, block.BlockRef, blocks[0].BlockRef}
	}
	truth := asked()[0].Time
	for _, ref := range asked() {
		require.Equal(t, payment.TimeProven, ref.TimeBasis)
	}
	later := fmt.Sprintf("0x%x", truth.Add(48*time.Hour).Unix())
	b.proxy.Set(faultproxy.SetField("eth_getBlockByHash", "timestamp", later), faultproxy.SetField("eth_getBlockByNumber", "timestamp", later))
	for _, ref := range asked() {
		require.Equal(t, payment.TimeClaimed, ref.TimeBasis)
		require.Equal(t, truth.Add(48*time.Hour), ref.Time)
	}
	b.proxy.Set()
	for _, ref := range asked() {
		require.Equal(t, payment.TimeProven, ref.TimeBasis, "one lie does not end the proofs")
	}
}
