package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// OrderWorkflow sees one order from its address to its last callback. It fails only when there is no such order.
func OrderWorkflow(ctx workflow.Context, in process.OrderInput) error {
	o := newOrderRun(ctx, in)
	if err := o.setup(); err != nil {
		return err
	}
	return o.run()
}

// orderRun is one run of an order's workflow. What it knows of the order is view; the rest is what is under way.
type orderRun struct {
	ctx workflow.Context
	in  process.OrderInput

	// view is the order as the last transaction returned it, once opened.
	view   process.OrderView
	opened bool
	// views counts the views taken. An operation that began under another count than it ended under may carry an older view
	// than the one held; then the order is read again.
	views int
	// stale: read the order before deciding anything.
	stale bool
	// changed: something happened since the last turn.
	changed bool

	seen, dropped workflow.ReceiveChannel

	// settling holds the payments with an activity under way, settled the newest inclusion for which it is over.
	settling   map[payment.PaymentID]bool
	settled    map[payment.PaymentID]int
	deliveries *deliveries
	deadline   deadline
	expiry     expiry
	blocks     blocks
	// handedOver: parked callbacks have a workflow of their own.
	handedOver bool
}

func newOrderRun(ctx workflow.Context, in process.OrderInput) *orderRun {
	o := &orderRun{
		ctx:      detached(ctx),
		in:       in,
		view:     process.OrderView{ID: in.OrderID, State: payment.StateOpening},
		seen:     workflow.GetSignalChannelWithOptions(ctx, process.SignalPaymentSeen, workflow.SignalChannelOptions{Description: "Look at the order again: a payment was seen"}),
		dropped:  workflow.GetSignalChannelWithOptions(ctx, process.SignalPaymentDropped, workflow.SignalChannelOptions{Description: "Look at the order again: a payment was dropped"}),
		settling: map[payment.PaymentID]bool{},
		settled:  map[payment.PaymentID]int{},
		blocks:   blocks{order: in.OrderID},
	}
	o.deliveries = newDeliveries(o.ctx, process.OrderStream(in.OrderID), o.delivered)
	return o
}

// detached returns a context that cancelling the workflow from outside does not reach.
func detached(ctx workflow.Context) workflow.Context {
	d, _ := workflow.NewDisconnectedContext(ctx)
	return d
}

// run is the loop: take what happened, read if that is not enough, start what is missing, show it, wait.
func (o *orderRun) run() error {
	if err := o.open(); err != nil {
		return err
	}
	for {
		o.takeSignals()
		if err := o.read(); err != nil {
			return err
		}
		o.changed = false
		o.reconcile()
		o.publish()
		if workflow.GetInfo(o.ctx).GetContinueAsNewSuggested() {
			return o.renew()
		}
		if o.finished() && o.leave() {
			return nil
		}
		o.wait()
	}
}

// open allocates the address, or learns the one there is. Blocked, it waits for a person.
func (o *orderRun) open() error {
	for wait := allocateAgain; !o.opened; wait = min(2*wait, allocateAtMost) {
		began := o.views
		view, err := transact[process.OrderView](o.ctx, process.ActivityAllocateAddress, o.in)
		switch {
		case err == nil:
			o.learn(began, view)
			continue
		case codeOf(err) == string(payment.CodeNotFound):
			return err
		}
		o.blocks.add(process.StepAllocate, "", codeOf(err))
		o.publish()
		// An operator unblocks all of them at once by mending the wallet, so each looks again by itself.
		if _, err := workflow.AwaitWithTimeout(o.ctx, wait, o.blocks.none); err != nil {
			return err
		}
	}
	o.blocks.remove(process.StepAllocate, "")
	return nil
}

// An order that got no address asks again by itself after allocateAgain, then after twice as long, up to allocateAtMost: a
// wallet may stay locked for weeks, and each time adds to the history.
const (
	allocateAgain  = 5 * time.Minute
	allocateAtMost = time.Hour
)

// learn takes the view that an operation returned, if no other was taken since it began.
func (o *orderRun) learn(began int, view process.OrderView) {
	o.changed = true
	if began != o.views {
		o.stale = true
		return
	}
	o.views++
	o.view = view
	o.opened = true
	o.blocks.keep(func(b block) bool {
		return b.Step != process.StepConfirm || o.unsettled(payment.PaymentID(b.Subject), b.Inclusion)
	})
	o.deliveries.want(view.PendingEndpoints)
}

// takeSignals reads all signals. They mean no more than: look again, as if for the first time.
func (o *orderRun) takeSignals() {
	woken := false
	for o.seen.ReceiveAsync(nil) {
		woken = true
	}
	for o.dropped.ReceiveAsync(nil) {
		woken = true
	}
	if woken {
		o.stale = true
		clear(o.settled)
		o.blocks.keep(func(b block) bool { return b.Reason != string(process.SettleHalted) })
		o.expiry.held = false
	}
}

// read reads the order while what is known of it may be old.
func (o *orderRun) read() error {
	for o.stale {
		o.stale = false
		began := o.views
		view, err := transact[process.OrderView](o.ctx, process.ActivityReadOrder, o.in)
		if err != nil {
			return err
		}
		o.learn(began, view)
	}
	return nil
}

// reconcile starts what the view asks for and is not under way.
func (o *orderRun) reconcile() {
	for _, p := range o.view.Payments {
		if o.due(p) {
			o.settle(p)
		}
	}
	o.watchDeadline()
	o.expire()
}

// finished tells whether the order needs this run no longer.
func (o *orderRun) finished() bool {
	if o.view.State.Open() || !o.blocks.none() || !o.deliveries.idle() || o.live() {
		return false
	}
	return o.view.State == payment.StatePaid || o.deadline.passed(o.view.LateUntil)
}

// leave tells whether the run may return now: nothing unanswered, nothing unread. Parked callbacks are handed over first.
func (o *orderRun) leave() bool {
	if err := workflow.Await(o.ctx, func() bool { return workflow.AllHandlersFinished(o.ctx) }); err != nil {
		return false
	}
	if o.parked() > 0 && !o.handedOver {
		o.handedOver = true
		handOverCallbacks(o.ctx, process.OrderStream(o.in.OrderID))
	}
	return !o.woken()
}

// renew goes on under a new history. The new run reads the order, so unread signals lose nothing, and activities that
// are still under way meet their successors in the database.
func (o *orderRun) renew() error {
	if err := workflow.Await(o.ctx, func() bool { return workflow.AllHandlersFinished(o.ctx) }); err != nil {
		return err
	}
	o.takeSignals()
	return workflow.NewContinueAsNewError(o.ctx, process.OrderWorkflow, o.in)
}

func (o *orderRun) wait() {
	// The context is never cancelled, so there is no error to look at.
	_ = workflow.Await(o.ctx, o.woken)
}

func (o *orderRun) woken() bool {
	return o.changed || o.stale || o.seen.Len() > 0 || o.dropped.Len() > 0
}
