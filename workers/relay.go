package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// Outbox is what the relay needs of the store.
type Outbox interface {
	ClaimOutbox(ctx context.Context, owner string, chains []string, limit int, lease time.Duration) ([]store.OutboxMessage, error)
	MarkSent(ctx context.Context, id int64, outcome store.OutboxOutcome) error
	RetryLater(ctx context.Context, owner string, id int64, delay time.Duration) error
	Route(ctx context.Context, m store.OutboxMessage) (store.Route, error)
}

// Signaller is what the relay needs of Temporal. A request id makes a repeated signal one signal, within a run.
type Signaller interface {
	SignalWorkflow(ctx context.Context, workflowID, signal, requestID string, payload process.PaymentSignal) error
	StartOrder(ctx context.Context, id payment.OrderID) error
	StartReview(ctx context.Context, in process.ReviewInput) error
}

// Relay carries wake-ups from the outbox to workflows. Rows are claimed by a lease and sent outside the transaction, so any
// number of relays may run; a row whose sender died is sent again, under the same request id.
//
// A wake-up that finds no running workflow of its order asks the database what should be there: an order that can take the money
// gets its workflow started, other money gets a review.
type Relay struct {
	Outbox Outbox
	To     Signaller
	Owner  string
	Chains func() []string // the chains this process serves now
	Log    *slog.Logger
	// Metrics may be nil.
	Metrics *Metrics
	// Every is how often the outbox is looked at when it was empty.
	Every time.Duration
}

const (
	relayBatch    = 64
	relayParallel = 8
	relayLease    = 30 * time.Second
	relayTimeout  = 10 * time.Second
	relayMostWait = time.Minute
	relayEvery    = 200 * time.Millisecond
)

// Run relays until ctx ends.
func (r *Relay) Run(ctx context.Context) error {
	every := r.Every
	if every == 0 {
		every = relayEvery
	}
	failures := 0
	for {
		n, err := r.once(ctx)
		wait := every
		switch {
		case ctx.Err() != nil:
			return nil //nolint:nilerr // the end of ctx is how a relay ends
		case err != nil:
			failures++
			wait = min(every<<min(failures, 8), mostRetry)
			r.Log.WarnContext(ctx, "the outbox cannot be read, trying again", "error", err, "wait", wait)
		case n == relayBatch:
			failures, wait = 0, 0 // there is more
		default:
			failures = 0
		}
		if pause(ctx, wait) != nil {
			return nil //nolint:nilerr // the end of ctx is how a relay ends
		}
	}
}

// once claims and sends one batch and returns how many rows it had.
func (r *Relay) once(ctx context.Context) (int, error) {
	chains := r.Chains()
	if len(chains) == 0 {
		return 0, nil
	}
	messages, err := r.Outbox.ClaimOutbox(ctx, r.Owner, chains, relayBatch, relayLease)
	if err != nil {
		return 0, err
	}
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(relayParallel)
	for _, m := range messages {
		group.Go(func() error {
			r.relay(ctx, m)
			return nil
		})
	}
	return len(messages), group.Wait()
}

func (r *Relay) relay(ctx context.Context, m store.OutboxMessage) {
	ctx, cancel := context.WithTimeout(ctx, relayTimeout)
	defer cancel()
	outcome, err := r.send(ctx, m)
	if err == nil {
		err = r.Outbox.MarkSent(ctx, m.ID, outcome)
	}
	if err == nil {
		r.Metrics.sent(outcome)
		return
	}
	r.Metrics.failed()
	delay := min(time.Second<<min(m.Attempts, 6), relayMostWait)
	r.Log.WarnContext(ctx, "a wake-up could not be sent, trying again", "payment", m.PaymentID, "attempt", m.Attempts, "wait", delay, "error", err)
	// If this fails too, the lease ends by itself.
	if err := r.Outbox.RetryLater(context.WithoutCancel(ctx), r.Owner, m.ID, delay); err != nil {
		r.Log.WarnContext(ctx, "a wake-up could not be put back; its lease will end", "error", err)
	}
}

func (r *Relay) send(ctx context.Context, m store.OutboxMessage) (store.OutboxOutcome, error) {
	hint := process.PaymentSignal{PaymentID: m.PaymentID, Inclusion: m.Inclusion}
	if workflow := listener(m); workflow != "" {
		err := r.To.SignalWorkflow(ctx, workflow, m.Signal, m.RequestID, hint)
		if err == nil {
			return store.OutboxSignalled, nil
		}
		if _, gone := errors.AsType[*serviceerror.NotFound](err); !gone {
			return "", err
		}
	}
	route, err := r.Outbox.Route(ctx, m)
	if err != nil {
		return "", err
	}
	switch route.To {
	case store.RouteOrder:
		return store.OutboxOrderStarted, r.To.StartOrder(ctx, m.OrderID)
	case store.RouteReview:
		return store.OutboxReviewStarted, r.To.StartReview(ctx, process.ReviewInput{
			PaymentID: m.PaymentID, Inclusion: m.Inclusion, Cause: route.Cause,
		})
	case store.RouteNobody:
		return store.OutboxMoot, nil
	default:
		return "", fmt.Errorf("unknown route %q", route.To)
	}
}

// listener is the workflow that a wake-up is a signal to, "" for none. A review that runs already reads what it needs, and is
// not told: that would cost events and change nothing. One that a halt has blocked cannot know of the halt's end.
func listener(m store.OutboxMessage) string {
	switch {
	case m.ReviewCause == "" && m.OrderID != "":
		return process.OrderWorkflowID(m.OrderID)
	case m.ReviewCause != "" && m.Signal == process.SignalChainResumed:
		return process.ReviewWorkflowID(process.ReviewInput{PaymentID: m.PaymentID, Inclusion: m.Inclusion, Cause: m.ReviewCause})
	default:
		return ""
	}
}

// temporalSignaller talks to the service.
type temporalSignaller struct {
	client    client.Client
	namespace string
	identity  string
}

// SignalWorkflow sends one signal under a request id that the service deduplicates within a run. The SDK's own way to signal
// takes none. It also retries: raw calls are not retried, so a service that is away or overloaded for a moment is asked a
// few times here, and left to the outbox after that. NotFound is returned as it is.
func (t temporalSignaller) SignalWorkflow(ctx context.Context, workflowID, signal, requestID string, payload process.PaymentSignal) error {
	input, err := converter.GetDefaultDataConverter().ToPayloads(payload)
	if err != nil {
		return err
	}
	request := &workflowservice.SignalWorkflowExecutionRequest{
		Namespace:         t.namespace,
		WorkflowExecution: &commonpb.WorkflowExecution{WorkflowId: workflowID},
		SignalName:        signal,
		Input:             input,
		Identity:          t.identity,
		RequestId:         requestID,
	}
	for attempt := 1; ; attempt++ {
		_, err := t.client.WorkflowService().SignalWorkflowExecution(ctx, request)
		if err == nil || !momentary(err) || attempt == signalAttempts {
			return err
		}
		if pause(ctx, signalPause<<attempt) != nil {
			return err
		}
	}
}

const (
	signalAttempts = 4
	signalPause    = 25 * time.Millisecond // doubled before each further attempt
)

// momentary tells whether the service could not take a call now, and may in a moment.
func momentary(err error) bool {
	_, away := errors.AsType[*serviceerror.Unavailable](err)
	_, busy := errors.AsType[*serviceerror.ResourceExhausted](err)
	return away || busy
}

// StartOrder starts the workflow of an order that has none running. It reads everything it needs.
func (t temporalSignaller) StartOrder(ctx context.Context, id payment.OrderID) error {
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: process.OrderWorkflowID(id), TaskQueue: process.OrdersQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		// A completed run may be followed by another here: the database says that the order can still take money.
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:         "started again for " + string(id),
	}, process.OrderWorkflow, process.OrderInput{OrderID: id})
	return err
}

// StartReview starts a review, or leaves the running one alone.
func (t temporalSignaller) StartReview(ctx context.Context, in process.ReviewInput) error {
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: process.ReviewWorkflowID(in), TaskQueue: process.OrdersQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            "review: " + string(in.Cause),
	}, process.PaymentReviewWorkflow, in)
	return err
}

// StartCallbacks starts the workflow of a stream's outstanding callbacks, or leaves the running one alone.
func (t temporalSignaller) StartCallbacks(ctx context.Context, of process.Stream) error {
	_, err := t.client.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
		ID: process.CallbackWorkflowID(of), TaskQueue: process.OrdersQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		StaticSummary:            "callbacks of " + string(of),
	}, process.CallbackWorkflow, process.CallbacksOf(of))
	return err
}
