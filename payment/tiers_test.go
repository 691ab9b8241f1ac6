package payment

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// The policy for an amount, told by an independent reading of the rule: whatever meets it meets every policy that applies,
// and it is no stronger than they are together.
func TestThePolicyForAnAmountIsTheStrongestThatApplies(t *testing.T) {
	t.Parallel()
	policies := rapid.Custom(func(t *rapid.T) ConfirmationPolicy {
		return ConfirmationPolicy{
			Confirmations: rapid.Uint64Range(1, 40).Draw(t, "confirmations"),
			Tag:           rapid.SampledFrom([]Tag{TagNone, TagSafe, TagFinalized}).Draw(t, "tag"),
		}
	})
	amounts := rapid.Custom(func(t *rapid.T) Amount { return AmountFromUint64(rapid.Uint64Range(0, 20).Draw(t, "amount")) })
	tiers := rapid.SliceOfN(rapid.Custom(func(t *rapid.T) ConfirmationTier {
		return ConfirmationTier{From: amounts.Draw(t, "from"), Policy: policies.Draw(t, "policy")}
	}), 0, 6)
	rapid.Check(t, func(t *rapid.T) {
		base, all, stake := policies.Draw(t, "base"), tiers.Draw(t, "tiers"), amounts.Draw(t, "stake")
		heads := Heads{
			Latest: rapid.Uint64Range(100, 150).Draw(t, "latest"), Safe: rapid.Uint64Range(95, 105).Draw(t, "safe"),
			Finalized: rapid.Uint64Range(95, 105).Draw(t, "finalized"),
		}
		if heads.Finalized > heads.Safe {
			heads.Finalized, heads.Safe = heads.Safe, heads.Finalized
		}
		met := base.Met(100, heads)
		for _, tier := range all {
			if stake.Cmp(tier.From) >= 0 {
				met = met && tier.Policy.Met(100, heads)
			}
		}
		policy := base.At(stake, all)
		require.Equal(t, met, policy.Met(100, heads))
		require.True(t, policy.Covers(base))
		require.Equal(t, policy, base.At(stake, rapid.Permutation(all).Draw(t, "another order")))
		more, err := stake.Add(amounts.Draw(t, "more"))
		require.NoError(t, err)
		require.True(t, base.At(more, all).Covers(policy), "more money never needs less")
	})
}

func TestAnUnknownTagIsNeverMet(t *testing.T) {
	t.Parallel()
	base := ConfirmationPolicy{Confirmations: 1, Tag: TagFinalized}
	heads := Heads{Latest: 1000, Safe: 1000, Finalized: 1000}
	for _, policy := range []ConfirmationPolicy{
		base.Strongest(ConfirmationPolicy{Confirmations: 1, Tag: "justified"}),
		ConfirmationPolicy{Confirmations: 1, Tag: "justified"}.Strongest(base),
	} {
		require.False(t, policy.Met(10, heads))
	}
	require.True(t, base.Met(10, heads))
}

func TestTheEvidenceForAnAmount(t *testing.T) {
	t.Parallel()
	ten, hundred := AmountFromUint64(10), AmountFromUint64(100)
	tiers := []EvidenceTier{{hundred, EvidenceProven}, {ten, EvidenceAgreed}, {ten, EvidenceSingle}}
	require.Equal(t, EvidenceNone, EvidenceAt(hundred, nil))
	require.Equal(t, EvidenceNone, EvidenceAt(AmountFromUint64(9), tiers))
	require.Equal(t, EvidenceAgreed, EvidenceAt(ten, tiers))
	require.Equal(t, EvidenceAgreed, EvidenceAt(AmountFromUint64(99), tiers))
	require.Equal(t, EvidenceProven, EvidenceAt(hundred, tiers))
}

func TestTheEvidenceBeyondOneOperatorsWord(t *testing.T) {
	t.Parallel()
	ten, hundred := AmountFromUint64(10), AmountFromUint64(100)
	require.Equal(t, EvidenceAgreed, EvidenceBeyond(nil))
	require.Equal(t, EvidenceAgreed, EvidenceBeyond([]EvidenceTier{{ten, EvidenceSingle}}))
	require.Equal(t, EvidenceProven, EvidenceBeyond([]EvidenceTier{{hundred, EvidenceAgreed}, {ten, EvidenceProven}, {Amount{}, EvidenceSingle}}))
	require.Equal(t, EvidenceProven, EvidenceBeyond([]EvidenceTier{{ten, EvidenceProven}, {ten, EvidenceAgreed}}))
	require.Equal(t, EvidenceProven, EvidenceBeyond([]EvidenceTier{{ten, EvidenceAgreed}, {ten, EvidenceProven}}))
	require.Equal(t, EvidenceSelfConsistent, EvidenceBeyond([]EvidenceTier{{ten, EvidenceSelfConsistent}, {hundred, EvidenceAgreed}}))
}
