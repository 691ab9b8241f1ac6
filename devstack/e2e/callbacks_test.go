package e2e_test

import (
	"net/http"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/process"
)

// statusGone is what a receiver notes for a request whose sender did not wait for the answer.
const statusGone = 499

// The first event is refused three times. What happens meanwhile waits its turn, so the merchant sees it in order.
func TestReceiverAnswers500ThreeTimes(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{})
	m.inbox.answer = func(d delivery, n int, _ <-chan struct{}) int {
		if d.Type == "order.created" && n <= 3 {
			return http.StatusInternalServerError
		}
		return http.StatusOK
	}
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		wire: []string{
			"order.created 500", "order.created 500", "order.created 500", "order.created 200",
			"order.payment_detected 200", "order.paid 200",
		},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
}

// A callback that nobody takes is parked where support sees it, and sent again when it is told to.
func TestParkedCallbackIsRedelivered(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{events: "order.paid"})
	var mended atomic.Bool
	m.inbox.answer = func(delivery, int, <-chan struct{}) int {
		if mended.Load() {
			return http.StatusOK
		}
		return http.StatusServiceUnavailable
	}
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "25")
	want := ending{
		state: "paid", received: "25", events: paidEvents, told: []string{"order.paid"},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"}, parked: 1,
	}
	for range attempts {
		want.wire = append(want.wire, "order.paid 503")
	}
	m.requireEnd(t, o.ID, want)
	parked := process.CallbackWorkflowID(process.Stream(o.ID))
	w.awaitRun(t, parked, enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING)
	w.awaitQuery(t, parked, func(s process.WorkflowState) bool {
		return s.Status == "parked" && s.Callbacks != nil && len(s.Callbacks.Parked) == 1 && s.Callbacks.Parked[0].Reason == "exhausted"
	})

	mended.Store(true)
	_, err := w.update(t, parked, process.UpdateRedeliver, process.RedeliverRequest{By: by()})
	require.NoError(t, err)
	want.parked, want.wire = 0, append(want.wire, "order.paid 200")
	m.requireEnd(t, o.ID, want)
	w.awaitRun(t, parked, enumspb.WORKFLOW_EXECUTION_STATUS_COMPLETED)
}

// One merchant's receiver hangs with more orders than it may have requests in flight. Another merchant's order goes through
// from the first callback to the last while all of them hang.
func TestDeadEndpointDelaysNobodyElse(t *testing.T) {
	t.Parallel()
	w := shared(t)
	dead, well := w.merchant(t, merchantOptions{}), w.merchant(t, merchantOptions{})
	healed := make(chan struct{})
	dead.inbox.answer = func(_ delivery, _ int, done <-chan struct{}) int {
		select {
		case <-healed:
			return http.StatusNoContent
		case <-done:
			return statusGone
		}
	}
	var hanging []order
	for range 6 {
		hanging = append(hanging, dead.order(t, request{Asset: token, Amount: "25"}))
	}
	w.await(t, "as many requests hang as may", func() (bool, any, <-chan struct{}) {
		n, next := dead.inbox.unanswered()
		return n == 4, n, next
	})
	o := well.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "25")
	well.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents,
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
	for _, h := range hanging {
		taken, _ := dead.inbox.accepted(h.ID)
		require.Empty(t, taken, "the endpoint was dead all the while")
	}
	// Nothing is lost: what the breaker holds back arrives when it lets one through.
	close(healed)
	for _, h := range hanging {
		dead.awaitEvents(t, h.ID, "order.created")
	}
}
