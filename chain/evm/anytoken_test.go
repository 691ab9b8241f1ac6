package evm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
)

// everyContract tells whether a question for logs names no contract.
func everyContract(a *chaintest.Answer) bool {
	return a.Method == "eth_getLogs" && !strings.Contains(string(a.Params[0]), "address")
}

func TestWhereTransfersOfEveryContractAreTooMuch(t *testing.T) {
	t.Parallel()
	tests := map[string]*chaintest.RPCError{
		"too many":    {Code: -32005, Message: "query returned more than 10000 results"},
		"not allowed": {Code: -32602, Message: "please specify an address"},
		"not known":   {Code: -32601, Message: "the method eth_getLogs does not exist/is not available"},
		"too slow":    {Code: -32002, Message: "request timed out"},
		"too large":   {Code: -32003, Message: "response too large"},
	}
	for name, refusal := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			mined := b.pay()
			b.fake.Mine(t, chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 5})
			b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
				if everyContract(a) {
					a.Result, a.Error = nil, refusal
				}
			}})
			b.filter.AnyToken = true
			for range 3 {
				block, err := b.read(mined.Hash)
				require.NoError(t, err)
				require.False(t, block.AnyToken)
				require.Len(t, block.Candidates, 2, "what is configured is found all the same")
			}
			vain := 1
			if name == "too large" {
				vain = 2 // with the block, and by itself
			}
			require.Equal(t, vain+3, b.fake.Calls("eth_getLogs"), "asked in vain only once")
			for range 3 {
				blocks, err := b.source.Range(t.Context(), 1, 2, b.filter)
				require.NoError(t, err)
				require.False(t, blocks[0].AnyToken)
				require.Len(t, blocks[0].Candidates, 2)
				require.Empty(t, blocks[1].Candidates)
			}
			require.Equal(t, 2*(vain+3), b.fake.Calls("eth_getLogs"))
		})
	}
}

func TestAnEndpointIsAskedAgainForWhatItRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.Reprobe = time.Nanosecond })
	mined := b.pay()
	b.filter.AnyToken = true
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if everyContract(a) {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32005, Message: "limit exceeded"}
		}
	}})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.False(t, block.AnyToken)
	b.fake.SetFaults(chaintest.Faults{})
	block, err = b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.AnyToken)
}

// An outage is no refusal: it is an error, and nothing is remembered.
func TestAnOutageIsNoRefusal(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.pay()
	b.filter.AnyToken = true
	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) {
		a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "server busy"}
	})
	_, err := b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrUnavailable)
	b.fake.SetFaults(chaintest.Faults{Lag: 1})
	_, err = b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	b.fake.SetFaults(chaintest.Faults{})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.AnyToken)
}

func TestAFalseEmptyAnswerForEveryContract(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.fake.Mine(t, chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 5})
	b.filter.AnyToken = true
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if everyContract(a) && strings.Contains(string(a.Params[0]), "topics") {
			a.Result = []any{}
		}
	}})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.True(t, block.AnyToken)
	require.Equal(t, "5", amountsOf(block), "all logs of the block tell")
}
