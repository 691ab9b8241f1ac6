package evm_test

import (
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

func (b *between) filter() chain.Filter {
	return chain.Filter{Native: true, Tokens: []payment.Address{b.Token()}}
}

// Each fault between a real node and the source ends in the error that names it, and is gone with the fault.
func TestFaultsInFrontOfARealNode(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault faultproxy.Fault
		block error // of the block by hash
		span  error // of the range
		after time.Duration
	}{
		"no logs":       {faultproxy.NoLogs(), nil, nil, 0}, // the receipts tell
		"wrong parents": {faultproxy.WrongParents(), nil, chain.ErrReorged, 0},
		"truncated":     {faultproxy.Truncated(), chain.ErrMalformed, chain.ErrMalformed, 0},
		"wrong ids":     {faultproxy.WrongIDs(), chain.ErrMalformed, chain.ErrMalformed, 0},
		"429":           {faultproxy.Status(429, 3*time.Second), chain.ErrRateLimited, chain.ErrRateLimited, 3 * time.Second},
		"500":           {faultproxy.Status(500, 0), chain.ErrUnavailable, chain.ErrUnavailable, 0},
		"503":           {faultproxy.Status(503, 2*time.Second), chain.ErrUnavailable, chain.ErrUnavailable, 2 * time.Second},
		"drip":          {faultproxy.Drip(time.Second), chain.ErrTimeout, chain.ErrTimeout, 0},
		"huge":          {faultproxy.Huge(1 << 20), chain.ErrTooLarge, chain.ErrRangeTooLarge, 0},
		"not UTF-8":     {faultproxy.InvalidUTF8(), chain.ErrMalformed, chain.ErrMalformed, 0},
		"value over 2^256": {faultproxy.Fault{Answer: func(c *faultproxy.Call) {
			if block, ok := c.Result.(map[string]any); ok && block["transactions"] != nil {
				for _, tx := range block["transactions"].([]any) {
					if tx, ok := tx.(map[string]any); ok {
						tx["value"] = "0x1" + zeros(64)
					}
				}
			}
		}}, nil, chain.ErrMalformed, 0}, // one by one they are as they are
		"data over 2^256": {faultproxy.SetField("eth_getLogs", "data", "0x01"+zeros(64)), nil, nil, 0}, // no transfer any more
		"unknown type":    {unknownTypes(), nil, nil, 0},
	}
	b := setupBetween(t, func(o *evm.Options) { o.Timeout, o.MaxAnswer = 2*time.Second, 1<<20 })
	mined := b.Mine(t,
		chaintest.TokenTransfer{Token: b.Token(), To: chaintest.Account(1), Amount: 5}, chaintest.Native{To: chaintest.Account(1), Amount: 6},
	)
	for name, test := range tests {
		b.proxy.Set(test.fault)
		_, err := b.source.BlockByHash(t.Context(), mined.Hash, b.filter())
		require.ErrorIs(t, err, test.block, name)
		if err != nil {
			require.Equal(t, test.after, chain.RetryAfter(err), name)
		}
		_, err = b.source.Range(t.Context(), 1, mined.Number, b.filter())
		require.ErrorIs(t, err, test.span, name)
		b.proxy.Set()
		block, err := b.source.BlockByHash(t.Context(), mined.Hash, b.filter())
		require.NoError(t, err, name)
		require.Len(t, block.Candidates, 2, name)
	}
}

// unknownTypes makes every transaction one that go-ethereum cannot decode.
func unknownTypes() faultproxy.Fault {
	return faultproxy.Fault{Answer: func(c *faultproxy.Call) {
		block, _ := c.Result.(map[string]any)
		txs, _ := block["transactions"].([]any)
		for _, tx := range txs {
			if tx, ok := tx.(map[string]any); ok {
				tx["type"], tx["sourceHash"] = "0x7e", "0x12"
				delete(tx, "nonce")
				delete(tx, "v")
			}
		}
	}}
}

func TestUnknownTypesOnARealNode(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	_, native, internal := b.payments(t)
	b.proxy.Set(unknownTypes())
	filter := b.filter()
	filter.Traces = true
	block, err := b.source.BlockByHash(t.Context(), native.BlockHash, filter)
	require.NoError(t, err)
	require.True(t, block.Traced)
	resolved, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.NoError(t, err)
	require.Len(t, resolved, 5)
	for _, in := range []chain.Inclusion{native, internal} {
		require.Equal(t, payment.EvidenceSingle, b.evidence(t, in, payment.EvidenceProven))
	}
}

func TestALaggingRealNode(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, _, internal := b.payments(t)
	for _, silent := range []bool{false, true} {
		b.proxy.Set(faultproxy.Lag(token.BlockNumber-1, silent))
		head, err := b.source.Head(t.Context(), payment.TagNone)
		require.NoError(t, err)
		require.Equal(t, token.BlockNumber-1, head.Number)
		_, err = b.source.BlockByHash(t.Context(), token.BlockHash, b.filter())
		require.ErrorIs(t, err, chain.ErrBlockUnknown)
		_, err = b.source.Range(t.Context(), 1, token.BlockNumber, b.filter())
		require.ErrorIs(t, err, chain.ErrBlockUnknown)
		for _, in := range []chain.Inclusion{token, internal} {
			check, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Evidence: payment.EvidenceProven})
			require.NoError(t, err)
			require.Equal(t, chain.NodeBehind, check.Outcome)
		}
	}
}

// A tag that a node makes up shows in the heads of a check; who believes it is not decided here.
func TestRewrittenTags(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, _, _ := b.payments(t)
	b.proxy.Set(faultproxy.Tag("finalized", token.BlockNumber), faultproxy.Tag("safe", 1))
	check, err := b.source.CheckInclusion(t.Context(), token, chain.Demand{Tag: payment.TagFinalized})
	require.NoError(t, err)
	require.Equal(t, token.BlockNumber, check.Heads.Finalized)
	check, err = b.source.CheckInclusion(t.Context(), token, chain.Demand{Tag: payment.TagSafe})
	require.NoError(t, err)
	require.EqualValues(t, 1, check.Heads.Safe)
	b.proxy.Set(faultproxy.Refuse("eth_getBlockByNumber", -32000, "'finalized' tag not supported on pre-merge network"))
	_, err = b.source.Head(t.Context(), payment.TagFinalized)
	require.ErrorIs(t, err, chain.ErrUnsupported)
}

// What a node invents in one place it does not know of in another.
func TestInventions(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	token, native, _ := b.payments(t)

	// A log beside the real ones: the receipt does not have it.
	b.proxy.Set(faultproxy.Change("eth_getLogs", func(c *faultproxy.Call) {
		logs := c.Result.([]any)
		invented := map[string]any{}
		for key, value := range logs[0].(map[string]any) {
			invented[key] = value
		}
		invented["logIndex"], invented["data"] = "0x3e7", "0x"+strings.Repeat("0", 62)+"63"
		c.Result = append(logs, invented)
	}))
	block, err := b.source.BlockByHash(t.Context(), token.BlockHash, b.filter())
	require.NoError(t, err)
	_, err = b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.ErrorIs(t, err, chain.ErrInconsistent)

	// A receipt of success for a transaction that failed, or that there is not: its logs are missing, its block proves it wrong.
	failed := native
	for _, c := range block.Candidates {
		if amount, _ := c.Amount.Uint64(); amount == 7 {
			failed.TxHash, failed.To, failed.Amount = c.TxHash, c.To, c.Amount
		}
	}
	require.NotEqual(t, native.TxHash, failed.TxHash)
	b.proxy.Set(faultproxy.SetField("eth_getTransactionReceipt", "status", "0x1"))
	require.Equal(t, payment.EvidenceSingle, b.evidence(t, failed, payment.EvidenceSingle), "one operator's word is what it is")
	_, err = b.source.CheckInclusion(t.Context(), failed, chain.Demand{Evidence: payment.EvidenceSelfConsistent})
	require.ErrorIs(t, err, chain.ErrInconsistent)

	// A whole block: it is no child of the one below, and nothing in it hashes to it.
	fake := payment.Hash{0xfa, 0xce}
	b.proxy.Set(faultproxy.Fault{
		Ask: func(c *faultproxy.Call) {
			if len(c.Params) > 0 && c.Params[0] == fake.String() {
				c.Params[0] = token.BlockHash.String()
			}
		},
		Answer: func(c *faultproxy.Call) {
			if fields, ok := c.Result.(map[string]any); ok {
				if fields["hash"] == token.BlockHash.String() {
					fields["hash"] = fake.String()
				}
				if fields["blockHash"] == token.BlockHash.String() {
					fields["blockHash"] = fake.String()
				}
				logs, _ := fields["logs"].([]any)
				for _, l := range logs {
					l.(map[string]any)["blockHash"] = fake.String()
				}
			}
		},
	})
	invented := token
	invented.BlockHash = fake
	require.Equal(t, payment.EvidenceSingle, b.evidence(t, invented, payment.EvidenceSingle))
	_, err = b.source.CheckInclusion(t.Context(), invented, chain.Demand{Evidence: payment.EvidenceProven})
	require.ErrorIs(t, err, chain.ErrInconsistent)
	b.Mine(t)
	_, err = b.source.Range(t.Context(), token.BlockNumber-1, token.BlockNumber+1, chain.Filter{})
	require.ErrorIs(t, err, chain.ErrReorged)
}

func TestADroppedWebSocketIsMadeAnew(t *testing.T) {
	t.Parallel()
	var proxy *faultproxy.Proxy
	geth := chaintest.NewGeth(t, func(t *testing.T, _, wsURL string) chaintest.Source {
		t.Helper()
		var err error
		proxy, err = faultproxy.Start(strings.TrimPrefix(wsURL, "ws://"))
		require.NoError(t, err)
		t.Cleanup(func() { require.NoError(t, proxy.Close()) })
		return open(t, evm.Options{URL: "ws://" + proxy.Addr()})
	})
	source := geth.Source()
	mined := geth.Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 5})
	wake := source.SubscribeHeads(t.Context())
	<-wake // there is a subscription
	for range 2 {
		proxy.Set(faultproxy.Cut)
		_, err := source.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
		require.ErrorIs(t, err, chain.ErrUnavailable)
		proxy.Set(faultproxy.Pass)
		block, err := source.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
		require.NoError(t, err)
		require.Len(t, block.Candidates, 1)
	}
	await.Receive(t, wake, "for the subscription to be made anew")
}
