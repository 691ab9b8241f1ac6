package workers

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"
	"go.temporal.io/api/serviceerror"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

func message(id int64) store.OutboxMessage {
	return store.OutboxMessage{
		ID: id, Chain: "dev", Signal: process.SignalPaymentSeen, PaymentID: "pay_a", Inclusion: 2, OrderID: "ord_a",
		RequestID: "pay_a/2/seen", Attempts: 1,
	}
}

func relayOf(b *box, r *receiver) *Relay {
	return &Relay{Outbox: b, To: r, Owner: "me", Chains: func() []string { return []string{"dev"} }, Log: discard(), Every: time.Millisecond}
}

func notFound() error { return serviceerror.NewNotFound("workflow execution already completed") }

func TestWhatBecomesOfAWakeUp(t *testing.T) {
	t.Parallel()
	review := process.ReviewInput{PaymentID: "pay_a", Inclusion: 2, Cause: process.CauseClosedOrder}
	for name, c := range map[string]struct {
		change  func(*store.OutboxMessage)
		signal  error
		route   store.Route
		outcome store.OutboxOutcome
		signals []string
		orders  []payment.OrderID
		reviews []process.ReviewInput
	}{
		"its workflow runs": {
			outcome: store.OutboxSignalled, signals: []string{"order/ord_a payment_seen pay_a/2/seen"},
		},
		"an open order without a workflow": {
			signal: notFound(), route: store.Route{To: store.RouteOrder},
			outcome: store.OutboxOrderStarted, signals: []string{"order/ord_a payment_seen pay_a/2/seen"}, orders: []payment.OrderID{"ord_a"},
		},
		"a closed order": {
			signal: notFound(), route: store.Route{To: store.RouteReview, Cause: process.CauseClosedOrder},
			outcome: store.OutboxReviewStarted, signals: []string{"order/ord_a payment_seen pay_a/2/seen"}, reviews: []process.ReviewInput{review},
		},
		"news that is over": {
			signal: notFound(), route: store.Route{To: store.RouteNobody},
			outcome: store.OutboxMoot, signals: []string{"order/ord_a payment_seen pay_a/2/seen"},
		},
		"a review": {
			change:  func(m *store.OutboxMessage) { m.ReviewCause = process.CauseClosedOrder },
			route:   store.Route{To: store.RouteReview, Cause: process.CauseClosedOrder},
			outcome: store.OutboxReviewStarted, reviews: []process.ReviewInput{review},
		},
		"a review after a halt": {
			change: func(m *store.OutboxMessage) {
				m.ReviewCause, m.Signal = process.CauseClosedOrder, process.SignalChainResumed
			},
			outcome: store.OutboxSignalled, signals: []string{"review/pay_a/2/closed_order chain_resumed pay_a/2/seen"},
		},
		"a lost review after a halt": {
			change: func(m *store.OutboxMessage) {
				m.ReviewCause, m.Signal = process.CauseClosedOrder, process.SignalChainResumed
			},
			signal: notFound(), route: store.Route{To: store.RouteReview, Cause: process.CauseClosedOrder},
			outcome: store.OutboxReviewStarted, signals: []string{"review/pay_a/2/closed_order chain_resumed pay_a/2/seen"},
			reviews: []process.ReviewInput{review},
		},
		"money without an order": {
			change:  func(m *store.OutboxMessage) { m.OrderID = "" },
			route:   store.Route{To: store.RouteReview, Cause: process.CauseClosedOrder},
			outcome: store.OutboxReviewStarted, reviews: []process.ReviewInput{review},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message(7)
			if c.change != nil {
				c.change(&m)
			}
			b, r := newBox(m), &receiver{signal: c.signal}
			b.route = c.route
			n, err := relayOf(b, r).once(t.Context())
			require.NoError(t, err)
			require.Equal(t, 1, n)
			require.Equal(t, map[int64]store.OutboxOutcome{7: c.outcome}, b.marked)
			require.Empty(t, b.put)
			require.Equal(t, c.signals, r.signals)
			require.Equal(t, c.orders, r.orders)
			require.Equal(t, c.reviews, r.reviews)
		})
	}
}

// Whatever goes wrong, a wake-up is put back and never lost.
func TestAWakeUpThatFailsIsPutBack(t *testing.T) {
	t.Parallel()
	for name, given := range map[string]func(*box, *receiver){
		"the service is away":      func(_ *box, r *receiver) { r.signal = serviceerror.NewUnavailable("away") },
		"the service is busy":      func(_ *box, r *receiver) { r.signal = serviceerror.NewResourceExhausted(0, "busy") },
		"the namespace is missing": func(_ *box, r *receiver) { r.signal = serviceerror.NewNamespaceNotFound("sluice") },
		"the service refuses":      func(_ *box, r *receiver) { r.signal = serviceerror.NewInvalidArgument("no") },
		"it takes too long":        func(_ *box, r *receiver) { r.signal = context.DeadlineExceeded },
		"the database is away":     func(b *box, r *receiver) { r.signal, b.routeErr = notFound(), errAway },
		"nothing can be started": func(b *box, r *receiver) {
			r.signal, r.start, b.route = notFound(), errAway, store.Route{To: store.RouteOrder}
		},
		"no review can be": func(b *box, r *receiver) {
			r.signal, r.start, b.route = notFound(), errAway, store.Route{To: store.RouteReview}
		},
		"the route is a new one":    func(b *box, r *receiver) { r.signal, b.route = notFound(), store.Route{To: "elsewhere"} },
		"sent, and nobody knows it": func(b *box, _ *receiver) { b.mark = errAway },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, r := newBox(message(1), message(2)), &receiver{}
			given(b, r)
			_, err := relayOf(b, r).once(t.Context())
			require.NoError(t, err)
			require.Empty(t, b.marked)
			require.Len(t, b.put, 2)
			require.Equal(t, 2*time.Second, b.put[1])
		})
	}
}

func TestTheWaitGrowsWithTheAttempts(t *testing.T) {
	t.Parallel()
	waits := map[int]time.Duration{1: 2 * time.Second, 3: 8 * time.Second, 10: time.Minute, 100_000: time.Minute}
	for attempts, wait := range waits {
		m := message(1)
		m.Attempts = attempts
		b := newBox(m)
		_, err := relayOf(b, &receiver{signal: errAway}).once(t.Context())
		require.NoError(t, err)
		require.Equal(t, wait, b.put[1])
	}
}

func TestTheRelayEmptiesTheOutboxAndStopsWhenAsked(t *testing.T) {
	t.Parallel()
	var messages []store.OutboxMessage
	for i := range int64(3*relayBatch + 5) {
		messages = append(messages, message(i))
	}
	b := newBox(messages...)
	failing := 2
	b.claim = func() error {
		if failing--; failing >= 0 {
			return errAway
		}
		return nil
	}
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	relay := relayOf(b, &receiver{})
	relay.Metrics = metrics
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- relay.Run(ctx) }()
	<-b.drained
	cancel()
	require.NoError(t, <-done)
	require.Len(t, b.marked, len(messages))
	families, err := registry.Gather()
	require.NoError(t, err)
	for _, family := range families {
		if family.GetName() == "sluice_relay_wakeups_total" {
			require.InDelta(t, len(messages), family.GetMetric()[0].GetCounter().GetValue(), 0)
			return
		}
	}
	t.Fatal("the metric is missing")
}

func TestARelayWithoutChainsClaimsNothing(t *testing.T) {
	t.Parallel()
	b := newBox(message(1))
	relay := relayOf(b, &receiver{})
	relay.Chains = func() []string { return nil }
	n, err := relay.once(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Zero(t, b.claims)
}

func signaller(s *service) (temporalSignaller, *temporalClient) {
	c := &temporalClient{service: s}
	return temporalSignaller{client: c, namespace: "sluice", identity: "me"}, c
}

func TestASignalCarriesItsRequestID(t *testing.T) {
	t.Parallel()
	s := &service{}
	to, _ := signaller(s)
	require.NoError(t, to.SignalWorkflow(t.Context(), "order/ord_a", "payment_seen", "pay_a/2/seen", process.PaymentSignal{PaymentID: "pay_a", Inclusion: 2}))
	require.Len(t, s.signals, 1)
	request := s.signals[0]
	require.Equal(t, "pay_a/2/seen", request.GetRequestId())
	require.Equal(t, "sluice", request.GetNamespace())
	require.Equal(t, "order/ord_a", request.GetWorkflowExecution().GetWorkflowId())
	require.Empty(t, request.GetWorkflowExecution().GetRunId(), "whichever run there is")
	require.JSONEq(t, `{"payment_id":"pay_a","inclusion":2}`, string(request.GetInput().GetPayloads()[0].GetData()))
}

func TestASignalIsRetriedForAMoment(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		signal func(int) error
		calls  int
		fails  bool
	}{
		"away once":        {func(n int) error { return when(n < 2, serviceerror.NewUnavailable("away")) }, 2, false},
		"busy twice":       {func(n int) error { return when(n < 3, serviceerror.NewResourceExhausted(0, "busy")) }, 3, false},
		"away for good":    {func(int) error { return serviceerror.NewUnavailable("away") }, signalAttempts, true},
		"not there":        {func(int) error { return notFound() }, 1, true},
		"refused":          {func(int) error { return serviceerror.NewInvalidArgument("no") }, 1, true},
		"without its home": {func(int) error { return serviceerror.NewNamespaceNotFound("sluice") }, 1, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := &service{signal: c.signal}
			to, _ := signaller(s)
			err := to.SignalWorkflow(t.Context(), "order/ord_a", "payment_seen", "pay_a/2/seen", process.PaymentSignal{})
			require.Equal(t, c.fails, err != nil)
			require.Len(t, s.signals, c.calls)
			for _, request := range s.signals {
				require.Equal(t, "pay_a/2/seen", request.GetRequestId(), "the same request, however often it is made")
			}
		})
	}
}

func when(condition bool, err error) error {
	if condition {
		return err
	}
	return nil
}

func TestASignalIsNotRetriedAfterItsTime(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	s := &service{signal: func(int) error { cancel(); return serviceerror.NewUnavailable("away") }}
	to, _ := signaller(s)
	var away *serviceerror.Unavailable
	err := to.SignalWorkflow(ctx, "order/ord_a", "payment_seen", "r", process.PaymentSignal{})
	require.ErrorAs(t, err, &away)
	require.Len(t, s.signals, 1)
}

func TestWorkflowsAreStartedUnderTheirIDs(t *testing.T) {
	t.Parallel()
	to, c := signaller(&service{})
	require.NoError(t, to.StartOrder(t.Context(), "ord_a"))
	require.NoError(t, to.StartReview(t.Context(), process.ReviewInput{PaymentID: "pay_a", Inclusion: 1, Cause: process.CauseLate}))
	require.NoError(t, to.StartCallbacks(t.Context(), "ord_a"))
	require.NoError(t, startWatcher(c)(t.Context(), "dev"))
	var ids []string
	for _, options := range c.started {
		ids = append(ids, options.ID)
		require.Equal(t, process.OrdersQueue, options.TaskQueue)
		require.Equal(t, "UseExisting", options.WorkflowIDConflictPolicy.String())
		require.Equal(t, "AllowDuplicate", options.WorkflowIDReusePolicy.String())
		require.NotEmpty(t, options.StaticSummary)
	}
	require.Equal(t, []string{"order/ord_a", "review/pay_a/1/late", "callbacks/ord_a", "watcher/dev"}, ids)
	c.start = func(int) error { return errors.New("refused") }
	require.Error(t, to.StartOrder(t.Context(), "ord_a"))
}
