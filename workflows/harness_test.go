package workflows

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/mock"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

const (
	testOrder    = payment.OrderID("ord_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	testEndpoint = payment.EndpointID("whk_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	testPayment  = payment.PaymentID("pay_aaaaaaaaaaaaaaaaaaaaaaaaaa")
	otherPayment = payment.PaymentID("pay_baaaaaaaaaaaaaaaaaaaaaaaaa")
	testLifetime = time.Hour
	testWindow   = 24 * time.Hour
)

var somebody = process.By{Actor: "support", Reason: "asked on the phone"}

// world stands for the database, the chain and the merchants: activities that read and change one order's truth, and
// tests that change it at certain times. Activities run beside the environment's loop, so both hold the lock.
type world struct {
	t   *testing.T
	env *testsuite.TestWorkflowEnvironment
	mu  sync.Mutex
	// truth is what a transaction would find.
	truth process.OrderView
	calls map[string]int
	// parked are the blocks as they were recorded, "" for none.
	parked []process.Step
	// What the activities do; the defaults are a quiet day.
	allocate func() error
	read     func() error
	settle   func(process.SettleInput) (process.SettleResult, error)
	expire   func() (process.ExpireOutcome, error)
	move     func(activity string, input any) error
	deliver  func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error)
	review   process.ReviewView
	decide   func(process.ResolveReviewInput) error
	list     process.CallbackView
	watch    func() (process.WatchResult, error)
	requests []string
	updates  int
	// children are the workflows that were started by the one under test.
	children []string
	// attributes are the search attributes as last set, upserts how often any were.
	attributes map[string]any
	upserts    int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(quiet{})
	w := &world{t: t, env: suite.NewTestWorkflowEnvironment(), calls: map[string]int{}}
	w.env.SetTestTimeout(await.Broken)
	w.env.SetDetachedChildWait(false)
	w.env.SetStartTime(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC))
	w.truth = process.OrderView{
		ID: testOrder, MerchantID: "mer_aaaaaaaaaaaaaaaaaaaaaaaaaa", Chain: "dev", AssetID: "dev/native", AssetCode: "USDC", Amount: "25",
		Address: "0x52908400098527886E0F7030069857D2E4169EE7", State: payment.StateAwaitingPayment,
		ExpiresAt: w.env.Now().Add(testLifetime), LateUntil: w.env.Now().Add(testLifetime + testWindow), BlockTime: time.Second,
	}
	w.defaults()
	w.register()
	w.env.SetOnChildWorkflowStartedListener(func(info *workflow.Info, _ workflow.Context, _ converter.EncodedValues) {
		w.children = append(w.children, info.WorkflowExecution.ID)
	})
	w.attributes = map[string]any{}
	w.env.OnUpsertTypedSearchAttributes(mock.Anything).Run(func(args mock.Arguments) {
		w.upserts++
		set := args.Get(0).(temporal.SearchAttributes)
		if name := process.AttrBlockedStep.GetName(); strings.Contains(fmt.Sprintf("%+v", set), name) {
			delete(w.attributes, name) // unset, unless it is among the values; no method tells
		}
		for key, value := range set.GetUntypedValues() {
			w.attributes[key.GetName()] = value
		}
	}).Return(nil)
	return w
}

func (w *world) defaults() {
	w.allocate = func() error { return nil }
	w.read = func() error { return nil }
	w.settle = func(in process.SettleInput) (process.SettleResult, error) {
		w.settled(in.PaymentID, payment.StatusCredited)
		w.truth.State = payment.StatePaid
		return process.SettleResult{Outcome: process.SettleCredited, Inclusion: 1}, nil
	}
	w.expire = func() (process.ExpireOutcome, error) {
		w.truth.State = payment.StateExpired
		return process.ExpireExpired, nil
	}
	w.move = func(string, any) error { return nil }
	w.deliver = func(_ context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		w.truth.PendingEndpoints = slices.DeleteFunc(w.truth.PendingEndpoints, func(e payment.EndpointID) bool { return e == in.EndpointID })
		return process.DeliverResult{Delivered: 1}, nil
	}
	w.decide = func(process.ResolveReviewInput) error { return nil }
	w.watch = func() (process.WatchResult, error) { return process.WatchResult{Outcome: process.WatchTurn}, nil }
}

// view copies the truth, as a transaction's result would be a copy.
func (w *world) view() process.OrderView {
	v := w.truth
	v.Payments = slices.Clone(v.Payments)
	v.Labels = slices.Clone(v.Labels)
	v.PendingEndpoints = slices.Clone(v.PendingEndpoints)
	return v
}

func (w *world) register() {
	Register(w.env)
	add := func(name string, fn any) {
		w.env.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
	add(process.ActivityAllocateAddress, func(context.Context, process.OrderInput) (process.OrderView, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityAllocateAddress]++
		if err := w.allocate(); err != nil {
			return process.OrderView{}, err
		}
		return w.view(), nil
	})
	add(process.ActivityReadOrder, func(context.Context, process.OrderInput) (process.OrderView, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityReadOrder]++
		if err := w.read(); err != nil {
			return process.OrderView{}, err
		}
		return w.view(), nil
	})
	add(process.ActivitySettlePayment, func(_ context.Context, in process.SettleInput) (process.SettleResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivitySettlePayment]++
		result, err := w.settle(in)
		if err == nil && in.Review == "" {
			v := w.view()
			result.Order = &v
		}
		return result, err
	})
	add(process.ActivityExpireOrder, func(context.Context, process.OrderInput) (process.ExpireResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityExpireOrder]++
		outcome, err := w.expire()
		return process.ExpireResult{Outcome: outcome, Order: w.view()}, err
	})
	add(process.ActivityCancelOrder, func(_ context.Context, in process.CancelInput) (process.OrderResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.moved(process.ActivityCancelOrder, in, in.RequestID)
	})
	add(process.ActivityExtendOrder, func(_ context.Context, in process.ExtendInput) (process.OrderResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.moved(process.ActivityExtendOrder, in, in.RequestID)
	})
	add(process.ActivityResolveOrder, func(_ context.Context, in process.ResolveInput) (process.OrderResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.moved(process.ActivityResolveOrder, in, in.RequestID)
	})
	add(process.ActivityRedeliver, func(_ context.Context, in process.RedeliverInput) (process.OrderResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.moved(process.ActivityRedeliver, in, in.RequestID)
	})
	add(process.ActivityRequestRescan, func(_ context.Context, in process.RescanInput) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		_, err := w.moved(process.ActivityRequestRescan, in, in.RequestID)
		return err
	})
	add(process.ActivityParkOrder, func(_ context.Context, in process.ParkInput) error {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityParkOrder]++
		w.parked = append(w.parked, in.Step)
		return nil
	})
	add(process.ActivityDeliverCallbacks, func(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityDeliverCallbacks]++
		return w.deliver(ctx, in)
	})
	w.registerOthers(add)
}

func (w *world) registerOthers(add func(string, any)) {
	add(process.ActivityReadReview, func(context.Context, process.ReviewInput) (process.ReviewView, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityReadReview]++
		return w.review, nil
	})
	add(process.ActivityResolveReview, func(_ context.Context, in process.ResolveReviewInput) (process.ReviewView, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityResolveReview]++
		w.requests = append(w.requests, in.RequestID)
		if err := w.decide(in); err != nil {
			return process.ReviewView{}, err
		}
		if in.Move != process.MoveRetry {
			w.review.Status = reviewResolved
			w.review.Held = w.review.Held && in.Move != process.MoveRelease
		}
		return w.review, nil
	})
	add(process.ActivityReadCallbacks, func(context.Context, process.CallbackInput) (process.CallbackView, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityReadCallbacks]++
		return w.list, nil
	})
	add(process.ActivityWatchChain, func(context.Context, process.WatcherInput) (process.WatchResult, error) {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.calls[process.ActivityWatchChain]++
		return w.watch()
	})
}

func (w *world) moved(name string, input any, request string) (process.OrderResult, error) {
	w.calls[name]++
	w.requests = append(w.requests, request)
	if err := w.move(name, input); err != nil {
		return process.OrderResult{}, err
	}
	return process.OrderResult{Outcome: process.OutcomeDone, Order: w.view()}, nil
}

// at runs fn at a time after the start.
func (w *world) at(after time.Duration, fn func()) {
	w.env.RegisterDelayedCallback(func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		fn()
	}, after)
}

// seen puts a payment on the chain and wakes the workflow.
func (w *world) seen(id payment.PaymentID, inclusion int) {
	w.truth.State = payment.StateConfirming
	w.put(id, inclusion, payment.StatusDetected)
	w.wake()
}

func (w *world) put(id payment.PaymentID, inclusion int, status payment.PaymentStatus) {
	w.truth.Payments = slices.DeleteFunc(w.truth.Payments, func(p process.PaymentView) bool { return p.ID == id })
	w.truth.Payments = append(w.truth.Payments, process.PaymentView{
		ID: id, Inclusion: inclusion, Chain: "dev", Status: string(status), Amount: "25", AssetCode: "USDC", Block: 7, Needs: 3,
	})
}

// settled takes a payment out of the list of what is to be done.
func (w *world) settled(id payment.PaymentID, _ payment.PaymentStatus) {
	w.truth.Payments = slices.DeleteFunc(w.truth.Payments, func(p process.PaymentView) bool { return p.ID == id })
}

func (w *world) wake() {
	w.env.SignalWorkflow(process.SignalPaymentSeen, process.PaymentSignal{PaymentID: testPayment, Inclusion: 1})
}

// run executes an order's workflow until it ends.
func (w *world) run() {
	w.t.Helper()
	w.execute(process.OrderWorkflow, process.OrderInput{OrderID: testOrder})
}

// execute runs a workflow to its end, and keeps what it leaves behind (an abandoned child) from moving the world after.
func (w *world) execute(workflow string, input ...any) {
	w.t.Helper()
	w.env.ExecuteWorkflow(workflow, input...)
	w.mu.Lock()
	w.t.Cleanup(w.mu.Unlock)
	require.True(w.t, w.env.IsWorkflowCompleted())
}

func (w *world) runsWell() {
	w.t.Helper()
	w.run()
	require.NoError(w.t, w.env.GetWorkflowError())
}

// pay ends an order's run: everything is settled and the order is paid.
func (w *world) pay() {
	w.truth.State = payment.StatePaid
	w.truth.Payments = nil
	w.wake()
}

func (w *world) state() process.WorkflowState {
	w.t.Helper()
	var state process.WorkflowState
	value, err := w.env.QueryWorkflow(process.QueryState)
	require.NoError(w.t, err)
	require.NoError(w.t, value.Get(&state))
	return state
}

// answer is how an update ended.
type answer struct {
	accepted, rejected, completed bool
	result                        any
	err                           error
}

// code is the payment code of a refusal, or "".
func (a *answer) code() payment.Code {
	var app *temporal.ApplicationError
	if errors.As(a.err, &app) {
		return payment.Code(app.Type())
	}
	if a.err != nil {
		return payment.Code("not an application error: " + a.err.Error())
	}
	return ""
}

func (w *world) update(name string, args ...any) *answer {
	a := &answer{}
	w.updates++
	w.env.UpdateWorkflow(name, fmt.Sprintf("%s-%d", name, w.updates), &testsuite.TestUpdateCallback{
		OnAccept:   func() { a.accepted = true },
		OnReject:   func(err error) { a.rejected, a.err = true, err },
		OnComplete: func(result any, err error) { a.completed, a.result, a.err = true, result, err },
	}, args...)
	return a
}

// refuse is how an activity says that a transaction refused.
func refuse(code payment.Code) error {
	return temporal.NewNonRetryableApplicationError("refused", string(code), nil)
}

// fail is how an activity says that something is away. The test environment gives up after ten attempts.
func fail() error { return temporal.NewApplicationError("away", string(payment.CodeUnavailable)) }

// waits is how an activity says when it wants to be tried again.
func waits(d time.Duration) error {
	return temporal.NewApplicationErrorWithOptions("not yet", "waiting", temporal.ApplicationErrorOptions{NextRetryDelay: d})
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
