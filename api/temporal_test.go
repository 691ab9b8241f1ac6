package api_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/taskqueue/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/sluicepay/sluice/chain/hd"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// call is one update with its start, as it was sent.
type call struct {
	start    client.StartWorkflowOptions
	workflow any
	input    process.OrderInput
	update   client.UpdateWorkflowOptions
}

// fakeTemporal stands for Temporal and the workers behind it. By itself it does at once what they do; behave makes it
// fail, before or after.
type fakeTemporal struct {
	db   *store.DB
	xpub hd.ExtendedPublicKey

	mu     sync.Mutex
	calls  []call
	behave func(ctx context.Context, c call, work func() error) error
	// healthErr is what the health check says; lastPoll is when a worker last asked for work, nil for a moment ago.
	healthErr error
	lastPoll  *time.Time
	checks    int
}

func (f *fakeTemporal) set(behave func(ctx context.Context, c call, work func() error) error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.behave = behave
}

func (f *fakeTemporal) sent() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.calls)
}

// The ways in which Temporal fails, as its client reports them.
var (
	errAway    = serviceerror.NewUnavailable("connection refused")
	errClosed  = serviceerror.NewWorkflowExecutionAlreadyStarted("Workflow execution already finished successfully", "", "")
	errTimeout = errors.New("Timeout or cancellation waiting for update: context deadline exceeded") //nolint:staticcheck // as the SDK spells it
)

func away(context.Context, call, func() error) error { return errAway }

// answerLost does the work and loses the answer.
func answerLost(_ context.Context, _ call, work func() error) error {
	if err := work(); err != nil {
		return err
	}
	return errTimeout
}

// silent does nothing until the caller gives up, as when no worker is there.
func silent(ctx context.Context, _ call, _ func() error) error {
	<-ctx.Done()
	return errTimeout
}

type fakeStart struct {
	client.WithStartWorkflowOperation
	options  client.StartWorkflowOptions
	workflow any
	input    process.OrderInput
}

func (f *fakeTemporal) NewWithStartWorkflowOperation(options client.StartWorkflowOptions, workflow any, args ...any) client.WithStartWorkflowOperation {
	return &fakeStart{options: options, workflow: workflow, input: args[0].(process.OrderInput)}
}

func (f *fakeTemporal) UpdateWithStartWorkflow(ctx context.Context, options client.UpdateWithStartWorkflowOptions) (client.WorkflowUpdateHandle, error) {
	start := options.StartWorkflowOperation.(*fakeStart)
	c := call{start: start.options, workflow: start.workflow, input: start.input, update: options.UpdateOptions}
	f.mu.Lock()
	f.calls = append(f.calls, c)
	behave := f.behave
	f.mu.Unlock()
	work := func() error { return f.work(context.WithoutCancel(ctx), c) }
	if behave == nil {
		return &fakeHandle{err: refused(work())}, nil
	}
	if err := behave(ctx, c, work); err != nil {
		return nil, err
	}
	return &fakeHandle{}, nil
}

// refused is how a workflow tells the sender of an update that a transaction refused.
func refused(err error) error {
	if err == nil {
		return nil
	}
	return temporal.NewNonRetryableApplicationError("refused", string(payment.CodeOf(err)), nil)
}

// work is what the order's workflow does for an update.
func (f *fakeTemporal) work(ctx context.Context, c call) error {
	if c.update.UpdateName == process.UpdateOpen {
		return f.allocate(ctx, c.input.OrderID)
	}
	request := c.update.Args[0].(process.CancelRequest)
	_, err := f.db.CancelOrder(ctx, process.CancelInput{
		OrderID: c.input.OrderID, By: request.By, RequestID: c.start.ID + "/" + c.update.UpdateID,
	})
	return err
}

func (f *fakeTemporal) allocate(ctx context.Context, id payment.OrderID) error {
	allocation, err := f.db.BeginAllocation(ctx, id)
	if err != nil || allocation.Done != nil {
		return err
	}
	if allocation.Known != nil {
		_, err := f.db.ReuseAddress(ctx, id, allocation.Known.Address)
		return err
	}
	index, err := f.db.ReserveIndex(ctx, allocation.Wallet.ID)
	if err != nil {
		return err
	}
	address, err := f.xpub.Derive(index)
	if err != nil {
		return err
	}
	_, err = f.db.FinishAllocation(ctx, id, allocation.Wallet.ID, index, address)
	return err
}

type fakeHandle struct {
	client.WorkflowUpdateHandle
	err error
}

func (h *fakeHandle) Get(context.Context, any) error { return h.err }

func (f *fakeTemporal) CheckHealth(context.Context, *client.CheckHealthRequest) (*client.CheckHealthResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.checks++
	return &client.CheckHealthResponse{}, f.healthErr
}

func (f *fakeTemporal) DescribeTaskQueue(_ context.Context, queue string, kind enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if queue != process.OrdersQueue || kind != enumspb.TASK_QUEUE_TYPE_WORKFLOW {
		return &workflowservice.DescribeTaskQueueResponse{}, nil
	}
	last := time.Now()
	if f.lastPoll != nil {
		last = *f.lastPoll
	}
	return &workflowservice.DescribeTaskQueueResponse{Pollers: []*taskqueue.PollerInfo{{LastAccessTime: timestamppb.New(last)}}}, nil
}
