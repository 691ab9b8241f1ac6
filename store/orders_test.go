package store_test

import (
	"bytes"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// rows counts what creating an order writes.
func rows(t *testing.T, b *storetest.Bundle) int {
	t.Helper()
	return storetest.Value[int](t, b, `SELECT (SELECT count(*) FROM orders) + (SELECT count(*) FROM idempotency_keys)
		+ (SELECT count(*) FROM webhook_endpoints) + (SELECT count(*) FROM events)`)
}

func TestCreateOrderWritesWhatWasAsked(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) {
		window := time.Hour
		m.LatePolicy, m.LateWindow, m.PaymentPolicy, m.ToleranceBPS = payment.LateHold, &window, payment.PaymentHold, 100
	})
	n := b.NewOrder(func(n *store.NewOrder) {
		n.Wish.Confirmations, n.Reference, n.Metadata = 12, "invoice-1", map[string]string{"cart": "8842"}
		n.CallbackURL = "https://shop.example.com/hook"
	})
	claim, err := b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, store.ClaimFresh, claim.Outcome)

	var state, paymentPolicy, latePolicy, reference, metadata, source string
	var fulfil, amount string
	var confirmations, expires, window int
	var sealedFor *string
	err = b.PG.Owner.QueryRow(t.Context(), `SELECT o.state, o.amount::text, o.fulfil_amount::text, o.confirmations, o.expires_in_seconds,
			o.payment_policy, o.late_policy, o.late_window_seconds, o.reference, o.metadata::text, e.source, e.sealed_for
		FROM orders o JOIN webhook_endpoints e ON e.id = o.callback_endpoint_id WHERE o.id = $1`, claim.OrderID).
		Scan(&state, &amount, &fulfil, &confirmations, &expires, &paymentPolicy, &latePolicy, &window, &reference, &metadata, &source, &sealedFor)
	require.NoError(t, err)
	require.Equal(t, []string{"opening", "25000000", "24750000", "hold", "hold", "invoice-1", `{"cart": "8842"}`, "order"},
		[]string{state, amount, fulfil, paymentPolicy, latePolicy, reference, metadata, source})
	require.Equal(t, []int{12, 1800, 3600}, []int{confirmations, expires, window})
	require.Equal(t, string(b.Merchant), *sealedFor)

	_, err = b.DB.GetOrder(t.Context(), b.Principal, claim.OrderID)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err), "an order without address is nobody's business yet")
}

func TestIdempotencyKeyFindsItsOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	n := b.NewOrder()
	first, err := b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)

	_, err = b.DB.CreateOrder(t.Context(), n)
	require.Equal(t, payment.CodeIdempotencyInFlight, payment.CodeOf(err))
	wait, ok := store.RetryAfterOf(err)
	require.True(t, ok)
	require.Greater(t, wait, 20*time.Second)
	require.LessOrEqual(t, wait, 30*time.Second)

	other := n
	other.BodyHash[0]++
	_, err = b.DB.CreateOrder(t.Context(), other)
	require.Equal(t, payment.CodeIdempotencyMismatch, payment.CodeOf(err))

	// Nobody but its owner releases it.
	require.NoError(t, b.DB.ReleaseClaim(t.Context(), first.OrderID, "somebody"))
	_, err = b.DB.CreateOrder(t.Context(), n)
	require.Equal(t, payment.CodeIdempotencyInFlight, payment.CodeOf(err))
	require.NoError(t, b.DB.ReleaseClaim(t.Context(), first.OrderID, n.Owner))
	n.Owner = "second"
	taken, err := b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, store.Claim{OrderID: first.OrderID, Outcome: store.ClaimTakenOver}, taken)

	// The second process dies; its lock runs out.
	b.Exec(t, `UPDATE idempotency_keys SET locked_until = now() - interval '1 second' WHERE order_id = $1`, first.OrderID)
	n.Owner = "third"
	taken, err = b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, store.ClaimTakenOver, taken.Outcome)

	answer := store.Answer{Status: 201, Body: []byte(`{"id":"x"}`)}
	stored, err := b.DB.CompleteClaim(t.Context(), first.OrderID, answer)
	require.NoError(t, err)
	require.Equal(t, answer, stored)
	stored, err = b.DB.CompleteClaim(t.Context(), first.OrderID, store.Answer{Status: 201, Body: []byte("later")})
	require.NoError(t, err)
	require.Equal(t, answer, stored, "the first answer wins")
	require.NoError(t, b.DB.ReleaseClaim(t.Context(), first.OrderID, "third"))

	replay, err := b.DB.CreateOrder(t.Context(), n)
	require.NoError(t, err)
	require.Equal(t, store.Claim{OrderID: first.OrderID, Outcome: store.ClaimReplayed, Answer: answer}, replay)
	_, err = b.DB.CreateOrder(t.Context(), other)
	require.Equal(t, payment.CodeIdempotencyMismatch, payment.CodeOf(err))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM orders`))

	_, err = b.DB.CompleteClaim(t.Context(), payment.NewOrderID(), answer)
	require.Equal(t, payment.CodeNotFound, payment.CodeOf(err))
}

func TestIdempotencyKeysAreApartByMerchantAndMode(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	b.EnableLive(t)
	n := b.NewOrder()
	otherMerchant, _ := b.NewMerchant(t)
	ids := map[payment.OrderID]bool{}
	for _, change := range []func(*store.NewOrder){
		func(*store.NewOrder) {},
		storetest.OnLive,
		func(o *store.NewOrder) { o.Merchant = otherMerchant },
	} {
		o := n
		change(&o)
		claim, err := b.DB.CreateOrder(t.Context(), o)
		require.NoError(t, err)
		require.Equal(t, store.ClaimFresh, claim.Outcome)
		ids[claim.OrderID] = true
	}
	require.Len(t, ids, 3)
}

func TestOneKeyAtOnceIsOneOrder(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	n := b.NewOrder(func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/hook" })
	outcomes := concurrently(24, func(int) string {
		claim, err := b.DB.CreateOrder(t.Context(), n)
		if err != nil {
			return string(payment.CodeOf(err))
		}
		return string(claim.Outcome)
	})
	require.Equal(t, map[string]int{"fresh": 1, "idempotency_in_flight": 23}, count(outcomes))
	require.Equal(t, 1, storetest.Value[int](t, b, `SELECT count(*) FROM orders`))
}

func TestCapOnOpenOrdersHoldsUnderConcurrency(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) { m.MaxOpenOrders = 5 })
	outcomes := concurrently(20, func(int) string {
		_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
		return string(payment.CodeOf(err))
	})
	require.Equal(t, map[string]int{"": 5, "open_order_cap": 15}, count(outcomes))

	// Closed orders and those that never opened make room; others do not.
	b.Exec(t, `UPDATE orders SET created_at = now() - interval '2 hours' WHERE id = (SELECT min(id) FROM orders)`)
	order := b.Order(t)
	_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
	require.Equal(t, payment.CodeOpenOrderCap, payment.CodeOf(err))
	_, err = b.DB.CancelOrder(t.Context(), cancel(order.ID))
	require.NoError(t, err)
	_, err = b.DB.CreateOrder(t.Context(), b.NewOrder())
	require.NoError(t, err)
}

func TestCreationRate(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) { m.OrdersPerMinute = 3 })
	outcomes := concurrently(8, func(int) string {
		_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
		return string(payment.CodeOf(err))
	})
	require.Equal(t, map[string]int{"": 3, "rate_limited": 5}, count(outcomes))
	b.Exec(t, `UPDATE orders SET created_at = created_at - interval '50 seconds'`)
	_, err := b.DB.CreateOrder(t.Context(), b.NewOrder())
	wait, ok := store.RetryAfterOf(err)
	require.True(t, ok, "%v", err)
	require.Greater(t, wait, time.Duration(0))
	require.LessOrEqual(t, wait, 10*time.Second)
	b.Exec(t, `UPDATE orders SET created_at = created_at - interval '11 seconds'`)
	_, err = b.DB.CreateOrder(t.Context(), b.NewOrder())
	require.NoError(t, err)
}

func TestRefusedOrdersLeaveNothing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	exec := func(sql string) func() { return func() { b.Exec(t, sql) } }
	for _, tc := range []struct {
		name      string
		code      payment.Code
		param     string
		change    func(*store.NewOrder)
		spoil, un func()
	}{
		{name: "no amount", code: payment.CodeInvalidAmount, param: "amount", change: func(n *store.NewOrder) { n.Amount = payment.Amount{} }},
		{name: "less than dust", code: payment.CodeInvalidAmount, param: "amount", change: func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(999) }},
		{
			name: "fulfilled by dust", code: payment.CodeInvalidAmount, param: "amount",
			change: func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(1_100) },
			spoil:  exec(`UPDATE assets SET tolerance = 101 WHERE code = 'USDC'`), un: exec(`UPDATE assets SET tolerance = 0`),
		},
		{name: "too short", code: payment.CodeInvalidExpiry, param: "expires_in", change: func(n *store.NewOrder) { n.ExpiresIn = 59 * time.Second }},
		{name: "too long", code: payment.CodeInvalidExpiry, param: "expires_in", change: func(n *store.NewOrder) { n.ExpiresIn = 7*24*time.Hour + time.Second }},
		{name: "part of a second", code: payment.CodeInvalidExpiry, param: "expires_in", change: func(n *store.NewOrder) { n.ExpiresIn += time.Millisecond }},
		{name: "unknown chain", code: payment.CodeUnknownChain, param: "chain", change: func(n *store.NewOrder) { n.Chain = "mars" }},
		{name: "unknown asset", code: payment.CodeUnknownAsset, param: "asset", change: func(n *store.NewOrder) { n.Asset = "DOGE" }},
		{name: "asset of another chain", code: payment.CodeUnknownAsset, param: "asset", change: func(n *store.NewOrder) { n.Chain = storetest.Other }},
		{name: "fewer confirmations", code: payment.CodeConfirmationsTooLow, param: "confirmations", change: func(n *store.NewOrder) { n.Wish.Confirmations = 2 }},
		{name: "absurd confirmations", code: payment.CodeInvalidParameter, param: "confirmations", change: func(n *store.NewOrder) { n.Wish.Confirmations = 1 << 40 }},
		{name: "unknown merchant", code: payment.CodeNotFound, change: func(n *store.NewOrder) { n.Merchant = payment.NewMerchantID() }},
		{
			name: "disabled chain", code: payment.CodeChainDisabled, param: "chain",
			spoil: exec(`UPDATE chains SET enabled = false WHERE name = 'dev'`), un: exec(`UPDATE chains SET enabled = true`),
		},
		{
			name: "halted chain", code: payment.CodeChainLagging, param: "chain",
			spoil: exec(`UPDATE chains SET halted_at = now(), halted_reason = 'reorg' WHERE name = 'dev'`),
			un:    exec(`UPDATE chains SET halted_at = NULL, halted_reason = NULL`),
		},
		{
			name: "disabled asset", code: payment.CodeAssetDisabled, param: "asset",
			spoil: exec(`UPDATE assets SET enabled = false WHERE code = 'USDC'`), un: exec(`UPDATE assets SET enabled = true`),
		},
		{
			name: "halted asset", code: payment.CodeAssetDisabled, param: "asset",
			spoil: exec(`UPDATE assets SET halted_at = now(), halted_reason = 'code changed' WHERE code = 'USDC'`),
			un:    exec(`UPDATE assets SET halted_at = NULL, halted_reason = NULL`),
		},
		{
			name: "locked wallet", code: payment.CodeAddressesExhausted,
			spoil: exec(`UPDATE xpubs SET locked_at = now()`), un: exec(`UPDATE xpubs SET locked_at = NULL`),
		},
		{
			name: "no wallet", code: payment.CodeAddressesExhausted,
			spoil: exec(`UPDATE xpubs SET retired_at = now()`), un: exec(`UPDATE xpubs SET retired_at = NULL`),
		},
		{
			name: "disabled merchant", code: payment.CodeMerchantDisabled,
			spoil: exec(`UPDATE merchants SET disabled_at = now()`), un: exec(`UPDATE merchants SET disabled_at = NULL`),
		},
	} {
		n := b.NewOrder(func(n *store.NewOrder) { n.CallbackURL = "https://shop.example.com/" + storetest.Hash().String() })
		if tc.change != nil {
			tc.change(&n)
		}
		if tc.spoil != nil {
			tc.spoil()
		}
		before := rows(t, b)
		_, err := b.DB.CreateOrder(t.Context(), n)
		require.Equal(t, tc.code, payment.CodeOf(err), "%s: %v", tc.name, err)
		var problem *payment.Error
		require.ErrorAs(t, err, &problem)
		require.Equal(t, tc.param, problem.Param, tc.name)
		require.Equal(t, before, rows(t, b), tc.name)
		if tc.un != nil {
			tc.un()
		}
	}
	b.Order(t)
}

func TestACallbackURLIsOneEndpoint(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	own := b.AddEndpoint(t, "https://shop.example.com/own", payment.EventOrderPaid)
	endpointOf := func(url string) string {
		id := b.Opening(t, func(n *store.NewOrder) { n.CallbackURL = url })
		return storetest.Value[string](t, b, `SELECT callback_endpoint_id FROM orders WHERE id = $1`, id)
	}
	require.Equal(t, string(own), endpointOf("https://shop.example.com/own"))
	first := endpointOf("https://shop.example.com/a")
	require.Equal(t, first, endpointOf("https://shop.example.com/a"))
	require.NotEqual(t, first, endpointOf("https://shop.example.com/b"))

	// Made the merchant's own, it keeps its id and the secret that it signs with.
	require.Equal(t, payment.EndpointID(first), b.AddEndpoint(t, "https://shop.example.com/a"))
	require.Equal(t, "merchant", storetest.Value[string](t, b, `SELECT source FROM webhook_endpoints WHERE id = $1`, first))
}

func TestPruneClaimsForgetsOldKeysOnly(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	old, recent := b.NewOrder(), b.NewOrder()
	first, err := b.DB.CreateOrder(t.Context(), old)
	require.NoError(t, err)
	second, err := b.DB.CreateOrder(t.Context(), recent)
	require.NoError(t, err)
	b.Exec(t, `UPDATE idempotency_keys SET created_at = now() - interval '31 days' WHERE order_id = $1`, first.OrderID)
	n, err := b.DB.PruneClaims(t.Context(), 30*24*time.Hour, 10)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	again, err := b.DB.CreateOrder(t.Context(), old)
	require.NoError(t, err)
	require.Equal(t, store.ClaimFresh, again.Outcome)
	require.NoError(t, b.DB.ReleaseClaim(t.Context(), second.OrderID, recent.Owner))
	again, err = b.DB.CreateOrder(t.Context(), recent)
	require.NoError(t, err)
	require.Equal(t, second.OrderID, again.OrderID)
}

// concurrently runs f n times at once.
func concurrently[T any](n int, f func(i int) T) []T {
	results := make([]T, n)
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() {
			<-start
			results[i] = f(i)
		})
	}
	close(start)
	wg.Wait()
	return results
}

func count[T comparable](values []T) map[T]int {
	counts := map[T]int{}
	for _, v := range values {
		counts[v]++
	}
	return counts
}

func TestMetadataComesBackAsSent(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	metadata := map[string]string{"a": "é\u202e<b>\"", "": "empty key", "long": string(bytes.Repeat([]byte("x"), 500))}
	order := b.Order(t, func(n *store.NewOrder) { n.Metadata, n.Reference = metadata, "a\\b" })
	got, err := b.DB.GetOrder(t.Context(), b.Principal, order.ID)
	require.NoError(t, err)
	require.Equal(t, metadata, got.Metadata)
	require.Equal(t, "a\\b", got.Reference)
}
