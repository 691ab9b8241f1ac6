package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// heldPayment is a credited payment that waits for a decision.
func heldPayment(t *testing.T) (*miner, payment.Transfer, process.ReviewInput) {
	t.Helper()
	m := mine(t, storetest.New(t, func(n *store.NewMerchant) { n.PaymentPolicy = payment.PaymentHold }))
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	return m, transfer, process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseHeld}
}

func resolve(review process.ReviewInput, move process.Move, request string) process.ResolveReviewInput {
	return process.ResolveReviewInput{Review: review, By: storetest.By(), RequestID: request, Move: move}
}

func TestAReviewOpensWhenItsWorkflowAsks(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseLate}
	for range 2 {
		view, err := m.DB.ReadReview(t.Context(), in)
		require.NoError(t, err)
		require.NotEmpty(t, view.ReviewID)
		view.ReviewID = ""
		require.Equal(t, process.ReviewView{
			PaymentID: in.PaymentID, Inclusion: 1, Cause: process.CauseLate, MerchantID: m.Merchant, OrderID: order.ID,
			Chain: storetest.Chain, AssetCode: "USDC", Amount: "25", Address: order.Address, Status: "open",
		}, view)
	}
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews`))
	in.Inclusion = 2
	_, err := m.DB.ReadReview(t.Context(), in)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestReleaseMakesHeldMoneyAvailableOnce(t *testing.T) {
	t.Parallel()
	m, _, in := heldPayment(t)
	view, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.True(t, view.Held)
	require.True(t, view.Settled)
	for _, request := range []string{"a", "a", "b"} {
		view, err := m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, request))
		require.NoError(t, err)
		require.Equal(t, "resolved", view.Status)
		require.False(t, view.Held)
	}
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
	require.Zero(t, m.balance(t, "merchant:held"))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'review.release'`))
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveHold, "c"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
}

func TestHeldMoneyCanStillBeReleased(t *testing.T) {
	t.Parallel()
	m, _, in := heldPayment(t)
	view, err := m.DB.ResolveReview(t.Context(), resolve(in, process.MoveHold, "hold"))
	require.NoError(t, err)
	require.Equal(t, "resolved", view.Status)
	require.True(t, view.Held)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "release"))
	require.NoError(t, err)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
}

func TestNothingIsReleasedWhileHalted(t *testing.T) {
	t.Parallel()
	m, _, in := heldPayment(t)
	m.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'horizon'`)
	_, err := m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "a"))
	require.Equal(t, payment.CodeChainHalted, payment.CodeOf(err))
	m.Exec(t, `UPDATE chains SET halted_at = NULL, halted_reason = NULL`)
	m.Exec(t, `UPDATE assets SET halted_at = now(), halted_reason = 'code_changed'`)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "a"))
	require.Equal(t, payment.CodeAssetHalted, payment.CodeOf(err))
	require.Equal(t, 25_000_000, m.balance(t, "merchant:held"))
}

func TestMoneyThatIsGoneIsNotReleased(t *testing.T) {
	t.Parallel()
	m, transfer, in := heldPayment(t)
	m.rollback(t, payment.BlockRef{Number: m.tip.Number - 1, Hash: m.tip.Parent, Time: m.tip.Time.Add(-m.step)})
	view, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.False(t, view.Held)
	require.True(t, view.Settled)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "a"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))

	// The new inclusion has a review of its own; the old one releases nothing of it.
	m.record(t, transfer)
	m.credit(t, transfer)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "b"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err))
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveClose, "c"))
	require.NoError(t, err)
	require.Equal(t, "credited", m.payment(t, transfer).Status)
}

func TestClosingAnUnconfirmedPaymentParksIt(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseLate}
	_, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRelease, "a"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err), "there is nothing to release")
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveMarkPaid, "b"))
	require.Equal(t, payment.CodeOrderState, payment.CodeOf(err), "no move of a review")
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveClose, "c"))
	require.NoError(t, err)
	require.Equal(t, "parked", m.payment(t, transfer).Status)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome, "it can still be confirmed")
}

func TestRetryIsNoDecision(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseStuck}
	_, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	m.Exec(t, `UPDATE payments SET status = 'parked'`)
	view, err := m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRetry, "a"))
	require.NoError(t, err)
	require.Equal(t, "open", view.Status)
	require.Equal(t, "detected", m.payment(t, transfer).Status)
	_, err = m.DB.ResolveReview(t.Context(), resolve(process.ReviewInput{PaymentID: in.PaymentID, Inclusion: 1, Cause: process.CauseLate}, process.MoveClose, "b"))
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestDecisionsThatMovedNothingCanBeChanged(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseStuck}
	_, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	_, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveClose, "close"))
	require.NoError(t, err)
	view, err := m.DB.ResolveReview(t.Context(), resolve(in, process.MoveRetry, "retry"))
	require.NoError(t, err)
	require.Equal(t, "open", view.Status)
	require.Equal(t, "detected", m.payment(t, transfer).Status)

	held, _, review := heldPayment(t)
	for _, move := range []process.Move{process.MoveHold, process.MoveClose, process.MoveRelease} {
		view, err = held.DB.ResolveReview(t.Context(), resolve(review, move, string(move)))
		require.NoError(t, err, move)
		require.Equal(t, move != process.MoveRelease, view.Held)
	}
	require.Equal(t, 3, held.count(t, `SELECT count(*) FROM audit WHERE action LIKE 'review.%'`))
}
