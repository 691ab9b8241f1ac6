package evm_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// refusal is what a node says instead of an answer.
func refusals() map[string]func(a *chaintest.Answer) {
	say := func(code int, message string) func(a *chaintest.Answer) {
		return func(a *chaintest.Answer) { a.Result, a.Error = nil, &chaintest.RPCError{Code: code, Message: message} }
	}
	return map[string]func(a *chaintest.Answer){
		"too many logs":    say(-32000, "query returns too many logs, narrow your filter: 20000"),
		"too many results": say(-32005, "query returned more than 10000 results"),
		"pages":            say(-32011, "no pagination: count: 20"),
		"too large":        say(-32003, "response too large"),
		"busy":             say(-32000, "internal error"),
		"no such method":   say(-32601, "the method does not exist/is not available"),
		"of another block": func(a *chaintest.Answer) {
			a.Result = []any{map[string]any{
				"address": chaintest.Account(1).Lower(), "blockHash": payment.Hash{2}, "blockNumber": "0x1", "transactionHash": payment.Hash{3},
				"transactionIndex": "0x0", "logIndex": "0x0", "topics": []any{}, "data": "0x",
			}}
		},
		"unreadable":         func(a *chaintest.Answer) { a.Result = "surprise" },
		"null":               func(a *chaintest.Answer) { a.Result = nil },
		"an object, no list": func(a *chaintest.Answer) { a.Result = map[string]any{"logs": 1} },
	}
}

// asks tells how a call asks for a block.
func asks(a *chaintest.Answer) string {
	switch {
	case a.Method == "eth_getLogs" && strings.Count(string(a.Params[0]), "0x") == 4: // hash, topic, two contracts
		return "logs of all contracts"
	case a.Method == "eth_getLogs":
		return "logs of one contract"
	case a.Method == "eth_getBlockReceipts":
		return "receipts of the block"
	case a.Method == "eth_getTransactionReceipt":
		return "receipts one by one"
	case a.Method == "eth_getBlockByHash" && string(a.Params[1]) == "true":
		return "the full block"
	case a.Method == "eth_getTransactionByHash":
		return "transactions one by one"
	default:
		return ""
	}
}

func ladderSetup(t *testing.T) (*bundle, chaintest.Mined) {
	t.Helper()
	b := setup(t, nil)
	b.filter.Tokens = append(b.filter.Tokens, b.fake.Other())
	mined := b.fake.Mine(t,
		chaintest.TokenTransfer{Token: b.fake.Token(), To: chaintest.Account(1), Amount: 5},
		chaintest.Native{To: chaintest.Account(1), Amount: 6},
		chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 7},
	)
	return b, mined
}

// Whatever a node calls its refusal: what any rung shows is read, in full.
func TestABlockIsReadInWhateverWayANodeShowsIt(t *testing.T) {
	t.Parallel()
	for refused, rungs := range map[string][]string{
		"all contracts":       {"logs of all contracts"},
		"all logs":            {"logs of all contracts", "logs of one contract"},
		"logs and one by one": {"logs of all contracts", "logs of one contract", "receipts one by one"},
		"logs and at once":    {"logs of all contracts", "logs of one contract", "receipts of the block"},
		"the block":           {"the full block"},
		"block and logs":      {"the full block", "logs of all contracts", "logs of one contract"},
	} {
		for name, refuse := range refusals() {
			t.Run(refused+", "+name, func(t *testing.T) {
				t.Parallel()
				b, mined := ladderSetup(t)
				b.fake.ServeBlockReceipts()
				b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
					if slices.Contains(rungs, asks(a)) {
						refuse(a)
					}
				}})
				block, err := b.read(mined.Hash)
				if err != nil { // what may be the node's own trouble is tried once more in the usual way
					block, err = b.read(mined.Hash)
				}
				require.NoError(t, err)
				require.Equal(t, "5 6 7", amountsOf(block))
				resolved, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
				if err != nil {
					resolved, err = b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
				}
				require.NoError(t, err)
				for _, c := range resolved {
					require.Equal(t, chain.Resolved, c.Resolution)
				}
			})
		}
	}
}

func amountsOf(block chain.Block) string {
	var amounts []string
	for _, c := range block.Candidates {
		amounts = append(amounts, c.Amount.String())
	}
	return strings.Join(amounts, " ")
}

// Our own limit: block and logs together are too large, the logs alone are, one contract's are not.
func TestAnAnswerAboveOurLimitIsAskedForInParts(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.MaxAnswer = 9_000 })
	b.filter.Tokens = append(b.filter.Tokens, b.fake.Other())
	var txs []chaintest.Tx
	for range 6 {
		txs = append(txs, chaintest.TokenTransfer{Token: b.fake.Token(), To: chaintest.Account(1), Amount: 5},
			chaintest.TokenTransfer{Token: b.fake.Other(), To: chaintest.Account(1), Amount: 6})
	}
	mined := b.fake.Mine(t, txs...)
	b.fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, answer []byte) bool {
		// What stands for size: the answers grow with what is in them.
		_, _ = w.Write(append(bytes.TrimSpace(answer), bytes.Repeat([]byte(" "), len(answer)/4)...))
		return true
	}})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.Len(t, block.Candidates, 12)
}

// A node that keeps what it removed beside what is there is understood; one that only has what it removed is not believed.
func TestARemovedLogBesideItsLiveTwin(t *testing.T) {
	t.Parallel()
	b, mined := ladderSetup(t)
	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) {
		dead := rewritten(t, a.Result, func(m map[string]any) { m["removed"] = true }).([]any)
		a.Result = append(dead, rewritten(t, a.Result, func(map[string]any) {}).([]any)...)
	})
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	require.Equal(t, "5 6 7", amountsOf(block))
	require.Equal(t, 1, b.fake.Calls("eth_getLogs"))

	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) {
		dead := rewritten(t, a.Result, func(m map[string]any) { m["removed"], m["data"] = true, "0x"+strings.Repeat("0", 63)+"9" }).([]any)
		a.Result = append(dead, rewritten(t, a.Result, func(map[string]any) {}).([]any)...)
	})
	_, err = b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrInconsistent, "no twin: it says something else")

	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) {
		a.Result = rewritten(t, a.Result, func(m map[string]any) { m["removed"] = m["address"] == b.fake.Token().Lower() })
	})
	_, err = b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrInconsistent, "one of two that are there is not: the whole answer fails")
}

// An endpoint that never serves logs is not asked for them with every block, and is after a while.
func TestALadderIsNotClimbedForEveryBlock(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.Reprobe = 150 * time.Millisecond })
	b.fake.ServeBlockReceipts()
	b.answer("eth_getLogs", refusals()["too many results"])
	var last chaintest.Mined
	asked := func() int {
		before := b.fake.Calls("eth_getLogs")
		last = b.pay()
		block, err := b.read(last.Hash)
		require.NoError(t, err)
		require.Equal(t, "5 6", amountsOf(block))
		return b.fake.Calls("eth_getLogs") - before
	}
	for range 3 {
		require.Equal(t, 1, asked())
	}
	require.Zero(t, asked())
	await.Until(t, func() bool { return asked() == 1 }, "for the first way to be asked again")
	require.Zero(t, asked(), "one refusal is enough now")
	b.answer("eth_getBlockReceipts", refusals()["too large"])
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if strings.Contains(a.Method, "eceipt") {
			refusals()["too large"](a)
		}
	}})
	require.Equal(t, 1, asked(), "what rests is asked when nothing else answers")
}

// One refusal of a large block changes nothing for the next.
func TestOneLargeBlockIsNoHabit(t *testing.T) {
	t.Parallel()
	b, mined := ladderSetup(t)
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if asks(a) == "logs of all contracts" && strings.Contains(string(a.Params[0]), mined.Hash.String()) {
			refusals()["too many logs"](a)
		}
	}})
	for range 5 {
		next := b.pay()
		for _, hash := range []payment.Hash{mined.Hash, next.Hash} {
			_, err := b.read(hash)
			require.NoError(t, err)
		}
	}
	require.Equal(t, 5*(1+2+1), b.fake.Calls("eth_getLogs"), "the block's logs are tried at once each time, then by contract")
}

// An endpoint that does not answer at all is not asked four times as much.
func TestAnOutageIsNoReasonToClimb(t *testing.T) {
	t.Parallel()
	b, mined := ladderSetup(t)
	requests := 0
	b.fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		requests++
		w.WriteHeader(http.StatusBadGateway)
		return true
	}})
	_, err := b.read(mined.Hash)
	require.ErrorIs(t, err, chain.ErrUnavailable)
	require.Equal(t, 1, requests)
}

// Wrong filters are outvoted: by all logs of the block, or by its receipts.
func TestABloomFilterIsAHint(t *testing.T) {
	t.Parallel()
	noise := bytes.Repeat([]byte{0x5a, 0xff, 0x7e, 0xff}, 64)
	admitting := func(f *chaintest.FakeBlock) { f.Bloom = noise }
	for name, change := range map[string]func(*chaintest.Faults){
		"nothing else":          func(*chaintest.Faults) {},
		"receipts of the block": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, func(o *evm.Options) { o.MaxTokens = 1 })
			for i := range byte(150) { // some are in the filter, whatever it is
				b.filter.Tokens = append(b.filter.Tokens, chaintest.Account(i+20))
			}
			b.filter.AnyToken = true
			if change == nil {
				b.fake.ServeBlockReceipts()
			}
			empty := b.fake.MineBlock(admitting)
			other := b.fake.MineBlock(admitting, &chaintest.FakeTx{To: chaintest.Account(1), From: chaintest.Account(9), Value: 7})
			paid := b.fake.MineBlock(func(f *chaintest.FakeBlock) { f.Bloom = make([]byte, 256); f.Bloom[3] = 1 },
				&chaintest.FakeTx{From: chaintest.Account(9), Logs: []chaintest.FakeLog{chaintest.TransferLog(b.fake.Token(), chaintest.Account(8), chaintest.Account(1), 9)}})
			for hash, want := range map[payment.Hash]string{empty.Hash: "", other.Hash: "7", paid.Hash: "9"} {
				block, err := b.read(hash)
				require.NoError(t, err)
				require.Equal(t, want, amountsOf(block))
			}
			blocks, err := b.source.Range(t.Context(), empty.Number, paid.Number, b.filter)
			require.NoError(t, err)
			require.Len(t, blocks, 3)
		})
	}
}

// A receipt whose filter is wrong pays all the same, when all logs of the block show the same.
func TestAReceiptWithAWrongBloomFilter(t *testing.T) {
	t.Parallel()
	b, mined := ladderSetup(t)
	b.change("eth_getTransactionReceipt", func(m map[string]any) { m["logsBloom"] = "0x01" + strings.Repeat("0", 510) })
	block, err := b.read(mined.Hash)
	require.NoError(t, err)
	resolved, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.NoError(t, err)
	require.Len(t, resolved, 3)
	check, err := b.source.CheckInclusion(t.Context(), inclusionOf(block.BlockRef, resolved[0]), chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, chain.Included, check.Outcome, "and is credited")
}

func inclusionOf(ref payment.BlockRef, c chain.Candidate) chain.Inclusion {
	return chain.Inclusion{
		BlockNumber: ref.Number, BlockHash: ref.Hash, TxHash: c.TxHash, Native: c.Native, Position: c.Position, Contract: c.Contract,
		From: c.From, To: c.To, Amount: c.Amount,
	}
}

// Null is "none" where the block's hash proves it, or its receipts; and "not known" everywhere else. A result that is left out is
// neither.
func TestNullForNoLogs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	paid := b.pay()
	empty := b.fake.MineBlocks(1)
	plain := b.fake.Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 6})
	null := func(a *chaintest.Answer) {
		if list, ok := a.Result.([]map[string]any); ok && len(list) == 0 {
			a.Result = nil
		}
	}
	b.answer("eth_getLogs", null)
	for hash, want := range map[payment.Hash]string{paid.Hash: "5 6", plain.Hash: "6"} {
		block, err := b.read(hash)
		require.NoError(t, err)
		require.Equal(t, want, amountsOf(block))
	}
	_, err := b.read(empty.Hash)
	require.ErrorIs(t, err, chain.ErrMalformed, "of an empty block there is no receipt to read, and its filter of zeros proves nothing")

	b.fake.ServeBlockReceipts()
	block, err := b.read(empty.Hash)
	require.NoError(t, err)
	require.Empty(t, block.Candidates)
	blocks, err := b.source.Range(t.Context(), empty.Number, empty.Number, b.filter)
	require.NoError(t, err)
	require.Empty(t, blocks[0].Candidates)
	blocks, err = b.source.Range(t.Context(), paid.Number, plain.Number, b.filter)
	require.NoError(t, err)
	require.Equal(t, "5 6", amountsOf(blocks[0]))

	b.onlyWay("eth_getLogs", func(a *chaintest.Answer) { a.Result = nil })
	_, err = b.read(paid.Hash)
	require.Error(t, err, "a node that has not indexed the block")
}

// A header that hashes to the block binds its filter, so null costs one question more and no receipts.
func TestNullForNoLogsOfARealNode(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	paid := b.Mine(t, chaintest.TokenTransfer{Token: b.Token(), To: chaintest.Account(1), Amount: 5})
	plain := b.Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 6})
	b.proxy.Set(faultproxy.Fault{Answer: func(c *faultproxy.Call) {
		switch {
		case c.Method == "eth_getLogs":
			c.Result = nil
		case strings.Contains(c.Method, "eceipt"):
			c.Result, c.Error = nil, &faultproxy.Error{Code: -32000, Message: "will not say"}
		}
	}})
	block, err := b.source.BlockByHash(t.Context(), plain.Hash, b.filter())
	require.NoError(t, err)
	require.Equal(t, "6", amountsOf(block))
	_, err = b.source.BlockByHash(t.Context(), paid.Hash, b.filter())
	require.ErrorIs(t, err, chain.ErrMalformed, "the filter admits a transfer")
	blocks, err := b.source.Range(t.Context(), plain.Number, plain.Number, b.filter())
	require.NoError(t, err)
	require.Equal(t, "6", amountsOf(blocks[0]))
	_, err = b.source.Range(t.Context(), paid.Number, plain.Number, b.filter())
	require.ErrorIs(t, err, chain.ErrMalformed)
}

// TestManyBlocksBringNoMoreThanOneAnswer: the limit of an answer is one of each block that is asked for by itself, and together they
// are as many times as much.
func TestManyBlocksBringNoMoreThanOneAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, func(o *evm.Options) { o.MaxAnswer = 1 << 20 })
	filter := chain.Filter{Tokens: []payment.Address{b.fake.Token(), b.fake.Other()}}
	numbers := map[payment.Hash]uint64{}
	for range 8 {
		mined := b.fake.MineBlocks(1)
		numbers[mined.Hash] = mined.Number
	}
	pad := "0x" + strings.Repeat("0", 24)
	topics := []any{
		"0xddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef",
		pad + chaintest.Account(1).Lower()[2:], pad + chaintest.Account(2).Lower()[2:],
	}
	log := func(number uint64, hash payment.Hash, at int, contract string) any {
		return map[string]any{
			"address": contract, "blockHash": hash, "blockNumber": fmt.Sprintf("0x%x", number),
			"transactionHash": payment.Hash{3}, "transactionIndex": "0x0", "logIndex": fmt.Sprintf("0x%x", at),
			"topics": topics, "data": "0x" + strings.Repeat("0", 63) + "1",
		}
	}
	b.fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		var asked struct {
			Address            []string
			BlockHash          payment.Hash
			FromBlock, ToBlock string
		}
		if a.Method != "eth_getLogs" || json.Unmarshal(a.Params[0], &asked) != nil {
			return
		}
		var logs []any
		switch {
		case asked.FromBlock != "": // logs of other blocks than those
			var from, to uint64
			_, _ = fmt.Sscanf(asked.FromBlock+" "+asked.ToBlock, "0x%x 0x%x", &from, &to)
			for number := from; number <= to; number++ {
				logs = append(logs, log(number, payment.Hash{2}, 0, asked.Address[0]))
			}
		case len(asked.Address) > 1:
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "query returns too many logs"}
			return
		default:
			for i := range 700 {
				if asked.Address[0] == b.fake.Other().Lower() {
					i += 700
				}
				logs = append(logs, log(numbers[asked.BlockHash], asked.BlockHash, i, asked.Address[0]))
			}
		}
		a.Result = logs
	}})
	for name, read := range map[string]func(context.Context, uint64, uint64, chain.Filter) ([]chain.Block, error){
		"by hash": b.source.BlocksByHash, "in a range": b.source.Range,
	} {
		blocks, err := read(t.Context(), 2, 3, filter)
		require.NoError(t, err, name)
		require.Len(t, blocks[0].Candidates, 1400, name)
		_, err = read(t.Context(), 1, 8, filter)
		require.ErrorIs(t, err, chain.ErrRangeTooLarge, name)
	}
}
