package evm_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

type bundle struct {
	*testing.T

	fake   *chaintest.Fake
	source chaintest.Source
	filter chain.Filter
}

func setup(t *testing.T, change func(*evm.Options)) *bundle {
	t.Helper()
	fake := chaintest.NewFake(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		opts := evm.Options{URL: httpURL}
		if change != nil {
			change(&opts)
		}
		return open(t, opts)
	})
	return &bundle{T: t, fake: fake, source: fake.Source(), filter: chain.Filter{Native: true, Tokens: []payment.Address{fake.Token()}}}
}

func (b *bundle) pay() chaintest.Mined {
	return b.fake.Mine(b.T,
		chaintest.TokenTransfer{Token: b.fake.Token(), To: chaintest.Account(1), Amount: 5},
		chaintest.Native{To: chaintest.Account(1), Amount: 6},
	)
}

func (b *bundle) read(hash payment.Hash) (chain.Block, error) {
	return b.source.BlockByHash(b.Context(), hash, b.filter)
}

// change rewrites the answers of one method, as JSON.
func (b *bundle) change(method string, rewrite func(result map[string]any)) {
	b.answer(method, func(a *chaintest.Answer) {
		a.Result = rewritten(b.T, a.Result, rewrite)
	})
}

func rewritten(t *testing.T, result any, rewrite func(map[string]any)) any {
	t.Helper()
	raw, err := json.Marshal(result)
	require.NoError(t, err)
	var value any
	require.NoError(t, json.Unmarshal(raw, &value))
	switch value := value.(type) {
	case map[string]any:
		rewrite(value)
	case []any:
		for _, item := range value {
			rewrite(item.(map[string]any))
		}
	}
	return value
}

func (b *bundle) answer(method string, f func(*chaintest.Answer)) {
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == method {
			f(a)
		}
	}})
}

// onlyWay changes the answers of one method, and refuses all others by which the same could be had.
func (b *bundle) onlyWay(method string, f func(*chaintest.Answer)) {
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		switch {
		case a.Method == method && string(a.Params[len(a.Params)-1]) != "false":
			f(a)
		case a.Method == "eth_getTransactionReceipt" || a.Method == "eth_getTransactionByHash" || a.Method == "eth_getBlockReceipts":
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "will not say"}
		}
	}})
}

func TestUnknownTransactionTypesAreReadGenerically(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.fake.MineTxs(
		&chaintest.FakeTx{To: chaintest.Account(1), From: chaintest.Account(9), Value: 7, Extra: map[string]any{
			"type": "0x7e", "sourceHash": "0x1234", "mint": "0x0", "isSystemTx": true, "gas": nil, "value": "0x07",
		}},
		&chaintest.FakeTx{To: chaintest.Account(1), Value: 8, Extra: map[string]any{"type": "0x99", "from": nil, "v": 1.5, "nonce": []int{1}}},
		&chaintest.FakeTx{To: chaintest.Account(1), From: chaintest.Account(9), Extra: map[string]any{"type": "0x7f", "value": nil}},
		&chaintest.FakeTx{To: chaintest.Account(1), From: chaintest.Account(9), Extra: map[string]any{"type": "surprise"},
			Logs: []chaintest.FakeLog{chaintest.TransferLog(b.fake.Token(), chaintest.Account(8), chaintest.Account(1), 9)}},
	)
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	resolved, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.NoError(t, err)
	var amounts []string
	for _, c := range resolved {
		require.Equal(t, chain.Resolved, c.Resolution)
		amounts = append(amounts, c.Amount.String())
	}
	require.Equal(t, []string{"7", "8", "9"}, amounts)
}

func TestAnswersThatContradictThemselves(t *testing.T) {
	t.Parallel()
	other := payment.Hash{7}.String()
	tests := map[string]struct {
		method string
		change func(map[string]any)
		want   chain.ReasonError
	}{
		"another block":         {"eth_getBlockByHash", func(m map[string]any) { m["hash"] = other }, chain.ErrInconsistent},
		"log of another block":  {"eth_getLogs", func(m map[string]any) { m["blockHash"] = other }, chain.ErrInconsistent},
		"log of another number": {"eth_getLogs", func(m map[string]any) { m["blockNumber"] = "0x63" }, chain.ErrInconsistent},
		"removed log":           {"eth_getLogs", func(m map[string]any) { m["removed"] = true }, chain.ErrInconsistent},
		"log of a foreign tx":   {"eth_getLogs", func(m map[string]any) { m["transactionHash"] = other }, chain.ErrInconsistent},
		"txs left out":          {"eth_getBlockByHash", func(m map[string]any) { m["transactions"] = []string{other, other} }, chain.ErrInconsistent},
		"amount above 2^256-1": {"eth_getBlockByHash", func(m map[string]any) {
			m["transactions"].([]any)[1].(map[string]any)["value"] = "0x1" + strings.Repeat("0", 64)
		}, chain.ErrMalformed},
		"number above 2^64-1":     {"eth_getBlockByHash", func(m map[string]any) { m["number"] = "0x1" + strings.Repeat("0", 16) }, chain.ErrMalformed},
		"time in a million years": {"eth_getBlockByHash", func(m map[string]any) { m["timestamp"] = "0xffffffffffff" }, chain.ErrMalformed},
		"short hash":              {"eth_getBlockByHash", func(m map[string]any) { m["parentHash"] = "0x12" }, chain.ErrMalformed},
		"no parent":               {"eth_getBlockByHash", func(m map[string]any) { delete(m, "parentHash") }, chain.ErrMalformed},
		"short bloom":             {"eth_getBlockByHash", func(m map[string]any) { m["logsBloom"] = "0x12" }, chain.ErrMalformed},
		"decimal number":          {"eth_getBlockByHash", func(m map[string]any) { m["number"] = 12 }, chain.ErrMalformed},
		"value without a digit":   {"eth_getBlockByHash", func(m map[string]any) { m["transactions"].([]any)[1].(map[string]any)["value"] = "0x" }, chain.ErrMalformed},
		"odd data":                {"eth_getLogs", func(m map[string]any) { m["data"] = "0x123" }, chain.ErrMalformed},
		"log without index":       {"eth_getLogs", func(m map[string]any) { delete(m, "logIndex") }, chain.ErrMalformed},
		"recipient of 21 bytes": {"eth_getBlockByHash", func(m map[string]any) {
			m["transactions"].([]any)[1].(map[string]any)["to"] = "0x" + strings.Repeat("11", 21)
		}, chain.ErrMalformed},
		"tx of another block":      {"eth_getBlockByHash", func(m map[string]any) { m["transactions"].([]any)[0].(map[string]any)["blockHash"] = other }, chain.ErrInconsistent},
		"transaction without hash": {"eth_getBlockByHash", func(m map[string]any) { delete(m["transactions"].([]any)[0].(map[string]any), "hash") }, chain.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			mined := b.pay()
			b.onlyWay(test.method, func(a *chaintest.Answer) { a.Result = rewritten(t, a.Result, test.change) })
			_, err := b.read(mined.Hash)
			require.ErrorIs(t, err, test.want)
			b.answer(test.method, func(a *chaintest.Answer) {
				if string(a.Params[len(a.Params)-1]) != "false" {
					a.Result = rewritten(t, a.Result, test.change)
				}
			})
			block, err := b.read(mined.Hash)
			if err == nil { // in another way
				require.Len(t, block.Candidates, 2)
			}
		})
	}
}

func TestReceiptsThatContradictThemselves(t *testing.T) {
	t.Parallel()
	other := payment.Hash{7}.String()
	firstLog := func(m map[string]any) map[string]any { return m["logs"].([]any)[0].(map[string]any) }
	tests := map[string]struct {
		change func(map[string]any)
		want   chain.ReasonError
	}{
		"other transaction": {func(m map[string]any) { m["transactionHash"] = other }, chain.ErrInconsistent},
		"other block": {func(m map[string]any) {
			m["blockHash"] = other
			firstLog(m)["blockHash"] = other
			m["logs"].([]any)[1].(map[string]any)["blockHash"] = other
		}, chain.ErrReorged},
		"failed with logs":  {func(m map[string]any) { m["status"] = "0x0" }, chain.ErrInconsistent},
		"no status":         {func(m map[string]any) { delete(m, "status") }, chain.ErrMalformed},
		"first log missing": {func(m map[string]any) { m["logs"] = m["logs"].([]any)[1:] }, chain.ErrInconsistent},
		"log in between":    {func(m map[string]any) { firstLog(m)["logIndex"] = "0x5" }, chain.ErrInconsistent},
		"other amount":      {func(m map[string]any) { firstLog(m)["data"] = "0x" + strings.Repeat("0", 63) + "9" }, chain.ErrInconsistent},
		"other contract":    {func(m map[string]any) { firstLog(m)["address"] = chaintest.Account(77).Lower() }, chain.ErrInconsistent},
		"foreign log":       {func(m map[string]any) { firstLog(m)["transactionHash"] = other }, chain.ErrInconsistent},
		"bloom and a log that is not there": {func(m map[string]any) {
			m["logsBloom"] = "0x01" + strings.Repeat("0", 510)
			firstLog(m)["data"] = "0x" + strings.Repeat("0", 63) + "9"
		}, chain.ErrInconsistent},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			mined := b.fake.Mine(t, chaintest.Multi{
				{Token: b.fake.Token(), To: chaintest.Account(1), Amount: 5}, {Token: b.fake.Token(), To: chaintest.Account(2), Amount: 6},
			})
			block, err := b.read(mined.Hash)
			require.NoError(t, err)
			want := test.want
			if name == "first log missing" {
				// Only the candidate whose log is gone can notice: the numbers still have no gap.
				block.Candidates = block.Candidates[:1]
			}
			b.change("eth_getTransactionReceipt", test.change)
			_, err = b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
			require.ErrorIs(t, err, want)
		})
	}
}

func TestAMissingReceiptIsNoAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.pay()
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	b.answer("eth_getTransactionReceipt", func(a *chaintest.Answer) { a.Result = nil })
	_, err = b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.ErrorIs(t, err, chain.ErrReceiptMissing)
}

func TestFalseEmptyAnswers(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.pay()
	filtered := func(a *chaintest.Answer) bool { return strings.Contains(string(a.Params[0]), "address") }

	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) { a.Result = []any{} })
	_, err := b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrInconsistent, "all logs hidden: the bloom filter tells")
	_, err = b.source.Range(t.Context(), 1, mined.Number, b.filter)
	require.ErrorIs(t, err, chain.ErrInconsistent)

	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) { a.Result = nil })
	_, err = b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrMalformed, "null is not an empty list")

	for name, hide := range map[string]func(a *chaintest.Answer){
		"all": func(a *chaintest.Answer) { a.Result = []any{} },
		"hidden only when asked for": func(a *chaintest.Answer) {
			if filtered(a) {
				a.Result = []any{}
			}
		},
		"null": func(a *chaintest.Answer) { a.Result = nil },
	} {
		b.answer("eth_getLogs", hide)
		block, err := b.read(mined.Hash)
		require.NoError(t, err, name)
		require.Len(t, block.Candidates, 2, name)
		blocks, err := b.source.Range(t.Context(), 1, mined.Number, b.filter)
		require.NoError(t, err, name)
		require.Len(t, blocks[0].Candidates, 2, name)
	}
}

// A bloom filter admits what is not there: the topic from one contract and the
// address from another. That must not stop a chain.
func TestABloomFilterThatAdmitsTooMuch(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	approval := payment.Hash{1, 2, 3}
	mined := b.fake.Mine(t,
		chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 5},
		chaintest.RawLog{Token: b.fake.Token(), Topics: []payment.Hash{approval}, Data: nil},
	)
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.Empty(t, block.Candidates)
	require.Equal(t, 2, b.fake.Calls("eth_getLogs"))
	blocks, err := b.source.Range(t.Context(), mined.Number, mined.Number, b.filter)
	require.NoError(t, err)
	require.Empty(t, blocks[0].Candidates)
}

func TestBloomFiltersThatSayNothing(t *testing.T) {
	t.Parallel()
	for name, bloom := range map[string]any{
		"zeros": "0x" + strings.Repeat("00", 256), "ones": "0x" + strings.Repeat("ff", 256), "missing": nil, "empty": "0x",
	} {
		b := setup(t, nil)
		mined := b.fake.MineBlock(func(block *chaintest.FakeBlock) { block.Extra = map[string]any{"logsBloom": bloom} })
		block, err := b.read(mined.Hash)
		require.NoError(t, err, name)
		require.Empty(t, block.Candidates, name)
		require.Equal(t, 1, b.fake.Calls("eth_getLogs"), name)
	}
}

func TestAWrongBloomFilterCanBeIgnored(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.IgnoreBloom = true })
	paid := b.pay()
	mined := b.fake.MineBlock(func(block *chaintest.FakeBlock) { block.Bloom[9] ^= 0xf0 })
	for _, hash := range []payment.Hash{paid.Hash, mined.Hash} {
		_, err := b.read(hash)
		require.NoError(t, err)
	}
}

func TestANodeThatAnswersTooMuch(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.fake.Mine(t, chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 5})
	b.change("eth_getLogs", func(map[string]any) {})
	b.answer("eth_getLogs", func(a *chaintest.Answer) {
		a.Result = []any{map[string]any{
			"address": b.fake.Other().Lower(), "data": "0x" + strings.Repeat("0", 63) + "5", "blockHash": mined.Hash,
			"topics":      []payment.Hash{chaintest.TransferTopic(), chaintest.Topic(chaintest.Account(8)), chaintest.Topic(chaintest.Account(1))},
			"blockNumber": "0x1", "transactionHash": mined.Txs[0], "transactionIndex": "0x0", "logIndex": "0x0",
		}}
	})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.Empty(t, block.Candidates, "a token that nobody asked for")
}

func TestALogThatAppearsTwice(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.pay()
	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) {
		logs := rewritten(t, a.Result, func(map[string]any) {}).([]any)
		a.Result = append(logs, logs...)
	})
	_, err := b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrInconsistent)
}

func TestBatches(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		batch func([]json.RawMessage) []json.RawMessage
		want  error
	}{
		"truncated": {func(m []json.RawMessage) []json.RawMessage { return m[:len(m)-1] }, chain.ErrMalformed},
		"empty":     {func([]json.RawMessage) []json.RawMessage { return []json.RawMessage{} }, chain.ErrMalformed},
		"reversed":  {func(m []json.RawMessage) []json.RawMessage { return []json.RawMessage{m[1], m[0]} }, nil},
		"with null": {func(m []json.RawMessage) []json.RawMessage { return append([]json.RawMessage{[]byte("null")}, m...) }, nil},
		"wrong ids": {func(m []json.RawMessage) []json.RawMessage {
			for i := range m {
				m[i] = []byte(strings.Replace(string(m[i]), `"id":`, `"id":9`, 1))
			}
			return m
		}, chain.ErrMalformed},
		"the same answer twice": {func(m []json.RawMessage) []json.RawMessage { return []json.RawMessage{m[0], m[0]} }, chain.ErrMalformed},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, nil)
			mined := b.pay()
			b.fake.SetFaults(chaintest.Faults{Batch: test.batch})
			block, err := b.read(mined.Hash)
			if test.want == nil {
				require.NoError(t, err)
				require.Len(t, block.Candidates, 2)
				return
			}
			require.ErrorIs(t, err, test.want)
		})
	}
}

func TestHTTPFaults(t *testing.T) {
	t.Parallel()
	status := func(code int, header, body string) func(http.ResponseWriter, *http.Request, []byte) bool {
		return func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			if header != "" {
				w.Header().Set("Retry-After", header)
			}
			w.WriteHeader(code)
			_, _ = w.Write([]byte(body))
			return true
		}
	}
	tests := map[string]struct {
		http  func(http.ResponseWriter, *http.Request, []byte) bool
		want  error
		after time.Duration
	}{
		"500":                 {http: status(500, "", "oops"), want: chain.ErrUnavailable},
		"503 with wait":       {http: status(503, "7", ""), want: chain.ErrUnavailable, after: 7 * time.Second},
		"504":                 {http: status(504, "", ""), want: chain.ErrTimeout},
		"429":                 {http: status(429, "", "slow down"), want: chain.ErrRateLimited},
		"429 with wait":       {http: status(429, "3", `{"error":{"code":-32005,"message":"limit"}}`), want: chain.ErrRateLimited, after: 3 * time.Second},
		"rate in a 200":       {http: status(200, "", `{"error":{"code":-32005,"message":"daily request count exceeded, request rate limited"}}`), want: chain.ErrRateLimited},
		"413":                 {http: status(413, "", ""), want: chain.ErrTooLarge},
		"error for the batch": {http: status(200, "", `{"jsonrpc":"2.0","id":null,"error":{"code":-32600,"message":"batch too large"}}`), want: chain.ErrTooLarge},
		"HTML":                {http: status(200, "", `<html>hello</html>`), want: chain.ErrMalformed},
		"half":                {http: status(200, "", `[{"jsonrpc":"2.0","id":1,"res`), want: chain.ErrMalformed},
		"nothing":             {http: status(200, "", ``), want: chain.ErrMalformed},
		"object":              {http: status(200, "", `{}`), want: chain.ErrMalformed},
		"redirect": {http: func(w http.ResponseWriter, r *http.Request, _ []byte) bool {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
			return true
		}, want: chain.ErrUnavailable},
		"not UTF-8": {http: func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
			_, _ = w.Write(append(body, 0xff))
			return true
		}, want: chain.ErrMalformed},
		"huge": {http: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
			_, _ = w.Write(make([]byte, 1<<20+1))
			return true
		}, want: chain.ErrTooLarge},
		"cut off": {http: func(w http.ResponseWriter, _ *http.Request, body []byte) bool {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(body[:10])
			return true
		}, want: chain.ErrMalformed},
		"slow drip": {http: func(w http.ResponseWriter, r *http.Request, body []byte) bool {
			_, _ = w.Write(body[:10])
			_ = http.NewResponseController(w).Flush()
			<-r.Context().Done()
			return true
		}, want: chain.ErrTimeout},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *evm.Options) {
				o.MaxAnswer, o.Timeout = 1<<20, await.Broken
				if name == "slow drip" {
					o.Timeout = 300 * time.Millisecond
				}
			})
			mined := b.pay()
			b.fake.SetFaults(chaintest.Faults{HTTP: test.http})
			_, err := b.read(mined.Hash)
			require.ErrorIs(t, err, test.want)
			require.Equal(t, test.after, chain.RetryAfter(err))
			_, err = b.source.Range(t.Context(), 1, 1, b.filter)
			want := test.want
			if errors.Is(want, chain.ErrTooLarge) {
				want = chain.ErrRangeTooLarge
			}
			require.ErrorIs(t, err, want)
		})
	}
}

func TestRangesThatChangeWhileTheyAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.MaxBatch = 5 })
	b.pay()
	b.fake.MineBlocks(20)
	asked := 0
	b.answer("eth_getBlockByNumber", func(a *chaintest.Answer) {
		if asked++; asked == 9 {
			a.Result = rewritten(t, a.Result, func(m map[string]any) { m["hash"] = payment.Hash{5}.String() })
		}
	})
	_, err := b.source.Range(t.Context(), 1, 20, chain.Filter{})
	require.ErrorIs(t, err, chain.ErrReorged)
	b.change("eth_getBlockByNumber", func(m map[string]any) {
		if m["number"] == "0x4" {
			m["number"] = "0x5"
		}
	})
	_, err = b.source.Range(t.Context(), 1, 20, chain.Filter{})
	require.ErrorIs(t, err, chain.ErrInconsistent)
	b.change("eth_getLogs", func(m map[string]any) { m["blockNumber"] = "0x30" })
	_, err = b.source.Range(t.Context(), 1, 20, b.filter)
	require.ErrorIs(t, err, chain.ErrInconsistent)
}

func TestALaggingNodeIsBehindNotEmpty(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	mined := b.pay()
	b.fake.SetFaults(chaintest.Faults{Lag: 1, EmptyAhead: true})
	_, err := b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	_, err = b.source.Range(t.Context(), 0, 1, b.filter)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	check, err := b.source.CheckInclusion(t.Context(), chain.Inclusion{BlockNumber: 1, BlockHash: mined.Hash, TxHash: mined.Txs[0]}, chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, chain.NodeBehind, check.Outcome)
}

func TestTagsThatANodeDoesNotKnow(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	b.answer("eth_getBlockByNumber", func(a *chaintest.Answer) {
		if string(a.Params[0]) == `"finalized"` {
			a.Error = &chaintest.RPCError{Code: -32601, Message: "tag not supported"}
		}
	})
	_, err := b.source.Head(t.Context(), payment.TagFinalized)
	require.ErrorIs(t, err, chain.ErrUnsupported)
	_, err = b.source.CheckInclusion(t.Context(), chain.Inclusion{}, chain.Demand{Tag: payment.TagFinalized})
	require.ErrorIs(t, err, chain.ErrUnsupported)
	b.answer("eth_getBlockByNumber", func(a *chaintest.Answer) {
		if string(a.Params[0]) == `"finalized"` {
			a.Error = &chaintest.RPCError{Code: -39001, Message: "finalized block not found"}
		}
	})
	_, err = b.source.Head(t.Context(), payment.TagFinalized)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
}

func TestTokensThatAreNone(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	number := func(n byte) []byte { return append(make([]byte, 31), n) }
	at := chaintest.Account(50)
	tests := map[string]struct {
		token  chaintest.FakeToken
		symbol string
		want   error
	}{
		"18 decimals":     {chaintest.FakeToken{Code: []byte{1}, Decimals: number(18)}, "", nil},
		"reverts":         {chaintest.FakeToken{Code: []byte{1}}, "", chain.ErrNoToken},
		"no answer":       {chaintest.FakeToken{Code: []byte{1}, Decimals: []byte{}}, "", chain.ErrNoToken},
		"256 decimals":    {chaintest.FakeToken{Code: []byte{1}, Decimals: append(append(make([]byte, 30), 1), 0)}, "", chain.ErrNoToken},
		"no code":         {chaintest.FakeToken{Decimals: number(6)}, "", chain.ErrNoToken},
		"symbol of bytes": {chaintest.FakeToken{Code: []byte{1}, Decimals: number(18), Symbol: append([]byte("MKR"), make([]byte, 29)...)}, "MKR", nil},
		"bidi symbol":     {chaintest.FakeToken{Code: []byte{1}, Decimals: number(18), Symbol: append([]byte("A\u202eB\x07\nC"), make([]byte, 24)...)}, "AB C", nil},
		"not UTF-8":       {chaintest.FakeToken{Code: []byte{1}, Decimals: number(18), Symbol: append([]byte{0xff, 0xfe}, make([]byte, 30)...)}, "", nil},
		"length lies":     {chaintest.FakeToken{Code: []byte{1}, Decimals: number(18), Symbol: append(number(32), make([]byte, 32)...)}, "", nil},
	}
	for name, test := range tests {
		b.fake.SetToken(at, test.token)
		meta, err := b.source.TokenMeta(t.Context(), at)
		if test.want != nil {
			require.ErrorIs(t, err, test.want, name)
			continue
		}
		require.NoError(t, err, name)
		require.EqualValues(t, 18, meta.Decimals, name)
		require.Equal(t, test.symbol, meta.Symbol, name)
	}
	b.answer("eth_call", func(a *chaintest.Answer) { a.Error = &chaintest.RPCError{Code: -32000, Message: "server busy"} })
	_, err := b.source.TokenMeta(t.Context(), b.fake.Token())
	require.ErrorIs(t, err, chain.ErrUnavailable, "a node that fails says nothing about the token")
}

// Whatever goes wrong, no part of the URL is in an error.
func TestErrorsHoldNoSecrets(t *testing.T) {
	t.Parallel()
	const key = "canary-key-0123456789"
	var answer atomic.Value
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { answer.Load().(http.HandlerFunc)(w, r) }))
	t.Cleanup(server.Close)
	base := server.URL + "/v3/" + key + "?apikey=" + key
	closed := httptest.NewServer(http.NotFoundHandler())
	closedURL := closed.URL + "/" + key
	closed.Close()
	echo := func(code int) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(code)
			_ = json.NewEncoder(w).Encode(map[string]any{"error": map[string]any{"code": -32000, "message": "no project " + r.URL.String() + " at http://" + r.Host + "\x1b[31m"}})
		}
	}
	tests := map[string]struct {
		url    string
		answer http.HandlerFunc
	}{
		"node echoes the URL":    {base, echo(200)},
		"failure echoes the URL": {base, echo(401)},
		"refused":                {closedURL, nil},
		"no such host":           {"https://" + key + ".invalid/" + key, nil},
		"refused WebSocket":      {"ws" + strings.TrimPrefix(closedURL, "http"), nil},
		"no WebSocket":           {"ws" + strings.TrimPrefix(base, "http"), echo(403)},
		"timeout": {base, func(_ http.ResponseWriter, r *http.Request) {
			_, _ = io.Copy(io.Discard, r.Body) // until then the server does not notice that the client is gone
			<-r.Context().Done()
		}},
		"hang up": {base, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }},
	}
	for name, test := range tests {
		answer.Store(test.answer)
		source := open(t, evm.Options{URL: test.url, Timeout: 300 * time.Millisecond})
		_, err := source.Head(t.Context(), payment.TagNone)
		require.Error(t, err, name)
		require.NotContains(t, err.Error(), key, name)
		require.NotContains(t, err.Error(), "127.0.0.1", name)
		require.NotContains(t, err.Error(), "\x1b", name)
		require.NotEqual(t, "internal", chain.Reason(err), name)
		source.Close()
	}
	for _, bad := range []string{"", "ftp://host/" + key, "://" + key, "http://%zz" + key, key} {
		_, err := evm.New(evm.Options{URL: bad})
		require.Error(t, err)
		require.NotContains(t, err.Error(), key)
	}
	_, err := evm.New(evm.Options{URL: base, WSURL: base})
	require.Error(t, err, "heads need a WebSocket")
}

func TestASubscriptionComesBack(t *testing.T) {
	t.Parallel()
	geth := chaintest.NewGeth(t, func(t *testing.T, httpURL, wsURL string) chaintest.Source {
		t.Helper()
		return open(t, evm.Options{URL: httpURL, WSURL: wsURL, Silence: 50 * time.Millisecond})
	})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	wake := geth.Source().SubscribeHeads(ctx)
	for range 2 { // each subscription begins with one; silence makes a new one
		await.Receive(t, wake, "a wake-up")
	}
}
