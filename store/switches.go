package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// What takes no orders is watched and credited all the same: money to old addresses comes whether anybody wants it or not.

// switched names the deed of letting something take orders, or not.
func switched(by process.By, what string, takesOrders bool) deed {
	if takesOrders {
		return deed{By: by, Action: what + ".enable"}
	}
	return deed{By: by, Action: what + ".disable"}
}

// SetChainOrders says whether a chain takes new orders. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) SetChainOrders(ctx context.Context, chain string, takesOrders bool, by process.By) error {
	return db.control(ctx, chain, switched(by, "chain", takesOrders),
		func(q *sqlc.Queries, ctx context.Context, chain string) (int64, error) {
			return q.SetChainOrders(ctx, sqlc.SetChainOrdersParams{Name: chain, TakesOrders: takesOrders})
		})
}

// SetAssetOrders says whether new orders may be in an asset. Doing it again changes nothing. Errors: CodeUnknownChain, CodeUnknownAsset.
func (db *DB) SetAssetOrders(ctx context.Context, chain, code string, takesOrders bool, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.ScanChain(ctx, chain); err != nil {
			return unknownChain(err)
		}
		id, err := t.q.AssetOfCode(ctx, sqlc.AssetOfCodeParams{Chain: chain, Code: code})
		if err := notFound(err, "asset"); payment.CodeOf(err) == payment.CodeNotFound {
			return payment.E(payment.CodeUnknownAsset, "asset", "there is no such asset on this chain")
		} else if err != nil {
			return err
		}
		changed, err := t.q.SetAssetOrders(ctx, sqlc.SetAssetOrdersParams{ID: id, TakesOrders: takesOrders})
		return t.auditChange(ctx, switched(by, "token", takesOrders), id, changed, err)
	})
}

// SetMerchantOrders says whether a merchant may create orders. Doing it again changes nothing. Error: CodeNotFound.
func (db *DB) SetMerchantOrders(ctx context.Context, id payment.MerchantID, takesOrders bool, by process.By) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		exists, err := t.q.MerchantExists(ctx, string(id))
		if err == nil && !exists {
			return payment.E(payment.CodeNotFound, "", "no such merchant")
		} else if err != nil {
			return fmt.Errorf("look for merchant %s: %w", id, err)
		}
		changed, err := t.q.SetMerchantOrders(ctx, sqlc.SetMerchantOrdersParams{ID: string(id), TakesOrders: takesOrders})
		return t.auditChange(ctx, switched(by, "merchant", takesOrders), string(id), changed, err)
	})
}

// auditChange writes the deed down when it changed something.
func (t txn) auditChange(ctx context.Context, d deed, subject string, changed int64, err error) error {
	if err != nil {
		return fmt.Errorf("%s %s: %w", d.Action, subject, err)
	}
	if changed == 0 {
		return nil
	}
	d.Subject = subject
	_, err = t.audit(ctx, d)
	return err
}

// MerchantInfo is a merchant as the operator lists it.
type MerchantInfo struct {
	ID   payment.MerchantID `json:"id"`
	Name string             `json:"name"`
	// Disabled: it takes no new orders.
	Disabled  bool      `json:"disabled"`
	CreatedAt time.Time `json:"created_at"`
}

// ListMerchants lists every merchant, oldest first.
func (db *DB) ListMerchants(ctx context.Context) ([]MerchantInfo, error) {
	rows, err := db.q.ListMerchants(ctx)
	if err != nil {
		return nil, fmt.Errorf("list merchants: %w", classify(err))
	}
	merchants := make([]MerchantInfo, len(rows))
	for i, row := range rows {
		merchants[i] = MerchantInfo{ID: payment.MerchantID(row.ID), Name: row.Name, Disabled: row.Disabled, CreatedAt: row.CreatedAt}
	}
	return merchants, nil
}
