package evm_test

import (
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

// An account may take the code of a contract (EIP-7702). With code that takes no coins a payment to it fails; with other
// code it is paid like any account, and what that code pays on is internal to the transaction.
func TestDelegatedAccounts(t *testing.T) {
	t.Parallel()
	b := setupBetween(t, nil)
	key := gethnode.Key("an account with code")
	account, err := payment.AddressFromBytes(payment.FamilyEVM, crypto.PubkeyToAddress(key.PublicKey).Bytes())
	require.NoError(t, err)
	filter := chain.Filter{Native: true, Traces: true, Tokens: []payment.Address{b.Token()}}
	read := func(mined chaintest.Mined) []chain.Candidate {
		t.Helper()
		block, err := b.source.BlockByHash(t.Context(), mined.Hash, filter)
		require.NoError(t, err)
		require.True(t, block.Traced)
		found, err := b.source.Resolve(t.Context(), block.BlockRef, block.Candidates)
		require.NoError(t, err)
		return found
	}

	bouncing := b.Delegate(t, key, b.Token())
	require.Empty(t, read(chaintest.Mined{BlockRef: bouncing}), "the authorization moves nothing")
	bounced := read(b.Mine(t,
		chaintest.Native{To: account, Amount: 5},
		chaintest.Script{Value: 6, Acts: []chaintest.Act{{To: account, Value: 6, Kind: gethnode.ActTry}}},
		chaintest.TokenTransfer{Token: b.Token(), To: account, Amount: 7},
	))
	require.Len(t, bounced, 3)
	require.Equal(t, chain.Void, bounced[0].Resolution, "nothing arrived")
	require.Equal(t, b.Actor(0), bounced[1].To, "the contract kept what the account did not take")
	require.Equal(t, account, bounced[2].To, "tokens arrive whatever code the account has")
	require.Equal(t, chain.Resolved, bounced[2].Resolution)

	b.Delegate(t, key, b.Actor(1))
	taken := read(b.Mine(t,
		chaintest.Native{To: account, Amount: 5},
		chaintest.Script{Value: 6, Acts: []chaintest.Act{{To: account, Value: 6}}},
	))
	require.Len(t, taken, 3)
	for _, c := range []chain.Candidate{taken[0], taken[2]} {
		require.Equal(t, chain.Resolved, c.Resolution)
		require.Equal(t, account, c.To)
	}
	mined := b.Run(t, account, 9, chaintest.Act{To: chaintest.Account(1), Value: 4})
	forwarded := read(mined)
	require.Len(t, forwarded, 2)
	require.Equal(t, account, forwarded[0].To)
	require.Equal(t, account, forwarded[1].From)
	require.EqualValues(t, 1, forwarded[1].Position)
	for _, c := range forwarded {
		in := chain.Inclusion{
			BlockNumber: mined.Number, BlockHash: mined.Hash, TxHash: c.TxHash, Native: true, Position: c.Position, From: c.From, To: c.To, Amount: c.Amount,
		}
		check, err := b.source.CheckInclusion(t.Context(), in, chain.Demand{Evidence: payment.EvidenceSelfConsistent})
		require.NoError(t, err)
		require.Equal(t, chain.Included, check.Outcome)
	}
}
