package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// events lists an order's events, in their order.
func events(t *testing.T, b *storetest.Bundle, id payment.OrderID) []string {
	t.Helper()
	return storetest.Value[[]string](t, b, `SELECT COALESCE(array_agg(type ORDER BY seq), '{}') FROM events WHERE order_id = $1`, id)
}

// reviews lists the causes of the open reviews of a payment.
func reviews(t *testing.T, b *storetest.Bundle, id payment.PaymentID) []string {
	t.Helper()
	return storetest.Value[[]string](t, b,
		`SELECT COALESCE(array_agg(cause ORDER BY cause), '{}') FROM reviews WHERE payment_id = $1 AND status = 'open'`, id)
}

// balances is what the merchant has of an asset: available and held, in base units.
func balances(t *testing.T, b *storetest.Bundle, asset payment.AssetID) [2]string {
	t.Helper()
	return balancesIn(t, b, asset, b.Principal.Mode)
}

func TestCreditFulfilsTheOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	seen, err := b.DB.ReadOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, []process.PaymentView{{
		ID: p.ID, Inclusion: 1, Chain: "dev", Status: "detected", Amount: "25", AssetCode: "USDC", Block: 101, Needs: 3,
	}}, seen.Payments)

	result := b.Credit(t, p)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.ReasonAvailable, result.Reason)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Payments)
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
	require.Empty(t, reviews(t, b, p.ID))

	again := b.Credit(t, p)
	require.Equal(t, store.CreditAlready, again.Outcome)
	require.Equal(t, result.Order, again.Order)
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
	report := b.CheckBooks(t)
	require.EqualValues(t, 1, report.Postings)
	require.EqualValues(t, 1, report.CreditedPayments)
}

func TestCreditAtOnceIsOneCredit(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	second := storetest.Open(t, b.PG.ChainURL)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	in := store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount}
	outcomes := concurrently(16, func(i int) store.CreditOutcome {
		db := b.DB
		if i%2 == 0 {
			db = second
		}
		result, err := db.Credit(t.Context(), in)
		if err != nil || result.Order == nil || result.Order.State != payment.StatePaid {
			t.Errorf("credit %d: %v %v", i, result, err)
		}
		return result.Outcome
	})
	require.Equal(t, map[store.CreditOutcome]int{store.CreditDone: 1, store.CreditAlready: 15}, count(outcomes))
	require.EqualValues(t, 1, b.CheckBooks(t).Postings)
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
}

// Several payments of one order confirm at the same moment: each is posted, and the order is paid once.
func TestParallelPartsFulfilOnce(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	parts := make([]storetest.Payment, 10)
	for i := range parts {
		parts[i] = b.Pay(t, order, 2_500_000)
	}
	concurrently(len(parts), func(i int) store.CreditOutcome {
		p := parts[i]
		result, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount})
		if err != nil {
			t.Errorf("credit: %v", err)
		}
		return result.Outcome
	})
	require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))
	b.CheckBooks(t)
}

func TestStaleCreditsPostNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	outcome := func(p storetest.Payment, change ...func(*store.CreditInput)) store.CreditOutcome {
		return b.Credit(t, p, change...).Outcome
	}
	require.Equal(t, store.CreditStale, outcome(p, func(in *store.CreditInput) { in.BlockHash = storetest.Hash() }))
	require.Equal(t, store.CreditStale, outcome(p, func(in *store.CreditInput) { in.Amount = payment.AmountFromUint64(26_000_000) }))
	require.Equal(t, store.CreditStale, outcome(p, func(in *store.CreditInput) { in.Inclusion = 2 }))
	b.Drop(t, p, 110)
	require.Equal(t, store.CreditStale, outcome(p), "no canonical inclusion")
	again := b.Reinclude(t, p)
	require.Equal(t, store.CreditStale, outcome(p), "an older inclusion")
	b.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'reorg' WHERE name = 'dev'`)
	halted := b.Credit(t, again)
	require.Equal(t, store.CreditHalted, halted.Outcome)
	require.Equal(t, payment.Reason(payment.CodeChainHalted), halted.Reason)
	b.Exec(t, `UPDATE chains SET halted_at = NULL, halted_reason = NULL`)
	b.Exec(t, `UPDATE assets SET halted_at = now(), halted_reason = 'code changed' WHERE code = 'USDC'`)
	require.Equal(t, store.CreditHalted, outcome(again))
	b.Exec(t, `UPDATE assets SET halted_at = NULL, halted_reason = NULL`)
	require.EqualValues(t, 0, b.CheckBooks(t).Postings)
	require.Equal(t, store.CreditDone, outcome(again))
	b.Exec(t, `UPDATE payments SET status = 'credited' WHERE id = $1`, p.ID)
	require.Equal(t, store.CreditAlready, outcome(again))
	_, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: payment.NewPaymentID(), Inclusion: 1})
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestMoneyInParts(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	one, two := b.Pay(t, order, 10_000_000), b.Pay(t, order, 10_000_000)
	result := b.Credit(t, one)
	require.Equal(t, payment.StateConfirming, result.Order.State, "another one is on its way")
	result = b.Credit(t, two)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelUnderpaid}, result.Order.Labels)
	three := b.Pay(t, order, 7_000_000)
	result = b.Credit(t, three)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelOverpaid}, result.Order.Labels)
	require.Equal(t, []string{"order.created", "order.underpaid", "order.paid", "order.overpaid"}, events(t, b, order.ID))
	snapshot, err := b.DB.GetOrder(t.Context(), b.Principal, order.ID)
	require.NoError(t, err)
	require.Equal(t, "27", snapshot.AmountReceived)
	require.NotNil(t, snapshot.PaidAt)
	b.CheckBooks(t)
}

func TestToleranceFulfils(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) { m.ToleranceBPS = 100 })
	order := b.Order(t)
	require.Equal(t, payment.StateAwaitingPayment, b.Credit(t, b.Pay(t, order, 24_749_999-1000)).Order.State)
	require.Equal(t, payment.StatePaid, b.Credit(t, b.Pay(t, order, 1001)).Order.State)
}

func TestDustIsPostedApart(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 999)
	result := b.Credit(t, p)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.ReasonDust, result.Reason)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Empty(t, result.Order.Labels)
	require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))
	require.Equal(t, "999", storetest.Value[string](t, b, `SELECT balance::text FROM ledger_balances WHERE kind = 'dust'`))

	// What counts as dust later changes nothing about what was posted.
	b.Exec(t, `UPDATE assets SET dust_below = 0`)
	snapshot, err := b.DB.GetOrder(t.Context(), b.Principal, order.ID)
	require.NoError(t, err)
	require.Equal(t, "0", snapshot.AmountReceived)
	rest := b.Credit(t, b.Pay(t, order, 25_000_000-999))
	require.Equal(t, payment.StateAwaitingPayment, rest.Order.State)
	b.CheckBooks(t)
}

func TestMoneyThatNobodyAskedFor(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	native := b.Pay(t, order, 5_000_000, func(p *storetest.Payment) { p.Asset = b.Native.ID })
	result := b.Credit(t, native)
	require.Equal(t, payment.StateAwaitingPayment, result.Order.State)
	require.Equal(t, []payment.Label{payment.LabelWrongAsset}, result.Order.Labels)
	require.Equal(t, []string{"wrong_asset"}, reviews(t, b, native.ID))
	require.Equal(t, [2]string{"5000000", "0"}, balances(t, b, b.Native.ID), "posted as what it is")

	elsewhere := b.Pay(t, order, 7_000_000, func(p *storetest.Payment) { p.Chain, p.Asset = storetest.Other, b.OtherNative.ID })
	result = b.Credit(t, elsewhere)
	require.Equal(t, []payment.Label{payment.LabelWrongAsset, payment.LabelWrongNetwork}, result.Order.Labels)
	require.Equal(t, []string{"wrong_asset"}, reviews(t, b, elsewhere.ID))
	require.Equal(t, [2]string{"7000000", "0"}, balances(t, b, b.OtherNative.ID))
	require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))
	require.Equal(t, 2, storetest.Value[int](t, b, `SELECT count(*) FROM outbox WHERE review_cause = 'wrong_asset'`))

	// In the right asset the order is paid as if nothing had happened.
	require.Equal(t, payment.StatePaid, b.Credit(t, b.Pay(t, order, 25_000_000)).Order.State)
	b.CheckBooks(t)
}

func TestAReviewHolds(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	result := b.Credit(t, p, func(in *store.CreditInput) { in.Review = process.CauseDisagreement })
	require.Equal(t, payment.StatePaid, result.Order.State, "the order is paid, the merchant's money waits")
	require.Equal(t, [2]string{"0", "25000000"}, balances(t, b, b.Token.ID))
	require.Equal(t, []string{"held"}, reviews(t, b, p.ID))

	// An open review holds whoever credits.
	other := b.Order(t)
	q := b.Pay(t, other, 25_000_000)
	_, err := b.DB.ReadReview(t.Context(), process.ReviewInput{PaymentID: q.ID, Inclusion: 1, Cause: process.CauseHeld})
	require.NoError(t, err)
	b.Credit(t, q)
	require.Equal(t, [2]string{"0", "50000000"}, balances(t, b, b.Token.ID))

	for range 2 {
		_, err = b.DB.ResolveReview(t.Context(), process.ResolveReviewInput{
			Review: process.ReviewInput{PaymentID: q.ID, Inclusion: 1, Cause: process.CauseHeld},
			By:     storetest.By(), RequestID: "release-1", Move: process.MoveRelease,
		})
		require.NoError(t, err)
		require.Equal(t, [2]string{"25000000", "25000000"}, balances(t, b, b.Token.ID))
	}
	b.CheckBooks(t)
}

func TestLoadSettlement(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	order := b.Order(t, func(n *store.NewOrder) { n.Wish.Confirmations = 12 })
	p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Position = 4 })
	s, err := b.DB.LoadSettlement(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, p.ID, s.PaymentID)
	require.Equal(t, order.ID, s.OrderID)
	require.Equal(t, payment.StatusDetected, s.Status)
	require.Equal(t, b.Token, s.Asset)
	require.Equal(t, p.TxHash, s.TxHash)
	require.EqualValues(t, 4, s.Position)
	require.Equal(t, p.To, s.To)
	require.Equal(t, payment.BlockRef{Number: 101, Hash: p.Block.Hash, Time: p.Block.Time}, s.Block)
	require.Equal(t, payment.ConfirmationPolicy{Confirmations: 12}, s.Policy)
	require.True(t, s.Canonical)
	require.False(t, s.Credited || s.Dust || s.Native)

	elsewhere := b.Pay(t, order, 7, func(p *storetest.Payment) { p.Chain, p.Asset = storetest.Other, b.OtherNative.ID })
	b.Exec(t, `UPDATE chains SET halted_at = now(), halted_reason = 'reorg' WHERE name = 'other'`)
	s, err = b.DB.LoadSettlement(t.Context(), elsewhere.ID)
	require.NoError(t, err)
	require.EqualValues(t, storetest.Confirmations, s.Policy.Confirmations, "another chain, its own policy")
	require.True(t, s.Dust && s.Native)
	require.Equal(t, payment.CodeChainHalted, s.Halted)

	b.Credit(t, p)
	b.Drop(t, elsewhere, 104)
	s, err = b.DB.LoadSettlement(t.Context(), p.ID)
	require.NoError(t, err)
	require.True(t, s.Credited)
	s, err = b.DB.LoadSettlement(t.Context(), elsewhere.ID)
	require.NoError(t, err)
	require.False(t, s.Canonical)
	_, err = b.DB.LoadSettlement(t.Context(), payment.NewPaymentID())
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

// A transaction that dies half-way leaves nothing: not the posting that was written before, not a label, not a number.
func TestCreditIsAllOrNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.AddEndpoint(t, "https://shop.example.com/hook")
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	for _, table := range []string{"ledger_postings", "events", "callbacks"} {
		breakTable(t, b, table)
		_, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount})
		require.ErrorContains(t, err, "broken on purpose", table)
		mendTable(t, b, table)
		require.EqualValues(t, 0, b.CheckBooks(t).Postings)
		view, err := b.DB.ReadOrder(t.Context(), order.ID)
		require.NoError(t, err)
		require.Equal(t, payment.StateConfirming, view.State)
		require.Equal(t, []string{"order.created"}, events(t, b, order.ID))
	}
	require.Equal(t, store.CreditDone, b.Credit(t, p).Outcome)
	require.Equal(t, 2, storetest.Value[int](t, b, `SELECT event_seq FROM orders WHERE id = $1`, order.ID))
}

// breakTable makes every insert into the table fail.
func breakTable(t *testing.T, b *storetest.Bundle, table string) {
	t.Helper()
	for _, sql := range []string{
		`CREATE OR REPLACE FUNCTION break() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'broken on purpose'; END $$`,
		`CREATE TRIGGER broken AFTER INSERT ON ` + table + ` FOR EACH ROW EXECUTE FUNCTION break()`,
	} {
		_, err := b.PG.Owner.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

func mendTable(t *testing.T, b *storetest.Bundle, table string) {
	t.Helper()
	_, err := b.PG.Owner.Exec(t.Context(), `DROP TRIGGER broken ON `+table)
	require.NoError(t, err)
}
