package store

import (
	"context"
	"fmt"
	"math/big"

	"github.com/sluicepay/sluice/payment"
)

// demandedEvidence is what a credit of the payment has to rest on, EvidenceNone where nothing is configured.
func (t txn) demandedEvidence(ctx context.Context, about *inclusionRow) (payment.Evidence, error) {
	rows, err := t.q.EvidenceTiersOf(ctx, about.AssetID)
	if err != nil {
		return "", fmt.Errorf("read evidence tiers: %w", err)
	}
	if len(rows) == 0 {
		return payment.EvidenceNone, nil
	}
	tiers := make([]payment.EvidenceTier, len(rows))
	for i, row := range rows {
		tiers[i] = payment.EvidenceTier{From: row.FromAmount.Amount, Evidence: payment.Evidence(row.Evidence)}
	}
	stakes, err := t.paymentStakes(ctx, []string{about.ID})
	if err != nil {
		return "", err
	}
	return payment.EvidenceAt(stakes[about.ID], tiers), nil
}

// lacks tells what keeps a payment from being credited on what its check saw, "" when nothing does. More of the order may
// have been paid since the check, so that more is asked for now; under the order's lock no more can come.
func (t txn) lacks(ctx context.Context, in CreditInput, order *orderRow, about *inclusionRow) (CreditOutcome, error) {
	seen := in.Policy
	if seen == (payment.ConfirmationPolicy{}) {
		seen = policyOf(about.Confirmations, about.FinalityTag)
		if order != nil && order.Chain == about.Chain {
			seen = seen.Strongest(policyOf(order.Confirmations, order.FinalityTag))
		}
	}
	if !seen.Covers(about.requiredFor(order)) {
		return CreditStale, nil
	}
	demanded, err := t.demandedEvidence(ctx, about)
	if err != nil || in.Evidence.AtLeast(demanded) {
		return "", err
	}
	within, err := t.withinSingleSourceLimit(ctx, about)
	if err != nil || within {
		return "", err
	}
	return CreditUnproven, nil
}

// withinSingleSourceLimit tells whether a payment may be credited on less evidence than is asked for: little money may, so
// that a shop goes on selling while only one operator answers. It holds the asset's lock until the transaction ends, so that credits at the
// same moment do not each take what is left.
func (t txn) withinSingleSourceLimit(ctx context.Context, about *inclusionRow) (bool, error) {
	if err := t.q.LockWeakCredits(ctx, about.AssetID); err != nil {
		return false, fmt.Errorf("lock the single-source limit of %s: %w", about.AssetID, err)
	}
	row, err := t.q.WeakCredits(ctx, about.AssetID)
	if err != nil {
		return false, fmt.Errorf("read the single-source limit of %s: %w", about.AssetID, err)
	}
	sum := new(big.Int).Add(row.Credited.Int, about.Amount.Big())
	return sum.Cmp(row.Allowed.Big()) <= 0, nil
}
