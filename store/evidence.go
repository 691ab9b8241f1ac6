package store

import (
	"context"
	"fmt"
	"math/big"

	"github.com/sluicepay/sluice/payment"
)

// evidenceDemand is what a credit has to rest on.
type evidenceDemand struct {
	// tier is what the tiers ask for that the amount at stake reaches, EvidenceNone below all that ask for more than one operator's word.
	tier payment.Evidence
	// beyond is asked for below them too, once the single-source limit is used up.
	beyond payment.Evidence
}

// enough is what needs no room within the single-source limit.
func (d evidenceDemand) enough() payment.Evidence {
	if d.tier == payment.EvidenceNone {
		return d.beyond
	}
	return d.tier
}

func (t txn) demandedEvidence(ctx context.Context, about *inclusionRow) (evidenceDemand, error) {
	rows, err := t.q.EvidenceTiersOf(ctx, about.AssetID)
	if err != nil {
		return evidenceDemand{}, fmt.Errorf("read evidence tiers: %w", err)
	}
	tiers := make([]payment.EvidenceTier, len(rows))
	for i, row := range rows {
		tiers[i] = payment.EvidenceTier{From: row.FromAmount.Amount, Evidence: payment.Evidence(row.Evidence)}
	}
	demand := evidenceDemand{tier: payment.EvidenceNone, beyond: payment.EvidenceBeyond(tiers)}
	if len(tiers) == 0 {
		return demand, nil
	}
	stakes, err := t.paymentStakes(ctx, []string{about.ID})
	if err != nil {
		return evidenceDemand{}, err
	}
	if tier := payment.EvidenceAt(stakes[about.ID], tiers); !payment.EvidenceSingle.AtLeast(tier) {
		demand.tier = tier
	}
	return demand, nil
}

// wantedEvidence is what a check should look for. It is read without a lock: the limit may be used up by the time of the credit,
// which is stale then.
func (t txn) wantedEvidence(ctx context.Context, about *inclusionRow) (payment.Evidence, error) {
	demand, err := t.demandedEvidence(ctx, about)
	if err != nil || demand.tier != payment.EvidenceNone {
		return demand.tier, err
	}
	limited, err := t.q.SingleSourceLimited(ctx, about.AssetID)
	if err != nil || !limited {
		return payment.EvidenceNone, unlessNil("read the single-source limit", err)
	}
	room, err := t.withinSingleSourceLimit(ctx, about)
	if err != nil || room {
		return payment.EvidenceNone, err
	}
	return demand.beyond, nil
}

// lacks tells what keeps a payment from being credited on what its check saw, "" when nothing does; and whether it is credited
// weakly, on less than two operators say or on less than is asked for, which uses up the single-source limit. More of the order may
// have been paid since the check, so that more is asked for now; under the order's lock no more can come.
func (t txn) lacks(ctx context.Context, in CreditInput, order *orderRow, about *inclusionRow) (outcome CreditOutcome, weak bool, err error) {
	seen := in.Policy
	if seen == (payment.ConfirmationPolicy{}) {
		seen = policyOf(about.Confirmations, about.FinalityTag)
		if order != nil && order.Chain == about.Chain {
			seen = seen.Strongest(policyOf(order.Confirmations, order.FinalityTag))
		}
	}
	if !seen.Covers(about.requiredFor(order)) {
		return CreditStale, false, nil
	}
	demand, err := t.demandedEvidence(ctx, about)
	if err != nil {
		return "", false, err
	}
	if in.Evidence.AtLeast(demand.enough()) {
		return "", !in.Evidence.AtLeast(payment.EvidenceAgreed), nil
	}
	outcome, err = t.beyondLimit(ctx, in, about, demand)
	return outcome, true, err
}

// beyondLimit tells what keeps a payment from being credited on less than is asked for, "" when there is room for it within the
// single-source limit, or, below the tiers, no limit.
func (t txn) beyondLimit(ctx context.Context, in CreditInput, about *inclusionRow, demand evidenceDemand) (CreditOutcome, error) {
	limited, err := t.q.SingleSourceLimited(ctx, about.AssetID)
	if err != nil {
		return "", fmt.Errorf("read the single-source limit: %w", err)
	}
	below := demand.tier == payment.EvidenceNone
	if !limited {
		if below {
			return "", nil // nobody wants more of so little
		}
		return CreditUnproven, nil
	}
	// Held until the transaction ends, so that credits at the same moment do not each take what is left.
	if err := t.q.LockWeakCredits(ctx, about.Chain); err != nil {
		return "", fmt.Errorf("lock the single-source limit of chain %s: %w", about.Chain, err)
	}
	within, err := t.withinSingleSourceLimit(ctx, about)
	switch {
	case err != nil || within:
		return "", err
	case below && !in.Demanded.AtLeast(demand.beyond):
		return CreditStale, nil // there was room when the check began, or for what it was asked to find
	default:
		return CreditUnproven, nil
	}
}

// withinSingleSourceLimit tells whether a payment may be credited on less than two operators say, or on less than is asked for: little money may, so that a
// shop goes on selling while only one of them answers. Each asset's limit is all that the chain may credit like that within an
// hour, in units of that asset, so what was credited of each asset is a share of the whole, and the shares add up to one at most.
// Without a limit of the asset, nothing of it has a share.
func (t txn) withinSingleSourceLimit(ctx context.Context, about *inclusionRow) (bool, error) {
	rows, err := t.q.WeakCredits(ctx, about.Chain)
	if err != nil {
		return false, fmt.Errorf("read the single-source limit of chain %s: %w", about.Chain, err)
	}
	used, limited := new(big.Rat), false
	for _, row := range rows {
		credited := new(big.Int).Set(row.Credited.Int)
		if row.AssetID == about.AssetID {
			limited = true
			credited.Add(credited, about.Amount.Big())
		}
		used.Add(used, new(big.Rat).SetFrac(credited, row.Allowed.Big()))
	}
	return limited && used.Cmp(big.NewRat(1, 1)) <= 0, nil
}
