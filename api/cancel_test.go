package api_test

import (
	"context"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// view is the order for storetest.
func (k *kit) view(t testing.TB, id payment.OrderID) process.OrderView {
	t.Helper()
	v, err := k.DB.ReadOrder(t.Context(), id)
	require.NoError(t, err)
	return v
}

func (k *kit) cancellations(t testing.TB, id payment.OrderID) (audits, events int) {
	t.Helper()
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT (SELECT count(*) FROM audit WHERE subject = $1 AND action LIKE '%cancel%'),
		(SELECT count(*) FROM events WHERE order_id = $1 AND type = 'order.cancelled')`, id).Scan(&audits, &events))
	return audits, events
}

func TestCancel(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	a := k.cancel(t, order.ID)
	require.Equal(t, http.StatusOK, a.status, a.body)
	require.Equal(t, payment.StateCancelled, a.order(t).State)
	require.Equal(t, a.body, k.cancel(t, order.ID).body, "again, it changes nothing")
	audits, events := k.cancellations(t, order.ID)
	require.Equal(t, []int{1, 1}, []int{audits, events})

	calls := k.temporal.sent()
	require.Len(t, calls, 2, "the open, one cancel")
	cancel := calls[1]
	require.Equal(t, process.OrderWorkflowID(order.ID), cancel.start.ID)
	require.Equal(t, "25 USDC on dev", cancel.start.StaticSummary)
	require.Equal(t, process.UpdateCancel, cancel.update.UpdateName)
	var actor string
	require.NoError(t, k.PG.App.QueryRow(t.Context(), `SELECT actor FROM audit WHERE subject = $1 AND action LIKE '%cancel%'`, order.ID).Scan(&actor))
	require.Contains(t, actor, "key_", "the audit names the key")
	require.NotContains(t, actor, "sk_")
}

// Every state, as it is when it is read, and as it becomes between the reading and the workflow's decision.
func TestCancelByState(t *testing.T) {
	t.Parallel()
	for state, want := range map[payment.State]payment.Code{
		payment.StateConfirming: payment.CodePaymentLive,
		payment.StatePaid:       payment.CodeOrderState,
		payment.StateExpired:    payment.CodeOrderState,
		payment.StateCancelled:  "",
	} {
		t.Run(string(state), func(t *testing.T) {
			t.Parallel()
			k := setup(t)
			become := func(id payment.OrderID) {
				if state == payment.StateConfirming {
					k.Pay(t, k.view(t, id), 25_000_000)
					return
				}
				_, err := k.PG.App.Exec(context.Background(), `UPDATE orders SET state = $1,
					paid_at = CASE WHEN $1 = 'paid' THEN now() END, closed_at = now() WHERE id = $2`, state, id)
				require.NoError(t, err)
			}
			check := func(id payment.OrderID) {
				a := k.cancel(t, id)
				if want == "" {
					require.Equal(t, http.StatusOK, a.status, a.body)
					return
				}
				requireProblem(t, a, http.StatusConflict, want, "")
			}
			before, during := k.create(t, "before").ID, k.create(t, "during").ID
			become(before)
			check(before)
			require.Len(t, k.temporal.sent(), 2, "the workflow is not asked what is known")

			k.temporal.set(func(_ context.Context, c call, work func() error) error {
				become(during)
				return refused(work())
			})
			check(during)
		})
	}
}

// The workflow is away, silent, or answers after the API has given up; the repetition finds out.
func TestCancelWhenTemporalFails(t *testing.T) {
	t.Parallel()
	k := setup(t, func(c *api.Config) { c.OpenTimeout = 100 * time.Millisecond })
	order := k.create(t, "k")
	for _, behave := range []func(context.Context, call, func() error) error{away, silent} {
		k.temporal.set(behave)
		requireUnavailable(t, k.cancel(t, order.ID))
		require.Equal(t, payment.StateAwaitingPayment, k.get(t, "/v1/orders/"+string(order.ID)).order(t).State)
	}
	k.temporal.set(answerLost)
	require.Equal(t, http.StatusOK, k.cancel(t, order.ID).status, "the database says that it is cancelled")

	closed := k.create(t, "closed")
	k.temporal.set(func(context.Context, call, func() error) error { return errClosed })
	requireUnavailable(t, k.cancel(t, closed.ID))
	k.temporal.set(nil)
	require.Equal(t, http.StatusOK, k.cancel(t, closed.ID).status)
	ids := map[string]bool{}
	for _, c := range k.temporal.sent() {
		if c.update.UpdateName == process.UpdateCancel {
			require.False(t, ids[c.update.UpdateID], "each request has an id of its own: a stored refusal must not answer for ever")
			ids[c.update.UpdateID] = true
		}
	}
}

// A body is not looked at.
func TestCancelTakesNoBody(t *testing.T) {
	t.Parallel()
	k := setup(t)
	order := k.create(t, "k")
	r := k.request(t, http.MethodPost, "/v1/orders/"+string(order.ID)+"/cancel", `{"reason":`)
	require.Equal(t, http.StatusOK, k.do(t, r).status)
}
