package e2e_test

import (
	"net/http"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// What the merchant is told of an order that is paid at once.
var paidEvents = []string{"order.created", "order.payment_detected", "order.paid"}

func TestPaidByToken(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25.00"})
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
}

func TestPaidByNativeCoin(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: native, Amount: "0.01"})
	w.pay(t, o, "0.01")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "0.01", events: paidEvents,
		payments: []string{"0.01 credited"}, postings: []string{"credit merchant:available 10000000000000000 ETH"},
	})
}

// The first part is confirmed alone, so the merchant learns that it was too little.
func TestPaidInTwoParts(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "10")
	m.requireEnd(t, o.ID, ending{
		state: "awaiting_payment", labels: []string{"underpaid"}, received: "10",
		events:   []string{"order.created", "order.payment_detected", "order.underpaid"},
		payments: []string{"10 credited"}, postings: []string{"credit merchant:available 10000000 USDC"},
	})
	w.pay(t, o, "15")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   []string{"order.created", "order.payment_detected", "order.underpaid", "order.payment_detected", "order.paid"},
		payments: []string{"10 credited", "15 credited"},
		postings: []string{"credit merchant:available 10000000 USDC", "credit merchant:available 15000000 USDC"},
	})
}

// Two transfers in one transaction are two payments.
func TestPaidByTwoTransfersInOneTransaction(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.payAtOnce(t, o, "10", "15")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25",
		events:   []string{"order.created", "order.payment_detected", "order.payment_detected", "order.paid"},
		payments: []string{"10 credited", "15 credited"},
		postings: []string{"credit merchant:available 10000000 USDC", "credit merchant:available 15000000 USDC"},
	})
	seen := m.payments(t, o.ID)
	require.Len(t, seen, 2)
	require.Equal(t, seen[0].TxHash, seen[1].TxHash)
	require.NotEqual(t, seen[0].ID, seen[1].ID)
}

// Money after the order was paid has no run to take it: a review confirms and credits it, and waits for somebody to see it.
func TestPaymentAfterTheOrderWasPaid(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
	w.pay(t, o, "5")
	over := ending{
		state: "paid", labels: []string{"overpaid"}, received: "30",
		events:   append(slices.Clone(paidEvents), "order.payment_detected", "order.overpaid"),
		payments: []string{"25 credited", "5 credited"},
		postings: []string{"credit merchant:available 25000000 USDC", "credit merchant:available 5000000 USDC"},
		reviews:  []string{"closed_order open"},
	}
	m.requireEnd(t, o.ID, over)
	review := m.review(t, o.ID, process.CauseClosedOrder)
	w.awaitRun(t, review, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
	_, err := w.update(t, review, process.UpdateResolve, process.ResolveRequest{By: by(), Move: process.MoveClose})
	require.NoError(t, err)
	w.awaitRun(t, review, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
	over.reviews = []string{"closed_order resolved"}
	m.requireEnd(t, o.ID, over)
}

// review is the workflow of an order's one review for a cause.
func (m *merchant) review(t *testing.T, orderID string, cause process.ReviewCause) string {
	t.Helper()
	ids := m.w.list(t, `SELECT payment_id || '/' || inclusion FROM reviews WHERE order_id = $1 AND cause = $2`, orderID, string(cause))
	require.Len(t, ids, 1)
	return "review/" + ids[0] + "/" + string(cause)
}

// What belongs to another merchant does not exist.
func TestOrdersOfAnotherMerchantAreNotThere(t *testing.T) {
	t.Parallel()
	w := shared(t)
	a, b := w.merchant(t, merchantOptions{}), w.merchant(t, merchantOptions{})
	o := b.order(t, request{Asset: token, Amount: "25"})
	unknown := string(payment.NewOrderID())
	for _, id := range []string{o.ID, unknown} {
		for path, method := range map[string]string{"": http.MethodGet, "/payments": http.MethodGet, "/cancel": http.MethodPost} {
			refused := a.call(t, method, "/v1/orders/"+id+path, "", nil)
			require.Equal(t, http.StatusNotFound, refused.status, refused.String())
			require.Equal(t, "not_found", refused.problem())
		}
	}
	var page struct{ Data []order }
	a.call(t, http.MethodGet, "/v1/orders", "", nil).into(t, http.StatusOK, &page)
	require.Empty(t, page.Data)
	w.pay(t, o, "25")
	b.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
	a.requireBalances(t)
	got, _ := a.inbox.of(o.ID)
	require.Empty(t, got)
}
