package evm_test

import (
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/sha3"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

func keccakOf(text string) payment.Hash {
	h := sha3.NewLegacyKeccak256()
	h.Write([]byte(text))
	return payment.Hash(h.Sum(nil))
}

// What runs behind a proxy is named, wherever the proxy keeps it, and a contract that gives itself up is seen to.
func TestWhatATokenIs(t *testing.T) {
	t.Parallel()
	b := setup(t, nil)
	token, target, beacon := chaintest.Account(40), chaintest.Account(41), chaintest.Account(42)
	before := func(text string) string { // EIP-1967: one less, so that nobody knows what hashes to it
		slot := keccakOf(text)
		slot[31]--
		return slot.String()
	}
	read := func(change func(*chaintest.FakeToken)) chain.TokenMeta {
		t.Helper()
		contract := chaintest.FakeToken{Code: []byte{7}, Decimals: append(make([]byte, 31), 6), Storage: map[string]payment.Hash{}}
		change(&contract)
		b.fake.SetToken(token, contract)
		meta, err := b.source.TokenMeta(t.Context(), token)
		require.NoError(t, err)
		return meta
	}
	plain := read(func(*chaintest.FakeToken) {})
	require.Zero(t, plain.Implementation)
	require.False(t, plain.Deprecated)

	b.fake.SetToken(target, chaintest.FakeToken{Code: []byte{8}})
	slots := map[string]string{
		"EIP-1967": before("eip1967.proxy.implementation"), "before it": keccakOf("org.zeppelinos.proxy.implementation").String(),
		"beacon": before("eip1967.proxy.beacon"),
	}
	for name, slot := range slots {
		at := target
		if name == "beacon" {
			at = beacon
			b.fake.SetToken(beacon, chaintest.FakeToken{Code: []byte{9}, Implementation: chaintest.Topic(target)})
		}
		proxy := func(f *chaintest.FakeToken) { f.Storage[slot] = chaintest.Topic(at) }
		first := read(proxy).Implementation
		require.Equal(t, plain.CodeHash, read(proxy).CodeHash, "the proxy itself is the same")
		b.fake.SetToken(target, chaintest.FakeToken{Code: []byte{80}})
		require.NotEqual(t, first, read(proxy).Implementation, "%s: other code behind it", name)
		b.fake.SetToken(target, chaintest.FakeToken{Code: []byte{8}})
		require.Equal(t, first, read(proxy).Implementation)
		require.NotZero(t, first, name)
	}
	require.True(t, read(func(f *chaintest.FakeToken) { f.Deprecated = append(make([]byte, 31), 1) }).Deprecated)
	require.False(t, read(func(f *chaintest.FakeToken) { f.Deprecated = make([]byte, 32) }).Deprecated)
	b.answer("eth_getStorageAt", func(a *chaintest.Answer) { a.Error = &chaintest.RPCError{Code: -32000, Message: "server busy"} })
	_, err := b.source.TokenMeta(t.Context(), token)
	require.ErrorIs(t, err, chain.ErrUnavailable, "a node that fails says nothing about the token")
}
