package evm_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

// The shapes in which nodes refuse a batch: id and error stand for the first call's id and what is said.
const (
	asObject  = `{"jsonrpc":"2.0","id":null,"error":$error}`
	asNull    = `[{"jsonrpc":"2.0","id":null,"error":$error}]`
	asFirst   = `[{"jsonrpc":"2.0","id":$id,"error":$error}]`
	asNothing = ``
)

// takes makes the fake refuse batches of more calls, in the words of a provider, and lists the sizes of those that came;
// 0 is a call without a batch.
func (b *bundle) takes(most, status int, shape, words string) (seen func() []int) {
	var mu sync.Mutex
	var sizes []int
	b.fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, answer []byte) bool {
		size := 0
		var batch []struct{ ID json.RawMessage }
		if bytes.HasPrefix(answer, []byte("[")) && json.Unmarshal(answer, &batch) == nil {
			size = len(batch)
		}
		mu.Lock()
		sizes = append(sizes, size)
		mu.Unlock()
		if size <= most {
			return false
		}
		id := "null"
		if size > 0 {
			id = string(batch[0].ID)
		}
		w.WriteHeader(status)
		_, _ = strings.NewReplacer("$id", id, "$error", fmt.Sprintf(`{"code":-32600,"message":%q}`, words)).WriteString(w, shape)
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
		shape, words string
		refusals     int // until it is learnt
	}{
		"object":                 {10, 200, asObject, "batch too large", 3},
		"go-ethereum":            {10, 200, asFirst, "batch too large", 3},
		"Erigon":                 {10, 200, asNull, "batch limit exceeded", 3},
		"413":                    {10, 413, asNothing, "", 3},
		"413 with a list":        {10, 413, asNull, "too much", 3},
		"400 with an object":     {10, 400, asObject, "batch too large", 3},
		"400 with a list":        {10, 400, asFirst, "batch too large", 3},
		"three are allowed":      {3, 200, asObject, "more than 3 requests in a batch not allowed", 1},
		"ten are allowed":        {10, 400, asNull, "Batch size 24 is too large, the limit is 10", 1},
		"three, of a free tier":  {3, 400, asNull, "Batch of more than 3 requests are not allowed on free tier, to use this feature register paid account", 1},
		"no word for a batch":    {10, 200, asNull, "Invalid Request", 3},
		"none":                   {0, 200, asObject, "batch requests are not supported on this plan", 1},
		"none, of the only call": {0, 200, asFirst, "batch requests are disabled", 2},
		"none, in steps":         {0, 400, asObject, "invalid batch", 6},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			b.fake.MineBlocks(25)
			last := b.pay()
			sizes := b.takes(c.most, c.status, c.shape, c.words)
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
			if c.most > 0 {
				require.Positive(t, learnt[len(learnt)-1], "batches are allowed")
			}
			require.LessOrEqual(t, refused, c.refusals, "and was learnt quickly: %v", learnt)
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
	sizes := b.takes(0, http.StatusBadGateway, asObject, "upstream failed")
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
	b.takes(0, 200, asObject, "batch requests are disabled")
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
