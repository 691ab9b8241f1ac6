package chaintest

import (
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// anyToken: transfers of contracts that nobody configured are found, with the same
// identity as if they were, and what only looks like one is none.
func (s *suite) anyToken() {
	to := Account(1)
	from, topicTo := Topic(Account(8)), Topic(to)
	mined := s.mine(
		TokenTransfer{Token: s.Other(), To: to, Amount: 7},
		Multi{{Token: s.Token(), To: to, Amount: 8}, {Token: s.Other(), To: to, Amount: 9}},
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), from, topicTo, topicTo}, Data: nil},
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), from, topicTo}, Data: abiNumber(1)[:31]},
		RawLog{Token: s.Other(), Topics: []payment.Hash{from, topicTo}, Data: abiNumber(1)},
	)
	configured, err := s.source.BlockByHash(s.Context(), mined.Hash, s.tokens())
	require.NoError(s, err)
	require.False(s, configured.AnyToken)
	require.Len(s, configured.Candidates, 1)

	filter := s.tokens()
	filter.AnyToken = true
	all, err := s.source.BlockByHash(s.Context(), mined.Hash, filter)
	require.NoError(s, err)
	require.True(s, all.AnyToken)
	found := s.read(mined.BlockRef, filter)
	require.Equal(s, s.read(mined.BlockRef, s.everything())[:3], found)
	require.Equal(s, []payment.Address{s.Other(), s.Token(), s.Other()},
		[]payment.Address{found[0].Contract, found[1].Contract, found[2].Contract})
	require.EqualValues(s, 1, found[2].Position)
	require.Len(s, s.read(mined.BlockRef, chain.Filter{AnyToken: true}), 3, "also when no token is configured")

	empty, err := s.source.BlockByHash(s.Context(), s.mine().Hash, filter)
	require.NoError(s, err)
	require.True(s, empty.AnyToken)
	require.Empty(s, empty.Candidates)
}

// oddTokens: a token need not return anything (Other does not), and one that reverts has moved nothing, although its
// transaction is in the block.
func (s *suite) oddTokens() {
	to := Account(1)
	mined := s.mine(
		FailingToken{Token: s.Token(), To: to},
		TokenTransfer{Token: s.Other(), To: to, Amount: 3},
		FailingToken{Token: s.Other(), To: to},
	)
	found := s.read(mined.BlockRef, s.everything())
	require.Len(s, found, 1)
	require.Equal(s, mined.Txs[1], found[0].TxHash)
	in := inclusion(mined.BlockRef, found[0])
	require.Equal(s, chain.Included, s.check(in, nil).Outcome)
	for _, tx := range []int{0, 2} {
		require.Equal(s, chain.Reverted, s.check(in, func(in *chain.Inclusion) { in.TxHash = mined.Txs[tx] }).Outcome)
	}
}

// poisoning: a contract emits Transfers in the name of whom it likes. Of an enabled token they count, whoever sent the
// transaction, because only its own code can emit them; of another contract they are that contract's. What moves nothing
// is none of them.
func (s *suite) poisoning() {
	victim, to := Topic(Account(8)), Topic(Account(1))
	mined := s.mine(
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), victim, to}, Data: abiNumber(0)},
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), to, to}, Data: abiNumber(7)},
		RawLog{Token: s.Other(), Topics: []payment.Hash{TransferTopic(), victim, to}, Data: abiNumber(7)},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), victim, to}, Data: abiNumber(0)},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), victim, to}, Data: abiNumber(5)},
	)
	found := s.read(mined.BlockRef, s.tokens())
	require.Len(s, found, 1)
	require.Equal(s, mined.Txs[4], found[0].TxHash)
	require.Equal(s, Account(8), found[0].From)
	all := s.read(mined.BlockRef, chain.Filter{Tokens: []payment.Address{s.Token()}, AnyToken: true})
	require.Len(s, all, 2)
	require.Equal(s, s.Other(), all[0].Contract)
	require.Equal(s, s.Token(), all[1].Contract)
}
