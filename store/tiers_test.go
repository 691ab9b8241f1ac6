package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// tier asks for more of the bundle's token from so many base units on.
func tier(t *testing.T, b *storetest.Bundle, from, confirmations uint64, tag payment.Tag) {
	t.Helper()
	key := store.TierKey{Chain: storetest.Chain, Asset: &b.Token.ID, From: payment.AmountFromUint64(from)}
	require.NoError(t, b.DB.SetConfirmationTier(t.Context(), key, payment.ConfirmationPolicy{Confirmations: confirmations, Tag: tag}, storetest.By()))
}

func policy(t *testing.T, b *storetest.Bundle, id payment.PaymentID) payment.ConfirmationPolicy {
	t.Helper()
	s, err := b.DB.LoadSettlement(t.Context(), id)
	require.NoError(t, err)
	return s.Policy
}

func met(confirmations uint64, tag payment.Tag) func(*store.CreditInput) {
	return func(in *store.CreditInput) {
		in.Policy = payment.ConfirmationPolicy{Confirmations: confirmations, Tag: tag}
	}
}

// What an order is due picks the tier of each of its payments, however small they are.
func TestALargeOrderPaidInPiecesDoesNotSlipThrough(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	tier(t, b, 20_000_000, 40, payment.TagFinalized)
	order := b.Order(t)
	for range 25 {
		p := b.Pay(t, order, 1_000_000)
		require.Equal(t, payment.ConfirmationPolicy{Confirmations: 40, Tag: payment.TagFinalized}, policy(t, b, p.ID))
		require.Equal(t, store.CreditStale, b.Credit(t, p).Outcome, "three confirmations are not enough")
		require.Equal(t, store.CreditStale, b.Credit(t, p, met(40, payment.TagSafe)).Outcome)
		require.Equal(t, store.CreditStale, b.Credit(t, p, met(39, payment.TagFinalized)).Outcome)
		require.Equal(t, store.CreditDone, b.Credit(t, p, met(40, payment.TagFinalized)).Outcome)
	}
	snapshot, err := b.DB.GetOrder(t.Context(), b.Principal, order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, snapshot.State)
	require.Equal(t, 40, snapshot.ConfirmationsRequired)
	require.Equal(t, payment.TagFinalized, snapshot.FinalityRequired)
	b.CheckBooks(t)
}

// A small order that is paid too much grows into a higher tier, between check and credit too.
func TestPaymentsThatSumUpReachAHigherTier(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	tier(t, b, 30_000_000, 12, payment.TagNone)
	order := b.Order(t)
	first := b.Pay(t, order, 20_000_000)
	require.EqualValues(t, storetest.Confirmations, policy(t, b, first.ID).Confirmations)

	second := b.Pay(t, order, 10_000_000)
	require.EqualValues(t, 12, policy(t, b, first.ID).Confirmations)
	require.EqualValues(t, 12, policy(t, b, second.ID).Confirmations)
	view, err := b.DB.ReadOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Len(t, view.Payments, 2)
	for _, p := range view.Payments {
		require.Equal(t, 12, p.Needs)
	}
	require.Equal(t, store.CreditStale, b.Credit(t, first, met(storetest.Confirmations, "")).Outcome, "checked before the second came")
	require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))

	// What left the chain is not at stake any more.
	b.Drop(t, second, 200)
	require.EqualValues(t, storetest.Confirmations, policy(t, b, first.ID).Confirmations)
	require.Equal(t, store.CreditDone, b.Credit(t, first, met(storetest.Confirmations, "")).Outcome)
	// What was credited still is.
	second = b.Reinclude(t, second)
	require.EqualValues(t, 12, policy(t, b, second.ID).Confirmations)
	b.CheckBooks(t)
}

func TestTheOrdersWishAndTheChainsPolicyCountBesideTheTiers(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	tier(t, b, 25_000_000, 6, payment.TagSafe)
	tier(t, b, 10_000_000, 2, payment.TagNone) // weaker than the chain's own: it takes nothing back
	tier(t, b, 25_000_001, 60, payment.TagFinalized)
	wishing := b.Order(t, func(n *store.NewOrder) { n.Wish.Confirmations = 9 })
	require.Equal(t, payment.ConfirmationPolicy{Confirmations: 9, Tag: payment.TagSafe}, policy(t, b, b.Pay(t, wishing, 1_000_000).ID))
	small := b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(10_000_000) })
	p := b.Pay(t, small, 1_000_000)
	require.Equal(t, payment.ConfirmationPolicy{Confirmations: 3}, policy(t, b, p.ID))
	b.Exec(t, `UPDATE chains SET confirmations = 5 WHERE name = $1`, storetest.Chain)
	require.Equal(t, payment.ConfirmationPolicy{Confirmations: 5}, policy(t, b, p.ID))
}

// Money in another asset is weighed by what there is of that asset; a tier of any asset counts whole coins.
func TestTheTierOfAnotherAsset(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	tier(t, b, 1, 40, payment.TagFinalized)
	anyAsset := store.TierKey{Chain: storetest.Chain, From: payment.AmountFromUint64(2)}
	require.NoError(t, b.DB.SetConfirmationTier(t.Context(), anyAsset, payment.ConfirmationPolicy{Confirmations: 7}, storetest.By()))
	order := b.Order(t)
	native := func(p *storetest.Payment) { p.Asset = b.Native.ID }
	coin := uint64(1_000_000_000_000_000_000)
	first := b.Pay(t, order, coin, native)
	require.EqualValues(t, 3, policy(t, b, first.ID).Confirmations)
	second := b.Pay(t, order, coin, native)
	require.EqualValues(t, 7, policy(t, b, first.ID).Confirmations)
	require.EqualValues(t, 7, policy(t, b, second.ID).Confirmations)
	require.EqualValues(t, 40, policy(t, b, b.Pay(t, order, 1_000_000).ID).Confirmations)
	elsewhere := b.Pay(t, order, 3*coin, func(p *storetest.Payment) { p.Chain, p.Asset = storetest.Other, b.OtherNative.ID })
	require.EqualValues(t, 3, policy(t, b, elsewhere.ID).Confirmations, "the other chain has no tiers")
}

// Deposits have no order: they sum up at their customer's address within an hour.
func TestDepositsSumUpWithinAnHour(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	tier(t, b, 30_000_000, 12, payment.TagNone)
	order, other := b.Order(t), b.Order(t)
	at := time.Now().UTC().Truncate(time.Microsecond)
	deposit := func(order process.OrderView, amount uint64, after time.Duration) storetest.Payment {
		p := b.Pay(t, order, amount, func(p *storetest.Payment) { p.Block.Time = at.Add(after) })
		b.Exec(t, `UPDATE payments SET order_id = NULL WHERE id = $1`, p.ID)
		return p
	}
	first := deposit(order, 20_000_000, 0)
	early := deposit(order, 20_000_000, -61*time.Minute)
	deposit(other, 20_000_000, time.Minute) // somebody else's
	require.EqualValues(t, 3, policy(t, b, first.ID).Confirmations)
	require.EqualValues(t, 3, policy(t, b, early.ID).Confirmations)
	second := deposit(order, 10_000_000, 59*time.Minute)
	require.EqualValues(t, 12, policy(t, b, first.ID).Confirmations)
	require.EqualValues(t, 12, policy(t, b, second.ID).Confirmations)
	require.EqualValues(t, 3, policy(t, b, early.ID).Confirmations)
	require.Equal(t, store.CreditStale, b.Credit(t, first).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, first, met(12, "")).Outcome)
	b.CheckBooks(t)
}

// So does what orders do not take of the payments to their customer's address.
func TestWhatOrdersDoNotTakeSumsUpToo(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	tier(t, m.Bundle, 30_000_000, 12, payment.TagNone)
	orders, _ := m.ann(t, 1e6, 2e6)
	first, second := pay(t, orders[0], 16e6), pay(t, orders[1], 17e6)
	m.record(t, first)
	require.EqualValues(t, 3, policy(t, m.Bundle, m.payment(t, first).ID).Confirmations)
	m.record(t, second)
	require.EqualValues(t, 12, policy(t, m.Bundle, m.payment(t, first).ID).Confirmations)
	require.EqualValues(t, 12, policy(t, m.Bundle, m.payment(t, second).ID).Confirmations)
}

// The event that announces a payment says how deep it is and how deep it has to be, the tag included.
func TestDetectionTellsBothNumbers(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	tier(t, m.Bundle, 30_000_000, 12, payment.TagSafe)
	order := m.Order(t)
	body := func() (data payment.EventData) {
		raw := storetest.Value[[]byte](t, m.Bundle, `SELECT body FROM events WHERE order_id = $1 ORDER BY seq DESC LIMIT 1`, order.ID)
		var event struct {
			Type payment.EventType
			Data payment.EventData
		}
		require.NoError(t, json.Unmarshal(raw, &event))
		require.Equal(t, payment.EventOrderPaymentDetected, event.Type)
		return event.Data
	}
	m.record(t, pay(t, order, 25_000_000))
	require.Equal(t, 1, body().Payment.Confirmations)
	require.Equal(t, 3, body().Payment.ConfirmationsRequired)
	require.Empty(t, body().Payment.FinalityRequired)
	m.record(t, pay(t, order, 5_000_000))
	require.Equal(t, 12, body().Payment.ConfirmationsRequired)
	require.Equal(t, payment.TagSafe, body().Payment.FinalityRequired)
	require.Equal(t, 12, body().Order.ConfirmationsRequired)
	require.Equal(t, payment.TagSafe, body().Order.FinalityRequired)
}
