package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// StuckPayment is a payment that did not confirm by its deadline.
type StuckPayment struct {
	ID        payment.PaymentID
	Inclusion int
	Deadline  time.Time
}

// OpenStuck opens the review of at most limit payments of a chain that have not been confirmed by their deadline, once for
// each inclusion, and returns those. Nothing else changes: an order goes on waiting, and a payment that confirms after all
// is credited, which resolves its review. A payment that needs more confirmations than its deadline was set for, because much is at
// stake, gets a later deadline first. now is the time to compare with.
func (db *DB) OpenStuck(ctx context.Context, chain string, now time.Time, limit int) ([]StuckPayment, error) {
	var opened []StuckPayment
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		opened = nil
		rows, err := t.q.OverduePayments(ctx, sqlc.OverduePaymentsParams{Chain: chain, Now: now, MaxRows: int32(limit)})
		if err != nil {
			return fmt.Errorf("look for payments that do not confirm: %w", err)
		}
		for _, row := range rows {
			deadline, err := t.renewDeadline(ctx, row)
			if err != nil {
				return err
			}
			if deadline.After(now) {
				continue
			}
			err = t.openReview(ctx, reviewOf{
				chain: chain, paymentID: row.ID, inclusion: row.Inclusion, cause: process.CauseStuck,
				merchantID: row.MerchantID, orderID: row.OrderID,
			})
			if err != nil {
				return err
			}
			opened = append(opened, StuckPayment{ID: payment.PaymentID(row.ID), Inclusion: int(row.Inclusion), Deadline: deadline})
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return opened, nil
}

// renewDeadline sets the payment's deadline by what it has to reach now.
func (t txn) renewDeadline(ctx context.Context, row sqlc.OverduePaymentsRow) (time.Time, error) {
	s, err := t.settlement(ctx, payment.PaymentID(row.ID))
	if err != nil {
		return time.Time{}, fmt.Errorf("read payment %s: %w", row.ID, err)
	}
	deadline, err := t.q.RenewSettleDeadline(ctx, sqlc.RenewSettleDeadlineParams{ID: row.ID, Confirmations: int32(s.Policy.Confirmations)})
	if err != nil {
		return time.Time{}, fmt.Errorf("renew the deadline of payment %s: %w", row.ID, err)
	}
	return deadline, nil
}

// resolveStuck closes the review of an inclusion that did confirm.
func (t txn) resolveStuck(ctx context.Context, about *inclusionRow) error {
	if !about.InReview {
		return nil
	}
	if err := t.q.ResolveStuckReview(ctx, sqlc.ResolveStuckReviewParams{PaymentID: about.ID, Inclusion: about.N}); err != nil {
		return fmt.Errorf("resolve the review of payment %s, which is confirmed: %w", about.ID, err)
	}
	return nil
}

// SetSettleAfter sets after what time payments of a chain that are not confirmed are reviewed; zero is ten times what their
// confirmations usually take, six hours at least. It is for payments recorded from now on, and for those that are overdue. Errors:
// CodeUnknownChain; CodeInvalidParameter outside of one minute to a year.
func (db *DB) SetSettleAfter(ctx context.Context, chain string, after time.Duration, by process.By) error {
	var seconds *int32
	if after != 0 {
		if after < time.Minute || after > 365*24*time.Hour {
			return payment.E(payment.CodeInvalidParameter, "after", "a payment may take from one minute to a year")
		}
		whole := int32(after / time.Second)
		seconds = &whole
	}
	d := deed{By: by, Action: "chain.deadline", Subject: chain, Detail: map[string]any{"after": after.String()}}
	return db.configure(ctx, chain, d, func(t txn) (int64, error) {
		return t.q.SetSettleAfter(ctx, sqlc.SetSettleAfterParams{Chain: chain, Seconds: seconds})
	})
}
