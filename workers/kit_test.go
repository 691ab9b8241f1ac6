package workers

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"

	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/grpc"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

var errAway = errors.New("away")

// service is Temporal's, as far as workers use it below the SDK. Its answers are functions, nil means success.
type service struct {
	workflowservice.WorkflowServiceClient
	operatorservice.OperatorServiceClient

	mu         sync.Mutex
	signals    []*workflowservice.SignalWorkflowExecutionRequest
	signal     func(attempt int) error
	describe   func() (*workflowservice.DescribeNamespaceResponse, error)
	registered []*workflowservice.RegisterNamespaceRequest
	register   error
	updated    []*workflowservice.UpdateNamespaceRequest
	attributes *operatorservice.ListSearchAttributesResponse
	added      []*operatorservice.AddSearchAttributesRequest
}

func (s *service) SignalWorkflowExecution(_ context.Context, in *workflowservice.SignalWorkflowExecutionRequest, _ ...grpc.CallOption) (*workflowservice.SignalWorkflowExecutionResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signals = append(s.signals, in)
	if s.signal == nil {
		return &workflowservice.SignalWorkflowExecutionResponse{}, nil
	}
	return nil, s.signal(len(s.signals))
}

func (s *service) DescribeNamespace(context.Context, *workflowservice.DescribeNamespaceRequest, ...grpc.CallOption) (*workflowservice.DescribeNamespaceResponse, error) {
	return s.describe()
}

func (s *service) RegisterNamespace(_ context.Context, in *workflowservice.RegisterNamespaceRequest, _ ...grpc.CallOption) (*workflowservice.RegisterNamespaceResponse, error) {
	s.registered = append(s.registered, in)
	return &workflowservice.RegisterNamespaceResponse{}, s.register
}

func (s *service) UpdateNamespace(_ context.Context, in *workflowservice.UpdateNamespaceRequest, _ ...grpc.CallOption) (*workflowservice.UpdateNamespaceResponse, error) {
	s.updated = append(s.updated, in)
	return &workflowservice.UpdateNamespaceResponse{}, nil
}

func (s *service) ListSearchAttributes(context.Context, *operatorservice.ListSearchAttributesRequest, ...grpc.CallOption) (*operatorservice.ListSearchAttributesResponse, error) {
	return s.attributes, nil
}

func (s *service) AddSearchAttributes(_ context.Context, in *operatorservice.AddSearchAttributesRequest, _ ...grpc.CallOption) (*operatorservice.AddSearchAttributesResponse, error) {
	s.added = append(s.added, in)
	return &operatorservice.AddSearchAttributesResponse{}, nil
}

// temporalClient is the SDK's client on that service.
type temporalClient struct {
	client.Client
	*service

	started []client.StartWorkflowOptions
	start   func(attempt int) error
}

func (c *temporalClient) WorkflowService() workflowservice.WorkflowServiceClient { return c.service }

func (c *temporalClient) OperatorService() operatorservice.OperatorServiceClient { return c.service }

func (c *temporalClient) ExecuteWorkflow(_ context.Context, options client.StartWorkflowOptions, _ any, _ ...any) (client.WorkflowRun, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.started = append(c.started, options)
	if c.start == nil {
		return nil, nil //nolint:nilnil // nobody looks at the run
	}
	return nil, c.start(len(c.started))
}

// box is an outbox in memory.
type box struct {
	mu       sync.Mutex
	waiting  []store.OutboxMessage
	claim    func() error
	claims   int
	marked   map[int64]store.OutboxOutcome
	mark     error
	put      map[int64]time.Duration
	route    store.Route
	routeErr error
	drained  chan struct{}
}

func newBox(messages ...store.OutboxMessage) *box {
	return &box{waiting: messages, marked: map[int64]store.OutboxOutcome{}, put: map[int64]time.Duration{}, drained: make(chan struct{})}
}

func (b *box) ClaimOutbox(_ context.Context, _ string, _ []string, limit int, lease time.Duration) ([]store.OutboxMessage, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.claims++
	if lease <= relayTimeout {
		return nil, errors.New("the lease must outlive the sending")
	}
	if b.claim != nil {
		if err := b.claim(); err != nil {
			return nil, err
		}
	}
	n := min(limit, len(b.waiting))
	claimed := b.waiting[:n]
	b.waiting = b.waiting[n:]
	if n == 0 {
		select {
		case <-b.drained:
		default:
			close(b.drained)
		}
	}
	return claimed, nil
}

func (b *box) MarkSent(_ context.Context, id int64, outcome store.OutboxOutcome) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.mark == nil {
		b.marked[id] = outcome
	}
	return b.mark
}

func (b *box) RetryLater(_ context.Context, _ string, id int64, delay time.Duration) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.put[id] = delay
	return nil
}

func (b *box) Route(context.Context, store.OutboxMessage) (store.Route, error) {
	return b.route, b.routeErr
}

// receiver takes what the relay sends.
type receiver struct {
	mu      sync.Mutex
	signal  error
	start   error
	signals []string
	orders  []payment.OrderID
	reviews []process.ReviewInput
	others  []process.Stream
}

func (r *receiver) SignalWorkflow(_ context.Context, workflowID, signal, requestID string, _ process.PaymentSignal) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.signals = append(r.signals, workflowID+" "+signal+" "+requestID)
	return r.signal
}

func (r *receiver) StartOrder(_ context.Context, id payment.OrderID) error {
	r.orders = append(r.orders, id)
	return r.start
}

func (r *receiver) StartReview(_ context.Context, in process.ReviewInput) error {
	r.reviews = append(r.reviews, in)
	return r.start
}

func (r *receiver) StartCallbacks(_ context.Context, of process.Stream) error {
	r.others = append(r.others, of)
	return r.start
}

func keys() *seal.Keyring {
	ring, _ := seal.NewRandomKeyring()
	return ring
}
