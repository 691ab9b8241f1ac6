package evm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

// takes makes the fake refuse batches of more calls, in the words of a provider, and lists the sizes of those that came;
// 0 is a call without a batch.
func (b *bundle) takes(most, status int, words string) (seen func() []int) {
	var mu sync.Mutex
	var sizes []int
	b.fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, answer []byte) bool {
		size := 0
		var batch []json.RawMessage
		if bytes.HasPrefix(answer, []byte("[")) && json.Unmarshal(answer, &batch) == nil {
			size = len(batch)
		}
		mu.Lock()
		sizes = append(sizes, size)
		mu.Unlock()
		if size <= most {
			return false
		}
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":%q}}`, words)
		return true
	}})
	return func() []int {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(sizes)
	}
}

func TestBatchesFitWhatTheEndpointTakes(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		most, status int
		words        string
	}{
		"smaller ones":   {10, 200, "batch too large"},
		"by its status":  {10, 413, ""},
		"none":           {0, 200, "batch requests are not supported on this plan"},
		"none, in steps": {0, 400, "invalid batch"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.fake.MineBlocks(25)
			last := b.pay()
			sizes := b.takes(c.most, c.status, c.words)
			filter := chain.Filter{Tokens: b.filter.Tokens}
			for range 2 {
				blocks, err := b.source.Range(t.Context(), 2, last.Number, filter)
				require.NoError(t, err)
				require.Len(t, blocks, 25)
				require.Len(t, blocks[24].Candidates, 1)
			}
			learnt, refused := sizes(), 0
			for _, size := range learnt {
				if size > c.most {
					refused++
				}
			}
			require.LessOrEqual(t, learnt[len(learnt)-1], c.most, "it is known by then")
			require.LessOrEqual(t, refused, 4, "and was learnt quickly")
			_, err := b.source.HeaderByNumber(t.Context(), last.Number+1)
			require.ErrorIs(t, err, chain.ErrBlockUnknown, "null is null without a batch too")
			_, err = b.read(payment.Hash{1})
			require.ErrorIs(t, err, chain.ErrBlockUnknown)
		})
	}
}

// An error of the only call of a batch, or of the node, is not taken for a refusal of batches.
func TestWhatIsNoRefusalOfABatch(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	sizes := b.takes(0, http.StatusBadGateway, "upstream failed")
	for range 2 {
		_, err := b.source.Head(t.Context(), payment.TagNone)
		require.ErrorIs(t, err, chain.ErrUnavailable)
	}
	require.Equal(t, []int{1, 1}, sizes())
	b.fake.SetFaults(chaintest.Faults{Batch: func(batch []json.RawMessage) []json.RawMessage { return batch[:len(batch)-1] }})
	_, err := b.read(b.fake.Head().Hash)
	require.ErrorIs(t, err, chain.ErrMalformed, "a batch that is cut short stays one")
}

func TestErrorsOfCallsWithoutABatch(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.takes(0, 200, "batch requests are disabled")
	_, err := b.source.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && string(a.Params[0]) == `"finalized"` {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "finalized block not found"}
		}
	}})
	_, err = b.source.Head(t.Context(), payment.TagFinalized)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	mined := b.pay()
	in := chain.Inclusion{
		BlockNumber: mined.Number, BlockHash: mined.Hash, TxHash: mined.Txs[1], Native: true,
		From: chaintest.Account(204), To: chaintest.Account(1), Amount: payment.AmountFromUint64(6),
	}
	check, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Tag: payment.TagFinalized})
	require.NoError(t, err, "the error of one call is that call's alone")
	require.Equal(t, chain.Included, check.Outcome)
}
