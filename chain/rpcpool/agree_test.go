package rpcpool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

func nativeInclusion(mined chaintest.Mined, amount uint64) chain.Inclusion {
	return chain.Inclusion{
		BlockNumber: mined.Number, BlockHash: mined.Hash, TxHash: mined.Txs[0], Native: true, From: payer, To: chaintest.Account(1),
		Amount: payment.AmountFromUint64(amount),
	}
}

func tokenInclusion(mined chaintest.Mined, token payment.Address, amount uint64) chain.Inclusion {
	in := nativeInclusion(mined, amount)
	in.Native, in.Contract = false, token
	return in
}

// payer is who sends in a fake's blocks.
var payer = chaintest.Account(204) //nolint:gochecknoglobals // a constant that cannot be one

var (
	wishAgreed = chain.Demand{Evidence: payment.EvidenceAgreed} //nolint:gochecknoglobals // as above
	wishProven = chain.Demand{Evidence: payment.EvidenceProven} //nolint:gochecknoglobals // as above
)

func TestEvidence(t *testing.T) {
	t.Parallel()
	proves := func(c *chain.Check) {
		if c.Outcome == chain.Included {
			c.Evidence = payment.EvidenceSelfConsistent
		}
	}
	lost := func(c *chain.Check) {
		c.Outcome, c.Evidence, c.Depth = chain.MissingReceipt, payment.EvidenceNone, 0
	}
	for name, c := range map[string]struct {
		operators []string
		edits     []func(*chain.Check)
		down      int // this one does not answer
		demand    payment.Evidence
		want      payment.Evidence
		asked     []string
	}{
		"one is enough":                        {[]string{"a", "b"}, nil, -1, payment.EvidenceSingle, payment.EvidenceSingle, []string{"a"}},
		"a proof is enough":                    {[]string{"a", "b"}, []func(*chain.Check){proves}, -1, payment.EvidenceSelfConsistent, payment.EvidenceSelfConsistent, []string{"a"}},
		"two agree":                            {[]string{"a", "b"}, nil, -1, payment.EvidenceAgreed, payment.EvidenceAgreed, []string{"a", "b"}},
		"two of three agree":                   {[]string{"a", "b", "c"}, nil, -1, payment.EvidenceAgreed, payment.EvidenceAgreed, []string{"a", "b"}},
		"two endpoints, one operator":          {[]string{"a", "a"}, nil, -1, payment.EvidenceAgreed, payment.EvidenceSingle, []string{"a"}},
		"the other is down":                    {[]string{"a", "b"}, nil, 1, payment.EvidenceAgreed, payment.EvidenceSingle, []string{"a"}},
		"a third stands in":                    {[]string{"a", "b", "c"}, nil, 1, payment.EvidenceAgreed, payment.EvidenceAgreed, []string{"a", "c"}},
		"one proves, another agrees":           {[]string{"a", "b"}, []func(*chain.Check){proves}, -1, payment.EvidenceProven, payment.EvidenceProven, []string{"a", "b"}},
		"the other one proves":                 {[]string{"a", "b"}, []func(*chain.Check){nil, proves}, -1, payment.EvidenceProven, payment.EvidenceProven, []string{"a", "b"}},
		"one proves, another has no receipts":  {[]string{"a", "b"}, []func(*chain.Check){proves, lost}, -1, payment.EvidenceProven, payment.EvidenceProven, []string{"a", "b"}},
		"a proof and a second are more":        {[]string{"a", "b"}, []func(*chain.Check){proves}, -1, payment.EvidenceAgreed, payment.EvidenceProven, []string{"a", "b"}},
		"nobody can prove":                     {[]string{"a", "b", "c"}, nil, -1, payment.EvidenceProven, payment.EvidenceAgreed, []string{"a", "b", "c"}},
		"one alone proves to nobody but us":    {[]string{"a"}, []func(*chain.Check){proves}, -1, payment.EvidenceProven, payment.EvidenceSelfConsistent, []string{"a"}},
		"the third proves what two agree upon": {[]string{"a", "b", "c"}, []func(*chain.Check){nil, nil, proves}, -1, payment.EvidenceProven, payment.EvidenceProven, []string{"a", "b", "c"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, c.operators...)
			mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
			for i, edit := range c.edits {
				r.gates[i].edit = edit
			}
			if c.down >= 0 {
				r.gates[c.down].fails(chain.ErrUnavailable)
			}
			check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), chain.Demand{Evidence: c.demand})
			require.NoError(t, err)
			require.Equal(t, chain.Included, check.Outcome)
			require.Equal(t, c.want, check.Evidence)
			require.Equal(t, c.asked, check.Operators)
			require.EqualValues(t, 1, check.Depth)
			require.Zero(t, r.waited)
		})
	}
}

func TestTheHeadsOfACheckAreTheLowest(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.grow(64)
	r.fakes[0].MineBlocks(31)
	demand := wishAgreed
	demand.Tag = payment.TagFinalized
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), demand)
	require.NoError(t, err)
	require.Equal(t, payment.Heads{Latest: 65, Finalized: 64}, check.Heads)
	require.EqualValues(t, 65, check.Depth)
}

// One operator's head confirms nothing when it is far beyond the others'.
func TestAHeadFarAheadConfirmsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "liar", "honest")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.fakes[0].MineBlocks(1000)
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, []string{"liar"}, check.Operators)
	require.EqualValues(t, 1, check.Depth)
	require.Equal(t, payment.Heads{Latest: 1}, check.Heads)
}

// Nor do a few blocks that only one operator has heard of, or its word that a block is final.
func TestOneOperatorsHeadConfirmsNothing(t *testing.T) {
	t.Parallel()
	r := newRig(t, "ahead", "honest")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.grow(64)
	r.fakes[0].MineBlocks(31)
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), chain.Demand{Tag: payment.TagFinalized})
	require.NoError(t, err)
	require.Equal(t, []string{"ahead"}, check.Operators)
	require.Equal(t, payment.Heads{Latest: 65, Finalized: 64}, check.Heads)
	require.EqualValues(t, 65, check.Depth)
}

// A lying endpoint beside an honest one: whatever it invents is not agreed upon.
func TestInventionsAreNotAgreedUpon(t *testing.T) {
	t.Parallel()
	token := chaintest.NewFake(t, nil).Token()
	pays := chaintest.TokenTransfer{Token: token, To: chaintest.Account(1), Amount: 5}
	for name, invent := range map[string]func(r *rig) chain.Inclusion{
		"a receipt for a transaction that failed": func(r *rig) chain.Inclusion {
			mined := r.mine(chaintest.FailingNative{Token: token, Amount: 5})
			r.fakes[0].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
				if receipt, ok := a.Result.(map[string]any); ok && a.Method == "eth_getTransactionReceipt" {
					receipt["status"] = "0x1"
				}
			}})
			in := nativeInclusion(mined, 5)
			in.To = token
			return in
		},
		"a log": func(r *rig) chain.Inclusion {
			mined := r.mine(chaintest.TokenTransfer{Token: token, To: chaintest.Account(2), Amount: 5})
			r.fakes[0].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
				if receipt, ok := a.Result.(map[string]any); ok && a.Method == "eth_getTransactionReceipt" {
					for _, log := range receipt["logs"].([]map[string]any) {
						topics := log["topics"].([]payment.Hash)
						log["topics"] = []payment.Hash{topics[0], topics[1], chaintest.Topic(chaintest.Account(1))}
					}
				}
			}})
			return tokenInclusion(mined, token, 5)
		},
		"a block": func(r *rig) chain.Inclusion {
			r.fakes[1].MineBlocks(1)
			return tokenInclusion(r.fakes[0].Mine(r.T, pays), token, 5)
		},
		"a transaction that nobody else knows": func(r *rig) chain.Inclusion {
			honest := r.fakes[1].MineBlocks(1)
			mined := r.fakes[0].MineBlock(func(b *chaintest.FakeBlock) { b.Extra = map[string]any{"hash": honest.Hash} },
				&chaintest.FakeTx{From: payer, To: token, Logs: []chaintest.FakeLog{chaintest.TransferLog(token, payer, chaintest.Account(1), 5)}})
			mined.Hash = honest.Hash
			made := r.fakes[0].Head().Hash
			r.fakes[0].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
				if receipt, ok := a.Result.(map[string]any); ok && receipt["blockHash"] == made {
					receipt["blockHash"] = honest.Hash
					for _, log := range receipt["logs"].([]map[string]any) {
						log["blockHash"] = honest.Hash
					}
				}
			}})
			return tokenInclusion(mined, token, 5)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, demand := range []chain.Demand{wishAgreed, wishProven} {
				r := newRig(t, "liar", "honest")
				in := invent(r)
				check, err := r.gates[0].Source.CheckInclusion(t.Context(), in, demand)
				require.NoError(t, err)
				require.Equal(t, chain.Included, check.Outcome, "the lie is a good one")
				_, err = r.CheckInclusion(t.Context(), in, demand)
				require.ErrorIs(t, err, chain.ErrDisagreement)
				require.Equal(t, blockTime, r.waited, "they were given time")
				require.EqualValues(t, 1, r.Stats().Disagreements)
				require.Contains(t, r.log.String(), "said.liar=included")
				require.Contains(t, r.log.String(), "said.honest=")
			}
		})
	}
}

// Whoever was read from is not whoever is asked, so a lie does not confirm itself even where one operator is enough.
func TestWhoeverWasReadFromIsNotAskedFirst(t *testing.T) {
	t.Parallel()
	r := newRig(t, "liar", "honest")
	r.fakes[1].MineBlocks(1)
	invented := r.fakes[0].Mine(t, chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.head()
	require.Equal(t, 0, primaryAfterRead(r))
	header, err := r.HeaderByNumber(t.Context(), invented.Number)
	require.NoError(t, err)
	block, err := r.BlockByHash(t.Context(), header.Hash, chain.Filter{Native: true})
	require.NoError(t, err)
	require.Len(t, block.Candidates, 1)
	_, err = r.CheckInclusion(t.Context(), nativeInclusion(invented, 5), chain.Demand{})
	require.ErrorIs(t, err, chain.ErrDisagreement)
}

// A payment that is really gone is gone by what two operators say.
func TestTwoWhoRefuseAreEnough(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b", "c")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	for _, fake := range r.fakes {
		fake.Reorg(t, 1, 2, chaintest.DropTxs)
	}
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), wishAgreed)
	require.NoError(t, err)
	require.Equal(t, chain.NotCanonical, check.Outcome)
	require.Equal(t, payment.EvidenceNone, check.Evidence)
	require.Zero(t, check.Depth)
	require.Equal(t, []string{"a", "b"}, check.Operators)
	require.Zero(t, r.gates[2].count("check"))
}

// Reorganisations take a while to get around.
func TestOperatorsThatComeToAgree(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	asked := 0
	r.gates[1].edit = func(c *chain.Check) {
		if asked++; asked == 1 {
			c.Outcome, c.Evidence, c.Depth = chain.NotCanonical, payment.EvidenceNone, 0
		}
	}
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), wishAgreed)
	require.NoError(t, err)
	require.Equal(t, chain.Included, check.Outcome)
	require.Equal(t, payment.EvidenceAgreed, check.Evidence)
	require.Zero(t, r.Stats().Disagreements)
}

// Who has not reached the block has no opinion, and holds nobody up.
func TestWhoIsBehindHasNoOpinion(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 1})
	for _, demand := range []chain.Demand{{}, wishAgreed} {
		check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), demand)
		require.NoError(t, err)
		require.Equal(t, chain.Included, check.Outcome)
		require.Equal(t, payment.EvidenceSingle, check.Evidence)
		require.Equal(t, []string{"b"}, check.Operators)
		require.Zero(t, check.Depth, "confirmations are counted up to the lowest head")
	}
	r.fakes[1].SetFaults(chaintest.Faults{Lag: 1})
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), wishAgreed)
	require.NoError(t, err)
	require.Equal(t, chain.NodeBehind, check.Outcome)
	require.NotEmpty(t, check.Operators)
	for _, g := range r.gates {
		g.fails(chain.ErrUnavailable)
	}
	_, err = r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), wishAgreed)
	require.ErrorIs(t, err, chain.ErrUnavailable)
}

func TestTheOnlyOperatorIsNamed(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.gates[0].fails(chain.ErrUnavailable)
	for range 5 {
		r.head()
		r.pass(time.Second)
	}
	check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), wishProven)
	require.NoError(t, err)
	require.Equal(t, []string{"b"}, check.Operators)
	require.Equal(t, payment.EvidenceSingle, check.Evidence)
	require.True(t, r.Stats().Alone())
}
