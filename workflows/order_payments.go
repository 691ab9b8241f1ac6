package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// pending tells whether a payment still has an end to come that nobody else announces. A dropped one has not: if it
// comes back, a signal says so.
func pending(p process.PaymentView) bool {
	return !p.Settled && p.Status != string(payment.StatusDropped)
}

// live tells whether a payment keeps the run open.
func (o *orderRun) live() bool {
	for _, p := range o.view.Payments {
		if pending(p) && o.settled[p.ID] < p.Inclusion {
			return true
		}
	}
	return len(o.settling) > 0
}

// awaited tells whether a payment is under way that holds the order. What anybody can send at any time, dust, another asset or
// late money, holds nothing up.
func (o *orderRun) awaited() bool {
	for _, p := range o.view.Payments {
		if !p.Uncounted && pending(p) && o.settled[p.ID] < p.Inclusion {
			return true
		}
	}
	return false
}

// unsettled tells whether the view still holds something to be done for this inclusion of a payment.
func (o *orderRun) unsettled(id payment.PaymentID, inclusion int) bool {
	for _, p := range o.view.Payments {
		if p.ID == id {
			return pending(p) && p.Inclusion <= inclusion
		}
	}
	return false
}

// due tells whether a payment is to be settled now.
func (o *orderRun) due(p process.PaymentView) bool {
	switch {
	case !pending(p) || o.settling[p.ID] || o.settled[p.ID] >= p.Inclusion || o.blocks.has(process.StepConfirm, string(p.ID)):
		return false
	case p.Status == string(payment.StatusParked):
		// Parked by an earlier run: the reason is in the audit.
		o.blocks.addPayment(p.ID, p.Inclusion, p.Status)
		return false
	}
	return true
}

// settle has one payment confirmed and credited. The activity comes back when that is over, however many blocks it takes.
func (o *orderRun) settle(p process.PaymentView) {
	o.settling[p.ID] = true
	workflow.Go(o.ctx, func(ctx workflow.Context) {
		began := o.views
		result, err := perform[process.SettleResult](ctx, process.ActivitySettlePayment, p.Chain,
			process.SettleInput{PaymentID: p.ID}, "confirm and credit "+string(p.ID))
		delete(o.settling, p.ID)
		o.changed = true
		o.expiry.held = false
		if err != nil {
			o.blocks.addPayment(p.ID, p.Inclusion, codeOf(err))
			return
		}
		o.afterSettling(p, began, result)
	})
}

func (o *orderRun) afterSettling(p process.PaymentView, began int, result process.SettleResult) {
	switch result.Outcome {
	case process.SettleMismatch, process.SettleHalted, process.SettleDisagreement:
		o.blocks.addPayment(p.ID, max(result.Inclusion, p.Inclusion), string(result.Outcome))
	default:
		// A wake-up makes the run look at it again, should the database disagree.
		o.settled[p.ID] = max(result.Inclusion, p.Inclusion)
	}
	if result.Order != nil {
		o.learn(began, *result.Order)
	} else {
		o.stale = true
	}
}
