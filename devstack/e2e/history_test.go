package e2e_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// happyPathEvents is the most that one payment of one order may cost: events are the main lever on throughput.
const happyPathEvents = 29

func TestHappyPathTakesFewEvents(t *testing.T) {
	t.Parallel()
	w := shared(t)
	m := w.merchant(t, merchantOptions{events: "order.paid"})
	o := m.order(t, request{Asset: token, Amount: "25"})
	w.pay(t, o, "25")
	m.requireEnd(t, o.ID, ending{
		state: "paid", received: "25", events: paidEvents, told: []string{"order.paid"},
		payments: []string{"25 credited"}, postings: []string{"credit merchant:available 25000000 USDC"},
	})
	events := w.history(t, process.OrderWorkflowID(payment.OrderID(o.ID)), "")
	var table []string
	counted := len(events)
	for _, event := range events {
		if event.GetEventType() == enumspb.EVENT_TYPE_WORKFLOW_TASK_TIMED_OUT {
			counted -= 3 // it was scheduled and started, too: the machine was busy
		}
		table = append(table, fmt.Sprintf("%3d %s", event.GetEventId(), event.GetEventType()))
	}
	t.Logf("%d events:\n%s", len(events), strings.Join(table, "\n"))
	require.Equal(t, enumspb.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED, events[len(events)-1].GetEventType())
	require.LessOrEqual(t, counted, happyPathEvents)
}
