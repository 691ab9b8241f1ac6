package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// StalledOrder is an order that nobody seems to move.
type StalledOrder struct {
	ID payment.OrderID
	// TakesPayments: its own workflow belongs to be running. Otherwise only callbacks are left.
	TakesPayments bool
}

// SweepOrders returns at most limit orders that are open although their deadline passed longer ago than silent, or whose
// callbacks have been due that long, and that were not returned by another sweep meanwhile. Whoever gets them starts
// their workflows, which changes nothing where one is running.
func (db *DB) SweepOrders(ctx context.Context, silent time.Duration, limit int) ([]StalledOrder, error) {
	rows, err := db.q.SweepOrders(ctx, sqlc.SweepOrdersParams{OlderMs: silent.Milliseconds(), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("sweep orders: %w", classify(err))
	}
	stalled := make([]StalledOrder, len(rows))
	for i, row := range rows {
		stalled[i] = StalledOrder{ID: payment.OrderID(row.ID), TakesPayments: row.TakesPayments}
	}
	return stalled, nil
}
