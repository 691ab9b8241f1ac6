package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// reviewOverdraft opens a review when the reversal of an inclusion's credit, or taking back what was settled by hand, took more than
// its merchant had available: what was there had been paid out already, and nothing more may be until somebody has looked. The
// reversals of an asset are recorded one after the other, so none overlooks what another took.
func (t txn) reviewOverdraft(ctx context.Context, chain string, lost lostPayment) error {
	overdrawn, err := t.q.Overdrawn(ctx, sqlc.OverdrawnParams{PaymentID: lost.id, Inclusion: lost.inclusion})
	if err != nil {
		return fmt.Errorf("read the balance after the reversal: %w", err)
	}
	if !overdrawn {
		return nil
	}
	return t.openReview(ctx, reviewOf{
		chain: chain, paymentID: lost.id, inclusion: lost.inclusion, cause: process.CauseNegativeBalance,
		merchantID: lost.merchantID, orderID: lost.orderID,
	})
}

// tellOverdrawnByFindings logs whose available balance is below zero after this transaction took back findings that had been settled to
// him. There is no payment that a review could be about: the audit names the finding, and a gauge stays up while the balance is below.
func (t txn) tellOverdrawnByFindings(ctx context.Context) error {
	rows, err := t.q.OverdrawnByFindings(ctx)
	if err != nil {
		return fmt.Errorf("read balances after findings were taken back: %w", err)
	}
	for _, row := range rows {
		t.log.ErrorContext(ctx, "a finding that was settled to a merchant was taken back, and leaves less than nothing available",
			"merchant", row.MerchantID, "asset", row.AssetID, "balance", row.Balance.String())
	}
	return nil
}
