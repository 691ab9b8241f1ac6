package workflows

import (
	"errors"
	"slices"
	"time"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// Policy is how one activity is run. Infrastructure errors are retried for ever, so no policy bounds the number of attempts
// or their total time; what an activity waits for (blocks, a due callback) is a retry too, at the delay it asks for.
type Policy struct {
	Activity string
	// Local: one transaction, run inside the workflow's worker, twice at most; if that fails, as a regular activity.
	Local bool
	// Queue is where the regular activity runs; "" is the queue of the chain concerned.
	Queue string
	// Attempt bounds one attempt. A database statement is given up after 5 s, below every one of them.
	Attempt time.Duration
	// Heartbeat: an attempt that is silent this long is given up. Zero: attempts are short, Attempt is enough.
	Heartbeat time.Duration
	// First and Most are the delays between attempts, doubling.
	First, Most time.Duration
	// Final are the refusals that no repetition would change; the workflow handles them.
	Final []payment.Code
	// Key is what makes a repetition harmless, overlapping ones included.
	Key string
}

// Policies lists every activity.
func Policies() []Policy {
	const (
		local   = true
		regular = false
		orders  = process.OrdersQueue
		calls   = process.CallbacksQueue
		chain   = ""
		s       = time.Second
	)
	none := []payment.Code{payment.CodeNotFound}
	move := []payment.Code{payment.CodeNotFound, payment.CodeOrderState, payment.CodePaymentLive, payment.CodeInvalidExpiry,
		payment.CodeInvalidParameter, payment.CodeChainHalted, payment.CodeAssetHalted}
	address := []payment.Code{payment.CodeNotFound, payment.CodeOrderState, payment.CodeAddressesExhausted, payment.CodeInvalidXPub}
	rescan := []payment.Code{payment.CodeNotFound, payment.CodeUnknownChain, payment.CodeInvalidParameter, payment.CodeOrderState}
	return []Policy{
		// activity                       local    queue   attempt beat  first most  final    key
		{process.ActivityAllocateAddress, local, orders, 6 * s, 0, s, 30 * s, address, "the order row: allocated already → the winner's address"},
		{process.ActivityReadOrder, local, orders, 6 * s, 0, s, 30 * s, none, "reads only"},
		{process.ActivityCancelOrder, local, orders, 6 * s, 0, s, 30 * s, move, "update id, in the audit"},
		{process.ActivityExtendOrder, local, orders, 6 * s, 0, s, 30 * s, move, "update id, in the audit"},
		{process.ActivityResolveOrder, local, orders, 6 * s, 0, s, 30 * s, move, "update id, in the audit"},
		{process.ActivityParkOrder, local, orders, 6 * s, 0, s, 30 * s, none, "<order>/park/<run>/<n>, in the audit"},
		{process.ActivityRequestRescan, local, orders, 6 * s, 0, s, 30 * s, rescan, "update id, in rescans"},
		{process.ActivityRedeliver, local, orders, 6 * s, 0, s, 30 * s, move, "update id, in the audit"},
		{process.ActivityReadCallbacks, local, orders, 6 * s, 0, s, 30 * s, none, "reads only"},
		{process.ActivityReadReview, local, orders, 6 * s, 0, s, 30 * s, none, "reads only"},
		{process.ActivityResolveReview, local, orders, 6 * s, 0, s, 30 * s, move, "update id, in the audit; <payment>/<inclusion>/release"},
		{process.ActivitySettlePayment, regular, chain, 45 * s, 0, s, 30 * s, none, "<payment>/<inclusion>/credit, in the ledger"},
		{process.ActivityExpireOrder, regular, orders, 10 * s, 0, s, 30 * s, move, "<order>/expire, in the events; over → says so"},
		{process.ActivityDeliverCallbacks, regular, calls, 150 * s, 45 * s, s, 30 * s, none, "event id, as webhook-id; lease per order and endpoint"},
		{process.ActivityWatchChain, regular, chain, 2 * time.Hour, 10 * s, 100 * time.Millisecond, 2 * s, nil, "the cursor's epoch"},
	}
}

// The two attempts of a local activity and the pause between them stay below the 8 s after which a workflow task would
// need heartbeats, which hold up signals.
const (
	localAttempts = 2
	localPause    = 100 * time.Millisecond
	localTotal    = 7 * time.Second
)

// policyOf panics for an activity without a policy: a workflow task that panics is retried until the code is mended.
func policyOf(activity string) Policy {
	for _, p := range Policies() {
		if p.Activity == activity {
			return p
		}
	}
	panic("workflows: no policy for activity " + activity)
}

func (p Policy) finalTypes() []string {
	types := make([]string, 0, len(p.Final))
	for _, code := range p.Final {
		types = append(types, string(code))
	}
	return types
}

func (p Policy) local(summary string) workflow.LocalActivityOptions {
	return workflow.LocalActivityOptions{
		StartToCloseTimeout:    p.Attempt,
		ScheduleToCloseTimeout: localTotal,
		Summary:                summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: localPause, BackoffCoefficient: 2, MaximumAttempts: localAttempts,
			NonRetryableErrorTypes: p.finalTypes(),
		},
	}
}

func (p Policy) regular(chain, summary string) workflow.ActivityOptions {
	queue := p.Queue
	if queue == "" {
		queue = process.ChainQueue(chain)
	}
	return workflow.ActivityOptions{
		TaskQueue:           queue,
		StartToCloseTimeout: p.Attempt,
		HeartbeatTimeout:    p.Heartbeat,
		Summary:             summary,
		RetryPolicy: &temporal.RetryPolicy{
			InitialInterval: p.First, BackoffCoefficient: 2, MaximumInterval: p.Most,
			NonRetryableErrorTypes: p.finalTypes(),
		},
	}
}

// transact runs an activity that is one transaction. The error is a *refusal, or the context's.
func transact[R any](ctx workflow.Context, activity string, input any) (R, error) {
	var result R
	p := policyOf(activity)
	err := workflow.ExecuteLocalActivity(workflow.WithLocalActivityOptions(ctx, p.local("")), activity, input).Get(ctx, &result)
	if err == nil || p.refused(err) {
		return result, asRefusal(err)
	}
	workflow.GetLogger(ctx).Warn("local activity failed, going on with a regular one", "activity", activity)
	return perform[R](ctx, activity, "", input, "after the local attempt failed")
}

// perform runs a regular activity until it is over. The error is a *refusal, or the context's.
func perform[R any](ctx workflow.Context, activity, chain string, input any, summary string) (R, error) {
	var result R
	opts := policyOf(activity).regular(chain, summary)
	err := workflow.ExecuteActivity(workflow.WithActivityOptions(ctx, opts), activity, input).Get(ctx, &result)
	return result, asRefusal(err)
}

func (p Policy) refused(err error) bool {
	var app *temporal.ApplicationError
	return errors.As(err, &app) && (app.NonRetryable() || slices.Contains(p.Final, payment.Code(app.Type())))
}

// refusal is an outcome of an activity that no repetition would change.
type refusal struct {
	code    payment.Code
	message string
}

func (r *refusal) Error() string { return string(r.code) + ": " + r.message }

// failure is how a refusal is told to whoever sent the update.
func (r *refusal) failure() error {
	return temporal.NewNonRetryableApplicationError(r.message, string(r.code), nil)
}

// asRefusal leaves nil and cancellation as they are. Whatever else ended an activity is a refusal: retries are unlimited,
// so somebody or something decided that there shall be no more.
func asRefusal(err error) error {
	var app *temporal.ApplicationError
	switch {
	case err == nil || temporal.IsCanceledError(err):
		return err
	case errors.As(err, &app):
		return &refusal{code: payment.Code(app.Type()), message: app.Message()}
	default:
		return &refusal{code: payment.CodeInternal, message: "the activity was ended"}
	}
}

// codeOf names why an operation was refused, for people.
func codeOf(err error) string {
	var r *refusal
	if errors.As(err, &r) {
		return string(r.code)
	}
	return string(payment.CodeInternal)
}
