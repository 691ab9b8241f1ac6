package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// view is the locked order as its workflow sees it, read in this transaction.
func (t txn) view(ctx context.Context, order *orderRow) (process.OrderView, error) {
	v := process.OrderView{
		ID: order.id(), MerchantID: payment.MerchantID(order.MerchantID),
		Chain: order.Chain, AssetID: order.assetRef.ID.String(), AssetCode: order.assetRef.Symbol,
		Amount: order.assetRef.Format(order.Amount.Amount), Address: order.address.Text(),
		State: order.state(), Labels: order.labels(),
		BlockTime: order.blockTime,
	}
	if order.ExpiresAt != nil {
		v.ExpiresAt, v.LateUntil = order.ExpiresAt.UTC(), order.LateUntil.UTC()
	}
	payments, err := t.q.UnsettledPayments(ctx, &order.ID)
	if err != nil {
		return v, fmt.Errorf("list payments of order %s: %w", order.ID, err)
	}
	needs, err := t.needs(ctx, order, payments)
	if err != nil {
		return v, err
	}
	for _, p := range payments {
		allocated := ""
		if p.Allocated != nil && p.Allocated.Amount.Less(p.Amount.Amount) {
			allocated = p.Allocated.Decimal(uint8(p.Decimals))
		}
		v.Payments = append(v.Payments, process.PaymentView{
			ID: payment.PaymentID(p.ID), Inclusion: int(p.Inclusion), Chain: p.Chain, Status: p.Status,
			Amount: p.Amount.Decimal(uint8(p.Decimals)), AssetCode: p.Code, Block: uint64(p.BlockNumber),
			Needs: int(needs[p.ID].Confirmations), NeedsTag: needs[p.ID].Tag, Evidence: payment.Evidence(deref(p.Evidence)),
			Uncounted: !p.Counts, Allocated: allocated,
		})
	}
	backlog, err := t.q.CallbackBacklog(ctx, order.ID)
	if err != nil {
		return v, fmt.Errorf("count callbacks of order %s: %w", order.ID, err)
	}
	for _, id := range backlog.PendingEndpoints {
		v.PendingEndpoints = append(v.PendingEndpoints, payment.EndpointID(id))
	}
	v.ParkedCallbacks = int(backlog.Parked)
	return v, nil
}

// viewOf is view for results that carry a pointer.
func (t txn) viewOf(ctx context.Context, order *orderRow) (*process.OrderView, error) {
	v, err := t.view(ctx, order)
	return &v, err
}

// ReadOrder reads an order as its workflow sees it: at most 100 unsettled payments, those that count for it first, and the callbacks that
// are left. The order is locked for the read, so what it returns is one moment. Error: CodeNotFound.
func (db *DB) ReadOrder(ctx context.Context, id payment.OrderID) (process.OrderView, error) {
	var v process.OrderView
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockOrder(ctx, id)
		if err != nil {
			return err
		}
		v, err = t.view(ctx, order)
		return err
	})
	return v, err
}

func setBlockedStep(id string, step process.Step) sqlc.SetBlockedStepParams {
	return sqlc.SetBlockedStepParams{ID: id, BlockedStep: optional(string(step))}
}
