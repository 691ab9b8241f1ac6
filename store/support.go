package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// What support reads is what merchants read, whosever it is, with what only an operator needs beside it.

// Whose narrows a list to one merchant, one mode, or both.
type Whose struct {
	Merchant payment.MerchantID
	Mode     payment.Mode
}

// OrderSearch narrows a list of orders. The zero value lists all.
type OrderSearch struct {
	Whose

	ID         payment.OrderID
	State      payment.State
	Chain      string
	Reference  string
	CustomerID string
	Address    *payment.Address
	Blocked    bool // only those that wait for a person
}

// SupportOrder is an order as its merchant sees it, with whose it is and why it waits for a person. One that has no address yet is among them.
type SupportOrder struct {
	Merchant    payment.MerchantID    `json:"merchant_id"`
	BlockedStep string                `json:"blocked_step,omitempty"`
	Order       payment.OrderSnapshot `json:"order"`
}

// FindOrders lists orders, newest first, from behind the cursor. Error: CodeInvalidParameter as for ListOrders.
func (db *DB) FindOrders(ctx context.Context, search OrderSearch, cursor string, limit int) (Page[SupportOrder], error) {
	var page Page[SupportOrder]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	t := db.reader()
	rows, err := t.q.FindOrders(ctx, sqlc.FindOrdersParams{
		ID: optional(string(search.ID)), MerchantID: optional(string(search.Merchant)), Mode: optional(string(search.Mode)),
		State: optional(string(search.State)), Chain: optional(search.Chain), Reference: optional(search.Reference),
		CustomerID: optional(search.CustomerID), Address: addressBytes(search.Address), Blocked: search.Blocked,
		BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit) + 1,
	})
	if err != nil {
		return page, fmt.Errorf("find orders: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = mark{at: rows[limit-1].CreatedAt, id: rows[limit-1].ID}.String()
	}
	orders, err := t.inOrder(ctx, rows)
	if err != nil {
		return page, classify(err)
	}
	shown, err := t.snapshots(ctx, orders)
	if err != nil {
		return page, classify(err)
	}
	for i, row := range rows {
		if row.AddressID == nil {
			shown[i].Address, shown[i].PaymentURI = "", ""
		}
		page.Items = append(page.Items, SupportOrder{
			Merchant: payment.MerchantID(row.MerchantID), BlockedStep: deref(row.BlockedStep), Order: shown[i],
		})
	}
	return page, nil
}

// inOrder are the rows with what they refer to, in their order.
func (t txn) inOrder(ctx context.Context, rows []sqlc.Order) ([]*orderRow, error) {
	found, err := t.withContexts(ctx, rows)
	if err != nil {
		return nil, err
	}
	orders := make([]*orderRow, len(rows))
	for i, row := range rows {
		orders[i] = found[payment.OrderID(row.ID)]
	}
	return orders, nil
}

func addressBytes(a *payment.Address) []byte {
	if a == nil {
		return nil
	}
	return a.Bytes()
}

// PaymentSearch narrows a list of payments. The zero value lists all.
type PaymentSearch struct {
	Whose

	ID      payment.PaymentID
	Order   payment.OrderID
	Chain   string
	Status  payment.PaymentStatus
	TxHash  *payment.Hash
	Address *payment.Address // that was paid
}

// SupportPayment is a payment as its merchant sees it, with whose it is and where its process stands.
type SupportPayment struct {
	Merchant payment.MerchantID      `json:"merchant_id"`
	Mode     payment.Mode            `json:"mode"`
	Order    payment.OrderID         `json:"order_id,omitempty"`
	Status   payment.PaymentStatus   `json:"status"`
	Payment  payment.PaymentSnapshot `json:"payment"`
}

// FindPayments lists payments, newest first, from behind the cursor. Error: CodeInvalidParameter as for ListOrders.
func (db *DB) FindPayments(ctx context.Context, search PaymentSearch, cursor string, limit int) (Page[SupportPayment], error) {
	var page Page[SupportPayment]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	t := db.reader()
	params := sqlc.FindPaymentsParams{
		ID: optional(string(search.ID)), MerchantID: optional(string(search.Merchant)), Mode: optional(string(search.Mode)),
		OrderID: optional(string(search.Order)), Chain: optional(search.Chain), Status: optional(string(search.Status)),
		Address: addressBytes(search.Address), BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit) + 1,
	}
	if search.TxHash != nil {
		params.TxHash = search.TxHash[:]
	}
	rows, err := t.q.FindPayments(ctx, params)
	if err != nil {
		return page, fmt.Errorf("find payments: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = mark{at: rows[limit-1].CreatedAt, id: rows[limit-1].ID}.String()
	}
	page.Items, err = t.supportPayments(ctx, rows)
	return page, classify(err)
}

func (t txn) supportPayments(ctx context.Context, rows []sqlc.FindPaymentsRow) ([]SupportPayment, error) {
	var ids, of []string
	for _, row := range rows {
		ids = append(ids, row.ID)
		if row.OrderID != nil {
			of = append(of, *row.OrderID)
		}
	}
	about, err := t.inclusions(ctx, ids, nil)
	if err != nil {
		return nil, err
	}
	orderRows, err := t.q.OrdersByID(ctx, of)
	if err != nil {
		return nil, fmt.Errorf("read the orders of payments: %w", err)
	}
	orders, err := t.withContexts(ctx, orderRows)
	if err != nil {
		return nil, err
	}
	payments := make([]SupportPayment, len(rows))
	for i, row := range rows {
		seen, err := about[row.ID].snapshot(orders[payment.OrderID(deref(row.OrderID))])
		if err != nil {
			return nil, err
		}
		payments[i] = SupportPayment{
			Merchant: payment.MerchantID(row.MerchantID), Mode: payment.Mode(row.Mode), Order: payment.OrderID(deref(row.OrderID)),
			Status: payment.PaymentStatus(row.Status), Payment: seen,
		}
	}
	return payments, nil
}
