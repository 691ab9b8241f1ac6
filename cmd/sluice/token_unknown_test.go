package main

import (
	"encoding/hex"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

// abiString is a text as a contract answers it.
func abiString(text string) []byte {
	out := make([]byte, 64, 64+len(text))
	out[31], out[63] = 32, byte(len(text))
	return append(out, text...)
}

// What a contract calls itself is a stranger's text: it can do nothing to a terminal, nor fill it.
func TestUnknownTokensAreListedWithWhatTheyCallThemselves(t *testing.T) {
	b := setup(t)
	node := chaintest.NewFake(t, nil)
	node.MineBlocks(1)
	b.enable(node)
	require.Contains(t, b.run("", "token", "unknown").out, "no transfers")
	add := func(last byte, name string) payment.Address {
		raw := make([]byte, 20)
		raw[0], raw[19] = 0x77, last
		contract, err := payment.AddressFromBytes(payment.FamilyEVM, raw)
		require.NoError(t, err)
		b.exec(`INSERT INTO unknown_contracts (chain, contract, transfers) VALUES ('dev', decode('` + hex.EncodeToString(raw) + `', 'hex'), ` +
			string('0'+rune(last)) + `)`)
		if name != "none" {
			node.SetToken(contract, chaintest.FakeToken{Code: []byte{1}, Decimals: append(make([]byte, 31), 6), Symbol: abiString(name)})
		}
		return contract
	}
	plain := add(1, "COIN")
	add(2, "\x1b[2J\x1b]0;gone\x07US\u202eTDC\u200b\r\n\t\"x")
	add(3, "USD₮0")
	add(4, "A very long name of a token that goes on and on, visit https://example.com to claim")
	nothing := add(5, "none")

	r := b.run("", "token", "unknown")
	require.Zero(t, r.code, r.err)
	require.Regexp(t, plain.Text()+`  1 +0 +[0-9-]+  "COIN"\n`, r.out)
	require.Regexp(t, `"\[2J\]0;goneUSTDC \\"x"\n`, r.out)
	require.Contains(t, r.out, `"USD\u20ae0"`)
	require.Contains(t, r.out, `"A very long name of a token that"`)
	require.Regexp(t, nothing.Text()+`  5 +0 +[0-9-]+  \n`, r.out)
	for _, c := range r.out {
		require.True(t, c == '\n' || c >= ' ' && c <= '~', "%q", c)
	}

	calls := node.Calls("eth_call")
	require.NotContains(t, b.run("", "token", "unknown", "--no-symbols").out, "COIN")
	require.Equal(t, calls, node.Calls("eth_call"))

	// Without a node the list is all the same.
	node.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		a.Result, a.Error = nil, &chaintest.RPCError{Code: -32603, Message: "\x1b[2Jbusy"}
	}})
	r = b.run("", "token", "unknown")
	require.Zero(t, r.code)
	require.Contains(t, r.out, plain.Text())
	require.Contains(t, r.err, "what tokens on dev call themselves is not known")
	require.NotContains(t, r.err, "\x1b")
	require.NotContains(t, r.err, node.URL())
}
