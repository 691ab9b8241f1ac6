package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// DepositFilter narrows a list of deposits. The zero value lists all.
type DepositFilter struct {
	CustomerID string
	Chain      string
	Asset      string // the operator's code
	State      payment.PaymentState
	// From and Before bound when the deposit was first seen; nil does not.
	From, Before *time.Time
}

// ListDeposits lists what of payments to a merchant's customers' addresses is for no order, newest first, from behind the cursor.
// Error: CodeInvalidParameter as for ListOrders.
func (db *DB) ListDeposits(ctx context.Context, p Principal, filter DepositFilter, cursor string, limit int) (Page[payment.DepositRecord], error) {
	var page Page[payment.DepositRecord]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	t := db.reader()
	rows, err := t.pageDeposits(ctx, p, filter, from, limit+1)
	if err != nil {
		return page, classify(err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		page.NextCursor = mark{at: last.CreatedAt, id: last.PaymentID}.String()
	}
	page.Items, err = t.depositRecords(ctx, p, rows)
	return page, classify(err)
}

// GetDeposit reads a deposit by its payment. Error: CodeNotFound, also when no part of the payment is one, and for another
// merchant's or mode's.
func (db *DB) GetDeposit(ctx context.Context, p Principal, id payment.PaymentID) (payment.DepositRecord, error) {
	t := db.reader()
	rows, err := t.q.DepositsOf(ctx, sqlc.DepositsOfParams{
		PaymentIds: []string{string(id)}, MerchantID: string(p.MerchantID), Mode: string(p.Mode),
	})
	if err != nil {
		return payment.DepositRecord{}, fmt.Errorf("read deposit: %w", classify(err))
	}
	pages := make([]sqlc.PageDepositsRow, len(rows))
	for i, row := range rows {
		pages[i] = sqlc.PageDepositsRow(row)
	}
	found, err := t.depositRecords(ctx, p, pages)
	switch {
	case err != nil:
		return payment.DepositRecord{}, classify(err)
	case len(found) == 0:
		return payment.DepositRecord{}, payment.E(payment.CodeNotFound, "", "no such deposit")
	}
	return found[0], nil
}

func (t txn) pageDeposits(ctx context.Context, p Principal, filter DepositFilter, from mark, limit int) ([]sqlc.PageDepositsRow, error) {
	params := sqlc.PageDepositsParams{
		MerchantID: string(p.MerchantID), Mode: string(p.Mode),
		Chain: optional(filter.Chain), Code: optional(filter.Asset), State: optional(string(filter.State)),
		CreatedFrom: filter.From, CreatedBefore: filter.Before,
		BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit),
	}
	if filter.CustomerID == "" {
		rows, err := t.q.PageDeposits(ctx, params)
		if err != nil {
			return nil, fmt.Errorf("list deposits: %w", err)
		}
		return rows, nil
	}
	rows, err := t.q.PageDepositsByCustomer(ctx, sqlc.PageDepositsByCustomerParams{
		MerchantID: params.MerchantID, Mode: params.Mode, CustomerID: filter.CustomerID,
		Chain: params.Chain, Code: params.Code, State: params.State,
		CreatedFrom: params.CreatedFrom, CreatedBefore: params.CreatedBefore,
		BeforeAt: params.BeforeAt, BeforeID: params.BeforeID, MaxRows: params.MaxRows,
	})
	if err != nil {
		return nil, fmt.Errorf("list a customer's deposits: %w", err)
	}
	found := make([]sqlc.PageDepositsRow, len(rows))
	for i, row := range rows {
		found[i] = sqlc.PageDepositsRow(row)
	}
	return found, nil
}

// depositRecords renders deposits, in their order. One that stopped being a deposit meanwhile is left out.
func (t txn) depositRecords(ctx context.Context, p Principal, rows []sqlc.PageDepositsRow) ([]payment.DepositRecord, error) {
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.PaymentID
	}
	found, err := t.inclusions(ctx, ids, nil)
	if err != nil {
		return nil, err
	}
	orders, err := t.ordersOf(ctx, p, found)
	if err != nil {
		return nil, err
	}
	records := make([]payment.DepositRecord, 0, len(rows))
	for _, row := range rows {
		about := found[row.PaymentID]
		told := about.depositTold(payment.EventDepositCredited)
		if told == nil {
			continue
		}
		seen, err := about.snapshot(orders[payment.OrderID(deref(about.OrderID))])
		if err != nil {
			return nil, err
		}
		records = append(records, payment.DepositRecord{
			ID: seen.ID, State: seen.State, DepositSnapshot: *told, OrderID: payment.OrderID(deref(about.OrderID)),
			Payment: seen, CreatedAt: row.CreatedAt,
		})
	}
	return records, nil
}

// ordersOf reads the orders that payments are for, as their merchant sees them.
func (t txn) ordersOf(ctx context.Context, p Principal, payments map[string]*inclusionRow) (map[payment.OrderID]*orderRow, error) {
	var ids []string
	for _, about := range payments {
		if about.OrderID != nil {
			ids = append(ids, *about.OrderID)
		}
	}
	if len(ids) == 0 {
		return nil, nil
	}
	rows, err := t.q.GetOrders(ctx, sqlc.GetOrdersParams{Ids: ids, MerchantID: string(p.MerchantID), Mode: string(p.Mode)})
	if err != nil {
		return nil, fmt.Errorf("read the orders of deposits: %w", err)
	}
	return t.withContexts(ctx, rows)
}
