package workflows

import (
	"hash/fnv"
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// deadline is the one timer of an order: for its expiry while it is open, for the end of its late window after. It only
// starts the closing; whether the deadline has passed is for the chain's clock to say.
type deadline struct {
	at     time.Time
	fired  bool
	cancel workflow.CancelFunc
}

// passed tells whether the timer for at has fired.
func (d *deadline) passed(at time.Time) bool { return d.fired && d.at.Equal(at) }

// watchDeadline keeps the timer on the view's next deadline. Of a paid order it is left running: the end of the run
// takes it along, and cancelling it would be one event more.
func (o *orderRun) watchDeadline() {
	switch o.view.State {
	case payment.StateAwaitingPayment, payment.StateConfirming:
		o.setDeadline(o.view.ExpiresAt, "ask whether the order has expired")
	case payment.StateExpired, payment.StateCancelled:
		o.setDeadline(o.view.LateUntil, "the window for late payments ends")
	default:
	}
}

func (o *orderRun) setDeadline(at time.Time, summary string) {
	if !o.deadline.at.IsZero() && o.deadline.at.Equal(at) {
		return
	}
	if o.deadline.cancel != nil {
		o.deadline.cancel()
	}
	o.deadline = deadline{at: at}
	o.expiry.held = false
	wait := at.Sub(workflow.Now(o.ctx))
	if wait <= 0 {
		o.deadline.fired = true
		return
	}
	wait += o.view.BlockTime + jitter(o.in.OrderID, wait)
	ctx, cancel := workflow.WithCancel(o.ctx)
	o.deadline.cancel = cancel
	timer := workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: summary})
	workflow.Go(ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil && o.deadline.at.Equal(at) {
			o.deadline.fired = true
			o.changed = true
		}
	})
}

// maxJitter bounds how far orders that are due together are spread.
const maxJitter = time.Minute

// jitter is this order's share of up to a twentieth of the wait, the same on every replay: thousands of timers due in one
// second would hold up every new order.
func jitter(id payment.OrderID, wait time.Duration) time.Duration {
	spread := min(wait/20, maxJitter)
	if spread <= 0 {
		return 0
	}
	hash := fnv.New32a()
	_, _ = hash.Write([]byte(id)) // never fails
	return spread * time.Duration(hash.Sum32()%1000) / 1000
}

// expiry is the closing of an overdue order.
type expiry struct {
	// running: ExpireOrder is under way. It waits for the chain by itself.
	running bool
	// held: it was tried; try again when something happened.
	held bool
	// pausing: a timer ends held, because nothing else is to be expected.
	pausing bool
	pauses  int
}

// expire asks for the order to be closed, once its timer has fired.
func (o *orderRun) expire() {
	overdue := o.view.State.Open() && o.deadline.passed(o.view.ExpiresAt)
	switch {
	case !overdue || o.expiry.running || o.blocks.has(process.StepExpire, ""):
		return
	case o.expiry.held:
		o.pauseExpiry()
		return
	}
	o.expiry.running = true
	workflow.Go(o.ctx, func(ctx workflow.Context) {
		began := o.views
		result, err := perform[process.ExpireResult](ctx, process.ActivityExpireOrder, o.view.Chain, o.in, "expire when the chain's clock allows")
		o.expiry.running = false
		o.changed = true
		if err != nil {
			o.blocks.add(process.StepExpire, "", codeOf(err))
			return
		}
		// Should it still be open after this, something else has to happen first.
		o.expiry.held = true
		o.learn(began, result.Order)
	})
}

// The pauses between attempts to close an order whose view gives no reason why it stays open.
const (
	firstPause = time.Minute
	mostPause  = 30 * time.Minute
)

// pauseExpiry makes sure that a held expiry is tried again. While a payment that counts is under way, its end does that, or a signal.
// Otherwise (one was dropped a moment ago and may return) only a timer can.
func (o *orderRun) pauseExpiry() {
	if o.expiry.pausing || o.awaited() {
		return
	}
	o.expiry.pausing = true
	wait := min(firstPause<<min(o.expiry.pauses, 10), mostPause)
	o.expiry.pauses++
	timer := workflow.NewTimerWithOptions(o.ctx, wait, workflow.TimerOptions{Summary: "ask again whether the order has expired"})
	workflow.Go(o.ctx, func(ctx workflow.Context) {
		if timer.Get(ctx, nil) == nil {
			o.expiry.pausing, o.expiry.held = false, false
			o.changed = true
		}
	})
}
