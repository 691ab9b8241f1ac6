package store

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// ReviewSearch narrows a list of reviews. The zero value lists all.
type ReviewSearch struct {
	Merchant payment.MerchantID
	Order    payment.OrderID
	Payment  payment.PaymentID
	Status   string // open or resolved
	Cause    process.ReviewCause
}

// SupportReview is a review with the money it is about.
type SupportReview struct {
	ID         string              `json:"id"`
	Payment    payment.PaymentID   `json:"payment_id"`
	Inclusion  int                 `json:"inclusion"`
	Cause      process.ReviewCause `json:"cause"`
	Merchant   payment.MerchantID  `json:"merchant_id"`
	Order      payment.OrderID     `json:"order_id,omitempty"`
	Chain      string              `json:"chain"`
	Asset      string              `json:"asset"`
	Amount     string              `json:"amount"`
	Status     string              `json:"status"`
	Resolution string              `json:"resolution,omitempty"`
	ResolvedBy string              `json:"resolved_by,omitempty"`
	ResolvedAt *time.Time          `json:"resolved_at,omitempty"`
	CreatedAt  time.Time           `json:"created_at"`
}

// FindReviews lists reviews, newest first, from behind the cursor. Error: CodeInvalidParameter as for ListOrders.
func (db *DB) FindReviews(ctx context.Context, search ReviewSearch, cursor string, limit int) (Page[SupportReview], error) {
	var page Page[SupportReview]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	rows, err := db.q.FindReviews(ctx, sqlc.FindReviewsParams{
		MerchantID: optional(string(search.Merchant)), OrderID: optional(string(search.Order)), PaymentID: optional(string(search.Payment)),
		Status: optional(search.Status), Cause: optional(string(search.Cause)),
		BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit) + 1,
	})
	if err != nil {
		return page, fmt.Errorf("find reviews: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = mark{at: rows[limit-1].CreatedAt, id: rows[limit-1].ID}.String()
	}
	for _, row := range rows {
		page.Items = append(page.Items, SupportReview{
			ID: row.ID, Payment: payment.PaymentID(row.PaymentID), Inclusion: int(row.Inclusion), Cause: process.ReviewCause(row.Cause),
			Merchant: payment.MerchantID(row.MerchantID), Order: payment.OrderID(deref(row.OrderID)), Chain: row.Chain, Asset: row.Code,
			Amount: row.Amount.Decimal(uint8(row.Decimals)), Status: row.Status, Resolution: deref(row.Resolution),
			ResolvedBy: deref(row.ResolvedBy), ResolvedAt: row.ResolvedAt, CreatedAt: row.CreatedAt,
		})
	}
	return page, nil
}

// AuditSearch narrows a list of deeds. The zero value lists all.
type AuditSearch struct {
	Subjects []string // any of them
	Actor    string
	Action   string
}

// AuditRow is a deed as it was written down.
type AuditRow struct {
	ID      int64           `json:"id"`
	At      time.Time       `json:"at"`
	Actor   string          `json:"actor"`
	Action  string          `json:"action"`
	Subject string          `json:"subject"`
	Reason  string          `json:"reason,omitempty"`
	Detail  json.RawMessage `json:"detail"`
}

// FindAudit lists deeds, newest first, from behind the cursor. Error: CodeInvalidParameter as for ListOrders.
func (db *DB) FindAudit(ctx context.Context, search AuditSearch, cursor string, limit int) (Page[AuditRow], error) {
	var page Page[AuditRow]
	if _, err := readCursor("", limit); err != nil {
		return page, err
	}
	params := sqlc.FindAuditParams{Subjects: search.Subjects, Actor: optional(search.Actor), Action: optional(search.Action), MaxRows: int32(limit) + 1}
	if cursor != "" {
		before, err := strconv.ParseInt(cursor, 10, 64)
		if err != nil {
			return page, errCursor()
		}
		params.BeforeID = &before
	}
	rows, err := db.q.FindAudit(ctx, params)
	if err != nil {
		return page, fmt.Errorf("find deeds: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = strconv.FormatInt(rows[limit-1].ID, 10)
	}
	for _, row := range rows {
		page.Items = append(page.Items, AuditRow{
			ID: row.ID, At: row.At, Actor: row.Actor, Action: row.Action, Subject: row.Subject, Reason: row.Reason, Detail: row.Detail,
		})
	}
	return page, nil
}

// CallbackSearch narrows a list of callbacks. The zero value lists all.
type CallbackSearch struct {
	ID       payment.CallbackID
	Stream   process.Stream
	Status   string // pending, delivered or parked
	Merchant payment.MerchantID
	Endpoint payment.EndpointID
}

// SupportCallback is a callback: an event on its way to an endpoint.
type SupportCallback struct {
	ID          payment.CallbackID `json:"id"`
	Event       payment.EventID    `json:"event_id"`
	Type        payment.EventType  `json:"type"`
	Stream      process.Stream     `json:"about"` // an order or a payment
	Merchant    payment.MerchantID `json:"merchant_id"`
	Mode        payment.Mode       `json:"mode"`
	Endpoint    payment.EndpointID `json:"endpoint_id"`
	URL         string             `json:"url"`
	Status      string             `json:"status"`
	ParkReason  string             `json:"park_reason,omitempty"`
	Round       int                `json:"round"`
	Attempts    int                `json:"attempts"` // of this round
	DueAt       time.Time          `json:"due_at"`
	DeliveredAt *time.Time         `json:"delivered_at,omitempty"`
	CreatedAt   time.Time          `json:"created_at"`
}

// FindCallbacks lists callbacks, newest first, from behind the cursor. Error: CodeInvalidParameter as for ListOrders.
func (db *DB) FindCallbacks(ctx context.Context, search CallbackSearch, cursor string, limit int) (Page[SupportCallback], error) {
	var page Page[SupportCallback]
	from, err := readCursor(cursor, limit)
	if err != nil {
		return page, err
	}
	rows, err := db.q.FindCallbacks(ctx, sqlc.FindCallbacksParams{
		ID: optional(string(search.ID)), Stream: optional(string(search.Stream)), Status: optional(search.Status),
		MerchantID: optional(string(search.Merchant)), EndpointID: optional(string(search.Endpoint)),
		BeforeAt: from.time(), BeforeID: optional(from.id), MaxRows: int32(limit) + 1,
	})
	if err != nil {
		return page, fmt.Errorf("find callbacks: %w", classify(err))
	}
	if len(rows) > limit {
		rows = rows[:limit]
		page.NextCursor = mark{at: rows[limit-1].CreatedAt, id: rows[limit-1].ID}.String()
	}
	for _, row := range rows {
		page.Items = append(page.Items, SupportCallback{
			ID: payment.CallbackID(row.ID), Event: payment.EventID(row.EventID), Type: payment.EventType(row.Type),
			Stream: process.Stream(row.Stream), Merchant: payment.MerchantID(row.MerchantID), Mode: payment.Mode(row.Mode),
			Endpoint: payment.EndpointID(row.EndpointID), URL: row.Url, Status: row.Status, ParkReason: deref(row.ParkReason),
			Round: int(row.Round), Attempts: int(row.Attempts), DueAt: row.DueAt, DeliveredAt: row.DeliveredAt, CreatedAt: row.CreatedAt,
		})
	}
	return page, nil
}

// SupportPosting is what was posted for a payment.
type SupportPosting struct {
	Key       string            `json:"key"`
	Kind      string            `json:"kind"`
	Debit     string            `json:"debit"`
	Credit    string            `json:"credit"`
	Asset     string            `json:"asset"`
	Amount    string            `json:"amount"`
	Payment   payment.PaymentID `json:"payment_id"`
	CreatedAt time.Time         `json:"created_at"`
}

// PostingsOf lists what was posted for payments, oldest first.
func (db *DB) PostingsOf(ctx context.Context, payments []payment.PaymentID) ([]SupportPosting, error) {
	ids := make([]string, len(payments))
	for i, id := range payments {
		ids[i] = string(id)
	}
	rows, err := db.q.PostingsOf(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("read postings: %w", classify(err))
	}
	postings := make([]SupportPosting, len(rows))
	for i, row := range rows {
		postings[i] = SupportPosting{
			Key: row.Key, Kind: row.Kind, Debit: row.Debit, Credit: row.Credit, Asset: row.Code,
			Amount: row.Amount.Decimal(uint8(row.Decimals)), Payment: payment.PaymentID(deref(row.PaymentID)), CreatedAt: row.CreatedAt,
		}
	}
	return postings, nil
}
