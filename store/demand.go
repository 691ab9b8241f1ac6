package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Demand is what every credit of a chain must rest on, whatever its amount, and why. It follows how many operators are configured,
// whether they answer or not: as soon as there are two, they have to agree. Only a person asks for less.
type Demand struct {
	Chain     string
	Evidence  payment.Evidence
	Operators []string // that are configured, sorted
	// DecidedBy is who asked for less than the operators could give, and Reason why; "" when nobody did.
	DecidedBy, Reason string
}

// Possible is what the chain's operators could give.
func (d Demand) Possible() payment.Evidence {
	if len(d.Operators) > 1 {
		return payment.EvidenceAgreed
	}
	return payment.EvidenceSingle
}

// Low tells whether less is asked for than the operators could give.
func (d Demand) Low() bool { return !d.Evidence.AtLeast(d.Possible()) }

// ListDemands tells of every chain, by name.
func (db *DB) ListDemands(ctx context.Context) ([]Demand, error) {
	rows, err := db.q.ChainDemands(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("read what credits rest on: %w", classify(err))
	}
	demands := make([]Demand, len(rows))
	for i, row := range rows {
		demands[i] = demandOf(row)
	}
	return demands, nil
}

func demandOf(row sqlc.ChainDemandsRow) Demand {
	return Demand{
		Chain: row.Name, Evidence: payment.Evidence(row.Evidence), Operators: row.Operators, DecidedBy: row.DecidedBy, Reason: row.Reason,
	}
}

func (t txn) chainDemand(ctx context.Context, chain string) (Demand, error) {
	rows, err := t.q.ChainDemands(ctx, &chain)
	switch {
	case err != nil:
		return Demand{}, fmt.Errorf("read what credits rest on: %w", err)
	case len(rows) == 0:
		return Demand{}, payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	default:
		return demandOf(rows[0]), nil
	}
}

// raiseDemand asks for what the chain's operators can give, unless somebody decided that less will do. It never asks for less.
func (t txn) raiseDemand(ctx context.Context, chain string, by process.By) error {
	demand, err := t.chainDemand(ctx, chain)
	if err != nil || !demand.Low() || demand.DecidedBy != "" {
		return err
	}
	k := TierKey{Chain: chain}
	if _, err := t.setEvidenceTier(ctx, k, demand.Possible()); err != nil {
		return fmt.Errorf("raise what credits rest on: %w", err)
	}
	_, err = t.audit(ctx, deed{By: by, Action: "chain.evidence.set", Subject: chain, Detail: k.detail("evidence", demand.Possible())})
	return err
}

// decide takes note that a person asks for this evidence at a tier, EvidenceSingle for one that is removed. Asking for less than before, or
// less of every credit than the operators could give, needs a reason.
func (t txn) decide(ctx context.Context, k TierKey, evidence payment.Evidence, by process.By) error {
	rows, err := t.q.EvidenceTierOf(ctx, sqlc.EvidenceTierOfParams{Chain: k.Chain, AssetID: k.assetID(), FromAmount: dbtype.Of(k.From)})
	if err != nil {
		return fmt.Errorf("read the tier: %w", err)
	}
	demand, err := t.chainDemand(ctx, k.Chain)
	if err != nil {
		return err
	}
	everything := k.Asset == nil && k.From.IsZero()
	low := everything && !evidence.AtLeast(demand.Possible())
	if weaker := len(rows) > 0 && !evidence.AtLeast(payment.Evidence(rows[0])); (weaker || low) && by.Reason == "" {
		return payment.E(payment.CodeInvalidParameter, "reason", "who asks for less evidence says why")
	}
	switch {
	case !everything:
		return nil
	case evidence.AtLeast(payment.EvidenceAgreed):
		return t.q.FollowOperators(ctx, k.Chain)
	default:
		return t.q.DecideDemand(ctx, sqlc.DecideDemandParams{Chain: k.Chain, DecidedBy: by.Actor, Reason: by.Reason})
	}
}
