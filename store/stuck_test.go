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

func (m *miner) stuck(t *testing.T, at time.Time) []store.StuckPayment {
	t.Helper()
	stuck, err := m.DB.OpenStuck(t.Context(), storetest.Chain, at, 100)
	require.NoError(t, err)
	return stuck
}

func TestAPaymentThatDoesNotConfirmIsReviewedOnceAndStillCredits(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	p := m.payment(t, transfer)
	seen := storetest.Value[time.Time](t, m.Bundle, `SELECT created_at FROM payments WHERE id = $1`, p.ID)

	require.Empty(t, m.stuck(t, seen.Add(6*time.Hour-time.Second)))
	stuck := m.stuck(t, seen.Add(6*time.Hour))
	require.Len(t, stuck, 1)
	require.Equal(t, p.ID, stuck[0].ID)
	require.Equal(t, []string{"stuck"}, reviews(t, m.Bundle, p.ID))
	require.Equal(t, []string{"1/seen", "1/review/stuck"}, m.wakeUps(t, p.ID))
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID), "the order goes on waiting")
	require.Empty(t, m.stuck(t, seen.Add(24*time.Hour)), "once")

	result, err := m.DB.Credit(t.Context(), func() store.CreditInput {
		in := m.creditInput(t, transfer)
		in.Review = process.CauseStuck
		return in
	}())
	require.NoError(t, err)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, reviews(t, m.Bundle, p.ID), "nobody has to look any more")
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, m.Bundle, m.Token.ID), "available, like any other")
	require.Equal(t, []string{"1/seen", "1/review/stuck", "1/credited"}, m.wakeUps(t, p.ID), "the order is told")
	m.CheckBooks(t)
}

// A deadline is about an inclusion; a payment that was mined again has time again.
func TestMinedAgainHasTimeAgain(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t).BlockRef
	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	later := time.Now().Add(7 * time.Hour)
	require.Len(t, m.stuck(t, later), 1)
	m.rollback(t, ancestor)
	require.Empty(t, m.stuck(t, later), "it is not on the chain")
	m.record(t, transfer)
	p := m.payment(t, transfer)
	require.Greater(t, storetest.Value[float64](t, m.Bundle,
		`SELECT extract(epoch FROM settle_deadline - now())::float8 FROM payments WHERE id = $1`, p.ID), 21_500.0)
	require.Len(t, m.stuck(t, later), 1)
	require.Equal(t, 2, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'stuck' AND payment_id = $1`, p.ID))
}

// The time a payment has grows with the confirmations that it needs, its order's wish and its tier included.
func TestTheDeadlineFollowsThePolicy(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	tier(t, m.Bundle, 25_000_000, 3600, payment.TagNone) // an hour of blocks
	small := pay(t, m.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(1_000_000) }), 1_000_000)
	large := pay(t, m.Order(t), 25_000_000)
	wishing := pay(t, m.Order(t, func(n *store.NewOrder) {
		n.Amount, n.Wish.Confirmations = payment.AmountFromUint64(1_000_000), 7200
	}), 1_000_000)
	m.record(t, small, large, wishing)
	after := func(d time.Duration) (ids []payment.PaymentID) {
		for _, stuck := range m.stuck(t, time.Now().Add(d)) {
			ids = append(ids, stuck.ID)
		}
		return ids
	}
	require.Equal(t, []payment.PaymentID{m.payment(t, small).ID}, after(7*time.Hour))
	require.Equal(t, []payment.PaymentID{m.payment(t, large).ID}, after(11*time.Hour))
	require.Empty(t, after(19*time.Hour))
	require.Equal(t, []payment.PaymentID{m.payment(t, wishing).ID}, after(21*time.Hour))

	require.NoError(t, m.DB.SetSettleAfter(t.Context(), storetest.Chain, time.Hour, storetest.By()))
	quick := pay(t, m.Order(t), 25_000_000)
	m.record(t, quick)
	require.Empty(t, after(59*time.Minute))
	require.Equal(t, []payment.PaymentID{m.payment(t, quick).ID}, after(61*time.Minute), "what an operator set is what counts")
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(m.DB.SetSettleAfter(t.Context(), storetest.Chain, time.Second, storetest.By())))
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(m.DB.SetSettleAfter(t.Context(), "nowhere", time.Hour, storetest.By())))
}

// A halt's end wakes at once what waits for it: each payment that is on its way, and each open review.
func TestResumingWakesWhatTheHaltBlocked(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	waiting, credited := pay(t, m.Order(t), 25_000_000), pay(t, m.Order(t), 25_000_000)
	m.record(t, waiting, credited)
	p, done := m.payment(t, waiting), m.payment(t, credited)
	require.Equal(t, store.CreditDone, m.credit(t, credited).Outcome)
	require.NoError(t, m.DB.OpenReview(t.Context(), process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseLate}))
	for n := 1; n <= 2; n++ {
		require.NoError(t, m.rec.Halt(t.Context(), m.session, "reorg_below_horizon"))
		require.NoError(t, m.DB.ResumeChain(t.Context(), storetest.Chain, storetest.By(), ""))
		require.NoError(t, m.DB.ResumeChain(t.Context(), storetest.Chain, storetest.By(), ""), "again changes nothing")
		require.Len(t, m.wakeUps(t, p.ID), 2+2*n)
	}
	require.Equal(t, []string{"1/seen", "1/review/late", "1/wake/1", "1/review/late/wake/1", "1/wake/2", "1/review/late/wake/2"}, m.wakeUps(t, p.ID))
	require.Equal(t, []string{"1/seen"}, m.wakeUps(t, done.ID))
	require.Equal(t, []string{"chain_resumed", "chain_resumed"}, storetest.Value[[]string](t, m.Bundle,
		`SELECT array_agg(signal) FROM outbox WHERE review_cause = 'late' AND request_id LIKE '%/wake/%'`))
}

// So does the end of an asset's halt, and only that asset's payments.
func TestResumingATokenWakesWhatItsHaltBlocked(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	waiting := pay(t, m.Order(t), 25_000_000)
	coin := pay(t, m.Order(t, func(n *store.NewOrder) { n.Asset = m.Native.Symbol }), 25_000_000)
	m.record(t, waiting, coin)
	p := m.payment(t, waiting)
	for _, of := range []payment.PaymentID{p.ID, m.payment(t, coin).ID} {
		require.NoError(t, m.DB.OpenReview(t.Context(), process.ReviewInput{PaymentID: of, Inclusion: 1, Cause: process.CauseLate}))
	}
	pinned := store.TokenState{Decimals: m.Token.Decimals, Code: storetest.Hash()}
	for _, change := range []bool{false, true, false, true, false} {
		now := pinned
		if change {
			now.Code = storetest.Hash()
		}
		_, err := m.DB.CheckToken(t.Context(), m.Token.ID, now)
		require.NoError(t, err)
		require.NoError(t, m.DB.ResumeToken(t.Context(), storetest.Chain, "USDC", pinned, storetest.By()))
	}
	require.Equal(t, []string{"1/seen", "1/review/late", "1/wake/1", "1/review/late/wake/1", "1/wake/2", "1/review/late/wake/2"}, m.wakeUps(t, p.ID))
	require.Equal(t, []string{"1/seen", "1/review/late"}, m.wakeUps(t, m.payment(t, coin).ID))
	require.Equal(t, []string{"chain_resumed", "chain_resumed"}, storetest.Value[[]string](t, m.Bundle,
		`SELECT array_agg(signal) FROM outbox WHERE review_cause = 'late' AND request_id LIKE '%/wake/%'`))
}

// A reversal of what was paid out already leaves less than nothing: a person has to know before more is paid out.
func TestAReversalThatOverdrawsIsReviewed(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t).BlockRef
	first, second := pay(t, m.Order(t), 25_000_000), pay(t, m.Order(t), 25_000_000)
	m.record(t, first, second)
	m.credit(t, first)
	m.credit(t, second)
	_, err := m.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_accounts (kind, asset_id) VALUES ('in_transit', $1)`, m.Token.ID.String())
	require.NoError(t, err)
	_, err = m.PG.Owner.Exec(t.Context(), `INSERT INTO ledger_postings (key, kind, debit_account, credit_account, asset_id, amount)
		SELECT 'payout-1', 'manual', a.id, b.id, $1, 30000000 FROM ledger_accounts a, ledger_accounts b
		 WHERE a.kind = 'merchant:available' AND b.kind = 'in_transit'`, m.Token.ID.String())
	require.NoError(t, err)
	require.Equal(t, [2]string{"20000000", "0"}, balances(t, m.Bundle, m.Token.ID))

	m.rollback(t, ancestor)
	require.Equal(t, [2]string{"-30000000", "0"}, balances(t, m.Bundle, m.Token.ID))
	p, q := m.payment(t, first), m.payment(t, second)
	causes := append(reviews(t, m.Bundle, p.ID), reviews(t, m.Bundle, q.ID)...)
	require.ElementsMatch(t, []string{"negative_balance", "reversal", "negative_balance", "reversal"}, causes)

	// Another merchant's money is not touched by that, nor is money that is only reversed.
	other := mine(t, storetest.New(t))
	ancestor = other.record(t).BlockRef
	transfer := pay(t, other.Order(t), 25_000_000)
	other.record(t, transfer)
	other.credit(t, transfer)
	other.rollback(t, ancestor)
	require.Equal(t, []string{"reversal"}, reviews(t, other.Bundle, other.payment(t, transfer).ID))
}
