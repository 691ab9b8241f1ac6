package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// ReadCallbacks returns what a stream still has to tell: which endpoints have something pending, and what is parked.
// Error: CodeNotFound.
func (db *DB) ReadCallbacks(ctx context.Context, of process.Stream) (process.CallbackView, error) {
	stream := string(of)
	merchant, err := db.q.StreamMerchant(ctx, stream)
	if err != nil {
		return process.CallbackView{}, notFound(err, "order or payment")
	}
	view := process.CallbackView{OrderID: of.OrderID(), PaymentID: of.PaymentID(), MerchantID: payment.MerchantID(merchant)}
	endpoints, err := db.q.PendingEndpoints(ctx, stream)
	if err != nil {
		return process.CallbackView{}, fmt.Errorf("read pending callbacks: %w", classify(err))
	}
	for _, endpoint := range endpoints {
		view.PendingEndpoints = append(view.PendingEndpoints, payment.EndpointID(endpoint))
	}
	parked, err := db.q.ParkedCallbacks(ctx, stream)
	if err != nil {
		return process.CallbackView{}, fmt.Errorf("read parked callbacks: %w", classify(err))
	}
	for _, row := range parked {
		view.Parked = append(view.Parked, process.ParkedCallback{
			ID: payment.CallbackID(row.ID), EndpointID: payment.EndpointID(row.EndpointID), Event: payment.EventType(row.Type),
			Reason: deref(row.ParkReason), Attempts: int(row.Attempts),
		})
	}
	return view, nil
}

// RecordedAttempt is one attempt of a callback as it was written down.
type RecordedAttempt struct {
	Round     int           `json:"round"`
	N         int           `json:"n"`
	Outcome   string        `json:"outcome"`
	Status    int           `json:"status"` // 0 when no reply arrived
	Latency   time.Duration `json:"latency_ns"`
	Excerpt   string        `json:"reply"` // a stranger's text
	StartedAt time.Time     `json:"started_at"`
}

// CallbackAttempts lists the attempts of a callback, oldest first.
func (db *DB) CallbackAttempts(ctx context.Context, id payment.CallbackID) ([]RecordedAttempt, error) {
	rows, err := db.q.CallbackAttempts(ctx, string(id))
	if err != nil {
		return nil, fmt.Errorf("read the attempts of callback %s: %w", id, classify(err))
	}
	attempts := make([]RecordedAttempt, 0, len(rows))
	for _, row := range rows {
		attempts = append(attempts, RecordedAttempt{
			Round: int(row.Round), N: int(row.N), Outcome: row.Outcome, Status: int(deref(row.Status)),
			Latency: milliseconds(row.LatencyMs), Excerpt: row.Excerpt, StartedAt: row.StartedAt,
		})
	}
	return attempts, nil
}

// Redeliver puts parked callbacks of an order, or of a payment that is for none, back to the beginning of their schedule, in a new round: one of them, or all
// when the request names none. Callbacks of a disabled endpoint stay parked. The request's id makes it one deed.
// Errors: CodeNotFound; CodeOrderState when the one callback named is not parked or its endpoint is disabled.
func (db *DB) Redeliver(ctx context.Context, in process.RedeliverInput) (process.OrderResult, error) {
	result := process.OrderResult{Outcome: process.OutcomeDone}
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockStream(ctx, in.Stream())
		if err != nil {
			return err
		}
		repeated, err := t.done(ctx, in.RequestID)
		if err != nil {
			return err
		}
		if !repeated {
			if err := t.redeliver(ctx, in); err != nil {
				return err
			}
		}
		if order != nil {
			result.Order, err = t.view(ctx, order)
		}
		return err
	})
	return result, err
}

// lockStream locks the stream's order and returns it, or the payment that the stream is about. Error: CodeNotFound.
func (t txn) lockStream(ctx context.Context, of process.Stream) (*orderRow, error) {
	if id := of.PaymentID(); id != "" {
		_, err := t.lockPayment(ctx, id)
		return nil, err
	}
	return t.lockOrder(ctx, of.OrderID())
}

// LeaveCallbacks writes down who left the parked callbacks of an order, or of a payment that is for none, as they are; an order waits for nobody any
// more. The same request changes nothing. Error: CodeNotFound.
func (db *DB) LeaveCallbacks(ctx context.Context, in process.LeaveInput) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.lockStream(ctx, in.Stream())
		if err != nil {
			return err
		}
		fresh, err := t.audit(ctx, deed{By: in.By, Action: "callbacks.leave", Subject: string(in.Stream()), RequestID: in.RequestID})
		if err != nil || !fresh || order == nil {
			return err
		}
		return t.q.SetBlockedStep(ctx, setBlockedStep(order.ID, ""))
	})
}

func (t txn) redeliver(ctx context.Context, in process.RedeliverInput) error {
	stream := string(in.Stream())
	if in.CallbackID != "" {
		row, err := t.q.CallbackOfStream(ctx, sqlc.CallbackOfStreamParams{ID: string(in.CallbackID), Stream: stream})
		switch {
		case err != nil:
			return notFound(err, "callback")
		case row.Status != callbackParked:
			return payment.E(payment.CodeOrderState, "callback_id", "the callback is %s, not parked", row.Status)
		case row.EndpointDisabled:
			return payment.E(payment.CodeOrderState, "callback_id", "the callback's endpoint is disabled")
		}
	}
	rows, err := t.q.RedeliverCallbacks(ctx, sqlc.RedeliverCallbacksParams{Stream: stream, CallbackID: string(in.CallbackID)})
	if err != nil {
		return fmt.Errorf("redeliver callbacks of %s: %w", stream, err)
	}
	callbacks := make([]string, 0, len(rows))
	for _, row := range rows {
		callbacks = append(callbacks, row.ID)
	}
	_, err = t.audit(ctx, deed{
		By: in.By, Action: "callbacks.redeliver", Subject: stream, RequestID: in.RequestID,
		Detail: map[string]any{"callbacks": callbacks},
	})
	return err
}

// EnableEndpoint lets an endpoint that was disabled be called again. What was parked meanwhile stays parked until it is
// redelivered. Doing it again changes nothing. Errors: CodeNotFound, CodeOrderState when nothing could sign what it is told.
func (db *DB) EnableEndpoint(ctx context.Context, id payment.EndpointID, by process.By, requestID string) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		endpoint, err := t.q.LockEndpoint(ctx, sqlc.LockEndpointParams{ID: string(id)})
		if err != nil {
			return notFound(err, "endpoint")
		}
		lacks, err := t.q.EndpointLacksSecret(ctx, string(id))
		if err != nil {
			return fmt.Errorf("look for the secret of endpoint %s: %w", id, err)
		}
		if lacks {
			return payment.E(payment.CodeOrderState, "", "its merchant has no secret for test callbacks yet: sluice merchant test-secret gives it one and enables this endpoint")
		}
		enabled, err := t.q.EnableEndpoint(ctx, string(id))
		if err != nil {
			return fmt.Errorf("enable endpoint %s: %w", id, err)
		}
		at := server{endpoint.MerchantID, endpoint.Mode, endpoint.Target}
		err = t.q.CloseBreaker(ctx, sqlc.CloseBreakerParams{MerchantID: at.merchant, Target: at.own().target})
		if err != nil {
			return fmt.Errorf("close the breaker of endpoint %s: %w", id, err)
		}
		if enabled == 0 {
			return nil
		}
		_, err = t.audit(ctx, deed{By: by, Action: "endpoint.enable", Subject: string(id), RequestID: requestID})
		return err
	})
}
