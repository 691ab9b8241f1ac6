package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// lateHeld is a late payment to an expired order whose late money is held, with its open review.
func lateHeld(t *testing.T) (*storetest.Bundle, storetest.Payment) {
	t.Helper()
	b := storetest.New(t, func(n *store.NewMerchant) { n.LatePolicy = payment.LateHold })
	order := expired(t, b)
	p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Block.Time = time.Now().Add(time.Hour) })
	_, err := b.DB.ReadReview(t.Context(), process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseLate})
	require.NoError(t, err)
	return b, p
}

func byLateReview(in *store.CreditInput) { in.Review = process.CauseLate }

// openReviews counts the open reviews of one inclusion.
func openReviews(t *testing.T, b *storetest.Bundle, p storetest.Payment) int {
	t.Helper()
	return storetest.Value[int](t, b, `SELECT count(*) FROM reviews WHERE payment_id = $1 AND inclusion = $2 AND status = 'open'`, p.ID, p.Inclusion)
}

func wakeUpsOf(t *testing.T, b *storetest.Bundle, p storetest.Payment) []string {
	t.Helper()
	return storetest.Value[[]string](t, b,
		`SELECT COALESCE(array_agg(replace(request_id, $1 || '/', '') ORDER BY id), '{}') FROM outbox WHERE payment_id = $1`, string(p.ID))
}

// The review of one inclusion is confirming when the payment is mined again: what it credits is the next inclusion.
func TestHeldMoneyHasAReviewOfItsOwnInclusion(t *testing.T) {
	t.Parallel()
	b, p := lateHeld(t)
	again := b.Reinclude(t, p)
	result := b.Credit(t, again, byLateReview)
	require.Equal(t, payment.ReasonHeldByLatePolicy, result.Reason)
	require.Equal(t, 1, openReviews(t, b, again))
	require.Equal(t, []string{"2/review/late"}, wakeUpsOf(t, b, p))
}

func TestAReviewThatConfirmsItsOwnInclusionIsNotWoken(t *testing.T) {
	t.Parallel()
	b, p := lateHeld(t)
	b.Credit(t, p, byLateReview)
	require.Equal(t, 1, openReviews(t, b, p))
	require.Empty(t, wakeUpsOf(t, b, p))
}

// Closed while its payment was being confirmed, the review is open again once the money is held.
func TestMoneyHeldAfterTheDecisionReopensItsReview(t *testing.T) {
	t.Parallel()
	b, p := lateHeld(t)
	review := process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseLate}
	_, err := b.DB.ResolveReview(t.Context(), resolve(review, process.MoveClose, "r1"))
	require.NoError(t, err)
	require.Zero(t, openReviews(t, b, p))
	b.Credit(t, p, byLateReview)
	require.Equal(t, 1, openReviews(t, b, p))
	require.Equal(t, []string{"1/review/late/again"}, wakeUpsOf(t, b, p))
	_, err = b.DB.ResolveReview(t.Context(), resolve(review, process.MoveRelease, "r2"))
	require.NoError(t, err)
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))
	b.CheckBooks(t)
}
