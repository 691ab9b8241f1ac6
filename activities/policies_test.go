package activities_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// oracle is nodes that have every payment, to a depth and on evidence that the test sets.
type oracle struct {
	chain.Source

	heads    payment.Heads
	evidence payment.Evidence
	err      error
	asked    []chain.Demand
}

func (o *oracle) CheckInclusion(_ context.Context, in chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	o.asked = append(o.asked, demand)
	return chain.Check{Outcome: chain.Included, Heads: o.heads, Depth: o.heads.Depth(in.BlockNumber), Evidence: o.evidence}, o.err
}

type oracles struct{ *oracle }

func (o oracles) Source(context.Context, string) (activities.Source, error) { return o.oracle, nil }

// settles runs settling against a real database.
func settles(b *storetest.Bundle, o *oracle) *activities.Chain {
	return &activities.Chain{Settle: b.DB, Sources: oracles{o}, Log: discard()}
}

func tokenTier(b *storetest.Bundle, from uint64) store.TierKey {
	return store.TierKey{Chain: storetest.Chain, Asset: &b.Token.ID, From: payment.AmountFromUint64(from)}
}

// The tier goes by what the order is due, from the row to the credit: pieces wait like the whole.
func TestPiecesOfALargeOrderWaitForItsTier(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	require.NoError(t, b.DB.SetConfirmationTier(t.Context(), tokenTier(b, 20_000_000), payment.ConfirmationPolicy{Confirmations: 10, Tag: payment.TagFinalized}, storetest.By()))
	order := b.Order(t)
	o := &oracle{heads: payment.Heads{Latest: 103}, evidence: payment.EvidenceSingle}
	c := settles(b, o)
	for range 5 {
		p := b.Pay(t, order, 5_000_000)
		o.heads = payment.Heads{Latest: 103}
		_, err := run[process.SettleResult](t, c.SettlePayment, process.SettleInput{PaymentID: p.ID})
		requireWaiting(t, err, time.Second, 30*time.Second, "3 of 10 confirmations")
		o.heads = payment.Heads{Latest: 200, Finalized: 100}
		_, err = run[process.SettleResult](t, c.SettlePayment, process.SettleInput{PaymentID: p.ID})
		requireWaiting(t, err, time.Second, 30*time.Second, "waiting for finalized")
		o.heads.Finalized = 101
		result, err := run[process.SettleResult](t, c.SettlePayment, process.SettleInput{PaymentID: p.ID})
		require.NoError(t, err)
		require.Equal(t, process.SettleCredited, result.Outcome)
	}
	view, err := b.DB.ReadOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, view.State)
	for _, demand := range o.asked {
		require.Equal(t, payment.TagFinalized, demand.Tag)
	}
	b.CheckBooks(t)
}

// Too little evidence is waited for and then reviewed; what the review credits is held until somebody releases it.
func TestMoneyThatTooFewVouchForIsReviewedAndHeld(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	require.NoError(t, b.DB.SetEvidenceTier(t.Context(), tokenTier(b, 20_000_000), payment.EvidenceAgreed, storetest.By()))
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	o := &oracle{heads: payment.Heads{Latest: 200}, evidence: payment.EvidenceSingle}
	c := settles(b, o)
	in := process.SettleInput{PaymentID: p.ID}
	_, err := run[process.SettleResult](t, c.SettlePayment, in)
	requireWaiting(t, err, time.Second, 30*time.Second, "evidence")
	require.Equal(t, payment.EvidenceAgreed, o.asked[0].Evidence)
	for range 2 {
		result, err := run[process.SettleResult](t, c.SettlePayment, in, trouble{"evidence", time.Now().Add(-2 * time.Hour)})
		require.NoError(t, err)
		require.Equal(t, process.SettleDisagreement, result.Outcome)
		require.Equal(t, payment.StateConfirming, result.Order.State)
	}
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM reviews WHERE cause = 'disagreement' AND status = 'open'`))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM outbox WHERE review_cause = 'disagreement'`))

	o.evidence = payment.EvidenceProven
	in.Review = process.CauseDisagreement
	result, err := run[process.SettleResult](t, c.SettlePayment, in)
	require.NoError(t, err)
	require.Equal(t, process.SettleCredited, result.Outcome)
	require.Equal(t, "merchant:held", storetest.Value[string](t, b,
		`SELECT a.kind FROM ledger_postings p JOIN ledger_accounts a ON a.id = p.credit_account`))
	require.Equal(t, "proven", storetest.Value[string](t, b, `SELECT evidence FROM payments`))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM outbox WHERE order_id IS NOT NULL AND review_cause IS NULL`), "the order is told")
	b.CheckBooks(t)
}
