package workflows

import (
	"fmt"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// CallbackWorkflow takes care of the callbacks of an order, or of a payment that is for none, when no other run does: it shows the parked ones, sends them again
// when told to, and ends when nothing is parked or pending any more.
func CallbackWorkflow(ctx workflow.Context, in process.CallbackInput) error {
	c := &callbackRun{
		ctx: detached(ctx), in: in,
		changes: workflow.GetSignalChannelWithOptions(ctx, process.SignalCallbacksChanged,
			workflow.SignalChannelOptions{Description: "Look at the callbacks again"}),
		stale: true,
	}
	c.deliveries = newDeliveries(c.ctx, in.Stream(), c.delivered)
	if err := c.setup(); err != nil {
		return err
	}
	return c.run()
}

type callbackRun struct {
	ctx        workflow.Context
	in         process.CallbackInput
	view       process.CallbackView
	changes    workflow.ReceiveChannel
	deliveries *deliveries
	// stale: read the callbacks again. Here every end of an activity makes it so; there are few.
	stale bool
	// refused: an endpoint's activity was ended for good.
	refused string
	// closed: somebody has seen what is parked and leaves it so.
	closed bool
}

func (c *callbackRun) setup() error {
	r := &register{ctx: c.ctx}
	r.state(c.state)
	r.update(process.UpdateRedeliver, `Send parked callbacks again: {"actor":"…","reason":"…"}, one of them with "callback_id"`, c.onRedeliver, c.checkRedeliver)
	r.update(process.UpdateResolve, `Leave them parked: {"actor":"…","reason":"…","move":"close"}`, c.onResolve, c.checkResolve)
	return r.err
}

func (c *callbackRun) run() error {
	for {
		for c.changes.ReceiveAsync(nil) {
			c.stale = true
		}
		if err := c.read(); err != nil {
			return err
		}
		c.publish()
		if workflow.GetInfo(c.ctx).GetContinueAsNewSuggested() {
			if err := c.handlersFinished(); err != nil {
				return err
			}
			return workflow.NewContinueAsNewError(c.ctx, process.CallbackWorkflow, c.in)
		}
		if c.finished() {
			if err := c.handlersFinished(); err != nil {
				return err
			}
			if !c.woken() {
				return nil
			}
		}
		if err := workflow.Await(c.ctx, func() bool { return c.woken() || c.finished() }); err != nil {
			return err
		}
	}
}

func (c *callbackRun) handlersFinished() error {
	return workflow.Await(c.ctx, func() bool { return workflow.AllHandlersFinished(c.ctx) })
}

func (c *callbackRun) read() error {
	for c.stale {
		c.stale = false
		view, err := transact[process.CallbackView](c.ctx, process.ActivityReadCallbacks, c.in)
		if err != nil {
			return err
		}
		c.view = view
		c.deliveries.want(view.PendingEndpoints)
	}
	return nil
}

func (c *callbackRun) woken() bool { return c.stale || c.changes.Len() > 0 }

func (c *callbackRun) finished() bool {
	return c.deliveries.idle() && (c.closed || len(c.view.Parked) == 0 && c.refused == "")
}

func (c *callbackRun) delivered(_ payment.EndpointID, err error) {
	c.stale = true
	if err != nil {
		c.refused = codeOf(err)
	}
}

func (c *callbackRun) checkRedeliver(req process.RedeliverRequest) error { return checkBy(req.By) }

func (c *callbackRun) onRedeliver(ctx workflow.Context, req process.RedeliverRequest) (process.UpdateResult, error) {
	result, err := transact[process.OrderResult](detached(ctx), process.ActivityRedeliver, process.RedeliverInput{
		OrderID: c.in.OrderID, PaymentID: c.in.PaymentID, CallbackID: req.CallbackID, By: req.By, RequestID: updateID(ctx),
	})
	if err != nil {
		return process.UpdateResult{}, told(err)
	}
	c.deliveries.hurry()
	c.refused = ""
	c.stale = true
	return process.UpdateResult{State: result.Order.State, Labels: result.Order.Labels, Outcome: result.Outcome}, nil
}

func (c *callbackRun) legalMoves() []process.Move { return []process.Move{process.MoveClose} }

func (c *callbackRun) checkResolve(req process.ResolveRequest) error {
	if err := checkBy(req.By); err != nil {
		return err
	}
	return checkMove(req.Move, c.legalMoves())
}

func (c *callbackRun) onResolve(ctx workflow.Context, req process.ResolveRequest) (process.UpdateResult, error) {
	result, err := transact[process.OrderResult](detached(ctx), process.ActivityResolveOrder, process.ResolveInput{
		OrderID: c.in.OrderID, PaymentID: c.in.PaymentID, By: req.By, RequestID: updateID(ctx), Move: req.Move, Step: process.StepCallback,
	})
	if err != nil {
		return process.UpdateResult{}, told(err)
	}
	c.closed = true
	return process.UpdateResult{State: result.Order.State, Labels: result.Order.Labels, Outcome: result.Outcome}, nil
}

func (c *callbackRun) status() (string, process.Step) {
	if len(c.view.Parked) > 0 || c.refused != "" {
		return "parked", process.StepCallback
	}
	return "delivering", ""
}

func (c *callbackRun) state() process.WorkflowState {
	view := c.view
	status, step := c.status()
	return process.WorkflowState{
		Status: status, BlockedStep: step, Reason: c.refused, LegalMoves: c.legalMoves(), Awaiting: c.awaiting(), Callbacks: &view,
	}
}

func (c *callbackRun) awaiting() string {
	if !c.deliveries.idle() {
		return fmt.Sprintf("callbacks to %d endpoint(s)", len(c.deliveries.running))
	}
	return "the update redeliver, or resolve close to leave them parked"
}

func (c *callbackRun) publish() {
	status, step := c.status()
	attributes{Merchant: string(c.view.MerchantID), Blocked: step}.upsert(c.ctx)
	p := &page{}
	p.line("Callbacks of ", escape(string(c.in.Stream())), " · **", escape(status), "**")
	p.line("Awaiting ", c.awaiting())
	for _, cb := range c.view.Parked {
		p.item(escape(fmt.Sprintf("%s · %s to %s · %s after %d attempt(s)", cb.ID, cb.Event, cb.EndpointID, cb.Reason, cb.Attempts)))
	}
	if c.refused != "" {
		p.line("Delivering was refused: ", escape(c.refused))
	}
	workflow.SetCurrentDetails(c.ctx, p.String())
}

// callbackChild are the options with which a run leaves its parked callbacks behind. The child outlives it.
func callbackChild(id string, of process.Stream) workflow.ChildWorkflowOptions {
	return workflow.ChildWorkflowOptions{
		WorkflowID:            id,
		TaskQueue:             process.OrdersQueue,
		WorkflowIDReusePolicy: enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
		ParentClosePolicy:     enumspb.PARENT_CLOSE_POLICY_ABANDON,
		StaticSummary:         "Parked callbacks of " + string(of),
	}
}
