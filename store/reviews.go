package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/ledger"
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
	opened, err := t.insertReview(ctx, r)
	if err != nil || !opened {
		return err
	}
	return t.wake(ctx, wakeUp{
		chain: r.chain, signal: process.SignalPaymentSeen, paymentID: r.paymentID, inclusion: r.inclusion,
		orderID: r.orderID, cause: r.cause, kind: "review/" + string(r.cause),
	})
}

func (t txn) insertReview(ctx context.Context, r reviewOf) (opened bool, err error) {
	rows, err := t.q.InsertReview(ctx, sqlc.InsertReviewParams{
		ID: string(payment.NewReviewID()), PaymentID: r.paymentID, Inclusion: r.inclusion, Cause: string(r.cause),
		MerchantID: r.merchantID, OrderID: r.orderID,
	})
	if err != nil {
		return false, fmt.Errorf("open the review %s of payment %s: %w", r.cause, r.paymentID, err)
	}
	return rows == 1, nil
}

// Statuses of a review.
const (
	reviewOpen     = "open"
	reviewResolved = "resolved"
)

// ReadReview returns a review, and opens it first if there is none: whoever starts a review's workflow for money that
// needs one has only named it. Error: CodeNotFound when there is no such inclusion.
func (db *DB) ReadReview(ctx context.Context, in process.ReviewInput) (process.ReviewView, error) {
	var view process.ReviewView
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		about, err := t.review(ctx, in)
		if payment.CodeOf(err) == payment.CodeNotFound {
			if err := t.openNamed(ctx, in); err != nil {
				return err
			}
			about, err = t.review(ctx, in)
		}
		if err != nil {
			return err
		}
		view, err = t.reviewView(ctx, about)
		return err
	})
	return view, err
}

// OpenReview opens a review and wakes its workflow, once. Error: CodeNotFound when there is no such inclusion.
func (db *DB) OpenReview(ctx context.Context, in process.ReviewInput) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		row, err := t.q.ReviewSubject(ctx, sqlc.ReviewSubjectParams{PaymentID: string(in.PaymentID), Inclusion: int32(in.Inclusion)})
		if err != nil {
			return notFound(err, "inclusion of a payment")
		}
		return t.openReview(ctx, reviewOf{
			chain: row.Chain, paymentID: string(in.PaymentID), inclusion: int32(in.Inclusion), cause: in.Cause,
			merchantID: row.MerchantID, orderID: row.OrderID,
		})
	})
}

// openNamed opens a review that its workflow asks for.
func (t txn) openNamed(ctx context.Context, in process.ReviewInput) error {
	row, err := t.q.ReviewSubject(ctx, sqlc.ReviewSubjectParams{PaymentID: string(in.PaymentID), Inclusion: int32(in.Inclusion)})
	if err != nil {
		return notFound(err, "inclusion of a payment")
	}
	_, err = t.insertReview(ctx, reviewOf{
		chain: row.Chain, paymentID: string(in.PaymentID), inclusion: int32(in.Inclusion), cause: in.Cause,
		merchantID: row.MerchantID, orderID: row.OrderID,
	})
	return err
}

// reviewRow is a review with the money it is about.
type reviewRow struct{ sqlc.ReadReviewRow }

func (t txn) review(ctx context.Context, in process.ReviewInput) (reviewRow, error) {
	row, err := t.q.ReadReview(ctx, sqlc.ReadReviewParams{
		PaymentID: string(in.PaymentID), Inclusion: int32(in.Inclusion), Cause: string(in.Cause),
	})
	if err != nil {
		return reviewRow{}, notFound(err, "review")
	}
	return reviewRow{row}, nil
}

// held tells whether the money of this inclusion waits in the merchant's held account.
func (r reviewRow) held() bool { return r.CreditedTo == string(ledger.KindHeld) && !r.Released }

// settled tells whether nothing more is to be confirmed or posted for this inclusion: it is posted, or not canonical.
func (r reviewRow) settled() bool {
	status := payment.PaymentStatus(r.PaymentStatus)
	waits := status == payment.StatusDetected || status == payment.StatusParked
	return !r.Canonical || r.NewestInclusion != r.Inclusion || !waits
}

func (t txn) reviewView(ctx context.Context, r reviewRow) (process.ReviewView, error) {
	asset, err := assetOf(r.Chain, r.Family, r.Contract, r.Code, r.Decimals)
	if err != nil {
		return process.ReviewView{}, fmt.Errorf("asset of review %s: %w", r.ID, err)
	}
	address, err := addressText(r.Family, r.Recipient)
	if err != nil {
		return process.ReviewView{}, fmt.Errorf("address of review %s: %w", r.ID, err)
	}
	view := process.ReviewView{
		ReviewID: r.ID, PaymentID: payment.PaymentID(r.PaymentID), Inclusion: int(r.Inclusion), Cause: process.ReviewCause(r.Cause),
		MerchantID: payment.MerchantID(r.MerchantID), OrderID: payment.OrderID(deref(r.OrderID)),
		Chain: r.Chain, AssetCode: asset.Symbol, Amount: asset.Format(r.Amount.Amount), Address: address,
		Status: r.Status, Settled: r.settled(), Held: r.held(),
	}
	endpoints, err := t.q.PendingEndpoints(ctx, string(view.Stream()))
	if err != nil {
		return process.ReviewView{}, fmt.Errorf("read the callbacks of %s: %w", view.Stream(), err)
	}
	for _, id := range endpoints {
		view.PendingEndpoints = append(view.PendingEndpoints, payment.EndpointID(id))
	}
	return view, nil
}

// ResolveReview carries out a person's decision and returns the review as it is then:
//
//   - release: the inclusion's held money becomes available. A review that was resolved with "hold" can still be released.
//   - hold: the money stays held, the review is resolved. Closing it afterwards changes nothing.
//   - close: seen, nothing to do. A payment that is not confirmed yet is parked: it stays recorded, and nobody is woken
//     for it until a retry.
//   - retry: no decision; a parked payment is confirmed like any other again, and its review is open again.
//
// The same request, or the same decision again, changes nothing. Errors: CodeNotFound; CodeOrderState when the review was
// decided otherwise, or there is nothing to release or hold; CodeChainHalted and CodeAssetHalted for a release.
func (db *DB) ResolveReview(ctx context.Context, in process.ResolveReviewInput) (process.ReviewView, error) {
	var view process.ReviewView
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		about, err := t.lockReview(ctx, in.Review)
		if err != nil {
			return err
		}
		repeated, err := t.done(ctx, in.RequestID)
		if err != nil {
			return err
		}
		if !repeated {
			if err := t.resolve(ctx, about, in); err != nil {
				return err
			}
			if about, err = t.review(ctx, in.Review); err != nil {
				return err
			}
		}
		view, err = t.reviewView(ctx, about)
		return err
	})
	return view, err
}

// lockReview locks the order, the payment and the review, in this order, and then reads them.
func (t txn) lockReview(ctx context.Context, in process.ReviewInput) (reviewRow, error) {
	about, err := t.review(ctx, in)
	if err != nil {
		return reviewRow{}, err
	}
	var orders []payment.OrderID
	if about.OrderID != nil {
		orders = append(orders, payment.OrderID(*about.OrderID))
	}
	if _, _, err := t.lockAll(ctx, orders, []string{about.PaymentID}); err != nil {
		return reviewRow{}, err
	}
	_, err = t.q.LockReview(ctx, sqlc.LockReviewParams{
		PaymentID: about.PaymentID, Inclusion: about.Inclusion, Cause: about.Cause,
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return reviewRow{}, fmt.Errorf("lock review %s: %w", about.ID, err)
	}
	return t.review(ctx, in)
}

// resolve does what was decided, for the first time.
func (t txn) resolve(ctx context.Context, r reviewRow, in process.ResolveReviewInput) error {
	if r.Status == reviewResolved {
		if deref(r.Resolution) == string(in.Move) {
			return nil
		}
		if !r.changeable(in.Move) {
			return payment.E(payment.CodeOrderState, "move", "the review was resolved with %s", deref(r.Resolution))
		}
	}
	if err := t.carryOut(ctx, r, in.Move); err != nil {
		return err
	}
	if err := t.writeDecision(ctx, r, in); err != nil {
		return fmt.Errorf("resolve review %s: %w", r.ID, err)
	}
	_, err := t.audit(ctx, deed{
		By: in.By, Action: "review." + string(in.Move), Subject: r.ID, RequestID: in.RequestID,
		Detail: map[string]any{"payment": r.PaymentID, "inclusion": r.Inclusion, "cause": r.Cause},
	})
	return err
}

// changeable tells whether a decided review takes another decision: held money can still be released, or left held for
// good, and a payment that was closed unconfirmed can still be confirmed.
func (r reviewRow) changeable(to process.Move) bool {
	switch deref(r.Resolution) {
	case string(process.MoveHold):
		return to == process.MoveRelease || to == process.MoveClose
	case string(process.MoveClose):
		return to == process.MoveRetry && payment.PaymentStatus(r.PaymentStatus) == payment.StatusParked ||
			to == process.MoveRelease && r.held()
	default:
		return false
	}
}

func (t txn) writeDecision(ctx context.Context, r reviewRow, in process.ResolveReviewInput) error {
	resolved := r.Status == reviewResolved
	switch {
	case in.Move == process.MoveRetry && resolved:
		return t.q.ReopenReview(ctx, r.ID)
	case in.Move == process.MoveRetry, in.Move == process.MoveClose && resolved:
		return nil // no decision, or none that takes the earlier one back
	}
	by := in.By.Actor
	if by == "" {
		by = unknownActor
	}
	return t.q.ResolveReview(ctx, sqlc.ResolveReviewParams{ID: r.ID, Resolution: string(in.Move), ResolvedBy: by})
}

func (t txn) carryOut(ctx context.Context, r reviewRow, move process.Move) error {
	switch move {
	case process.MoveRelease:
		return t.release(ctx, r)
	case process.MoveHold:
		if !r.held() {
			return payment.E(payment.CodeOrderState, "move", "no money of this review is held")
		}
		return nil
	case process.MoveClose:
		if r.settled() {
			return nil
		}
		if err := t.q.ParkPayment(ctx, r.PaymentID); err != nil {
			return fmt.Errorf("park payment %s: %w", r.PaymentID, err)
		}
		return nil
	case process.MoveRetry:
		if err := t.q.UnparkPayment(ctx, r.PaymentID); err != nil {
			return fmt.Errorf("unpark payment %s: %w", r.PaymentID, err)
		}
		return nil
	default:
		return payment.E(payment.CodeOrderState, "move", "a review cannot be resolved like this")
	}
}

func (t txn) release(ctx context.Context, r reviewRow) error {
	switch {
	case r.ChainHalted:
		return payment.E(payment.CodeChainHalted, "", "nothing is released while the chain is halted")
	case r.AssetHalted:
		return payment.E(payment.CodeAssetHalted, "", "nothing is released while the asset is halted")
	case r.CreditedTo == string(ledger.KindHeld) && r.Released:
		return nil // by the review of another cause
	case !r.held():
		return payment.E(payment.CodeOrderState, "move", "no money of this review is held")
	}
	return t.releaseCredit(ctx, payment.InclusionRef{Payment: payment.PaymentID(r.PaymentID), Inclusion: int(r.Inclusion)})
}
