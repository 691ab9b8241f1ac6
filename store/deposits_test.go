package store_test

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// told are the events about a payment that is for no order.
func (m *miner) told(t *testing.T, transfer payment.Transfer) []payment.Event {
	t.Helper()
	rows, err := m.PG.Owner.Query(t.Context(), `SELECT body FROM events WHERE payment_id = $1 AND order_id IS NULL ORDER BY seq`, m.payment(t, transfer).ID)
	require.NoError(t, err)
	defer rows.Close()
	var all []payment.Event
	for rows.Next() {
		var body []byte
		require.NoError(t, rows.Scan(&body))
		var event payment.Event
		require.NoError(t, json.Unmarshal(body, &event))
		all = append(all, event)
	}
	return all
}

func TestWhatNoOrderTakesIsADeposit(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	hook := m.AddEndpoint(t, "https://shop.example/hook")
	orders, _ := m.ann(t, 25e6)
	transfer := pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true })
	m.record(t, transfer)
	p := m.payment(t, transfer)
	require.Nil(t, p.Order)
	route, err := m.DB.Route(t.Context(), store.OutboxMessage{PaymentID: p.ID, Inclusion: 1, Signal: process.SignalPaymentSeen})
	require.NoError(t, err)
	require.Equal(t, store.Route{To: store.RouteReview, Cause: process.CauseDeposit}, route)

	result := m.credit(t, transfer)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, payment.ReasonAvailable, result.Reason)
	require.Nil(t, result.Order)
	require.Equal(t, [2]string{"40000000", "0"}, balances(t, m.Bundle, m.Native.ID))
	require.Empty(t, reviews(t, m.Bundle, p.ID), "nobody has to look at it")
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, orders[0].ID))
	require.Equal(t, []string{"order.created"}, m.events(t, orders[0].ID))

	told := m.told(t, transfer)
	require.Len(t, told, 1)
	require.Equal(t, payment.EventDepositCredited, told[0].Type)
	require.Empty(t, told[0].Data.Order.ID)
	require.Equal(t, "0", told[0].Data.Payment.AllocatedAmount)
	require.Equal(t, payment.PaymentCredited, told[0].Data.Payment.State)
	require.Equal(t, &payment.DepositSnapshot{
		CustomerID: "ann", Chain: storetest.Chain, Asset: "ETH", AssetID: m.Native.ID, Amount: "0.00000000004",
		AmountBaseUnits: payment.AmountFromUint64(40e6),
	}, told[0].Data.Deposit)

	// It is delivered like any other, in a stream of its own.
	stream := process.PaymentStream(p.ID)
	view, err := m.DB.ReadCallbacks(t.Context(), stream)
	require.NoError(t, err)
	require.Equal(t, process.CallbackView{PaymentID: p.ID, MerchantID: m.Merchant, PendingEndpoints: []payment.EndpointID{hook}}, view)
	c := courier{Bundle: m.Bundle, endpoint: hook}
	acquired, err := m.DB.AcquireDelivery(t.Context(), stream, hook, "w", time.Minute)
	require.NoError(t, err)
	require.Equal(t, payment.EventDepositCredited, acquired.Delivery.Type)
	busy, err := m.DB.AcquireDelivery(t.Context(), stream, hook, "another", time.Minute)
	require.NoError(t, err)
	require.Equal(t, store.WaitLeased, busy.Reason)
	c.report(t, *acquired.Delivery, store.ReplyRefused, store.Next{Park: store.ParkExhausted})
	by := process.RedeliverInput{PaymentID: p.ID, By: storetest.By(), RequestID: "r1"}
	again, err := m.DB.Redeliver(t.Context(), by)
	require.NoError(t, err)
	require.Equal(t, process.OutcomeDone, again.Outcome)
	m.Exec(t, `UPDATE callbacks SET due_at = now() - interval '1 hour' WHERE stream = $1`, p.ID)
	m.Exec(t, `UPDATE payments SET last_woken_at = now() - interval '1 hour' WHERE id = $1`, p.ID)
	for _, want := range [][]payment.PaymentID{{p.ID}, {}} {
		forgotten, err := m.DB.SweepDeposits(t.Context(), time.Minute, 10)
		require.NoError(t, err)
		require.Equal(t, want, forgotten)
	}
	acquired, err = m.DB.AcquireDelivery(t.Context(), stream, hook, "w", time.Minute)
	require.NoError(t, err)
	c.report(t, *acquired.Delivery, store.ReplyAccepted, store.Next{})
	view, err = m.DB.ReadCallbacks(t.Context(), stream)
	require.NoError(t, err)
	require.Empty(t, view.PendingEndpoints)
	require.NoError(t, m.DB.LeaveCallbacks(t.Context(), process.LeaveInput{PaymentID: p.ID, By: storetest.By(), RequestID: "r2"}))
	m.CheckBooks(t)
}

func TestMoneyBeyondAnOrderIsADeposit(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	transfer := pay(t, orders[0], 30e6)
	m.record(t, transfer)
	result := m.credit(t, transfer)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels, "not overpaid")
	require.Equal(t, [2]string{"30000000", "0"}, balances(t, m.Bundle, m.Token.ID), "posted as one credit")
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.paid", "deposit.credited"}, m.events(t, orders[0].ID))
	body := storetest.Value[[]byte](t, m.Bundle, `SELECT body FROM events WHERE type = 'deposit.credited'`)
	var event payment.Event
	require.NoError(t, json.Unmarshal(body, &event))
	require.Equal(t, orders[0].ID, event.Data.Order.ID)
	require.Equal(t, "25", event.Data.Order.AmountReceived)
	require.Equal(t, "25", event.Data.Payment.AllocatedAmount)
	require.Equal(t, "5", event.Data.Deposit.Amount)
	page, err := m.DB.ListPayments(t.Context(), m.Principal, orders[0].ID, "", 10)
	require.NoError(t, err)
	require.Equal(t, "25", page.Items[0].AllocatedAmount)
	shown, err := m.DB.GetOrder(t.Context(), m.Principal, orders[0].ID)
	require.NoError(t, err)
	require.Equal(t, "25", shown.AmountReceived)
	m.CheckBooks(t)
}

func TestADepositThatTheChainTakesBack(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	ancestor := m.record(t).BlockRef
	deposit, beyond := pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true }), pay(t, orders[0], 30e6)
	m.record(t, deposit, beyond)
	m.credit(t, deposit)
	m.credit(t, beyond)
	m.rollback(t, ancestor)
	told := m.told(t, deposit)
	require.Len(t, told, 2)
	require.Equal(t, payment.EventPaymentReversed, told[1].Type)
	require.Equal(t, payment.PaymentReversed, told[1].Data.Payment.State)
	require.Equal(t, "ann", told[1].Data.Deposit.CustomerID)
	require.Equal(t, []string{"reversal"}, reviews(t, m.Bundle, m.payment(t, deposit).ID))
	reversed := storetest.Value[[]byte](t, m.Bundle, `SELECT body FROM events WHERE type = 'payment.reversed' AND order_id IS NOT NULL`)
	var event payment.Event
	require.NoError(t, json.Unmarshal(reversed, &event))
	require.Equal(t, "5", event.Data.Deposit.Amount)
	require.Zero(t, m.balance(t, "merchant:available"))
	m.CheckBooks(t)

	m.record(t, deposit, beyond)
	m.credit(t, beyond)
	m.credit(t, deposit)
	require.Len(t, m.told(t, deposit), 3)
	require.Equal(t, 70_000_000, m.balance(t, "merchant:available"))
	m.CheckBooks(t)
}

func TestADepositGoesWhereTheMerchantsPolicySays(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t, func(n *store.NewMerchant) { n.PaymentPolicy, n.LatePolicy = payment.PaymentHold, payment.LateHold }))
	orders, _ := m.ann(t, 25e6)
	held, dust := pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true }), pay(t, orders[0], 10)
	m.record(t, held, dust)
	require.Equal(t, payment.ReasonHeldByPaymentPolicy, m.credit(t, held).Reason)
	require.Equal(t, []string{"held"}, reviews(t, m.Bundle, m.payment(t, held).ID), "to release it")
	require.Equal(t, payment.ReasonDust, m.credit(t, dust).Reason)
	require.Empty(t, m.told(t, dust))
	m.CheckBooks(t)

	available := mine(t, storetest.New(t, func(n *store.NewMerchant) { n.LatePolicy = payment.LateHold }))
	orders, _ = available.ann(t, 25e6)
	late := pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true })
	available.record(t, late)
	require.Equal(t, payment.ReasonAvailable, available.credit(t, late).Reason, "a deposit is late for nothing")
}

// The review of a deposit asks nobody anything: the payment is not shown as under review.
func TestTheReviewOfADeposit(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	transfer := pay(t, orders[0], 40e6, func(p *payment.Transfer) { p.Native = true })
	m.record(t, transfer)
	in := process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseDeposit}
	view, err := m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.False(t, view.Settled)
	require.Empty(t, view.OrderID)
	hook := m.AddEndpoint(t, "https://shop.example/hook")
	m.credit(t, transfer)
	require.Equal(t, payment.PaymentCredited, m.told(t, transfer)[0].Data.Payment.State)
	view, err = m.DB.ReadReview(t.Context(), in)
	require.NoError(t, err)
	require.True(t, view.Settled)
	require.Equal(t, []payment.EndpointID{hook}, view.PendingEndpoints)
	view, err = m.DB.ResolveReview(t.Context(), resolve(in, process.MoveClose, "r"))
	require.NoError(t, err)
	require.Equal(t, "resolved", view.Status)
}

func TestBooksThatAreWrongAboutAllocations(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change string
		rule   string
	}{
		"no allocation":          {`DELETE FROM allocations`, store.RuleAllocated},
		"another order's":        {`UPDATE payments SET order_id = NULL`, store.RuleAllocated},
		"more than it carries":   {`UPDATE allocations SET amount = 31000000`, store.RuleAllocated},
		"more than the order is": {`UPDATE allocations SET amount = 26000000`, store.RuleOwed},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			orders, _ := m.ann(t, 25e6)
			transfer := pay(t, orders[0], 30e6)
			m.record(t, transfer)
			m.credit(t, transfer)
			m.CheckBooks(t)
			m.Exec(t, tc.change)
			report, err := m.DB.LedgerCheck(t.Context())
			require.NoError(t, err)
			var rules []string
			for _, finding := range report.Findings {
				rules = append(rules, finding.Rule)
			}
			require.Contains(t, rules, tc.rule)
		})
	}
	m := mine(t, storetest.New(t))
	orders, _ := m.ann(t, 25e6)
	transfer := pay(t, orders[0], 25e6)
	m.record(t, transfer)
	m.credit(t, transfer)
	m.Exec(t, `UPDATE allocations SET amount = 24000000`)
	report, err := m.DB.LedgerCheck(t.Context())
	require.NoError(t, err)
	require.Equal(t, []store.Finding{{Rule: store.RuleDeposits, Subject: string(m.payment(t, transfer).ID) + "/1"}}, report.Findings)
}

// Whatever comes in whatever order, an order never takes more than it asks for, and all of a payment is somebody's.
func TestAllocationsAreNeverMoreThanIsOwed(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	most := 25
	if !testing.Short() {
		most = 100
	}
	customer, failing := 0, false
	rapid.Check(t, func(r *rapid.T) {
		if customer++; customer > most && !failing {
			return // enough, unless a failure is being made smaller
		}
		failing = true
		var orders []process.OrderView
		amount := rapid.SampledFrom([]uint64{5e6, 10e6, 15e6, 20e6, 500})
		order := func() {
			owes := amount.Filter(func(n uint64) bool { return n > 1000 }).Draw(r, "owes")
			orders = append(orders, b.Order(t, storetest.Of(string(rune('a'+customer%26))+time.Duration(customer).String()), storetest.Owing(owes)))
		}
		order()
		type mined struct {
			transfers []payment.Transfer
			parent    payment.BlockRef
		}
		var chain []mined
		var lost []payment.Transfer
		extend := func(transfers []payment.Transfer) {
			chain = append(chain, mined{transfers, m.tip})
			m.record(t, transfers...)
		}
		for range rapid.IntRange(1, 12).Draw(r, "steps") {
			switch rapid.SampledFrom([]string{"order", "pay", "pay", "pay", "credit", "reorg", "return", "idle"}).Draw(r, "step") {
			case "order":
				order()
			case "pay":
				var transfers []payment.Transfer
				for range rapid.IntRange(1, 3).Draw(r, "payments") {
					native := rapid.IntRange(0, 5).Draw(r, "native") == 0
					transfers = append(transfers, pay(t, orders[0], amount.Draw(r, "amount"), func(p *payment.Transfer) { p.Native = native }))
				}
				extend(transfers)
			case "credit":
				for _, block := range chain {
					for _, transfer := range block.transfers {
						m.credit(t, transfer)
					}
				}
			case "reorg":
				if len(chain) == 0 {
					continue
				}
				to := rapid.IntRange(max(0, len(chain)-5), len(chain)-1).Draw(r, "to")
				for _, block := range chain[to:] {
					lost = append(lost, block.transfers...)
				}
				m.rollback(t, chain[to].parent)
				chain = chain[:to]
			case "return":
				back := rapid.IntRange(0, len(lost)).Draw(r, "back")
				for i := range lost[:back] {
					if rapid.Bool().Draw(r, "changed") {
						lost[i].Amount = payment.AmountFromUint64(amount.Draw(r, "amount"))
					}
				}
				extend(lost[:back:back])
				lost = lost[back:]
			case "idle":
				for range storetest.Confirmations + 1 {
					extend(nil)
				}
			}
			b.CheckBooks(t)
		}
		// All that is credited was either allocated or told as a deposit, and no order got too much.
		require.Zero(t, m.count(t, `SELECT count(*) FROM orders WHERE 'overpaid' = ANY(labels)`))
		for _, o := range orders {
			shown, err := b.DB.GetOrder(t.Context(), b.Principal, o.ID)
			require.NoError(t, err)
			require.False(t, shown.AmountBaseUnits.Less(shown.AmountReceivedBaseUnits))
		}
		failing = false
	})
}
