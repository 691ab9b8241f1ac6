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
