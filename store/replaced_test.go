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

// spedUp is the same transfer, signed again.
func spedUp(transfer payment.Transfer, change ...func(*payment.Transfer)) payment.Transfer {
	transfer.TxHash = storetest.Hash()
	for _, f := range change {
		f(&transfer)
	}
	return transfer
}

func TestAReplacedPaymentLosesItsPlace(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	first := pay(t, orders[0], 25e6)
	m.record(t, first)
	m.rollback(t, ancestor)
	second := spedUp(first)
	m.record(t, second)
	require.Equal(t, "#0 25000000", m.allocated(t, second, names))
	require.Nil(t, m.payment(t, first).Returns, "nobody waits for it any more")
	require.Equal(t, []string{"1/seen", "1/dropped", "1/given_up"}, m.wakeUps(t, m.payment(t, first).ID))
	require.Equal(t, payment.StateConfirming, m.state(t, orders[0].ID))
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.payment_detected"}, m.events(t, orders[0].ID))
	m.CheckBooks(t)

	// The chain changes its mind once more: whichever is mined has the order.
	m.rollback(t, ancestor)
	m.record(t, first)
	require.Equal(t, "#0 25000000", m.allocated(t, first, names))
	require.Nil(t, m.payment(t, second).Returns)
	m.rollback(t, ancestor)
	m.record(t, second)
	require.Equal(t, "#0 25000000", m.allocated(t, second, names))
	require.Equal(t, payment.StatePaid, m.credit(t, second).Order.State)
	m.CheckBooks(t)

	// Equal, and no replacement after all: mined too, it is allocated anew.
	m.record(t, first)
	require.Equal(t, "deposit", m.allocated(t, first, names))
	m.credit(t, first)
	require.Equal(t, payment.EventDepositCredited, m.told(t, first)[0].Type)
	require.Equal(t, [2]string{"50000000", "0"}, balances(t, m.Bundle, m.Token.ID))
	m.CheckBooks(t)
}

// Only what moves the same money for the same payer is a replacement.
func TestWhatReplacesAPayment(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change func(*payment.Transfer)
		before func(*testing.T, *miner, process.OrderView)
		want   string
	}{
		"the same money":               {want: "#0 25000000"},
		"elsewhere in its transaction": {change: func(p *payment.Transfer) { p.Position = 7 }, want: "#0 25000000"},
		"another sender's":             {change: func(p *payment.Transfer) { p.From = storetest.Address() }, want: "deposit"},
		"less":                         {change: func(p *payment.Transfer) { p.Amount = payment.AmountFromUint64(25e6 - 1) }, want: "deposit"},
		"more":                         {change: func(p *payment.Transfer) { p.Amount = payment.AmountFromUint64(25e6 + 1) }, want: "deposit"},
		"another asset":                {change: func(p *payment.Transfer) { p.Native, p.Contract = true, payment.Address{} }, want: "deposit"},
		"for an order that is over": {before: func(t *testing.T, m *miner, o process.OrderView) {
			m.Exec(t, `UPDATE orders SET late_until = $2 WHERE id = $1`, o.ID, m.tip.Time.Add(-time.Hour))
		}, want: "deposit"},
		"for an order that is younger": {before: func(t *testing.T, m *miner, o process.OrderView) {
			m.Exec(t, `UPDATE orders SET birth_block = 1000 WHERE id = $1`, o.ID)
		}, want: "deposit"},
		"after it was given up": {before: func(t *testing.T, m *miner, _ process.OrderView) {
			m.advance(t, storetest.Confirmations+1)
		}, want: "#0 25000000"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			orders, names := m.ann(t, 25e6)
			ancestor := m.record(t).BlockRef
			first := pay(t, orders[0], 25e6)
			m.record(t, first)
			m.rollback(t, ancestor)
			if tc.before != nil {
				tc.before(t, m, orders[0])
			}
			second := spedUp(first)
			if tc.change != nil {
				tc.change(&second)
			}
			m.record(t, second)
			require.Equal(t, tc.want, m.allocated(t, second, names))
			waits := tc.want == "deposit"
			require.Equal(t, waits, m.payment(t, first).Returns != nil)
			m.CheckBooks(t)
		})
	}
}

// What is back in the chain has its place, also when an equal payment is mined right behind it.
func TestAPaymentThatIsBackIsNotReplaced(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	first := pay(t, orders[0], 25e6)
	m.record(t, first)
	m.rollback(t, ancestor)
	second := spedUp(first)
	m.record(t, first, second)
	require.Equal(t, "#0 25000000", m.allocated(t, first, names))
	require.Equal(t, "deposit", m.allocated(t, second, names))

	// In the other order it is replaced, and comes back in the same block.
	m.rollback(t, ancestor)
	third := spedUp(first)
	m.record(t, third, first)
	require.Equal(t, "#0 25000000", m.allocated(t, third, names))
	require.Equal(t, "deposit", m.allocated(t, first, names))
	m.CheckBooks(t)
}

// Each replacement takes one place, the first in the chain's order, whatever else the customer's orders owe by then.
func TestReplacementsTakeOnePlaceEach(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6, 40e6)
	ancestor := m.record(t).BlockRef
	one := pay(t, orders[0], 10e6)
	two, three := spedUp(one), spedUp(one)
	m.record(t, one, two, three) // 10, 10 and 5 of 25
	m.rollback(t, ancestor)
	exact := m.Order(t, storetest.Of("ann"), storetest.Owing(10e6))
	names[exact.ID] = "exact"
	m.Exec(t, `UPDATE orders SET birth_block = 100 WHERE id = $1`, exact.ID)
	again := spedUp(one)
	m.record(t, again, three)
	require.Equal(t, "#0 10000000", m.allocated(t, again, names), "not the one that owes exactly this: that is not what it was sent for")
	require.Equal(t, "#0 5000000", m.allocated(t, three, names))
	require.Nil(t, m.payment(t, one).Returns)
	require.NotNil(t, m.payment(t, two).Returns)
	m.record(t, two)
	require.Equal(t, "#0 10000000", m.allocated(t, two, names))
	m.record(t, one)
	require.Equal(t, "exact 10000000", m.allocated(t, one, names))
	m.CheckBooks(t)
}

// An order that was paid and is short since the chain took the payment back is restored by what replaces it.
func TestAReplacementRestoresAPaidOrder(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	first := pay(t, orders[0], 25e6)
	m.record(t, first)
	m.credit(t, first)
	m.rollback(t, ancestor)
	shown, err := m.DB.GetOrder(t.Context(), m.Principal, orders[0].ID)
	require.NoError(t, err)
	require.Equal(t, payment.Labels{payment.LabelReversed}, shown.Labels)
	second := spedUp(first)
	m.record(t, second)
	require.Equal(t, "#0 25000000", m.allocated(t, second, names))
	result := m.credit(t, second)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels)
	m.CheckBooks(t)
}
