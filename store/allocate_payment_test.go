package store_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// allocated says for which order a payment is and how much of it: "deposit", or the order's name and the amount.
func (m *miner) allocated(t *testing.T, transfer payment.Transfer, names map[payment.OrderID]string) string {
	t.Helper()
	p := m.payment(t, transfer)
	amount := storetest.Value[*string](t, m.Bundle, `SELECT amount::text FROM allocations WHERE payment_id = $1`, p.ID)
	if p.Order == nil {
		require.Nil(t, amount)
		return "deposit"
	}
	require.NotNil(t, amount)
	return names[*p.Order] + " " + *amount
}

// ann makes orders of one customer that owe these amounts.
func (m *miner) ann(t *testing.T, owe ...uint64) ([]process.OrderView, map[payment.OrderID]string) {
	t.Helper()
	orders, names := make([]process.OrderView, len(owe)), map[payment.OrderID]string{}
	for i, amount := range owe {
		orders[i] = m.Order(t, storetest.Of("ann"), storetest.Owing(amount))
		names[orders[i].ID] = fmt.Sprint("#", i)
		require.Equal(t, orders[0].Address, orders[i].Address)
	}
	return orders, names
}

func TestWhichOrderAPaymentIsFor(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		owe   []uint64
		paid  []uint64
		where []string
	}{
		"one that owes exactly this comes first": {[]uint64{25e6, 10e6}, []uint64{10e6}, []string{"#1 10000000"}},
		"of those the oldest":                    {[]uint64{9e6, 25e6, 25e6}, []uint64{25e6}, []string{"#1 25000000"}},
		"else the oldest":                        {[]uint64{25e6, 10e6}, []uint64{7e6}, []string{"#0 7000000"}},
		"what is left of it is what it owes":     {[]uint64{25e6, 10e6}, []uint64{7e6, 18e6}, []string{"#0 7000000", "#0 18000000"}},
		"as much as it owes":                     {[]uint64{25e6}, []uint64{30e6}, []string{"#0 25000000"}},
		"the next goes to the next":              {[]uint64{25e6, 10e6}, []uint64{30e6, 30e6, 30e6}, []string{"#0 25000000", "#1 10000000", "deposit"}},
		"dust is for none":                       {[]uint64{25e6}, []uint64{999}, []string{"deposit"}},
		"nor is it dust because little is owed":  {[]uint64{25e6}, []uint64{25e6 - 5, 2000}, []string{"#0 24999995", "#0 5"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			orders, names := m.ann(t, tc.owe...)
			for i, amount := range tc.paid {
				transfer := pay(t, orders[0], amount)
				m.record(t, transfer)
				require.Equal(t, tc.where[i], m.allocated(t, transfer, names))
			}
			m.CheckBooks(t)
		})
	}
}

// In one block the chain's own order decides, in whatever order the node lists the transfers.
func TestPaymentsOfOneBlockAreAllocatedInItsOrder(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6, 10e6)
	paid := []payment.Transfer{pay(t, orders[0], 24e6), pay(t, orders[0], 30e6), pay(t, orders[0], 7e6)}
	block := m.block(paid...)
	block.Sightings[1].TxIndex, block.Sightings[1].TxHash = 0, paid[0].TxHash // in the same transaction, behind it
	block.Sightings[1].Position, paid[1].Position, paid[1].TxHash = 3, 3, paid[0].TxHash
	slices.Reverse(block.Sightings)
	_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
	require.NoError(t, err)
	var got []string
	for _, transfer := range paid {
		got = append(got, m.allocated(t, transfer, names))
	}
	require.Equal(t, []string{"#0 24000000", "#0 1000000", "#1 7000000"}, got)
	m.CheckBooks(t)
}

func TestOrdersThatTakeNoPayment(t *testing.T) {
	t.Parallel()
	at := func(state string) string { return `UPDATE orders SET state = '` + state + `' WHERE id = $1` }
	for name, tc := range map[string]struct {
		change string
		want   string
	}{
		"younger than the block":     {`UPDATE orders SET birth_block = 101 WHERE id = $1`, "deposit"},
		"made before the block":      {`UPDATE orders SET birth_block = 100 WHERE id = $1`, "#0 25000000"},
		"made before any block":      {`UPDATE orders SET birth_block = NULL WHERE id = $1`, "#0 25000000"},
		"cancelled":                  {at("cancelled"), "deposit"},
		"paid":                       {`UPDATE orders SET state = 'paid', paid_at = now() WHERE id = $1`, "deposit"},
		"expired, within its window": {at("expired"), "#0 25000000"},
		"expired, after its window":  {`UPDATE orders SET state = 'expired', late_until = now() - interval '2 minutes' WHERE id = $1`, "deposit"},
		"not closed yet, after its window": {
			`UPDATE orders SET expires_at = now() - interval '3 minutes', late_until = now() - interval '2 minutes' WHERE id = $1`, "deposit",
		},
		"another asset": {`UPDATE orders SET asset_id = 'dev/native' WHERE id = $1`, "deposit"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			orders, names := m.ann(t, 25e6)
			m.Exec(t, tc.change, orders[0].ID)
			transfer := pay(t, orders[0], 25e6)
			m.record(t, transfer)
			require.Equal(t, tc.want, m.allocated(t, transfer, names))
		})
	}
}

// What was decided first stays so when the transaction is mined again, whatever orders there are by then.
func TestAnAllocationSurvivesAReorganisation(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	part, deposit := pay(t, orders[0], 10e6), pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true })
	m.record(t, part, deposit)
	m.rollback(t, ancestor)
	exact := m.Order(t, storetest.Of("ann"), storetest.Owing(10e6))
	names[exact.ID] = "exact"
	m.Exec(t, `UPDATE orders SET birth_block = 100 WHERE id = $1`, exact.ID)
	m.record(t, part, deposit)
	require.Equal(t, "#0 10000000", m.allocated(t, part, names))
	require.Equal(t, "deposit", m.allocated(t, deposit, names))
	require.Equal(t, 2, m.payment(t, part).Inclusion)

	// Mined with less, as much as it carries counts, and what it loses by that it does not get back.
	m.rollback(t, ancestor)
	part.Amount = payment.AmountFromUint64(8e6)
	m.record(t, part, deposit)
	require.Equal(t, "#0 8000000", m.allocated(t, part, names))
	rest := pay(t, orders[0], 17e6)
	m.record(t, rest)
	require.Equal(t, "#0 17000000", m.allocated(t, rest, names))
	m.rollback(t, ancestor)
	part.Amount = payment.AmountFromUint64(30e6)
	m.record(t, part, rest, deposit)
	require.Equal(t, "#0 8000000", m.allocated(t, part, names))
	m.credit(t, rest)
	result := m.credit(t, part)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels, "what is beyond is no overpayment")
	m.CheckBooks(t)
}

// A cancelled order keeps what it got before, also when that is mined again; only what nobody waits for any more is somebody
// else's.
func TestAReorganisationTakesNothingFromACancelledOrder(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6, 10e6)
	ancestor := m.record(t).BlockRef
	part := pay(t, orders[0], 20e6)
	m.record(t, part)
	m.advance(t, storetest.Confirmations)
	m.credit(t, part)
	_, err := m.DB.CancelOrder(t.Context(), cancel(orders[0].ID))
	require.NoError(t, err)
	m.rollback(t, ancestor)
	m.record(t, part)
	require.Equal(t, "#0 20000000", m.allocated(t, part, names))

	m.rollback(t, ancestor)
	m.advance(t, 3*storetest.Confirmations+1)
	require.Nil(t, m.payment(t, part).Returns)
	m.record(t, part)
	require.Equal(t, "#1 10000000", m.allocated(t, part, names))
	m.CheckBooks(t)
}

// The height at which an order was opened is one on a chain that may be undone: what was paid for it may be mined again below.
func TestAReorganisationMovesTheBirthsOfOrders(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t).BlockRef
	m.record(t)
	m.record(t)
	orders, names := m.ann(t, 25e6)
	m.Exec(t, `UPDATE orders SET birth_block = $2 WHERE id = $1`, orders[0].ID, int64(m.tip.Number))
	m.rollback(t, ancestor)
	require.EqualValues(t, ancestor.Number, m.count(t, `SELECT birth_block FROM orders WHERE id = $1`, orders[0].ID))
	transfer := pay(t, orders[0], 25e6)
	m.record(t, transfer)
	require.Equal(t, "#0 25000000", m.allocated(t, transfer, names))
}

// An order that is opened while blocks are undone is not born at a height that is gone.
func TestAReorganisationWaitsForBirths(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	ancestor := m.record(t).BlockRef
	m.record(t)
	m.record(t)
	id := m.Opening(t, storetest.Of("ann"))
	index, err := m.DB.ReserveIndex(t.Context(), m.Wallet)
	require.NoError(t, err)
	hold, err := m.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = hold.Rollback(t.Context()) }()
	_, err = hold.Exec(t.Context(), `LOCK TABLE events IN EXCLUSIVE MODE`)
	require.NoError(t, err)

	opened, undone := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := m.DB.FinishAllocation(t.Context(), id, m.Wallet, index, storetest.Address())
		opened <- err
	}()
	awaitLockWaiters(t, m.Bundle, 1) // it knows the height, and is about to write its event
	go func() { undone <- m.rec.Rollback(t.Context(), m.session, ancestor) }()
	awaitLockWaiters(t, m.Bundle, 2)
	require.NoError(t, hold.Rollback(t.Context()))
	require.NoError(t, <-opened)
	require.NoError(t, <-undone)
	require.EqualValues(t, ancestor.Number, m.count(t, `SELECT birth_block FROM orders WHERE id = $1`, id))
}

// A payment that nobody waits for any more has lost its place to whoever came meanwhile.
func TestAPaymentThatReturnsTooLateIsAllocatedAnew(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	first := pay(t, orders[0], 25e6)
	m.record(t, first)
	m.rollback(t, ancestor)
	second := pay(t, orders[0], 20e6)
	m.record(t, second)
	require.Equal(t, "deposit", m.allocated(t, second, names), "the first is waited for, and still has the order")
	m.advance(t, storetest.Confirmations+1)
	require.Nil(t, m.payment(t, first).Returns)
	third := pay(t, orders[0], 20e6)
	m.record(t, third)
	require.Equal(t, "#0 20000000", m.allocated(t, third, names))
	m.record(t, first)
	require.Equal(t, "#0 5000000", m.allocated(t, first, names))
	m.credit(t, third)
	require.Equal(t, payment.StatePaid, m.credit(t, first).Order.State)
	m.credit(t, second)
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.payment_detected", "order.payment_detected", "order.paid", "deposit.credited"},
		m.events(t, orders[0].ID))
	m.CheckBooks(t)
}

func TestAPaymentThatIsOtherMoneyWhenMinedAgain(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 25e6)
	own, bob := m.Order(t), m.Order(t, storetest.Of("bob"))
	names[own.ID], names[bob.ID] = "own", "bob"
	ancestor := m.record(t).BlockRef
	transfer := pay(t, orders[0], 25e6)
	again := func(change func(*payment.Transfer)) {
		m.rollback(t, ancestor)
		change(&transfer)
		m.record(t, transfer)
	}
	m.record(t, transfer)
	again(func(p *payment.Transfer) { p.To = pay(t, bob, 1).To })
	require.Equal(t, "bob 25000000", m.allocated(t, transfer, names))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, orders[0].ID))
	again(func(p *payment.Transfer) { p.To = pay(t, own, 1).To })
	require.Equal(t, own.ID, *m.payment(t, transfer).Order)
	require.Zero(t, m.count(t, `SELECT count(*) FROM allocations`))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, bob.ID))
	again(func(p *payment.Transfer) { p.To = pay(t, orders[0], 1).To })
	require.Equal(t, "#0 25000000", m.allocated(t, transfer, names))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, own.ID))
	require.Equal(t, payment.StateConfirming, m.state(t, orders[0].ID))
	m.CheckBooks(t)
}

// An order waits for its own payments only: others to the same address hold up neither its expiry nor its cancellation.
func TestAnOrderWaitsForItsOwnPaymentsOnly(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6, 10e6)
	m.record(t, pay(t, orders[0], 25e6))
	require.Equal(t, payment.StateConfirming, m.state(t, orders[0].ID))
	_, err := m.DB.CancelOrder(t.Context(), cancel(orders[0].ID))
	require.Equal(t, payment.CodePaymentLive, payment.CodeOf(err))
	overdue(t, m.Bundle, orders[0].ID, 10*time.Second)
	overdue(t, m.Bundle, orders[1].ID, 10*time.Second)
	m.ReadTo(t, storetest.Chain, 110, time.Now())
	result, _, err := m.DB.ExpireOrder(t.Context(), orders[0].ID)
	require.NoError(t, err)
	require.Equal(t, process.ExpireLive, result.Outcome)
	result, _, err = m.DB.ExpireOrder(t.Context(), orders[1].ID)
	require.NoError(t, err)
	require.Equal(t, process.ExpireExpired, result.Outcome)
}

// Two chains record payments of one customer at once, and orders get his address meanwhile.
func TestOneCustomerOnTwoChainsAtOnce(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	miners := []*miner{mineOn(t, b, storetest.Chain), mineOn(t, b, storetest.Other)}
	orders := make([]process.OrderView, 2)
	for i, chain := range []string{storetest.Chain, storetest.Other} {
		orders[i] = b.Order(t, storetest.Of("ann"), func(n *store.NewOrder) { n.Chain, n.Asset = chain, "ETH" })
	}
	for range 5 {
		blocks := make([]store.SeenBlock, 2)
		for i, m := range miners {
			blocks[i] = m.block(pay(t, orders[i], 25e6), pay(t, orders[i], 5e6))
		}
		ids := []payment.OrderID{
			b.Opening(t, storetest.Of("ann")), b.Opening(t, storetest.Of("ann"), func(n *store.NewOrder) { n.Chain, n.Asset = storetest.Other, "ETH" }),
		}
		address := pay(t, orders[0], 1).To
		errs := concurrently(4, func(i int) error {
			if i < 2 {
				_, err := miners[i].rec.Record(t.Context(), miners[i].session, miners[i].batch(blocks[i]))
				return err
			}
			_, err := b.DB.ReuseAddress(t.Context(), ids[i-2], address)
			return err
		})
		require.Equal(t, make([]error, 4), errs)
	}
	// An order that was open before the block got its payment, one that came later none.
	require.Zero(t, storetest.Value[int](t, b, `SELECT count(*) FROM allocations al JOIN orders o ON o.id = al.order_id
		JOIN inclusions i ON i.payment_id = al.payment_id WHERE o.chain <> i.chain OR i.block_number <= o.birth_block`))
	require.Equal(t, 20, storetest.Value[int](t, b, `SELECT count(*) FROM allocations`))
	b.CheckBooks(t)
}

// An order that gets its customer's address while a block is being recorded waits for that block, and is younger than it: it
// cannot be one that the block's payments were meant for and not seen by them.
func TestAnOrderThatGetsTheAddressMeanwhileIsYounger(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, names := m.ann(t, 10e6)
	late := m.Opening(t, storetest.Of("ann"))
	transfer := pay(t, orders[0], 25e6)
	block := m.block(transfer)
	hold, err := m.PG.Owner.Begin(t.Context())
	require.NoError(t, err)
	defer func() { _ = hold.Rollback(t.Context()) }()
	_, err = hold.Exec(t.Context(), `SELECT FROM orders WHERE id = $1 FOR NO KEY UPDATE`, orders[0].ID)
	require.NoError(t, err)

	recorded, opened := make(chan error, 1), make(chan error, 1)
	go func() {
		_, err := m.rec.Record(t.Context(), m.session, m.batch(block))
		recorded <- err
	}()
	awaitLockWaiters(t, m.Bundle, 1) // it has the customer's address, and waits for his order
	go func() {
		_, err := m.DB.ReuseAddress(t.Context(), late, transfer.To)
		opened <- err
	}()
	awaitLockWaiters(t, m.Bundle, 2)
	require.NoError(t, hold.Rollback(t.Context()))
	require.NoError(t, <-recorded)
	require.NoError(t, <-opened)
	require.Equal(t, "#0 10000000", m.allocated(t, transfer, names))
	require.EqualValues(t, block.Number, m.count(t, `SELECT birth_block FROM orders WHERE id = $1`, late))
}
