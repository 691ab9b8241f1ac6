package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// counted is how much of the payment is for its order: all of it, or of one to a customer's address what was allocated.
func (p *inclusionRow) counted() payment.Amount {
	switch {
	case p.CustomerID == nil:
		return p.Amount.Amount
	case p.Allocated == nil:
		return payment.Amount{}
	default:
		return p.Allocated.Min(p.Amount.Amount)
	}
}

// deposit is how much of the payment is for no order of its customer; nothing of dust is, nor of what came to his address of the other
// mode: that is for a person.
func (p *inclusionRow) deposit() payment.Amount {
	if p.CustomerID == nil || p.WrongMode || p.CreditedTo != nil && *p.CreditedTo == accountDust {
		return payment.Amount{}
	}
	return p.Amount.SubFloor(p.counted())
}

// depositTold is what an event of the type says about the deposit in the payment; nil for other events, and without a deposit.
func (p *inclusionRow) depositTold(by payment.EventType) *payment.DepositSnapshot {
	amount := p.deposit()
	if amount.IsZero() || by != payment.EventDepositCredited && by != payment.EventPaymentReversed {
		return nil
	}
	return &payment.DepositSnapshot{
		CustomerID: deref(p.CustomerID), Chain: p.Chain, Asset: p.asset.Symbol, AssetID: p.asset.ID,
		Amount: p.asset.Format(amount), AmountBaseUnits: amount,
	}
}

// tellDeposit tells of the part of a payment that was just credited, or taken back by the chain, that is for no order. A part
// beyond what an order owed is told with that order's events; its reversal is the order's own event. order is nil for a payment
// that is for none. The payment is locked.
func (t txn) tellDeposit(ctx context.Context, order *orderRow, kind payment.EventType, id string, inclusion int32) error {
	about, err := t.inclusion(ctx, payment.PaymentID(id), int(inclusion))
	if err != nil {
		return err
	}
	if about.deposit().IsZero() {
		return nil
	}
	ref := payment.InclusionRef{Payment: payment.PaymentID(id), Inclusion: int(inclusion)}
	ev := newEvent{Type: kind, Key: ref.Key(string(kind)), Payment: about}
	if order == nil {
		return t.writeOwnEvent(ctx, ev)
	}
	money, err := t.money(ctx, order)
	if err != nil {
		return err
	}
	ev.Received = money.credited
	return t.writeEvent(ctx, order, ev)
}

// writeOwnEvent is writeEvent for a payment that is for no order: the event is numbered in the payment's own sequence.
func (t txn) writeOwnEvent(ctx context.Context, ev newEvent) error {
	known, err := t.q.EventExists(ctx, ev.Key)
	if err != nil {
		return fmt.Errorf("look for event %s: %w", ev.Key, err)
	}
	if known {
		return nil
	}
	next, err := t.q.NextPaymentSeq(ctx, ev.Payment.ID)
	if err != nil {
		return fmt.Errorf("number event %s: %w", ev.Key, err)
	}
	body, err := encodeEvent(nil, payment.Mode(ev.Payment.Mode), ev, next.At)
	if err != nil {
		return fmt.Errorf("render event %s: %w", ev.Key, err)
	}
	params := sqlc.InsertEventParams{
		ID: string(payment.NewEventID()), MerchantID: ev.Payment.MerchantID, Mode: ev.Payment.Mode, Type: string(ev.Type),
		PaymentID: &ev.Payment.ID, Seq: next.Seq, Key: ev.Key, Body: body, CreatedAt: next.At,
	}
	if err := t.q.InsertEvent(ctx, params); err != nil {
		return fmt.Errorf("write event %s: %w", ev.Key, err)
	}
	return t.fanOut(ctx, nil, params)
}

// depositFacts decide where a deposit goes: where the merchant's policy for payments says. It is late for nothing.
func (t txn) depositFacts(ctx context.Context, about *inclusionRow) (payment.CreditFacts, error) {
	policy, err := t.q.DepositPolicy(ctx, about.MerchantID)
	if err != nil {
		return payment.CreditFacts{}, fmt.Errorf("policy of merchant %s: %w", about.MerchantID, err)
	}
	facts := payment.CreditFacts{PaymentPolicy: payment.PaymentPolicy(policy), OnTime: true}
	if about.Amount.Less(about.DustBelow.Amount) {
		facts.Match = payment.MatchDust
	}
	return facts, nil
}

// SweepDeposits returns at most limit payments that are for no order and whose callbacks have been due longer than silent, and
// that were not returned by another sweep meanwhile. Whoever gets them starts the workflows of their callbacks, which changes
// nothing where one is running.
func (db *DB) SweepDeposits(ctx context.Context, silent time.Duration, limit int) ([]payment.PaymentID, error) {
	rows, err := db.q.SweepDeposits(ctx, sqlc.SweepDepositsParams{OlderMs: silent.Milliseconds(), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("sweep deposits: %w", classify(err))
	}
	ids := make([]payment.PaymentID, len(rows))
	for i, id := range rows {
		ids[i] = payment.PaymentID(id)
	}
	return ids, nil
}
