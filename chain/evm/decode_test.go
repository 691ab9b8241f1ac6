package evm

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const (
	hash1 = "0x1111111111111111111111111111111111111111111111111111111111111111"
	hash2 = "0x2222222222222222222222222222222222222222222222222222222222222222"
)

func sampleBlock() string {
	return `{"number":"0x10","hash":"` + hash1 + `","parentHash":"` + hash2 + `","timestamp":"0x65000000","logsBloom":"0x` +
		strings.Repeat("00", 256) + `","stateRoot":"0x","transactions":["` + hash2 + `",{"hash":"` + hash1 +
		`","from":"0xAbCdEf0123456789aBcDeF0123456789abcdef01","to":null,"value":"0x0de0b6b3a7640000","type":"0x7e"}]}`
}

func sampleLog() string {
	pad := strings.Repeat("0", 24)
	return `[{"address":"0xdac17f958d2ee523a2206206994597c13d831ec7","topics":["0x` + transferTopicHex + `","0x` + pad +
		strings.Repeat("a1", 20) + `","0x` + pad + strings.Repeat("b2", 20) + `"],"data":"0x` + strings.Repeat("0", 62) + `2a",` +
		`"blockHash":"` + hash1 + `","blockNumber":"0x10","transactionHash":"` + hash2 +
		`","transactionIndex":"0x1","logIndex":"0x7","removed":false}]`
}

const transferTopicHex = "ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef"

func TestTheTransferTopic(t *testing.T) {
	t.Parallel()
	require.Equal(t, "0x"+transferTopicHex, keccak([]byte(transferEvent)).String())
}

func TestDecodeBlock(t *testing.T) {
	t.Parallel()
	b, err := decodeBlock([]byte(sampleBlock()))
	require.NoError(t, err)
	require.EqualValues(t, 16, b.ref.Number)
	require.Equal(t, hash1, b.ref.Hash.String())
	require.EqualValues(t, 0x65000000, b.ref.Time.Unix())
	require.Len(t, b.txs, 2)
	require.Nil(t, b.txs[0].Value)
	require.Equal(t, "1000000000000000000", b.txs[1].Value.amount.String())
	require.Equal(t, strings.Repeat("abcdef0123456789", 2)+"abcdef01", strings.TrimPrefix(b.txs[1].From.account.Lower(), "0x"))

	_, err = decodeBlock([]byte(" null "))
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
}

func TestNumbers(t *testing.T) {
	t.Parallel()
	most := "0x" + strings.Repeat("f", 64)
	for text, want := range map[string]string{
		"0x0": "0", "0x00": "0", "0xff": "255", "0xFF": "255", "0x0ff": "255", most: payment.Amount{}.String(),
		"0x" + strings.Repeat("0", 200) + "7": "7",
	} {
		var q quantity
		require.NoError(t, q.UnmarshalText([]byte(text)), text)
		if text == most {
			require.Equal(t, 256, q.amount.Big().BitLen())
			continue
		}
		require.Equal(t, want, q.amount.String(), text)
	}
	for _, text := range []string{"", "0x", "0", "12", "x1", "0xg", "0x-1", "-0x1", "0x1 ", " 0x1", "0x+1", "0x1_0", "0X1", "0x1" + strings.Repeat("0", 64)} {
		var q quantity
		require.Error(t, q.UnmarshalText([]byte(text)), text)
		var n number
		require.Error(t, n.UnmarshalText([]byte(text)), text)
	}
	var n number
	require.NoError(t, n.UnmarshalText([]byte("0xffffffffffffffff")))
	require.ErrorIs(t, n.UnmarshalText([]byte("0x10000000000000000")), errNumber)
	require.ErrorIs(t, new(quantity).UnmarshalText([]byte("0x1"+strings.Repeat("0", 64))), errAmount)
}

func FuzzDecodeBlock(f *testing.F) {
	f.Add([]byte(sampleBlock()))
	f.Add([]byte(`null`))
	f.Add([]byte(`{"number":"0x1","transactions":[null,"0x",{}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		b, err := decodeBlock(raw)
		if err != nil {
			return
		}
		if b.ref.Hash.IsZero() || b.ref.Time.Unix() > maxTime || b.ref.Time.Unix() < 0 {
			t.Fatalf("accepted %+v", b.ref)
		}
		_ = b.checkTxs()
		for i := range b.txs {
			transfer, skipped := transferOfTx(&b.txs[i], i)
			if skipped == "" && (transfer.Amount.IsZero() || transfer.From == transfer.To || len(transfer.To.Raw) != 20) {
				t.Fatalf("accepted %+v", transfer)
			}
		}
	})
}

func FuzzDecodeLog(f *testing.F) {
	f.Add([]byte(sampleLog()))
	f.Add([]byte(`[]`))
	f.Add([]byte(`[{"topics":[null]}]`))
	topic := keccak([]byte(transferEvent))
	f.Fuzz(func(t *testing.T, raw []byte) {
		logs, err := decodeLogs(raw)
		if err != nil {
			return
		}
		for i := range logs {
			transfer, skipped := transferOfLog(&logs[i], topic)
			if skipped != "" {
				continue
			}
			amount := transfer.Amount.Bytes32()
			rebuilt := rawLog{
				Address: logs[i].Address, Topics: []word{topic, wordOfAddress(transfer.From), wordOfAddress(transfer.To)}, Data: amount[:],
			}
			source := &Source{topic: topic}
			if !source.sameTransfer(&logs[i], transfer) || !source.sameTransfer(&rebuilt, transfer) {
				t.Fatalf("log %d is not the transfer it gave: %+v", i, transfer)
			}
			if transfer.Amount.IsZero() || transfer.From == transfer.To {
				t.Fatalf("accepted %+v", transfer)
			}
		}
	})
}

func FuzzDecodeReceipt(f *testing.F) {
	f.Add([]byte(`{"transactionHash":"` + hash2 + `","blockHash":"` + hash1 + `","blockNumber":"0x10","status":"0x1","logs":` + sampleLog() + `}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		r, err := decodeReceipt(raw)
		if err != nil {
			return
		}
		source := &Source{scrub: newScrubber()}
		if _, err := source.checkReceipt(r); err != nil {
			return
		}
		for i := range r.Logs {
			if uint64(*r.Logs[i].Index) != uint64(*r.Logs[0].Index)+uint64(i) || r.Logs[i].TxHash != r.TxHash {
				t.Fatal("accepted a receipt with a gap")
			}
		}
	})
}

func TestRefusalsOfProviders(t *testing.T) {
	t.Parallel()
	tests := []struct {
		method  string
		status  int
		code    int
		message string
		want    chain.ReasonError
	}{
		{methodGetLogs, 0, -32005, "query returned more than 10000 results. Try with this block range [0x1, 0x2].", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32602, "Log response size exceeded. You can make eth_getLogs requests with up to a 2K block range and no limit on the response size", chain.ErrRangeTooLarge},
		{methodGetLogs, 400, -32600, "You can make eth_getLogs requests with up to a 10 block range.", chain.ErrRangeTooLarge},
		{methodGetLogs, 413, -32614, "eth_getLogs is limited to a 10,000 range", chain.ErrTooLarge},
		{methodGetLogs, 0, -32000, "block range is too wide", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32000, "exceed maximum block range: 5000", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32002, "request timed out", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32000, "query timeout exceeded", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32701, "Please limit the query to at most 1000 blocks", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32000, "requested too many blocks from 1 to 9000, maximum is set to 2048", chain.ErrRangeTooLarge},
		{methodGetLogs, 0, -32000, "unknown block", chain.ErrBlockUnknown},
		{methodGetLogs, 0, -32602, "block range extends beyond current head block", chain.ErrBlockUnknown},
		{methodGetLogs, 0, -32000, "cannot query unfinalized data", chain.ErrBlockUnknown},
		{methodGetLogs, 0, -32601, "the method eth_getLogs does not exist/is not available", chain.ErrUnsupported},
		{methodGetLogs, 429, 0, "", chain.ErrRateLimited},
		{methodGetLogs, 0, 429, "Your app has exceeded its compute units per second capacity.", chain.ErrRateLimited},
		{methodGetLogs, 0, -32005, "daily request count exceeded, request rate limited", chain.ErrRateLimited},
		{methodGetLogs, 0, -32007, "50/second request limit reached", chain.ErrRateLimited},
		{methodGetLogs, 403, -32000, "forbidden", chain.ErrUnavailable},
		{"eth_getBlockByNumber", 0, -32003, "response too large", chain.ErrTooLarge},
		{"eth_getBlockByNumber", 0, -39001, "finalized block not found", chain.ErrBlockUnknown},
		{"eth_getBlockByNumber", 0, -32002, "request timed out", chain.ErrTimeout},
		{"eth_getTransactionReceipt", 0, -32000, "transaction indexing is in progress", chain.ErrReceiptMissing},
		{"eth_call", 0, 3, "execution reverted", chain.ErrUnavailable},
		{"eth_getBlockByNumber", 502, 0, "", chain.ErrUnavailable},
		{"eth_getBlockByNumber", 0, -32602, "safe block tag is not supported", chain.ErrUnsupported},
	}
	for _, test := range tests {
		got := reasonOf(test.method, &nodeError{code: test.code, message: test.message, status: test.status})
		require.Equal(t, test.want, got, "%s: %s", test.method, test.message)
	}
}

func TestClean(t *testing.T) {
	t.Parallel()
	u, err := parseURL("https://user:password@abc-def.provider.example/v3/0123456789abcdef?apikey=s3cr3t-key")
	require.NoError(t, err)
	scrub := newScrubber(u)
	text := scrub.clean("see https://user:password@abc-def.provider.example/v3/0123456789abcdef?apikey=s3cr3t-key\r\nor\u202e s3cr3t-key and " +
		"0123456789abcdef of provider with password " + strings.Repeat("é", 300))
	for _, secret := range []string{"password", "abc-def", "0123456789abcdef", "s3cr3t", "\n", "\u202e"} {
		require.NotContains(t, text, secret)
	}
	require.LessOrEqual(t, len(text), maxNodeText+len("…"))
	for _, evasion := range []string{"0123456789ABCDEF", "01234567\u200b89abcdef", "0123456789\x00abcdef", "S3CR3T-KEY", "dXNlcjpwYXNzd29yZA=="} {
		require.Equal(t, "no [redacted] here", scrub.clean("no "+evasion+" here"))
	}
	require.True(t, json.Valid([]byte(`"`+strings.ReplaceAll(text, `"`, ``)+`"`)))
}
