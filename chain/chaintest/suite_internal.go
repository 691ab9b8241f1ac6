package chaintest

import (
	"fmt"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

func traced() chain.Filter { return chain.Filter{Native: true, Traces: true} }

// list writes native candidates down as "transaction/position: from > to amount", with
// names for the contracts.
func (s *suite) list(mined Mined, found []chain.Candidate) []string {
	s.Helper()
	names := map[payment.Address]string{s.Payer(): "payer", s.Actor(0): "a", s.Actor(1): "b", s.Caller(): "caller"}
	for i := range byte(10) {
		names[Account(i)] = string('0' + rune(i))
	}
	name := func(a payment.Address) string {
		if n, ok := names[a]; ok {
			return n
		}
		return "new"
	}
	var lines []string
	for _, c := range found {
		require.True(s, c.Native)
		require.Equal(s, chain.Resolved, c.Resolution)
		require.Equal(s, mined.Txs[c.TxIndex], c.TxHash)
		require.True(s, c.Contract.IsZero())
		lines = append(lines, fmt.Sprintf("%d/%d: %s > %s %s", c.TxIndex, c.Position, name(c.From), name(c.To), c.Amount))
	}
	return lines
}

func (s *suite) internalTransfers() {
	a, b := s.Actor(0), s.Actor(1)
	mined := s.mine(
		// A contract that pays several at once.
		Script{Value: 60, Acts: []Act{{To: Account(1), Value: 10}, {To: Account(2), Value: 20}, {To: Account(1), Value: 30}}},
		Native{To: Account(3), Amount: 7},
		Script{Value: 1_000, Acts: []Act{
			{To: Account(1), Value: 0},
			{To: b, Value: 100, Kind: gethnode.ActTry, Acts: []Act{ // all of it is undone
				{To: Account(1), Value: 1},
				{To: a, Value: 2, Acts: []Act{{To: Account(1), Value: 2}}},
				{Kind: gethnode.ActRevert},
			}},
			{To: Account(1), Value: TooMuch, Kind: gethnode.ActTry},
			{To: b, Value: 200, Acts: []Act{
				{To: Account(1), Value: 11},
				// Runs a's code as b: the 200 are not moved again, the 12 are b's.
				{To: a, Kind: gethnode.ActDelegate, Acts: []Act{{To: Account(2), Value: 12}}},
				{To: a, Value: 50, Kind: gethnode.ActCallCode, Acts: []Act{{To: Account(3), Value: 13}}},
				{To: Account(2), Value: 14},
			}},
			{To: a, Value: 5, Acts: []Act{{To: Account(4), Value: 15}}}, // to itself: counted, and no payment
			{To: b, Kind: gethnode.ActStatic, Acts: []Act{{To: Account(1), Value: 0}}},
			{Kind: gethnode.ActCreate, Value: 16},
			{Kind: gethnode.ActCreate, Value: 17, To: Account(5)}, // destroys itself at once
			{Kind: gethnode.ActCreate2, Value: 18, To: Account(6)},
			{To: Account(7), Value: 19},
		}},
		Native{To: Account(3), Amount: 8},
	)
	want := []string{
		"0/0: payer > a 60", "0/1: a > 1 10", "0/2: a > 2 20", "0/3: a > 1 30",
		"1/0: payer > 3 7",
		"2/0: payer > a 1000", "2/1: a > b 200", "2/2: b > 1 11", "2/3: b > 2 12", "2/4: b > 3 13", "2/5: b > 2 14",
		"2/7: a > 4 15", "2/8: a > new 16", "2/9: a > new 17", "2/10: new > 5 17", "2/11: a > new 18", "2/12: new > 6 18",
		"2/13: a > 7 19",
		"3/0: payer > 3 8",
	}
	require.Equal(s, want, s.list(mined, s.read(mined.BlockRef, traced())))

	plain, err := s.source.BlockByHash(s.Context(), mined.Hash, chain.Filter{Native: true})
	require.NoError(s, err)
	require.False(s, plain.Traced)
	require.Len(s, plain.Candidates, 4)
	for _, block := range []Mined{mined, s.mine()} {
		full, err := s.source.BlockByHash(s.Context(), block.Hash, traced())
		require.NoError(s, err)
		require.True(s, full.Traced)
	}
	only, err := s.source.BlockByHash(s.Context(), mined.Hash, chain.Filter{Traces: true})
	require.NoError(s, err)
	require.Len(s, only.Candidates, len(want)-4, "internal ones alone")
}

func (s *suite) internalFailures() {
	mined := s.mine(
		Script{Value: 60, Acts: []Act{{To: Account(1), Value: 10}, {Kind: gethnode.ActRevert}}},
		Script{Value: 60, Acts: []Act{{To: Account(1), Value: 10}, {To: Account(1), Value: TooMuch}}},
		FailingNative{Token: s.Token(), Amount: 5},
		Script{Acts: []Act{{To: s.Actor(1), Kind: gethnode.ActTry, Acts: []Act{{Kind: gethnode.ActRevert}}}}},
	)
	for _, c := range s.read(mined.BlockRef, traced()) {
		require.Equal(s, chain.Void, c.Resolution)
		require.Zero(s, c.Position)
	}
}

// internalReorg: what a transaction moves inside may change when it is mined again; the
// block that was undone is traced as what it was, or not at all.
func (s *suite) internalReorg() {
	s.mine()
	old := s.mine(Native{To: s.Actor(0), Amount: 10}, Script{Acts: []Act{{To: Account(1), Value: 4}, {To: Account(2), Value: 6}}})
	next := s.mine(Script{Value: 5, Acts: []Act{{To: Account(3), Value: 5}}})
	before := s.read(old.BlockRef, traced())
	require.Equal(s, []string{"0/0: payer > a 10", "1/1: a > 1 4", "1/2: a > 2 6"}, s.list(old, before))

	refs := s.Reorg(s.T, 2, 3, KeepTxs)
	merged := Mined{BlockRef: refs[0], Txs: append(append([]payment.Hash{}, old.Txs...), next.Txs...)}
	require.Equal(s, []string{
		"0/0: payer > a 10", "1/1: a > 1 4", "1/2: a > 2 6", "2/0: payer > a 5", "2/1: a > 3 5",
	}, s.list(merged, s.read(refs[0], traced())))

	undone, err := s.source.BlockByHash(s.Context(), old.Hash, traced())
	if err != nil {
		require.ErrorIs(s, err, chain.ErrBlockUnknown)
	} else if undone.Traced {
		require.Equal(s, before[1:], undone.Candidates[1:])
	}
	for _, c := range before[1:] {
		in := inclusion(old.BlockRef, c)
		require.Equal(s, chain.NotCanonical, s.check(in, nil).Outcome)
		require.Equal(s, chain.Included, s.check(in, func(in *chain.Inclusion) { in.BlockHash = refs[0].Hash }).Outcome)
	}
}

func (s *suite) checkInternal() {
	mined := s.mine(
		Native{To: s.Actor(0), Amount: 50},
		Script{Value: 60, Acts: []Act{{To: Account(1), Value: 10}, {To: Account(2), Value: 20}}},
		Script{Value: 60, Acts: []Act{{To: Account(1), Value: 10}, {Kind: gethnode.ActRevert}}},
	)
	found := s.read(mined.BlockRef, traced())
	good := inclusion(mined.BlockRef, found[2])
	require.EqualValues(s, 1, good.Position)
	want := chain.Check{Outcome: chain.Included, Depth: 1, Heads: payment.Heads{Latest: mined.Number}, Evidence: payment.EvidenceSingle}
	require.Equal(s, want, s.check(good, nil))
	changes := map[string]struct {
		change func(*chain.Inclusion)
		want   chain.Outcome
	}{
		"amount":      {func(in *chain.Inclusion) { in.Amount = payment.AmountFromUint64(20) }, chain.ContentChanged},
		"recipient":   {func(in *chain.Inclusion) { in.To = Account(2) }, chain.ContentChanged},
		"sender":      {func(in *chain.Inclusion) { in.From = s.Payer() }, chain.ContentChanged},
		"position":    {func(in *chain.Inclusion) { in.Position = 2 }, chain.ContentChanged},
		"no position": {func(in *chain.Inclusion) { in.Position = 3 }, chain.ContentChanged},
		"top level":   {func(in *chain.Inclusion) { in.Position = 0 }, chain.ContentChanged},
		"plain tx":    {func(in *chain.Inclusion) { in.TxHash = mined.Txs[0] }, chain.ContentChanged},
		"failed tx":   {func(in *chain.Inclusion) { in.TxHash = mined.Txs[2] }, chain.Reverted},
		"no such tx":  {func(in *chain.Inclusion) { in.TxHash = payment.Hash{9} }, chain.MissingReceipt},
		"block hash":  {func(in *chain.Inclusion) { in.BlockHash = payment.Hash{1} }, chain.NotCanonical},
	}
	for name, test := range changes {
		require.Equal(s, test.want, s.check(good, test.change).Outcome, name)
	}
}
