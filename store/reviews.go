package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// reviewOf names a review to be opened.
type reviewOf struct {
	chain      string
	paymentID  string
	inclusion  int32
	cause      process.ReviewCause
	merchantID string
	orderID    *string
}

// openReview asks a person to look at an inclusion for one cause, and wakes the review's workflow. The same review is
// opened once.
func (t txn) openReview(ctx context.Context, r reviewOf) error {
	opened, err := t.q.InsertReview(ctx, sqlc.InsertReviewParams{
		ID: string(payment.NewReviewID()), PaymentID: r.paymentID, Inclusion: r.inclusion, Cause: string(r.cause),
		MerchantID: r.merchantID, OrderID: r.orderID,
	})
	if err != nil {
		return fmt.Errorf("open the review %s of payment %s: %w", r.cause, r.paymentID, err)
	}
	if opened == 0 {
		return nil
	}
	return t.wake(ctx, wakeUp{
		chain: r.chain, signal: process.SignalPaymentSeen, paymentID: r.paymentID, inclusion: r.inclusion,
		orderID: r.orderID, cause: r.cause, kind: "review/" + string(r.cause),
	})
}
