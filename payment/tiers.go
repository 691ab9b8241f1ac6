package payment

// ConfirmationTier asks more of money from an amount on.
type ConfirmationTier struct {
	From   Amount // base units of the asset concerned
	Policy ConfirmationPolicy
}

// EvidenceTier asks for evidence of money from an amount on.
type EvidenceTier struct {
	From     Amount // base units of the asset concerned
	Evidence Evidence
}

// Strongest returns the policy that is met only when both are: the larger count and the stronger tag. An unknown tag is
// kept, and never met.
func (p ConfirmationPolicy) Strongest(other ConfirmationPolicy) ConfirmationPolicy {
	strongest := ConfirmationPolicy{Confirmations: max(p.Confirmations, other.Confirmations), Tag: p.Tag}
	if p.Tag.strength() >= 0 && (other.Tag.strength() < 0 || other.Tag.strength() > p.Tag.strength()) {
		strongest.Tag = other.Tag
	}
	return strongest
}

// Covers tells whether whatever meets this policy meets the other one too.
func (p ConfirmationPolicy) Covers(other ConfirmationPolicy) bool { return p.Strongest(other) == p }

// At returns the policy for an amount at stake: the strongest of this one, which holds for every amount, and of all tiers
// that the amount reaches. A tier for more money may name fewer confirmations; it takes nothing back. The order of the
// tiers means nothing.
func (p ConfirmationPolicy) At(stake Amount, tiers []ConfirmationTier) ConfirmationPolicy {
	for _, tier := range tiers {
		if !stake.Less(tier.From) {
			p = p.Strongest(tier.Policy)
		}
	}
	return p
}

// EvidenceAt returns what a credit must rest on for an amount at stake: the best that any tier asks for which the amount
// reaches, EvidenceNone when there is none.
func EvidenceAt(stake Amount, tiers []EvidenceTier) Evidence {
	demanded := EvidenceNone
	for _, tier := range tiers {
		if !stake.Less(tier.From) && !demanded.AtLeast(tier.Evidence) {
			demanded = tier.Evidence
		}
	}
	return demanded
}

// EvidenceBeyond returns what a credit below all tiers must rest on once one operator's word has been taken for as much money as
// it may: what the lowest tier asks for that asks for more than that word, EvidenceAgreed when there is none.
func EvidenceBeyond(tiers []EvidenceTier) Evidence {
	var lowest *EvidenceTier
	for i := range tiers {
		tier := &tiers[i]
		switch {
		case EvidenceSingle.AtLeast(tier.Evidence):
		case lowest == nil, tier.From.Less(lowest.From), tier.From == lowest.From && tier.Evidence.AtLeast(lowest.Evidence):
			lowest = tier
		}
	}
	if lowest == nil {
		return EvidenceAgreed
	}
	return lowest.Evidence
}
