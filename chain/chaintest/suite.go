package chaintest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// RunSource is the conformance suite of chain.Source, chain.TokenReader and
// chain.Verifier. Every test gets a bench of its own from start.
func RunSource(t *testing.T, start func(t *testing.T) Bench) {
	t.Helper()
	tests := []struct {
		name string
		run  func(*suite)
	}{
		{"Identity", (*suite).identity},
		{"Heads", (*suite).heads},
		{"UnknownBlocks", (*suite).unknownBlocks},
		{"TokenTransfers", (*suite).tokenTransfers},
		{"PositionsCountTheCompleteReceipt", (*suite).positions},
		{"NativeTransfers", (*suite).nativeTransfers},
		{"InternalTransfers", (*suite).internalTransfers},
		{"InternalTransfersOfFailedTransactions", (*suite).internalFailures},
		{"InternalTransfersAfterReorg", (*suite).internalReorg},
		{"CheckInclusionOfInternal", (*suite).checkInternal},
		{"LogsThatAreNoTransfers", (*suite).noTransfers},
		{"TokensThatRevertOrReturnNothing", (*suite).oddTokens},
		{"TransfersForOthersAndOfNothing", (*suite).poisoning},
		{"TransfersOfEveryContract", (*suite).anyToken},
		{"TransfersByRecipient", (*suite).sweep},
		{"ThousandsOfTokens", (*suite).manyTokens},
		{"RangeEqualsBlockByBlock", (*suite).ranges},
		{"Reorg", (*suite).reorg},
		{"CheckInclusionOfToken", (*suite).checkToken},
		{"CheckInclusionOfNative", (*suite).checkNative},
		{"CheckInclusionAfterReorg", (*suite).checkReorg},
		{"TokenMeta", (*suite).tokenMeta},
		{"SubscribeHeads", (*suite).subscribe},
		{"EndedContext", (*suite).endedContext},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			bench := start(t)
			test.run(&suite{T: t, Bench: bench, source: bench.Source()})
		})
	}
}

type suite struct {
	*testing.T
	Bench

	source Source
}

func (s *suite) mine(txs ...Tx) Mined { return s.Mine(s.T, txs...) }

// read reads a block and resolves everything in it.
func (s *suite) read(block payment.BlockRef, filter chain.Filter) []chain.Candidate {
	s.Helper()
	read, err := s.source.BlockByHash(s.Context(), block.Hash, filter)
	require.NoError(s, err)
	require.Equal(s, block, read.BlockRef)
	for _, candidate := range read.Candidates {
		want := chain.Unresolved
		if candidate.Native && candidate.Position > 0 {
			want = chain.Resolved // by the trace
		}
		require.Equal(s, want, candidate.Resolution)
	}
	resolved, err := s.source.Resolve(s.Context(), block, read.Candidates)
	require.NoError(s, err)
	require.Len(s, resolved, len(read.Candidates))
	return resolved
}

func (s *suite) tokens() chain.Filter { return chain.Filter{Tokens: []payment.Address{s.Token()}} }

func (s *suite) everything() chain.Filter {
	return chain.Filter{Native: true, Tokens: []payment.Address{s.Token(), s.Other()}}
}

func (s *suite) identity() {
	identity, err := s.source.Identity(s.Context())
	require.NoError(s, err)
	require.EqualValues(s, 1337, identity.ChainID)
	genesis, err := s.source.HeaderByNumber(s.Context(), 0)
	require.NoError(s, err)
	require.Equal(s, genesis.Hash, identity.Genesis)
	require.True(s, genesis.Parent.IsZero())
}

func (s *suite) heads() {
	for range 3 {
		mined := s.mine()
		head, err := s.source.Head(s.Context(), payment.TagNone)
		require.NoError(s, err)
		require.Equal(s, mined.BlockRef, head)
		byNumber, err := s.source.HeaderByNumber(s.Context(), mined.Number)
		require.NoError(s, err)
		require.Equal(s, mined.BlockRef, byNumber)
		byHash, err := s.source.HeaderByHash(s.Context(), mined.Hash)
		require.NoError(s, err)
		require.Equal(s, mined.BlockRef, byHash)
		below, err := s.source.HeaderByHash(s.Context(), mined.Parent)
		require.NoError(s, err)
		require.Equal(s, mined.Number-1, below.Number)
		for _, tag := range []payment.Tag{payment.TagSafe, payment.TagFinalized} {
			tagged, err := s.source.Head(s.Context(), tag)
			require.NoError(s, err)
			require.LessOrEqual(s, tagged.Number, head.Number)
		}
	}
}

func (s *suite) unknownBlocks() {
	head := s.mine().BlockRef
	nobody := payment.Hash{1, 2, 3}
	_, err := s.source.HeaderByNumber(s.Context(), head.Number+1)
	require.ErrorIs(s, err, chain.ErrBlockUnknown)
	_, err = s.source.HeaderByHash(s.Context(), nobody)
	require.ErrorIs(s, err, chain.ErrBlockUnknown)
	for _, filter := range []chain.Filter{{}, s.tokens(), s.everything()} {
		_, err = s.source.BlockByHash(s.Context(), nobody, filter)
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
		_, err = s.source.Range(s.Context(), head.Number, head.Number+1, filter)
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
		_, err = s.source.BlocksByHash(s.Context(), head.Number, head.Number+1, filter)
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
		_, err = s.source.Range(s.Context(), head.Number+1, head.Number+1, filter)
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
	}
}

func (s *suite) tokenTransfers() {
	to := Account(1)
	mined := s.mine(
		TokenTransfer{Token: s.Token(), To: to, Amount: 25_000_000},
		TokenTransfer{Token: s.Other(), To: to, Amount: 7},
		TokenTransfer{Token: s.Token(), To: Account(2), Amount: 3},
	)
	found := s.read(mined.BlockRef, s.tokens())
	require.Len(s, found, 2)
	require.Equal(s, chain.Candidate{
		Resolution: chain.Resolved,
		Transfer: payment.Transfer{
			TxHash: mined.Txs[0], TxIndex: 0, Position: 0, Contract: s.Token(), From: s.Payer(), To: to,
			Amount: payment.AmountFromUint64(25_000_000), LogIndex: 0,
		},
	}, found[0])
	require.Equal(s, mined.Txs[2], found[1].TxHash)
	require.EqualValues(s, 2, found[1].LogIndex)
	require.EqualValues(s, 2, found[1].TxIndex)
	require.EqualValues(s, 0, found[1].Position)

	require.Empty(s, s.read(mined.BlockRef, chain.Filter{}))
	require.Len(s, s.read(mined.BlockRef, chain.Filter{Tokens: []payment.Address{s.Other()}}), 1)
	require.Len(s, s.read(mined.BlockRef, s.everything()), 3)
}

// The identity of a payment must not depend on which tokens are watched.
func (s *suite) positions() {
	a, b := Account(1), Account(2)
	mined := s.mine(
		TokenTransfer{Token: s.Token(), To: a, Amount: 1},
		Multi{
			{Token: s.Other(), To: a, Amount: 10},
			{Token: s.Token(), To: a, Amount: 11},
			{Token: s.Token(), To: b, Amount: 12},
			{Token: s.Other(), To: b, Amount: 13},
			{Token: s.Token(), To: a, Amount: 14},
		},
	)
	want := map[uint64]uint32{11: 1, 12: 2, 14: 4}
	for _, filter := range []chain.Filter{s.tokens(), s.everything()} {
		seen := 0
		for _, candidate := range s.read(mined.BlockRef, filter) {
			amount, _ := candidate.Amount.Uint64()
			if position, ok := want[amount]; ok {
				seen++
				require.Equal(s, mined.Txs[1], candidate.TxHash)
				require.Equal(s, position, candidate.Position)
				require.EqualValues(s, position+1, candidate.LogIndex)
				require.Equal(s, s.Caller(), candidate.From)
			}
		}
		require.Equal(s, len(want), seen)
	}
}

func (s *suite) nativeTransfers() {
	to := Account(1)
	mined := s.mine(
		Native{To: to, Amount: 1_000},
		Native{To: to, Amount: 0},
		FailingNative{Token: s.Token(), Amount: 5},
		Deploy{},
		Native{To: s.Payer(), Amount: 9}, // to itself
		TokenTransfer{Token: s.Token(), To: to, Amount: 6},
	)
	found := s.read(mined.BlockRef, chain.Filter{Native: true})
	require.Len(s, found, 2)
	require.Equal(s, chain.Candidate{
		Resolution: chain.Resolved,
		Transfer: payment.Transfer{
			TxHash: mined.Txs[0], Native: true, From: s.Payer(), To: to, Amount: payment.AmountFromUint64(1_000),
		},
	}, found[0])
	require.Equal(s, mined.Txs[2], found[1].TxHash)
	require.Equal(s, chain.Void, found[1].Resolution)

	all := s.read(mined.BlockRef, s.everything())
	require.Len(s, all, 3)
	require.Equal(s, mined.Txs[5], all[2].TxHash)
}

func (s *suite) noTransfers() {
	from, to := Topic(Account(8)), Topic(Account(1))
	dirty := to
	dirty[0] = 1
	one := abiNumber(1)
	mined := s.mine(
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to, to}, Data: nil},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to, to}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic()}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to}, Data: one[:31]},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to}, Data: append(one, 0)},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to}, Data: nil},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, dirty}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), dirty, to}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to}, Data: abiNumber(0)},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), to, to}, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{from, from, to}, Data: one},
		RawLog{Token: s.Token(), Topics: nil, Data: one},
		RawLog{Token: s.Token(), Topics: []payment.Hash{TransferTopic(), from, to}, Data: one}, // this one is
	)
	found := s.read(mined.BlockRef, s.tokens())
	require.Len(s, found, 1)
	require.Equal(s, mined.Txs[len(mined.Txs)-1], found[0].TxHash)
	block, err := s.source.BlockByHash(s.Context(), mined.Hash, s.tokens())
	require.NoError(s, err)
	require.Equal(s, []payment.Address{Account(1)}, block.Poisoned, "whom somebody sent nothing")
}

// Nodes refuse more than 1,000 contracts in one question.
func (s *suite) manyTokens() {
	mined := s.mine(TokenTransfer{Token: s.Token(), To: Account(1), Amount: 4})
	filter := s.everything()
	for i := range 2_500 {
		raw := make([]byte, 20)
		raw[0], raw[1], raw[2] = 1, byte(i>>8), byte(i)
		filter.Tokens = append(filter.Tokens, payment.Address{Family: payment.FamilyEVM, Raw: string(raw)})
	}
	require.Len(s, s.read(mined.BlockRef, filter), 1)
	blocks, err := s.source.Range(s.Context(), mined.Number-1, mined.Number, filter)
	require.NoError(s, err)
	require.Len(s, blocks[1].Candidates, 1)
}

func (s *suite) ranges() {
	first := s.mine().Number
	for i := range 15 {
		amount := uint64(i + 1)
		s.mine(
			TokenTransfer{Token: s.Token(), To: Account(byte(i)), Amount: amount},
			Native{To: Account(1), Amount: amount},
			Multi{{Token: s.Other(), To: Account(2), Amount: amount}, {Token: s.Token(), To: Account(3), Amount: amount}},
			Script{Value: amount, Acts: []Act{{To: Account(4), Value: amount}}},
		)
		s.mine()
	}
	last := s.mine().Number
	for _, filter := range []chain.Filter{{}, s.tokens(), {Native: true}, s.everything(), {Native: true, AnyToken: true}, {Native: true, Traces: true}} {
		for _, bounds := range [][2]uint64{{first, last}, {first, first}, {last, last}, {first + 3, last - 5}} {
			blocks, err := s.source.Range(s.Context(), bounds[0], bounds[1], filter)
			require.NoError(s, err)
			require.Len(s, blocks, int(bounds[1]-bounds[0]+1)) //nolint:gosec // a few blocks
			for i, block := range blocks {
				require.Equal(s, bounds[0]+uint64(i), block.Number)
				single, err := s.source.BlockByHash(s.Context(), block.Hash, filter)
				require.NoError(s, err)
				require.Equal(s, single, block)
			}
			filter.AnyToken = false
			each, err := s.source.BlocksByHash(s.Context(), bounds[0], bounds[1], filter)
			require.NoError(s, err)
			for i := range blocks {
				if !blocks[i].AnyToken {
					require.Equal(s, blocks[i], each[i])
				}
			}
			require.Len(s, each, len(blocks))
		}
	}
}

// subscribe passes when the source tells, and when it says that it cannot.
func (s *suite) subscribe() {
	ctx, cancel := context.WithCancel(s.Context())
	defer cancel()
	wake := s.source.SubscribeHeads(ctx)
	if wake == nil {
		return
	}
	// The first wake-up says that the subscription is made.
	for range 3 {
		await.Receive(s, wake, "a wake-up")
		s.mine()
	}
}

func (s *suite) endedContext() {
	ctx, cancel := context.WithCancel(s.Context())
	cancel()
	_, err := s.source.Head(ctx, payment.TagNone)
	require.ErrorIs(s, err, context.Canceled)
	_, err = s.source.BlockByHash(ctx, payment.Hash{1}, s.everything())
	require.ErrorIs(s, err, context.Canceled)
}

func (s *suite) tokenMeta() {
	meta, err := s.source.TokenMeta(s.Context(), s.Token())
	require.NoError(s, err)
	require.EqualValues(s, 6, meta.Decimals)
	require.Equal(s, "USDC", meta.Symbol)
	other, err := s.source.TokenMeta(s.Context(), s.Other())
	require.NoError(s, err)
	require.Equal(s, "USDT", other.Symbol)
	require.NotEqual(s, meta.CodeHash, other.CodeHash)
	require.False(s, meta.CodeHash.IsZero())
	_, err = s.source.TokenMeta(s.Context(), Account(1))
	require.ErrorIs(s, err, chain.ErrNoToken)
}
