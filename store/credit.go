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

// CreditInput is what a receipt check saw when the payment's confirmations were there.
type CreditInput struct {
	PaymentID payment.PaymentID
	Inclusion int
	BlockHash payment.Hash
	Amount    payment.Amount
	// Policy is what the check found met; zero stands for the policy without any tier.
	Policy payment.ConfirmationPolicy
	// Evidence is what the check rests on, and is written on the payment.
	Evidence payment.Evidence
	// Demanded is the evidence that the check asked for.
	Demanded payment.Evidence
	// Review is set when a review confirms the payment, not its order.
	Review process.ReviewCause
}

// CreditOutcome says what a credit came to.
type CreditOutcome string

// The outcomes of crediting.
const (
	// CreditDone: the payment is posted now.
	CreditDone CreditOutcome = "credited"
	// CreditAlready: this inclusion was posted before.
	CreditAlready CreditOutcome = "already"
	// CreditStale: what is recorded is not what was seen, or not any more. Look again.
	CreditStale CreditOutcome = "stale"
	// CreditHalted: nothing is credited on this chain, or in this asset.
	CreditHalted CreditOutcome = "halted"
	// CreditPaused: the chain is paused. Nothing is wrong; look again later.
	CreditPaused CreditOutcome = "paused"
	// CreditUnproven: the evidence is less than is asked for, and what one operator's word may credit in an hour is used up.
	CreditUnproven CreditOutcome = "unproven"
	// CreditIgnored: this payment is never posted.
	CreditIgnored CreditOutcome = "ignored"
)

// CreditResult says what a credit came to, with the order as it is then. Order is nil for money that has none.
type CreditResult struct {
	Outcome CreditOutcome
	// Reason says why the money went where it went, or what is halted.
	Reason payment.Reason
	Order  *process.OrderView
}

// Credit posts a confirmed payment and moves its order, in one transaction that re-checks everything: the inclusion is the
// payment's newest and canonical, its block and amount are what was seen, what was seen is enough for the amount that is at
// stake by now, and nothing is halted or paused. Of all calls for one
// inclusion, whoever makes them, exactly one posts.
//
// Money in the order's asset may fulfil it; money in another asset is posted as what it is and labels the order; dust goes to
// its own account. What a policy or review holds is posted as held, and so is what came to an address of the other mode. Held and
// unasked-for money opens a review.
// Error: CodeNotFound.
func (db *DB) Credit(ctx context.Context, in CreditInput) (CreditResult, error) {
	var result CreditResult
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		var err error
		result, err = t.credit(ctx, in)
		return err
	})
	return result, err
}

func (t txn) credit(ctx context.Context, in CreditInput) (CreditResult, error) {
	newest, err := t.q.PaymentOrder(ctx, string(in.PaymentID))
	if err != nil {
		return CreditResult{}, notFound(err, "payment")
	}
	var order *orderRow
	if newest.OrderID != nil {
		if order, err = t.lockOrder(ctx, payment.OrderID(*newest.OrderID)); err != nil {
			return CreditResult{}, err
		}
	}
	locked, err := t.lockPayment(ctx, in.PaymentID)
	if err != nil {
		return CreditResult{}, err
	}
	var result CreditResult
	if deref(locked.OrderID) != deref(newest.OrderID) {
		result.Outcome = CreditStale // mined again for another order, while we waited for the lock of the first
	} else if result, err = t.creditLocked(ctx, in, order, locked); err != nil {
		return CreditResult{}, err
	}
	if result.Outcome == CreditDone {
		if err := t.tellTheOrder(ctx, in, order); err != nil {
			return CreditResult{}, err
		}
	}
	if order != nil {
		result.Order, err = t.viewOf(ctx, order)
	}
	return result, err
}

// tellTheOrder wakes the order's workflow when a review has settled a payment that it still waits for, or has blocked.
func (t txn) tellTheOrder(ctx context.Context, in CreditInput, order *orderRow) error {
	if order == nil || in.Review != process.CauseDisagreement && in.Review != process.CauseStuck {
		return nil
	}
	return t.wake(ctx, wakeUp{
		chain: order.Chain, signal: process.SignalPaymentSeen, paymentID: string(in.PaymentID), inclusion: int32(in.Inclusion),
		orderID: &order.ID, kind: "credited",
	})
}

func (t txn) creditLocked(ctx context.Context, in CreditInput, order *orderRow, locked sqlc.LockPaymentRow) (CreditResult, error) {
	if locked.CreditedInclusion != nil && int(*locked.CreditedInclusion) == in.Inclusion {
		return CreditResult{Outcome: CreditAlready}, nil
	}
	if int(locked.Inclusion) != in.Inclusion {
		return CreditResult{Outcome: CreditStale}, nil
	}
	about, err := t.inclusion(ctx, in.PaymentID, in.Inclusion)
	if err != nil {
		return CreditResult{}, err
	}
	status := payment.PaymentStatus(locked.Status)
	switch {
	case status == payment.StatusIgnored:
		return CreditResult{Outcome: CreditIgnored}, nil
	case status != payment.StatusDetected && status != payment.StatusParked,
		!about.Canonical, payment.Hash(about.BlockHash) != in.BlockHash, about.Amount.Amount != in.Amount:
		return CreditResult{Outcome: CreditStale}, nil
	case about.halted() != "":
		return CreditResult{Outcome: CreditHalted, Reason: payment.Reason(about.halted())}, nil
	case about.ChainPaused:
		return CreditResult{Outcome: CreditPaused}, nil
	case about.Amount.IsZero():
		if err := t.q.IgnorePayment(ctx, about.ID); err != nil {
			return CreditResult{}, fmt.Errorf("ignore payment %s: %w", about.ID, err)
		}
		return CreditResult{Outcome: CreditIgnored}, nil
	}
	lacks, weak, err := t.lacks(ctx, in, order, about)
	if err != nil || lacks != "" {
		return CreditResult{Outcome: lacks}, err
	}
	if weak {
		err := t.q.AddWeakCredit(ctx, sqlc.AddWeakCreditParams{
			PaymentID: about.ID, Inclusion: about.N, Chain: about.Chain, AssetID: about.AssetID, Amount: about.Amount,
		})
		if err != nil {
			return CreditResult{}, fmt.Errorf("use up the single-source limit: %w", err)
		}
	}
	reason, err := t.postCredit(ctx, in, order, about)
	return CreditResult{Outcome: CreditDone, Reason: reason}, err
}

// postCredit writes the posting, then the payment, then what that means for the order: the facts of the transition are
// read from the books.
func (t txn) postCredit(ctx context.Context, in CreditInput, order *orderRow, about *inclusionRow) (payment.Reason, error) {
	confirmed, err := t.confirmed(ctx, in, order, about)
	if err != nil {
		return "", err
	}
	posting, reason, err := ledger.CreditOf(confirmed)
	if err != nil {
		return "", err
	}
	if err := t.post(ctx, posting, nil); err != nil {
		return "", err
	}
	err = t.q.CreditPayment(ctx, sqlc.CreditPaymentParams{ID: about.ID, Inclusion: about.N, Evidence: optional(string(in.Evidence))})
	if err != nil {
		return "", fmt.Errorf("mark payment %s as credited: %w", about.ID, err)
	}
	if err := t.consumeFindings(ctx, about); err != nil {
		return "", err
	}
	if err := t.resolveStuck(ctx, about); err != nil {
		return "", err
	}
	if on := confirms(order, confirmed.Facts.Match); on != "" {
		_, err := t.apply(ctx, order, on, eventCause{PaymentID: in.PaymentID, Inclusion: in.Inclusion})
		if err != nil {
			return "", fmt.Errorf("confirm payment %s: %w", in.PaymentID, err)
		}
	}
	if err := t.tellDeposit(ctx, order, payment.EventDepositCredited, about.ID, about.N); err != nil {
		return "", err
	}
	cause := reviewCause(confirmed.Facts, posting, reason)
	if cause == "" {
		return reason, nil
	}
	if about.WrongMode {
		cause = process.CauseWrongMode
	}
	return reason, t.askForReview(ctx, about, cause, posting.Credit.Kind == ledger.KindHeld)
}

// askForReview sees that a review is open for what was just credited, and wakes it unless it was. A review that confirms a
// payment may have begun about an earlier inclusion: that it asks is no sign that this one has a review.
func (t txn) askForReview(ctx context.Context, about *inclusionRow, cause process.ReviewCause, held bool) error {
	inserted, err := t.q.AskForReview(ctx, sqlc.AskForReviewParams{
		ID: string(payment.NewReviewID()), PaymentID: about.ID, Inclusion: about.N, Cause: string(cause),
		MerchantID: about.MerchantID, OrderID: about.OrderID, Held: held,
	})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open the review %s of payment %s: %w", cause, about.ID, err)
	}
	kind := "review/" + string(cause)
	if !inserted {
		kind += "/again"
	}
	return t.wake(ctx, wakeUp{
		chain: about.Chain, signal: process.SignalPaymentSeen, paymentID: about.ID, inclusion: about.N,
		orderID: about.OrderID, cause: cause, kind: kind,
	})
}

// confirms is what a confirmed payment triggers, "" for nothing. Dust counts for nothing; an order that waited for it
// nevertheless waits for one payment less.
func confirms(order *orderRow, match payment.Match) payment.Trigger {
	switch {
	case order == nil:
		return ""
	case match != payment.MatchDust:
		return payment.TriggerPaymentConfirmed
	case order.state() == payment.StateConfirming:
		return payment.TriggerPaymentDropped
	default:
		return ""
	}
}

// confirmed gathers what decides where the money goes.
func (t txn) confirmed(ctx context.Context, in CreditInput, order *orderRow, about *inclusionRow) (ledger.Confirmed, error) {
	c := ledger.Confirmed{
		Inclusion: payment.InclusionRef{Payment: in.PaymentID, Inclusion: in.Inclusion},
		Asset:     about.asset.ID, Amount: about.Amount.Amount, Address: payment.AddressID(about.AddressID),
		Merchant: payment.MerchantID(about.MerchantID), Mode: payment.Mode(about.Mode), Order: payment.OrderID(deref(about.OrderID)),
		ReviewHolds: about.HeldByReview || about.WrongMode || in.Review == process.CauseHeld || in.Review == process.CauseDisagreement,
	}
	if order != nil {
		c.Facts = payment.CreditFacts{
			PaymentPolicy: payment.PaymentPolicy(order.PaymentPolicy), LatePolicy: payment.LatePolicy(order.LatePolicy),
			Match: about.match(order), State: order.state(),
			OnTime: order.ExpiresAt != nil && !about.FirstIncludedAt.After(*order.ExpiresAt),
		}
		return c, nil
	}
	var err error
	c.Facts, err = t.depositFacts(ctx, about)
	return c, err
}

// reviewCause says why a person has to look at a credit, "" when nobody has to.
func reviewCause(facts payment.CreditFacts, posted ledger.Posting, reason payment.Reason) process.ReviewCause {
	switch {
	case facts.Match == payment.MatchDust:
		return ""
	case facts.Match == payment.MatchWrongAsset, facts.Match == payment.MatchWrongNetwork:
		return process.CauseWrongAsset
	case reason == payment.ReasonHeldByLatePolicy:
		return process.CauseLate
	case facts.State == payment.StateCancelled:
		return process.CauseClosedOrder
	case posted.Credit.Kind == ledger.KindHeld:
		return process.CauseHeld
	default:
		return ""
	}
}

// isRefusal tells whether the state table refused, as opposed to something having failed.
func isRefusal(err error) bool { return payment.ReasonOf(err) != "" }
