package workflows

import (
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// maxExtension is how much later an order may be made to expire in one go, in seconds: seven days, as when it is created.
const maxExtension = 7 * 24 * 60 * 60

// setup registers the handlers. It comes before anything that waits, so that an update that arrives with the start
// finds them.
func (o *orderRun) setup() error {
	r := &register{ctx: o.ctx}
	r.state(o.state)
	r.update(process.UpdateOpen, "Wait until the order has its address", o.onOpen, nil)
	r.update(process.UpdateCancel, `Give the order up: {"actor":"…","reason":"…"}`, o.onCancel, o.checkCancel)
	r.update(process.UpdateExtend, `Let it expire later: {"actor":"…","reason":"…","seconds":3600}`, o.onExtend, o.checkExtend)
	r.update(process.UpdateResolve, `Make a legal move: {"actor":"…","reason":"…","move":"retry"}`, o.onResolve, o.checkResolve)
	r.update(process.UpdateRescan, `Read the chain again since the address was made: {"actor":"…","reason":"…"}`, o.onRescan, o.checkRescan)
	r.update(process.UpdateRedeliver, `Send parked callbacks again: {"actor":"…","reason":"…"}, one of them with "callback_id"`, o.onRedeliver, o.checkRedeliver)
	return r.err
}

// onOpen answers when the order has its address.
func (o *orderRun) onOpen(ctx workflow.Context) (process.OpenResult, error) {
	if err := o.awaitOpened(ctx); err != nil {
		return process.OpenResult{}, err
	}
	return process.OpenResult{OrderID: o.view.ID, State: o.view.State}, nil
}

func (o *orderRun) awaitOpened(ctx workflow.Context) error {
	return workflow.Await(detached(ctx), func() bool { return o.opened })
}

func (o *orderRun) checkCancel(req process.CancelRequest) error {
	if err := o.checkOpened(req.By); err != nil || !o.opened {
		return err
	}
	switch {
	case !o.view.State.Open():
		return o.denyState()
	case o.awaited():
		return deny(payment.CodePaymentLive, "a payment is on its way")
	}
	return nil
}

func (o *orderRun) onCancel(ctx workflow.Context, req process.CancelRequest) (process.UpdateResult, error) {
	return o.byHand(ctx, process.ActivityCancelOrder, process.CancelInput{
		OrderID: o.in.OrderID, By: req.By, RequestID: updateID(ctx),
	})
}

func (o *orderRun) checkExtend(req process.ExtendRequest) error {
	if req.Seconds < 1 || req.Seconds > maxExtension {
		return deny(payment.CodeInvalidExpiry, "seconds must be between 1 and 604800")
	}
	if err := o.checkOpened(req.By); err != nil || !o.opened {
		return err
	}
	if !o.view.State.Open() {
		return o.denyState()
	}
	return nil
}

func (o *orderRun) onExtend(ctx workflow.Context, req process.ExtendRequest) (process.UpdateResult, error) {
	return o.byHand(ctx, process.ActivityExtendOrder, process.ExtendInput{
		OrderID: o.in.OrderID, By: req.By, RequestID: updateID(ctx), Seconds: req.Seconds,
	})
}

func (o *orderRun) checkResolve(req process.ResolveRequest) error {
	if err := checkBy(req.By); err != nil {
		return err
	}
	return checkMove(req.Move, o.legalMoves())
}

// onResolve makes a legal move. Retry removes the blocks; the loop then finds again what is to be done.
func (o *orderRun) onResolve(ctx workflow.Context, req process.ResolveRequest) (process.UpdateResult, error) {
	result, err := o.byHand(ctx, process.ActivityResolveOrder, process.ResolveInput{
		OrderID: o.in.OrderID, By: req.By, RequestID: updateID(ctx), Move: req.Move, Step: o.blocks.first().Step,
	})
	if err == nil && req.Move == process.MoveRetry {
		o.blocks.clear()
		clear(o.settled)
		o.deliveries.hurry()
		o.stale = true
	}
	return result, err
}

func (o *orderRun) checkRescan(req process.RescanRequest) error {
	if err := checkRange(req); err != nil {
		return err
	}
	return o.checkOpened(req.By)
}

func (o *orderRun) onRescan(ctx workflow.Context, req process.RescanRequest) (process.UpdateResult, error) {
	if err := o.awaitOpened(ctx); err != nil {
		return process.UpdateResult{}, err
	}
	result, err := transact[process.RescanResult](detached(ctx), process.ActivityRequestRescan, process.RescanInput{
		Chain: o.view.Chain, OrderID: o.in.OrderID, By: req.By, RequestID: updateID(ctx), From: req.From, To: req.To,
	})
	if err != nil {
		return process.UpdateResult{}, told(err)
	}
	answer := rescanned(result)
	answer.State, answer.Labels = o.view.State, o.view.Labels
	return answer, nil
}

func (o *orderRun) checkRedeliver(req process.RedeliverRequest) error { return o.checkOpened(req.By) }

func (o *orderRun) onRedeliver(ctx workflow.Context, req process.RedeliverRequest) (process.UpdateResult, error) {
	result, err := o.byHand(ctx, process.ActivityRedeliver, process.RedeliverInput{
		OrderID: o.in.OrderID, CallbackID: req.CallbackID, By: req.By, RequestID: updateID(ctx),
	})
	if err == nil {
		o.deliveries.hurry()
		o.handedOver = false
	}
	return result, err
}

// byHand runs the transaction of an update and takes the view it returns.
func (o *orderRun) byHand(ctx workflow.Context, activity string, input any) (process.UpdateResult, error) {
	if err := o.awaitOpenedOrBlocked(ctx); err != nil {
		return process.UpdateResult{}, err
	}
	began := o.views
	result, err := transact[process.OrderResult](detached(ctx), activity, input)
	if err != nil {
		return process.UpdateResult{}, told(err)
	}
	if o.opened {
		o.learn(began, result.Order)
	}
	return process.UpdateResult{State: result.Order.State, Labels: result.Order.Labels, Outcome: result.Outcome}, nil
}

// awaitOpenedOrBlocked: a run that has just begun does not know its order yet, and an update may already be there.
func (o *orderRun) awaitOpenedOrBlocked(ctx workflow.Context) error {
	return workflow.Await(detached(ctx), func() bool { return o.opened || !o.blocks.none() })
}

// checkOpened refuses what needs an address while none can be had. Before the first view everything is let through to the
// transaction.
func (o *orderRun) checkOpened(by process.By) error {
	if err := checkBy(by); err != nil {
		return err
	}
	if !o.opened && !o.blocks.none() {
		return o.denyState()
	}
	return nil
}

func (o *orderRun) denyState() error {
	return deny(payment.CodeOrderState, "the order is "+string(o.view.State))
}

// legalMoves are those that resolve takes now.
func (o *orderRun) legalMoves() []process.Move {
	var moves []process.Move
	if !o.blocks.none() {
		moves = append(moves, process.MoveRetry)
	}
	if o.opened && (o.view.State != payment.StatePaid || slices.Contains(o.view.Labels, payment.LabelReversed)) {
		moves = append(moves, process.MoveMarkPaid)
	}
	return moves
}

// checkRange refuses ranges that end before they begin.
func checkRange(req process.RescanRequest) error {
	if req.To < req.From {
		return deny(payment.CodeInvalidParameter, "the range ends before it begins")
	}
	return nil
}

// state answers the query.
func (o *orderRun) state() process.WorkflowState {
	view := o.view
	first := o.shownBlock()
	return process.WorkflowState{
		Status: string(view.State), BlockedStep: first.Step, Reason: first.Reason, LegalMoves: o.legalMoves(),
		Awaiting: o.awaiting(), Order: &view,
	}
}
