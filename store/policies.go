package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// TierKey names a tier of a chain.
type TierKey struct {
	Chain string
	// Asset is one asset, or nil for any of the chain.
	Asset *payment.AssetID
	// From is the amount at which the tier begins: base units of the asset, or whole coins where any asset is meant.
	From payment.Amount
}

func (k TierKey) assetID() *string {
	if k.Asset == nil {
		return nil
	}
	id := k.Asset.String()
	return &id
}

func (k TierKey) detail(more string, value any) map[string]any {
	detail := map[string]any{"from": k.From, more: value}
	if k.Asset != nil {
		detail["asset"] = k.Asset.String()
	}
	return detail
}

// SetConfirmationTier adds a tier, or changes what the one of this key asks for. It counts at once, also for payments that
// are under way. Setting the same again changes nothing. Errors: CodeUnknownChain, CodeUnknownAsset, CodeInvalidParameter.
func (db *DB) SetConfirmationTier(ctx context.Context, k TierKey, policy payment.ConfirmationPolicy, by process.By) error {
	if err := policy.Validate(); err != nil {
		return err
	}
	d := deed{By: by, Action: "chain.tier.set", Subject: k.Chain, Detail: k.detail("policy", policy)}
	return db.configure(ctx, k.Chain, d, func(t txn) (int64, error) {
		if err := t.decideTiers(ctx, k); err != nil {
			return 0, err
		}
		return t.setConfirmationTier(ctx, k, policy)
	})
}

func (t txn) setConfirmationTier(ctx context.Context, k TierKey, policy payment.ConfirmationPolicy) (int64, error) {
	return t.q.SetConfirmationTier(ctx, sqlc.SetConfirmationTierParams{
		Chain: k.Chain, AssetID: k.assetID(), FromAmount: dbtype.Of(k.From),
		Confirmations: int32(policy.Confirmations), FinalityTag: optional(string(policy.Tag)),
	})
}

// decideTiers says that whoever sets or removes a tier of an asset has decided about its tiers: nothing completes them any more.
func (t txn) decideTiers(ctx context.Context, k TierKey) error {
	if k.Asset == nil {
		return nil
	}
	if _, err := t.q.DecideTiers(ctx, k.Asset.String()); err != nil {
		return fmt.Errorf("decide about the tiers of %s: %w", k.Asset, err)
	}
	return nil
}

// ProposedTier is a tier that an asset is to have when nobody says otherwise.
type ProposedTier struct {
	From   payment.Amount // base units
	Policy payment.ConfirmationPolicy
}

// CompleteTiers sets the tiers of an asset that was enabled with TiersPending, all or none, and tells whether it did: not when they were
// set before, nor when somebody has set or removed a tier of the asset since. Error: CodeInvalidParameter.
func (db *DB) CompleteTiers(ctx context.Context, asset payment.AssetID, tiers []ProposedTier, by process.By) (bool, error) {
	done := false
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		done = false
		pending, err := t.q.DecideTiers(ctx, asset.String())
		if err != nil || pending == 0 {
			return err
		}
		for _, tier := range tiers {
			if err := tier.Policy.Validate(); err != nil {
				return err
			}
			k := TierKey{Chain: asset.Chain, Asset: &asset, From: tier.From}
			if _, err := t.setConfirmationTier(ctx, k, tier.Policy); err != nil {
				return fmt.Errorf("set a tier of %s: %w", asset, err)
			}
			d := deed{By: by, Action: "chain.tier.set", Subject: k.Chain, Detail: k.detail("policy", tier.Policy)}
			if _, err := t.audit(ctx, d); err != nil {
				return err
			}
		}
		done = true
		return nil
	})
	return done, err
}

// RemoveConfirmationTier removes a tier. Errors: CodeUnknownChain; CodeNotFound when there is none of this key.
func (db *DB) RemoveConfirmationTier(ctx context.Context, k TierKey, by process.By) error {
	d := deed{By: by, Action: "chain.tier.remove", Subject: k.Chain, Detail: k.detail("removed", true)}
	return db.configure(ctx, k.Chain, d, func(t txn) (int64, error) {
		if err := t.decideTiers(ctx, k); err != nil {
			return 0, err
		}
		return found(t.q.RemoveConfirmationTier(ctx, sqlc.RemoveConfirmationTierParams{
			Chain: k.Chain, AssetID: k.assetID(), FromAmount: dbtype.Of(k.From),
		}))
	})
}

// SetEvidenceTier adds a tier, or changes what the one of this key asks for, like SetConfirmationTier. Asking for less needs a
// reason. Errors: CodeUnknownChain, CodeUnknownAsset, CodeInvalidParameter.
func (db *DB) SetEvidenceTier(ctx context.Context, k TierKey, evidence payment.Evidence, by process.By) error {
	if !evidence.AtLeast(payment.EvidenceSingle) {
		return payment.E(payment.CodeInvalidParameter, "evidence", "evidence must be single, self_consistent, agreed or proven")
	}
	d := deed{By: by, Action: "chain.evidence.set", Subject: k.Chain, Detail: k.detail("evidence", evidence)}
	return db.configure(ctx, k.Chain, d, func(t txn) (int64, error) {
		if err := t.decide(ctx, k, evidence, by); err != nil {
			return 0, err
		}
		return t.setEvidenceTier(ctx, k, evidence)
	})
}

func (t txn) setEvidenceTier(ctx context.Context, k TierKey, evidence payment.Evidence) (int64, error) {
	return t.q.SetEvidenceTier(ctx, sqlc.SetEvidenceTierParams{
		Chain: k.Chain, AssetID: k.assetID(), FromAmount: dbtype.Of(k.From), Evidence: string(evidence),
	})
}

// RemoveEvidenceTier removes a tier, which needs a reason where that asks for less. Errors: CodeUnknownChain; CodeNotFound when there is
// none of this key; CodeInvalidParameter.
func (db *DB) RemoveEvidenceTier(ctx context.Context, k TierKey, by process.By) error {
	d := deed{By: by, Action: "chain.evidence.remove", Subject: k.Chain, Detail: k.detail("removed", true)}
	return db.configure(ctx, k.Chain, d, func(t txn) (int64, error) {
		if err := t.decide(ctx, k, payment.EvidenceSingle, by); err != nil {
			return 0, err
		}
		return found(t.q.RemoveEvidenceTier(ctx, sqlc.RemoveEvidenceTierParams{
			Chain: k.Chain, AssetID: k.assetID(), FromAmount: dbtype.Of(k.From),
		}))
	})
}

// SetSingleSourceLimit says how much a chain may credit within an hour on one operator's word, as an amount of this asset: what is
// credited of each asset that has a limit is a share of it, and the shares add up to one at most. Zero takes the limit away: of the
// asset nothing above its tiers is credited like that then, and everything below. Errors: CodeUnknownChain, CodeUnknownAsset.
func (db *DB) SetSingleSourceLimit(ctx context.Context, asset payment.AssetID, amount payment.Amount, by process.By) error {
	key := TierKey{Chain: asset.Chain, Asset: &asset, From: amount}
	d := deed{By: by, Action: "chain.evidence.limit", Subject: asset.Chain, Detail: key.detail("limit", amount)}
	return db.configure(ctx, asset.Chain, d, func(t txn) (int64, error) {
		if amount.IsZero() {
			return t.q.RemoveSingleSourceLimit(ctx, sqlc.RemoveSingleSourceLimitParams{Chain: asset.Chain, AssetID: asset.String()})
		}
		return t.q.SetSingleSourceLimit(ctx, sqlc.SetSingleSourceLimitParams{
			Chain: asset.Chain, AssetID: asset.String(), Amount: dbtype.Of(amount),
		})
	})
}

// configure changes what a chain is configured with, and audits it when that changed something.
func (db *DB) configure(ctx context.Context, chain string, d deed, change func(txn) (int64, error)) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.ScanChain(ctx, chain); err != nil {
			return unknownChain(err)
		}
		changed, err := change(t)
		if sqlState(err) == stateForeignKey {
			return payment.E(payment.CodeUnknownAsset, "asset", "there is no such asset on this chain")
		}
		if err != nil || changed == 0 {
			return err
		}
		_, err = t.audit(ctx, d)
		return err
	})
}

// found turns "nothing was removed" into CodeNotFound.
func found(rows int64, err error) (int64, error) {
	if err == nil && rows == 0 {
		return 0, payment.E(payment.CodeNotFound, "", "there is no such tier")
	}
	return rows, err
}

// Policies are what a chain asks of payments.
type Policies struct {
	Base          payment.ConfirmationPolicy
	Confirmations []ConfirmationTier
	Evidence      []EvidenceTier
	SingleSource  []SingleSourceLimit
}

// ConfirmationTier is one configured tier. AssetCode is "" and From whole coins where any asset is meant; otherwise From is decimal.
type ConfirmationTier struct {
	AssetCode, From string
	Policy          payment.ConfirmationPolicy
}

// EvidenceTier is one configured tier, like ConfirmationTier.
type EvidenceTier struct {
	AssetCode, From string
	Evidence        payment.Evidence
}

// SingleSourceLimit is what a chain may credit in an hour on one operator's word, as an amount of one asset; Amount is decimal.
type SingleSourceLimit struct{ AssetCode, Amount string }

// ListPolicies reads what a chain asks of payments. Error: CodeUnknownChain.
func (db *DB) ListPolicies(ctx context.Context, chain string) (Policies, error) {
	row, err := db.q.GetChain(ctx, chain)
	if errors.Is(err, pgx.ErrNoRows) {
		return Policies{}, payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	}
	if err != nil {
		return Policies{}, classify(err)
	}
	p := Policies{Base: policyOf(row.Confirmations, row.FinalityTag)}
	tiers, err := db.q.ListConfirmationTiers(ctx, chain)
	if err != nil {
		return Policies{}, fmt.Errorf("list confirmation tiers: %w", classify(err))
	}
	for _, t := range tiers {
		p.Confirmations = append(p.Confirmations, ConfirmationTier{
			AssetCode: deref(t.Code), From: t.FromAmount.Decimal(uint8(deref(t.Decimals))), Policy: policyOf(t.Confirmations, t.FinalityTag),
		})
	}
	evidence, err := db.q.ListEvidenceTiers(ctx, chain)
	if err != nil {
		return Policies{}, fmt.Errorf("list evidence tiers: %w", classify(err))
	}
	for _, t := range evidence {
		p.Evidence = append(p.Evidence, EvidenceTier{
			AssetCode: deref(t.Code), From: t.FromAmount.Decimal(uint8(deref(t.Decimals))), Evidence: payment.Evidence(t.Evidence),
		})
	}
	limits, err := db.q.ListSingleSourceLimits(ctx, chain)
	if err != nil {
		return Policies{}, fmt.Errorf("list single-source limits: %w", classify(err))
	}
	for _, l := range limits {
		p.SingleSource = append(p.SingleSource, SingleSourceLimit{AssetCode: l.Code, Amount: l.Amount.Decimal(uint8(l.Decimals))})
	}
	return p, nil
}
