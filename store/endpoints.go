package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// EndpointInfo is an endpoint as the operator sees it, without its secret.
type EndpointInfo struct {
	ID   payment.EndpointID
	Mode payment.Mode
	URL  string
	// OrdersOnly: it is told only of the orders that name its URL.
	OrdersOnly     bool
	Disabled       bool
	DisabledReason string
}

// ListEndpoints lists a merchant's endpoints of both modes, oldest first.
func (db *DB) ListEndpoints(ctx context.Context, merchant payment.MerchantID) ([]EndpointInfo, error) {
	rows, err := db.q.ListEndpoints(ctx, string(merchant))
	if err != nil {
		return nil, classify(err)
	}
	endpoints := make([]EndpointInfo, len(rows))
	for i, row := range rows {
		endpoints[i] = EndpointInfo{
			ID: payment.EndpointID(row.ID), Mode: payment.Mode(row.Mode), URL: row.Url, OrdersOnly: row.Source == "order",
			Disabled: row.Disabled, DisabledReason: row.DisabledReason,
		}
	}
	return endpoints, nil
}

// CallbackTarget is a host:port inside the operator's network that one merchant's callbacks may reach in one mode. Its spelling was checked
// by the caller.
type CallbackTarget struct {
	Merchant payment.MerchantID
	Mode     payment.Mode
	Target   string
}

// AllowTarget lets a merchant's callbacks reach the target. Allowing it again changes nothing. Error: CodeNotFound for an unknown merchant.
func (db *DB) AllowTarget(ctx context.Context, target CallbackTarget, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		_, err := t.q.GrantCallbackTarget(ctx, sqlc.GrantCallbackTargetParams{
			MerchantID: string(target.Merchant), Mode: string(target.Mode), Target: target.Target,
		})
		if err != nil {
			return refused(err, "merchant")
		}
		return t.auditTarget(ctx, "endpoint.allow", target, by)
	})
}

// DenyTarget takes that back: what is under way ends, nothing more is sent. Error: CodeNotFound when it was not allowed.
func (db *DB) DenyTarget(ctx context.Context, target CallbackTarget, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		n, err := t.q.WithdrawCallbackTarget(ctx, sqlc.WithdrawCallbackTargetParams{
			MerchantID: string(target.Merchant), Mode: string(target.Mode), Target: target.Target,
		})
		switch {
		case err != nil:
			return fmt.Errorf("withdraw a callback target: %w", err)
		case n == 0:
			return payment.E(payment.CodeNotFound, "target", "this target is not allowed")
		}
		return t.auditTarget(ctx, "endpoint.deny", target, by)
	})
}

func (t txn) auditTarget(ctx context.Context, action string, target CallbackTarget, by process.By) error {
	_, err := t.audit(ctx, deed{
		By: by, Action: action, Subject: string(target.Merchant), Detail: map[string]any{"mode": target.Mode, "target": target.Target},
	})
	return err
}

// CallbackTargets lists what a merchant's callbacks may reach inside the operator's network in a mode.
func (db *DB) CallbackTargets(ctx context.Context, merchant payment.MerchantID, mode payment.Mode) ([]string, error) {
	targets, err := db.reader().callbackTargets(ctx, string(merchant), string(mode))
	return targets, classify(err)
}

func (t txn) callbackTargets(ctx context.Context, merchant, mode string) ([]string, error) {
	targets, err := t.q.CallbackTargets(ctx, sqlc.CallbackTargetsParams{MerchantID: merchant, Mode: mode})
	if err != nil {
		return nil, fmt.Errorf("read callback targets: %w", err)
	}
	return targets, nil
}
