package api

import (
	"context"
	"errors"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// Temporal is what the API needs of a client.Client. A lazy client lets the API start while Temporal is away.
type Temporal interface {
	NewWithStartWorkflowOperation(options client.StartWorkflowOptions, workflow any, args ...any) client.WithStartWorkflowOperation
	UpdateWithStartWorkflow(ctx context.Context, options client.UpdateWithStartWorkflowOptions) (client.WorkflowUpdateHandle, error)
	CheckHealth(ctx context.Context, request *client.CheckHealthRequest) (*client.CheckHealthResponse, error)
	DescribeTaskQueue(ctx context.Context, queue string, kind enumspb.TaskQueueType) (*workflowservice.DescribeTaskQueueResponse, error)
}

// engine asks the workflows of orders to do things. Every request starts the workflow if it is not running: an update and
// its start are sent together, a running workflow takes the update, one that completed is not started again.
type engine struct {
	client  Temporal
	timeout time.Duration
}

// workflowOrder is what the start of an order's workflow says about it, for support to find and read.
type workflowOrder struct {
	ID       payment.OrderID
	Merchant payment.MerchantID
	State    payment.State
	Chain    string
	Asset    string // the code
	Amount   string // decimal
}

// open returns nil when the order has its address. The update's id is fixed per order: the answer to it is kept, and given
// again even by a workflow that has closed. Error: CodeUnavailable; the order may get its address all the same.
func (e engine) open(ctx context.Context, order workflowOrder) error {
	return e.update(ctx, order, client.UpdateWorkflowOptions{
		UpdateID: process.OpenUpdateID(order.ID), UpdateName: process.UpdateOpen,
	})
}

// cancel gives the order up. RequestID names this request, in the workflow and in the audit. Errors: CodeOrderState,
// CodePaymentLive, CodeUnavailable; after the last the order may be cancelled all the same.
func (e engine) cancel(ctx context.Context, order workflowOrder, by process.By, requestID string) error {
	return e.update(ctx, order, client.UpdateWorkflowOptions{
		UpdateID: requestID, UpdateName: process.UpdateCancel, Args: []any{process.CancelRequest{By: by}},
	})
}

func (e engine) update(ctx context.Context, order workflowOrder, update client.UpdateWorkflowOptions) error {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	start := e.client.NewWithStartWorkflowOperation(startOptions(order), process.OrderWorkflow, process.OrderInput{OrderID: order.ID})
	update.WaitForStage = client.WorkflowUpdateStageCompleted
	handle, err := e.client.UpdateWithStartWorkflow(ctx, client.UpdateWithStartWorkflowOptions{
		StartWorkflowOperation: start, UpdateOptions: update,
	})
	if err == nil {
		err = handle.Get(ctx, nil)
	}
	return refusal(err)
}

// startOptions are those of every start of an order's workflow.
func startOptions(order workflowOrder) client.StartWorkflowOptions {
	return client.StartWorkflowOptions{
		ID:                       process.OrderWorkflowID(order.ID),
		TaskQueue:                process.OrdersQueue,
		WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
		WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE_FAILED_ONLY,
		StaticSummary:            order.Amount + " " + order.Asset + " on " + order.Chain,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			process.AttrOrderStatus.ValueSet(string(order.State)),
			process.AttrMerchantID.ValueSet(string(order.Merchant)),
			process.AttrChain.ValueSet(order.Chain),
			process.AttrAsset.ValueSet(order.Asset),
		),
	}
}

// refusal turns the outcome of an update into an error with a code. Only the two refusals of a cancellation are final;
// whatever else went wrong, the same request is worth repeating.
func refusal(err error) error {
	if err == nil {
		return nil
	}
	if app, ok := errors.AsType[*temporal.ApplicationError](err); ok {
		switch code := payment.Code(app.Type()); code {
		case payment.CodeOrderState:
			return payment.Wrap(err, code, "", "the order's state does not allow it")
		case payment.CodePaymentLive:
			return payment.Wrap(err, code, "", "a payment is on its way")
		default: // not for merchants
		}
	}
	return payment.Wrap(err, payment.CodeUnavailable, "", "a part of the engine is away; repeat the same request later")
}
