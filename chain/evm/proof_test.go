package evm_test

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
)

// between is a real node with a proxy in front of it.
type between struct {
	*chaintest.Geth

	proxy  *faultproxy.RPC
	source *evm.Source
}

func setupBetween(t *testing.T, change func(*evm.Options)) *between {
	t.Helper()
	b := &between{}
	b.Geth = chaintest.NewGeth(t, func(t *testing.T, httpURL, _ string) chaintest.Source {
		t.Helper()
		var err error
		b.proxy, err = faultproxy.StartRPC(httpURL)
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, b.proxy.Close()) })
		opts := evm.Options{URL: b.proxy.URL()}
		if change != nil {
			change(&opts)
		}
		b.source, err = evm.New(opts)
		require.NoError(t, err)
		return b.source
	})
	return b
}

// payments mines payments of every kind and returns their inclusions.
func (b *between) payments(t *testing.T) (token, native, internal chain.Inclusion) {
	t.Helper()
	b.Mine(t, chaintest.Native{To: chaintest.Account(9), Amount: 1}) // a block to test with
	mined := b.Mine(t,
		chaintest.TokenTransfer{Token: b.Other(), To: chaintest.Account(2), Amount: 4},
		chaintest.Multi{
			{Token: b.Other(), To: chaintest.Account(1), Amount: 5}, {Token: b.Token(), To: chaintest.Account(1), Amount: 6},
		},
		chaintest.FailingNative{Token: b.Token(), Amount: 7},
		chaintest.Native{To: chaintest.Account(1), Amount: 8},
		chaintest.Script{Value: 9, Acts: []chaintest.Act{{To: chaintest.Account(1), Value: 9}}},
	)
	block, err := b.source.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true, Traces: true, Tokens: []payment.Address{b.Token()}})
	require.NoError(t, err)
	resolved, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.NoError(t, err)
	for _, c := range resolved {
		in := chain.Inclusion{
			BlockNumber: block.Number, BlockHash: block.Hash, TxHash: c.TxHash, Native: c.Native, Position: c.Position,
			Contract: c.Contract, From: c.From, To: c.To, Amount: c.Amount,
		}
		switch amount, _ := c.Amount.Uint64(); {
		case amount == 6:
			token = in
		case amount == 8:
			native = in
		case amount == 9 && c.Position == 1:
			internal = in
		}
	}
	require.False(t, token.BlockHash.IsZero() || native.BlockHash.IsZero() || internal.BlockHash.IsZero())
	return token, native, internal
}

func (b *between) evidence(t *testing.T, in chain.Inclusion, least payment.Evidence) payment.Evidence {
	t.Helper()
	check, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Evidence: least})
	require.NoError(t, err)
	require.Equal(t, chain.Included, check.Outcome)
	return check.Evidence
}

const blockReceipts = "eth_getBlockReceipts"

func TestReceiptsProveTheirBlock(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, native, internal := b.payments(t)
	for _, in := range []chain.Inclusion{token, native, internal} {
		require.Equal(t, payment.EvidenceSingle, b.evidence(t, in, payment.EvidenceNone))
		require.Equal(t, payment.EvidenceSingle, b.evidence(t, in, payment.EvidenceSingle))
	}
	require.Zero(t, b.proxy.Calls(blockReceipts), "nobody asked for it")
	for _, least := range []payment.Evidence{payment.EvidenceSelfConsistent, payment.EvidenceAgreed, payment.EvidenceProven} {
		require.Equal(t, payment.EvidenceSelfConsistent, b.evidence(t, token, least))
		require.Equal(t, payment.EvidenceSelfConsistent, b.evidence(t, native, least))
		require.Equal(t, payment.EvidenceSingle, b.evidence(t, internal, least), "no receipt tells of it")
	}
	able, err := b.source.Provable(t.Context())
	require.NoError(t, err)
	require.True(t, able)
	for range 20 {
		b.Mine(t)
	}
	able, err = b.source.Provable(t.Context())
	require.NoError(t, err)
	require.False(t, able, "no block to try it with")
}

// onlyIn changes the answers about one block; a recent one still proves itself.
func onlyIn(method string, hash payment.Hash, change func(*faultproxy.Call)) faultproxy.Fault {
	return faultproxy.Change(method, func(c *faultproxy.Call) {
		if c.Params[0] == hash.String() {
			change(c)
		}
	})
}

// flip changes one hex digit of a field.
func flip(t *rapid.T, object map[string]any, name string) {
	text := object[name].(string)
	at := rapid.IntRange(2, len(text)-1).Draw(t, "digit")
	other := "0"
	if text[at] == '0' {
		other = "1"
	}
	object[name] = text[:at] + other + text[at+1:]
}

// tamper changes something that counts in a block's receipts, and says what.
func tamper(t *rapid.T, receipts []any) []any {
	i := rapid.IntRange(0, len(receipts)-1).Draw(t, "receipt")
	receipt := receipts[i].(map[string]any)
	kinds := []string{"status", "gas", "bloom", "remove", "repeat", "move", "type"}
	logs := receipt["logs"].([]any)
	if len(logs) > 0 {
		kinds = append(kinds, "address", "topic", "fewer topics", "data", "more data", "remove log", "repeat log")
	}
	kind := rapid.SampledFrom(kinds).Draw(t, "kind")
	var log map[string]any
	at := 0
	if len(logs) > 0 {
		at = rapid.IntRange(0, len(logs)-1).Draw(t, "log")
		log = logs[at].(map[string]any)
	}
	switch kind {
	case "status":
		receipt["status"] = map[any]string{"0x1": "0x0", "0x0": "0x1"}[receipt["status"]]
	case "gas":
		receipt["cumulativeGasUsed"] = "0x1234567"
	case "bloom":
		flip(t, receipt, "logsBloom")
	case "remove":
		receipts = slices.Delete(receipts, i, i+1)
	case "repeat":
		receipts = append(receipts, receipt)
	case "move":
		receipts = append(receipts[1:], receipts[0])
	case "type":
		receipt["type"] = map[any]string{"0x2": "0x1"}[receipt["type"]]
	case "address":
		flip(t, log, "address")
	case "topic":
		topics := log["topics"].([]any)
		which := rapid.IntRange(0, len(topics)-1).Draw(t, "which")
		one := map[string]any{"topic": topics[which]}
		flip(t, one, "topic")
		topics[which] = one["topic"]
	case "fewer topics":
		topics := log["topics"].([]any)
		log["topics"] = topics[:len(topics)-1]
	case "data":
		flip(t, log, "data")
	case "more data":
		log["data"] = log["data"].(string) + "00"
	case "remove log":
		receipt["logs"] = slices.Delete(logs, at, at+1)
	case "repeat log":
		receipt["logs"] = append(logs, log)
	}
	return receipts
}

// Whatever is altered in the receipts of a block, the payment is not taken for proven.
func TestAlteredReceiptsAreCaught(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, native, _ := b.payments(t)
	var served json.RawMessage
	require.NoError(t, b.Node.RPC().CallContext(t.Context(), &served, blockReceipts, token.BlockHash))
	rapid.Check(t, func(rt *rapid.T) {
		in := rapid.SampledFrom([]chain.Inclusion{token, native}).Draw(rt, "inclusion")
		var receipts []any
		require.NoError(rt, json.Unmarshal(served, &receipts))
		receipts = tamper(rt, receipts)
		b.proxy.Set(onlyIn(blockReceipts, in.BlockHash, func(c *faultproxy.Call) { c.Result = receipts }))
		_, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Evidence: payment.EvidenceProven})
		require.ErrorIs(rt, err, chain.ErrInconsistent)
	})
	b.proxy.Set()
	require.Equal(t, payment.EvidenceSelfConsistent, b.evidence(t, token, payment.EvidenceProven))
}

func TestAlteredBlocksAreCaught(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, native, _ := b.payments(t)
	txs := func(c *faultproxy.Call) []any { return c.Result.(map[string]any)["transactions"].([]any) }
	changes := map[string]func(*faultproxy.Call){
		"value":        func(c *faultproxy.Call) { txs(c)[3].(map[string]any)["value"] = "0x9" },
		"recipient":    func(c *faultproxy.Call) { txs(c)[3].(map[string]any)["to"] = chaintest.Account(3).Lower() },
		"order":        func(c *faultproxy.Call) { txs(c)[0], txs(c)[1] = txs(c)[1], txs(c)[0] },
		"receiptsRoot": func(c *faultproxy.Call) { c.Result.(map[string]any)["receiptsRoot"] = payment.Hash{1}.String() },
		"number":       func(c *faultproxy.Call) { c.Result.(map[string]any)["gasUsed"] = "0x77" },
		"no header":    func(c *faultproxy.Call) { delete(c.Result.(map[string]any), "stateRoot") },
		"fewer":        func(c *faultproxy.Call) { c.Result.(map[string]any)["transactions"] = txs(c)[:3] },
	}
	for name, change := range changes {
		b.proxy.Set(onlyIn("eth_getBlockByHash", token.BlockHash, change))
		for _, in := range []chain.Inclusion{token, native} {
			_, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Evidence: payment.EvidenceSelfConsistent})
			require.ErrorIs(t, err, chain.ErrInconsistent, name)
		}
	}
}

// A node that invents a payment has to invent it everywhere, and cannot.
func TestAnInventedPaymentProvesNothing(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, native, _ := b.payments(t)
	raise := func(logs any) {
		for _, l := range logs.([]any) {
			if log := l.(map[string]any); log["address"] == token.Contract.Lower() {
				log["data"] = "0x" + strings.Repeat("0", 62) + "ff"
			}
		}
	}
	b.proxy.Set(
		faultproxy.Change("eth_getTransactionReceipt", func(c *faultproxy.Call) { raise(c.Result.(map[string]any)["logs"]) }),
		onlyIn(blockReceipts, token.BlockHash, func(c *faultproxy.Call) {
			for _, r := range c.Result.([]any) {
				raise(r.(map[string]any)["logs"])
			}
		}),
	)
	token.Amount = payment.AmountFromUint64(0xff)
	require.Equal(t, payment.EvidenceSingle, b.evidence(t, token, payment.EvidenceSingle), "one operator's word")
	_, err := b.source.CheckInclusion(t.Context(), token, chain.Demand{Evidence: payment.EvidenceSelfConsistent})
	require.ErrorIs(t, err, chain.ErrInconsistent)

	b.proxy.Set(faultproxy.SetField("eth_getTransactionByHash", "value", "0xff"))
	native.Amount = payment.AmountFromUint64(0xff)
	require.Equal(t, payment.EvidenceSingle, b.evidence(t, native, payment.EvidenceSingle))
	_, err = b.source.CheckInclusion(t.Context(), native, chain.Demand{Evidence: payment.EvidenceSelfConsistent})
	require.ErrorIs(t, err, chain.ErrInconsistent, "the block proves itself, without this payment")
}

// Chains whose encoding is their own: no payment fails for that, and they are not asked again and again.
func TestChainsThatCannotBeProven(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault faultproxy.Fault
		asked int // by three checks
	}{
		"headers of another kind":  {faultproxy.SetField("eth_getBlockByHash", "extraData", "0x123456"), 2},
		"receipts of another kind": {faultproxy.SetField(blockReceipts, "cumulativeGasUsed", "0x0"), 2},
		"no header at all":         {faultproxy.SetField("eth_getBlockByHash", "stateRoot", "0x"), 2},
		"unknown receipt type":     {faultproxy.SetField(blockReceipts, "type", "0x7e"), 3},
		"type of two bytes":        {faultproxy.SetField(blockReceipts, "type", "0x102"), 3},
		"unknown transaction type": {faultproxy.Change("eth_getBlockByHash", func(c *faultproxy.Call) {
			if block, ok := c.Result.(map[string]any); ok {
				block["transactions"].([]any)[0].(map[string]any)["type"] = "0x7e"
			}
		}), 3},
		"no such method": {faultproxy.Refuse(blockReceipts, -32601, "method not found"), 1},
	}
	for _, name := range slices.Sorted(maps.Keys(tests)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setupBetween(t, nil)
			token, _, _ := b.payments(t)
			b.proxy.Set(tests[name].fault)
			for range 3 {
				require.Equal(t, payment.EvidenceSingle, b.evidence(t, token, payment.EvidenceProven))
			}
			require.Equal(t, tests[name].asked, b.proxy.Calls(blockReceipts))
			able, err := b.source.Provable(t.Context())
			require.NoError(t, err)
			require.False(t, able)
		})
	}
}

func TestAProofThatCannotBeReadIsTriedAgain(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, _, _ := b.payments(t)
	b.proxy.Set(faultproxy.Refuse(blockReceipts, -32005, "rate limit"))
	_, err := b.source.CheckInclusion(t.Context(), token, chain.Demand{Evidence: payment.EvidenceProven})
	require.ErrorIs(t, err, chain.ErrRateLimited)
	b.proxy.Set(faultproxy.Change(blockReceipts, func(c *faultproxy.Call) { c.Result = nil }))
	_, err = b.source.CheckInclusion(t.Context(), token, chain.Demand{Evidence: payment.EvidenceProven})
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	b.proxy.Set()
	require.Equal(t, payment.EvidenceSelfConsistent, b.evidence(t, token, payment.EvidenceProven))
}
