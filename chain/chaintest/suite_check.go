package chaintest

import (
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

func (s *suite) reorg() {
	to := Account(1)
	s.mine()
	old := s.mine(
		TokenTransfer{Token: s.Other(), To: to, Amount: 1},
		Multi{{Token: s.Other(), To: to, Amount: 2}, {Token: s.Token(), To: to, Amount: 3}},
	)
	next := s.mine(TokenTransfer{Token: s.Token(), To: to, Amount: 4})
	before := s.read(old.BlockRef, s.tokens())
	require.Len(s, before, 1)

	refs := s.Reorg(s.T, 2, 3, KeepTxs)
	require.Equal(s, old.Number, refs[0].Number)
	require.NotEqual(s, old.Hash, refs[0].Hash)
	canonical, err := s.source.HeaderByNumber(s.Context(), old.Number)
	require.NoError(s, err)
	require.Equal(s, refs[0], canonical)

	// All transactions are in one block now: one keeps its identity, and both are found.
	after := s.read(refs[0], s.tokens())
	require.Len(s, after, 2)
	require.Equal(s, before[0].TxHash, after[0].TxHash)
	require.Equal(s, before[0].Position, after[0].Position)
	require.Equal(s, next.Txs[0], after[1].TxHash)
	require.EqualValues(s, 3, after[1].LogIndex)
	require.Zero(s, after[1].Position)

	// The undone block is still read as what it was, or not known any more.
	undone, err := s.source.BlockByHash(s.Context(), old.Hash, s.tokens())
	if err != nil {
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
	} else {
		require.Len(s, undone.Candidates, 1)
		_, err = s.source.Resolve(s.Context(), undone.BlockRef, undone.Candidates)
		require.ErrorIs(s, err, chain.ErrReorged)
	}
	blocks, err := s.source.Range(s.Context(), refs[0].Number-1, refs[2].Number, s.tokens())
	require.NoError(s, err)
	for i, ref := range refs {
		require.Equal(s, ref, blocks[i+1].BlockRef)
	}
}

// inclusion is a candidate as it would be recorded.
func inclusion(block payment.BlockRef, c chain.Candidate) chain.Inclusion {
	return chain.Inclusion{
		BlockNumber: block.Number, BlockHash: block.Hash, TxHash: c.TxHash, Native: c.Native, Position: c.Position,
		Contract: c.Contract, From: c.From, To: c.To, Amount: c.Amount,
	}
}

func (s *suite) check(in chain.Inclusion, change func(*chain.Inclusion)) chain.Check {
	s.Helper()
	if change != nil {
		change(&in)
	}
	check, err := s.source.CheckInclusion(s.Context(), in, chain.Demand{})
	require.NoError(s, err)
	if check.Outcome != chain.Included {
		require.Zero(s, check.Depth)
	}
	check.Operators = nil // only verifiers of several operators name them
	return check
}

func (s *suite) checkToken() {
	mined := s.mine(
		TokenTransfer{Token: s.Token(), To: Account(2), Amount: 1},
		Multi{{Token: s.Other(), To: Account(1), Amount: 5}, {Token: s.Token(), To: Account(1), Amount: 5}},
		FailingNative{Token: s.Token(), Amount: 5},
	)
	good := inclusion(mined.BlockRef, s.read(mined.BlockRef, s.tokens())[1])
	require.EqualValues(s, 1, good.Position)

	check := s.check(good, nil)
	require.Equal(s, chain.Check{Outcome: chain.Included, Depth: 1, Heads: payment.Heads{Latest: mined.Number}, Evidence: payment.EvidenceSingle}, check)
	s.mine()
	top := s.mine()
	check = s.check(good, nil)
	require.Equal(s, chain.Check{Outcome: chain.Included, Depth: 3, Heads: payment.Heads{Latest: top.Number}, Evidence: payment.EvidenceSingle}, check)

	changes := map[string]struct {
		change func(*chain.Inclusion)
		want   chain.Outcome
	}{
		"amount":      {func(in *chain.Inclusion) { in.Amount = payment.AmountFromUint64(6) }, chain.ContentChanged},
		"recipient":   {func(in *chain.Inclusion) { in.To = Account(2) }, chain.ContentChanged},
		"sender":      {func(in *chain.Inclusion) { in.From = Account(2) }, chain.ContentChanged},
		"contract":    {func(in *chain.Inclusion) { in.Contract = s.Other() }, chain.ContentChanged},
		"position":    {func(in *chain.Inclusion) { in.Position = 0 }, chain.ContentChanged},
		"no position": {func(in *chain.Inclusion) { in.Position = 2 }, chain.ContentChanged},
		"block hash":  {func(in *chain.Inclusion) { in.BlockHash = payment.Hash{1} }, chain.NotCanonical},
		"block above": {func(in *chain.Inclusion) { in.BlockNumber = top.Number + 1 }, chain.NodeBehind},
		"wrong block": {func(in *chain.Inclusion) { in.BlockNumber, in.BlockHash = top.Number, top.Hash }, chain.NotCanonical},
		"no such tx":  {func(in *chain.Inclusion) { in.TxHash = payment.Hash{9} }, chain.MissingReceipt},
		"other tx":    {func(in *chain.Inclusion) { in.TxHash = mined.Txs[0] }, chain.ContentChanged},
		"failed tx":   {func(in *chain.Inclusion) { in.TxHash = mined.Txs[2] }, chain.Reverted},
	}
	for name, test := range changes {
		require.Equal(s, test.want, s.check(good, test.change).Outcome, name)
	}

	safe, err := s.source.CheckInclusion(s.Context(), good, chain.Demand{Tag: payment.TagSafe})
	require.NoError(s, err)
	require.Equal(s, top.Number, safe.Heads.Safe)
	require.Zero(s, safe.Heads.Finalized)
	finalized, err := s.source.CheckInclusion(s.Context(), good, chain.Demand{Tag: payment.TagFinalized})
	require.NoError(s, err)
	require.Zero(s, finalized.Heads.Finalized) // every 32 blocks
}

func (s *suite) checkNative() {
	mined := s.mine(
		Native{To: Account(1), Amount: 5},
		FailingNative{Token: s.Token(), Amount: 5},
		Native{To: Account(2), Amount: 5},
	)
	found := s.read(mined.BlockRef, chain.Filter{Native: true})
	good := inclusion(mined.BlockRef, found[0])
	require.Equal(s, chain.Check{Outcome: chain.Included, Depth: 1, Heads: payment.Heads{Latest: mined.Number}, Evidence: payment.EvidenceSingle}, s.check(good, nil))
	require.Equal(s, chain.Reverted, s.check(inclusion(mined.BlockRef, found[1]), nil).Outcome)
	changes := map[string]func(*chain.Inclusion){
		"amount":    func(in *chain.Inclusion) { in.Amount = payment.AmountFromUint64(6) },
		"recipient": func(in *chain.Inclusion) { in.To = Account(2) },
		"sender":    func(in *chain.Inclusion) { in.From = Account(2) },
		"position":  func(in *chain.Inclusion) { in.Position = 1 },
		"other tx":  func(in *chain.Inclusion) { in.TxHash = mined.Txs[2] },
	}
	for name, change := range changes {
		require.Equal(s, chain.ContentChanged, s.check(good, change).Outcome, name)
	}
}

func (s *suite) checkReorg() {
	s.mine()
	dropped := s.mine(TokenTransfer{Token: s.Token(), To: Account(1), Amount: 5}, Native{To: Account(1), Amount: 5})
	var inclusions []chain.Inclusion
	for _, candidate := range s.read(dropped.BlockRef, s.everything()) {
		inclusions = append(inclusions, inclusion(dropped.BlockRef, candidate))
	}
	require.Len(s, inclusions, 2)

	moved := s.Reorg(s.T, 1, 2, KeepTxs)
	for _, in := range inclusions {
		require.Equal(s, chain.NotCanonical, s.check(in, nil).Outcome)
		again := s.check(in, func(in *chain.Inclusion) { in.BlockHash = moved[0].Hash })
		require.Equal(s, chain.Included, again.Outcome)
		require.EqualValues(s, 2, again.Depth)
	}
	s.Reorg(s.T, 2, 3, DropTxs)
	for _, in := range inclusions {
		require.Equal(s, chain.NotCanonical, s.check(in, func(in *chain.Inclusion) { in.BlockHash = moved[0].Hash }).Outcome)
	}
	// A head that went back below the block is a node that lags, until it has grown again.
	s.Reorg(s.T, 3, 0, DropTxs)
	require.Equal(s, chain.NodeBehind, s.check(inclusions[0], nil).Outcome)
}
