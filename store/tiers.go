package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// raiseInclusions raises what payments have to reach by the tiers of their assets. Where no tier is configured it reads nothing.
func (t txn) raiseInclusions(ctx context.Context, rows map[string]*inclusionRow) error {
	var ids, assets []string
	for id, row := range rows {
		if row.Tiered {
			ids, assets = append(ids, id), append(assets, row.AssetID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	tiers, err := t.confirmationTiers(ctx, assets)
	if err != nil {
		return err
	}
	stakes, err := t.paymentStakes(ctx, ids)
	if err != nil {
		return err
	}
	for _, id := range ids {
		rows[id].required = rows[id].required.At(stakes[id], tiers[rows[id].AssetID])
	}
	return nil
}

// requiredFor is what the payment has to reach: on the order's own chain, what the order asked for too. order may be nil.
func (p *inclusionRow) requiredFor(order *orderRow) payment.ConfirmationPolicy {
	if order == nil || order.Chain != p.Chain {
		return p.required
	}
	return p.required.Strongest(policyOf(order.Confirmations, order.FinalityTag))
}

// raiseOrders raises what orders ask of their payments by the tiers of their assets. Every payment of an order's own asset has
// to reach at least that.
func (t txn) raiseOrders(ctx context.Context, orders ...*orderRow) error {
	var ids, assets []string
	for _, order := range orders {
		if order.tiered {
			ids, assets = append(ids, order.ID), append(assets, order.AssetID)
		}
	}
	if len(ids) == 0 {
		return nil
	}
	tiers, err := t.confirmationTiers(ctx, assets)
	if err != nil {
		return err
	}
	rows, err := t.q.OrderStakes(ctx, ids)
	if err != nil {
		return fmt.Errorf("sum up what orders have at stake: %w", err)
	}
	stakes := make(map[string]payment.Amount, len(rows))
	for _, row := range rows {
		stakes[row.ID] = row.Stake.Amount
	}
	for _, order := range orders {
		if order.tiered {
			order.required = order.required.At(stakes[order.ID], tiers[order.AssetID])
		}
	}
	return nil
}

// needs is what each payment of an order's view has to reach.
func (t txn) needs(ctx context.Context, order *orderRow, rows []sqlc.UnsettledPaymentsRow) (map[string]payment.ConfirmationPolicy, error) {
	found := make(map[string]*inclusionRow, len(rows))
	for _, row := range rows {
		about := &inclusionRow{required: policyOf(row.Confirmations, row.FinalityTag)}
		about.ID, about.Chain, about.AssetID, about.Tiered = row.ID, row.Chain, row.AssetID, row.Tiered
		found[row.ID] = about
	}
	if err := t.raiseInclusions(ctx, found); err != nil {
		return nil, err
	}
	needs := make(map[string]payment.ConfirmationPolicy, len(rows))
	for id, about := range found {
		needs[id] = about.requiredFor(order)
	}
	return needs, nil
}

// confirmationTiers reads the tiers of assets, by asset.
func (t txn) confirmationTiers(ctx context.Context, assets []string) (map[string][]payment.ConfirmationTier, error) {
	rows, err := t.q.ConfirmationTiersOf(ctx, assets)
	if err != nil {
		return nil, fmt.Errorf("read confirmation tiers: %w", err)
	}
	tiers := make(map[string][]payment.ConfirmationTier, len(assets))
	for _, row := range rows {
		tiers[row.AssetID] = append(tiers[row.AssetID], payment.ConfirmationTier{
			From: row.FromAmount.Amount, Policy: policyOf(row.Confirmations, row.FinalityTag),
		})
	}
	return tiers, nil
}

// paymentStakes reads the amounts that pick the tiers of payments, by payment.
func (t txn) paymentStakes(ctx context.Context, ids []string) (map[string]payment.Amount, error) {
	rows, err := t.q.PaymentStakes(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("sum up what payments have at stake: %w", err)
	}
	stakes := make(map[string]payment.Amount, len(rows))
	for _, row := range rows {
		stakes[row.ID] = row.Stake.Amount
	}
	return stakes, nil
}
