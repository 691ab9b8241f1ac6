package workflows

import (
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// deliveries sends a stream's callbacks: one activity per endpoint at a time, each until nothing of the endpoint is due
// any more. It is used by every workflow that may have callbacks to send.
type deliveries struct {
	ctx     workflow.Context
	stream  process.Stream
	running map[payment.EndpointID]*delivery
	// parked counts what each endpoint's last activity left to a person.
	parked map[payment.EndpointID]int
	// refused endpoints are not called again until allowed: their activity was ended for good.
	refused map[payment.EndpointID]bool
	// onEnd is told of every activity that ended; err is a refusal.
	onEnd func(endpoint payment.EndpointID, err error)
}

// delivery is one endpoint's activity.
type delivery struct {
	// again: a view that came meanwhile said that something is pending, which the activity may have missed.
	again  bool
	cancel workflow.CancelFunc
}

func newDeliveries(ctx workflow.Context, stream process.Stream, onEnd func(payment.EndpointID, error)) *deliveries {
	return &deliveries{
		ctx:     ctx,
		stream:  stream,
		running: map[payment.EndpointID]*delivery{},
		parked:  map[payment.EndpointID]int{},
		refused: map[payment.EndpointID]bool{},
		onEnd:   onEnd,
	}
}

// want starts an activity for each endpoint that has none, and has the others run once more.
func (d *deliveries) want(endpoints []payment.EndpointID) {
	for _, endpoint := range endpoints {
		if d.refused[endpoint] {
			continue
		}
		if running := d.running[endpoint]; running != nil {
			running.again = true
			continue
		}
		d.start(endpoint)
	}
}

// hurry ends the waiting of every activity, because what is due now may have been parked when it began to wait. Those that
// are sending at this moment hold their lease until they are through.
func (d *deliveries) hurry() {
	for _, endpoint := range workflow.DeterministicKeys(d.running) {
		running := d.running[endpoint]
		running.again = true
		running.cancel()
	}
	clear(d.parked)
	clear(d.refused)
}

func (d *deliveries) start(endpoint payment.EndpointID) {
	current := &delivery{cancel: func() {}}
	d.running[endpoint] = current
	workflow.Go(d.ctx, func(ctx workflow.Context) {
		err := d.deliver(ctx, endpoint, current)
		delete(d.running, endpoint)
		if err != nil {
			d.refused[endpoint] = true
		}
		d.onEnd(endpoint, err)
	})
}

func (d *deliveries) deliver(ctx workflow.Context, endpoint payment.EndpointID, current *delivery) error {
	in := process.DeliverInput{OrderID: d.stream.OrderID(), PaymentID: d.stream.PaymentID(), EndpointID: endpoint}
	for {
		current.again = false
		attempt, cancel := workflow.WithCancel(ctx)
		current.cancel = cancel
		result, err := perform[process.DeliverResult](attempt, process.ActivityDeliverCallbacks, "", in, "deliver callbacks to "+string(endpoint))
		if err != nil && !temporal.IsCanceledError(err) {
			return err
		}
		if err == nil {
			d.parked[endpoint] = result.Parked
		}
		if !current.again {
			return nil
		}
	}
}

// idle tells whether nothing is being delivered.
func (d *deliveries) idle() bool { return len(d.running) == 0 }

// parkedCount is what the last activities left to a person.
func (d *deliveries) parkedCount() int {
	count := 0
	for _, endpoint := range workflow.DeterministicKeys(d.parked) {
		count += d.parked[endpoint]
	}
	return count
}

// delivered is told of the end of an activity.
func (o *orderRun) delivered(endpoint payment.EndpointID, err error) {
	o.changed = true
	if err != nil {
		o.blocks.add(process.StepCallback, string(endpoint), codeOf(err))
	}
}

// parked counts the callbacks that wait for a person, as far as known: the view is as old as the last transaction, the
// activities' answers are newer.
func (o *orderRun) parked() int { return max(o.view.ParkedCallbacks, o.deliveries.parkedCount()) }

// handOverCallbacks starts the workflow in which a stream's parked callbacks outlive the run, or tells the one that runs to
// look again. That it cannot be started is no reason to keep the run: the callbacks stay parked in the database, and
// asking for their redelivery starts it too.
func handOverCallbacks(ctx workflow.Context, of process.Stream) {
	id := process.CallbackWorkflowID(of)
	child := workflow.ExecuteChildWorkflow(workflow.WithChildOptions(ctx, callbackChild(id, of)),
		process.CallbackWorkflow, process.CallbacksOf(of))
	err := child.GetChildWorkflowExecution().Get(ctx, nil)
	if temporal.IsWorkflowExecutionAlreadyStartedError(err) {
		err = workflow.SignalExternalWorkflow(ctx, id, "", process.SignalCallbacksChanged, nil).Get(ctx, nil)
	}
	if err != nil {
		workflow.GetLogger(ctx).Warn("parked callbacks could not be handed over", "workflow", id)
	}
}
