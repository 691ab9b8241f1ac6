package evm

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
)

// Whatever a node calls a trace: reading it ends, and what is found has places in order.
func FuzzDecodeTrace(f *testing.F) {
	f.Add(`[{"txHash":"0x0100000000000000000000000000000000000000000000000000000000000000","result":{"type":"CALL","from":"0xac00000000000000000000000000000000000001",` +
		`"to":"0xac00000000000000000000000000000000000002","value":"0x9","calls":[{"type":"CALL","from":"0xac00000000000000000000000000000000000002",` +
		`"to":"0xac00000000000000000000000000000000000003","value":"0x4","error":"","calls":[{"type":"DELEGATECALL","value":"0x4"}]}]}}]`)
	f.Add(`[{"result":{"calls":[{"type":"SELFDESTRUCT"}]}}]`)
	f.Add(`[{"error":"execution timeout"}]`)
	f.Fuzz(func(t *testing.T, raw string) {
		b := &block{txs: []rawTx{{Hash: payment.Hash{1}}}}
		found, err := decodeTrace([]byte(raw), b)
		if err != nil {
			require.Empty(t, found)
			return
		}
		last := uint32(0)
		for _, c := range found {
			require.Greater(t, c.Position, last)
			require.False(t, c.Amount.IsZero())
			require.NotEqual(t, c.From, c.To)
			last = c.Position
		}
	})
}
