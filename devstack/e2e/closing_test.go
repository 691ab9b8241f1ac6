package e2e_test

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// shortLife is the shortest that an order may have, in seconds. Tests that need one run side by side.
const shortLife = 60

func TestExpired(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{create: []string{"--late-window", "2s"}})
	o := m.order(t, request{Asset: token, Amount: "25", ExpiresIn: shortLife})
	m.requireEnd(t, o.ID, ending{state: "expired", events: []string{"order.created", "order.expired"}, closed: true})
	refused := m.cancel(t, o.ID)
	require.Equal(t, http.StatusConflict, refused.status)
	require.Equal(t, "order_state", refused.problem())
}

// Money that comes after the deadline is posted whatever the policy; the policy says what else it does.
func TestMoneyAfterExpiry(t *testing.T) {
	t.Parallel()
	for policy, want := range map[string]ending{
		"credit_only": {
			state: "expired", labels: []string{"late"}, received: "25",
			events:   []string{"order.created", "order.expired", "order.payment_detected", "payment.late"},
			payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
		},
		"fulfil": {
			state: "paid", labels: []string{"late"}, received: "25",
			events:   []string{"order.created", "order.expired", "order.payment_detected", "order.paid_late"},
			payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
		},
		"hold": {
			state: "expired", labels: []string{"late"}, received: "25",
			events:   []string{"order.created", "order.expired", "order.payment_detected", "payment.late"},
			payments: []string{"25 credited"}, postings: []string{"credit merchant:held 25000000 USDC"},
			reviews: []string{"late open"},
		},
	} {
		t.Run(policy, func(t *testing.T) {
			t.Parallel()
			w := shared(t)
			m := w.merchant(t, merchantOptions{create: []string{"--late-policy", policy}})
			o := m.order(t, request{Asset: token, Amount: "25", ExpiresIn: shortLife})
			m.awaitEvents(t, o.ID, "order.created", "order.expired")
			w.pay(t, o, "25")
			m.requireEnd(t, o.ID, want)
			require.True(t, m.payments(t, o.ID)[0].Late)
			if policy != "hold" {
				return
			}
			review := m.review(t, o.ID, process.CauseLate)
			_, err := w.update(t, review, process.UpdateResolve, process.ResolveRequest{By: by(), Move: process.MoveRelease})
			require.NoError(t, err)
			w.awaitRun(t, review, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
			want.reviews = []string{"late resolved"}
			want.postings = append(want.postings, "release merchant:available 25000000 USDC")
			m.requireEnd(t, o.ID, want)
		})
	}
}

// A cancelled order stays cancelled; its address stays watched.
func TestCancelled(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	for range 2 { // again changes nothing
		var cancelled order
		m.cancel(t, o.ID).into(t, http.StatusOK, &cancelled)
		require.Equal(t, "cancelled", cancelled.State)
	}
	m.requireEnd(t, o.ID, ending{state: "cancelled", events: []string{"order.created", "order.cancelled"}})
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "cancelled", labels: []string{"late"}, received: "25",
		events:   []string{"order.created", "order.cancelled", "order.payment_detected", "payment.late"},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
		reviews: []string{"closed_order open"},
	})
}

func TestCancelIsRefusedWhileAPaymentIsLive(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25", Confirmations: 10})
	w.pay(t, o, "25")
	m.awaitState(t, o.ID, "confirming")
	refused := m.cancel(t, o.ID)
	require.Equal(t, http.StatusConflict, refused.status, refused.String())
	require.Equal(t, "payment_live", refused.problem())
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
	refused = m.cancel(t, o.ID)
	require.Equal(t, http.StatusConflict, refused.status)
	require.Equal(t, "order_state", refused.problem())
}

// The node is out of reach while the deadline passes. The payment was mined in time, and that is what counts.
func TestRPCIsCutOffAcrossTheDeadline(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Chain: slowName, Asset: slowCoin, Amount: "0.5", ExpiresIn: shortLife})
	w.slow.cutOff()
	w.slow.pay(t, o, "0.5")
	paidAt := w.slow.mine(t, 1)
	require.False(t, paidAt.After(o.ExpiresAt), "the payment is in time")

	w.awaitPending(t, process.OrderWorkflowID(payment.OrderID(o.ID)), process.ActivityExpireOrder)
	require.True(t, w.slow.mine(t, confirmations).After(o.ExpiresAt), "the chain is past the deadline, as it learns when it is back")
	require.Equal(t, "awaiting_payment", m.get(t, o.ID).State)
	w.slow.restore()
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "0.5", events: paidEvents,
		payments: []string{"0.5 credited"}, postings: []string{"credit merchant:available 500000000000000000 SLOW"},
	})
	require.False(t, m.payments(t, o.ID)[0].Late)
}
