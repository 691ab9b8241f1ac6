package store

import (
	"context"
	"encoding/base64"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Page is a part of a list, newest first.
type Page[T any] struct {
	Items []T
	// NextCursor is where the next page begins, "" when this is the last one.
	NextCursor string
}

// HasMore tells whether there is something behind this page.
func (p Page[T]) HasMore() bool { return p.NextCursor != "" }

// MaxPage is the most that a page can hold.
const MaxPage = 100

// OrderFilter narrows a list of orders. The zero value lists all.
type OrderFilter struct {
	State      payment.State
	Reference  string
	CustomerID string
}

// ListOrders lists a merchant's orders, newest first, from behind the cursor. Orders without an address are not listed.
// Error: CodeInvalidParameter for a cursor that no page gave, or a limit outside 1 to MaxPage.
func (db *DB) ListOrders(ctx context.Context, p Principal, filter OrderFilter, cursor string, limit int) (Page[payment.OrderSnapshot], error) {
	var page Page[payment.OrderSnapshot]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	t := db.reader()
	rows, err := t.pageOrders(ctx, p, filter, from, limit+1)
	if err != nil {
		return page, classify(err)
	}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		page.NextCursor = mark{at: last.CreatedAt, id: last.ID}.String()
	}
	found, err := t.withContexts(ctx, rows)
	if err != nil {
		return page, classify(err)
	}
	orders := make([]*orderRow, len(rows))
	for i, row := range rows {
		orders[i] = found[payment.OrderID(row.ID)]
	}
	page.Items, err = t.snapshots(ctx, orders)
	return page, classify(err)
}

func (t txn) pageOrders(ctx context.Context, p Principal, filter OrderFilter, from mark, rows int) ([]sqlc.Order, error) {
	params := sqlc.PageOrdersParams{
		MerchantID: string(p.MerchantID), Mode: string(p.Mode), State: optional(string(filter.State)),
		BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(rows),
	}
	var orders []sqlc.Order
	var err error
	switch {
	case filter.Reference != "":
		orders, err = t.q.PageOrdersByReference(ctx, sqlc.PageOrdersByReferenceParams{
			MerchantID: params.MerchantID, Mode: params.Mode, Reference: filter.Reference, State: params.State,
			CustomerID: optional(filter.CustomerID), BeforeAt: params.BeforeAt, BeforeID: params.BeforeID, MaxRows: params.MaxRows,
		})
	case filter.CustomerID != "":
		orders, err = t.q.PageOrdersByCustomer(ctx, sqlc.PageOrdersByCustomerParams{
			MerchantID: params.MerchantID, Mode: params.Mode, CustomerID: filter.CustomerID, State: params.State,
			BeforeAt: params.BeforeAt, BeforeID: params.BeforeID, MaxRows: params.MaxRows,
		})
	default:
		orders, err = t.q.PageOrders(ctx, params)
	}
	if err != nil {
		return nil, fmt.Errorf("list orders: %w", err)
	}
	return orders, nil
}

// ListPayments lists every transfer seen to an order's address, newest first, from behind the cursor. Errors: CodeNotFound
// as for GetOrder, CodeInvalidParameter as for ListOrders.
func (db *DB) ListPayments(ctx context.Context, p Principal, id payment.OrderID, cursor string, limit int) (Page[payment.PaymentSnapshot], error) {
	var page Page[payment.PaymentSnapshot]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	t := db.reader()
	order, err := t.ownOrder(ctx, p, id)
	if err != nil {
		return page, classify(err)
	}
	rows, err := t.q.PagePayments(ctx, sqlc.PagePaymentsParams{
		OrderID: string(id), BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit) + 1,
	})
	if err != nil {
		return page, fmt.Errorf("list payments: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		last := rows[limit-1]
		page.NextCursor = mark{at: last.CreatedAt, id: last.ID}.String()
	}
	ids := make([]string, len(rows))
	for i, row := range rows {
		ids[i] = row.ID
	}
	found, err := t.inclusions(ctx, ids, nil)
	if err != nil {
		return page, classify(err)
	}
	page.Items = make([]payment.PaymentSnapshot, len(rows))
	for i, payID := range ids {
		if page.Items[i], err = found[payID].snapshot(order); err != nil {
			return page, err
		}
	}
	return page, nil
}

// mark is a place in a list that is sorted by time and id.
type mark struct {
	at time.Time
	id string
}

func (p mark) time() *time.Time {
	if p.id == "" {
		return nil
	}
	return &p.at
}

// String is the cursor that a page hands out. Whoever makes one up gets a page of their own list, no more.
func (p mark) String() string {
	return base64.RawURLEncoding.EncodeToString(fmt.Appendf(nil, "1 %d %s", p.at.UnixMicro(), p.id))
}

func readCursor(cursor string, limit int) (mark, error) {
	if limit < 1 || limit > MaxPage {
		return mark{}, payment.E(payment.CodeInvalidParameter, "limit", "limit must be 1 to %d", MaxPage)
	}
	if cursor == "" {
		return mark{}, nil
	}
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	parts := strings.Split(string(raw), " ")
	if err != nil || len(parts) != 3 || parts[0] != "1" || parts[2] == "" || strings.Trim(parts[2], idCharacters) != "" {
		return mark{}, errCursor()
	}
	micros, err := strconv.ParseInt(parts[1], 10, 64)
	if err != nil || micros < 0 || micros > maxCursorMicros {
		return mark{}, errCursor()
	}
	return mark{at: time.UnixMicro(micros).UTC(), id: parts[2]}, nil
}

// idCharacters are all that ids are made of.
const idCharacters = "abcdefghijklmnopqrstuvwxyz234567_"

// maxCursorMicros is the year 9999: what the database can hold.
const maxCursorMicros = 253402300799 * 1_000_000

func errCursor() error {
	return payment.E(payment.CodeInvalidParameter, "cursor", "this cursor was not given by a page")
}
