package store

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// newEvent is something that became true of an order, or of a payment that is for none.
type newEvent struct {
	Type payment.EventType
	// Key is the deterministic name of the effect: a second event of this name is not written.
	Key string
	// Received is the order's confirmed, unreversed money in its own asset, as it is now.
	Received payment.Amount
	// Payment is the inclusion that the event is about, if any.
	Payment *inclusionRow
}

// Statuses and park reasons of callbacks that writeEvent makes.
const (
	callbackPending        = "pending"
	callbackParked         = "parked"
	parkedEndpointDisabled = "endpoint_disabled"
)

// writeEvent numbers the event in the locked order's sequence, renders its body, which never changes afterwards, and
// writes a callback for every endpoint that is to be told. An event whose key exists is not written again.
func (t txn) writeEvent(ctx context.Context, order *orderRow, ev newEvent) error {
	known, err := t.q.EventExists(ctx, ev.Key)
	if err != nil {
		return fmt.Errorf("look for event %s: %w", ev.Key, err)
	}
	if known {
		return nil
	}
	next, err := t.q.NextEventSeq(ctx, order.ID)
	if err != nil {
		return fmt.Errorf("number event %s: %w", ev.Key, err)
	}
	if err := t.raiseOrders(ctx, order); err != nil {
		return err
	}
	body, err := encodeEvent(order, payment.Mode(order.Mode), ev, next.At)
	if err != nil {
		return fmt.Errorf("render event %s: %w", ev.Key, err)
	}
	order.EventSeq = next.EventSeq
	params := sqlc.InsertEventParams{
		ID: string(payment.NewEventID()), MerchantID: order.MerchantID, Mode: order.Mode, Type: string(ev.Type),
		OrderID: &order.ID, Seq: next.EventSeq, Key: ev.Key, Body: body, CreatedAt: next.At,
	}
	if ev.Payment != nil {
		params.PaymentID = &ev.Payment.ID
	}
	if err := t.q.InsertEvent(ctx, params); err != nil {
		return fmt.Errorf("write event %s: %w", ev.Key, err)
	}
	return t.fanOut(ctx, order.CallbackEndpointID, params)
}

// fanOut writes a callback for every endpoint that is to be told, the order's own too if it names one.
func (t txn) fanOut(ctx context.Context, orderEndpoint *string, ev sqlc.InsertEventParams) error {
	endpoints, err := t.q.EndpointsFor(ctx, sqlc.EndpointsForParams{
		MerchantID: ev.MerchantID, Mode: ev.Mode, Type: ev.Type, OrderEndpoint: orderEndpoint,
	})
	if err != nil {
		return fmt.Errorf("look for endpoints: %w", err)
	}
	for _, endpoint := range endpoints {
		params := sqlc.InsertCallbackParams{
			ID: string(payment.NewCallbackID()), EventID: ev.ID, EndpointID: endpoint.ID, OrderID: ev.OrderID, Seq: ev.Seq,
			Status: callbackPending,
		}
		if ev.OrderID == nil {
			params.PaymentID = ev.PaymentID
		}
		if endpoint.Disabled {
			reason := parkedEndpointDisabled
			params.Status, params.ParkReason = callbackParked, &reason
		}
		if err := t.q.InsertCallback(ctx, params); err != nil {
			return fmt.Errorf("write callback of event %s: %w", ev.Key, err)
		}
	}
	return nil
}

func encodeEvent(order *orderRow, mode payment.Mode, ev newEvent, at time.Time) ([]byte, error) {
	event := payment.Event{Type: ev.Type, Mode: mode, Timestamp: at}
	if order != nil {
		var err error
		if event.Data.Order, err = order.snapshot(ev.Received); err != nil {
			return nil, err
		}
	}
	if ev.Payment != nil {
		about, err := ev.Payment.snapshot(order)
		if err != nil {
			return nil, err
		}
		event.Data.Payment, event.Data.Deposit = &about, ev.Payment.depositTold(ev.Type)
	}
	return event.Encode()
}

// snapshot is the order as merchants see it.
func (o *orderRow) snapshot(received payment.Amount) (payment.OrderSnapshot, error) {
	s := payment.OrderSnapshot{
		ID: o.id(), Mode: payment.Mode(o.Mode), State: o.state(), Labels: o.labels(),
		Chain: o.Chain, Asset: o.assetRef.Symbol, AssetID: o.assetRef.ID,
		Amount: o.assetRef.Format(o.Amount.Amount), AmountBaseUnits: o.Amount.Amount,
		AmountReceived: o.assetRef.Format(received), AmountReceivedBaseUnits: received,
		Address:     o.address.Text(),
		PaymentURI:  payment.PaymentURI(o.chainID, o.assetRef.ID, o.address, o.Amount.Amount),
		AddressMode: payment.AddressMode(o.AddressMode), CustomerID: deref(o.CustomerID),
		ConfirmationsRequired: int(o.required.Confirmations), FinalityRequired: o.required.Tag,
		CreatedAt: o.CreatedAt, UpdatedAt: o.UpdatedAt, PaidAt: o.PaidAt,
		Reference: deref(o.Reference),
	}
	if o.ExpiresAt != nil {
		s.ExpiresAt = *o.ExpiresAt
	}
	if err := json.Unmarshal(o.Metadata, &s.Metadata); err != nil {
		return s, fmt.Errorf("metadata of order %s: %w", o.ID, err)
	}
	return s, nil
}

// snapshot is the payment as merchants see it. order is nil for money that has none.
func (p *inclusionRow) snapshot(order *orderRow) (payment.PaymentSnapshot, error) {
	from, err := addressText(p.Family, p.Sender)
	if err != nil {
		return payment.PaymentSnapshot{}, fmt.Errorf("sender of payment %s: %w", p.ID, err)
	}
	to, err := addressText(p.Family, p.Recipient)
	if err != nil {
		return payment.PaymentSnapshot{}, fmt.Errorf("recipient of payment %s: %w", p.ID, err)
	}
	required := p.requiredFor(order)
	s := payment.PaymentSnapshot{
		ID: payment.PaymentID(p.ID), State: p.state(),
		Chain: p.Chain, Asset: p.asset.Symbol, AssetID: p.asset.ID,
		Amount: p.asset.Format(p.Amount.Amount), AmountBaseUnits: p.Amount.Amount,
		TxHash: payment.Hash(p.TxHash), BlockNumber: uint64(p.BlockNumber), BlockHash: payment.Hash(p.BlockHash),
		From: from, To: to,
		Confirmations: p.confirmations(), ConfirmationsRequired: int(required.Confirmations), FinalityRequired: required.Tag,
		FirstSeenAt: p.CreatedAt, CreditedAt: p.CreditedAt,
	}
	if p.CustomerID != nil && !p.WrongMode {
		counted := p.counted()
		s.AllocatedAmount, s.AllocatedAmountBaseUnits = p.asset.Format(counted), &counted
	}
	if order != nil {
		s.Late = order.ExpiresAt != nil && p.FirstIncludedAt.After(*order.ExpiresAt)
	}
	if p.CreditedAt != nil && p.N == p.Inclusion {
		s.Evidence = payment.Evidence(deref(p.Evidence))
	}
	s.Confirmations = min(s.Confirmations, s.ConfirmationsRequired) // it says how far it is, not how old
	return s, nil
}

// confirmations counts the inclusion's own block as the first; none while it is not on the canonical chain.
func (p *inclusionRow) confirmations() int {
	if !p.Canonical || p.CursorNumber == nil || *p.CursorNumber < p.BlockNumber {
		return 0
	}
	return int(*p.CursorNumber-p.BlockNumber) + 1
}

func (p *inclusionRow) state() payment.PaymentState {
	current := p.N == p.Inclusion
	switch status := payment.PaymentStatus(p.Status); {
	case p.Reversed:
		return payment.PaymentReversed
	case !p.Canonical:
		return payment.PaymentDropped
	case p.CreditedTo != nil && *p.CreditedTo == accountDust, current && status == payment.StatusIgnored:
		return payment.PaymentIgnored
	case p.InReview, current && status == payment.StatusParked:
		return payment.PaymentInReview
	case p.CreditedAt != nil:
		return payment.PaymentCredited
	case p.confirmations() > 1:
		return payment.PaymentConfirming
	default:
		return payment.PaymentDetected
	}
}

func addressText(family string, raw []byte) (string, error) {
	address, err := payment.AddressFromBytes(payment.Family(family), raw)
	return address.Text(), err
}

func deref[T any](p *T) T {
	if p == nil {
		var zero T
		return zero
	}
	return *p
}
