package workflows

import (
	"fmt"
	"slices"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// block is one thing that cannot go on until a person says so.
type block struct {
	Step process.Step
	// Subject is the payment or endpoint concerned, if one is.
	Subject string
	// Inclusion is the payment's, if one is concerned. Of a later one nothing is known to be wrong.
	Inclusion int
	// Reason is a code or an outcome.
	Reason string
}

func (b block) String() string {
	if b.Subject == "" {
		return fmt.Sprintf("%s: %s", b.Step, b.Reason)
	}
	return fmt.Sprintf("%s of %s: %s", b.Step, b.Subject, b.Reason)
}

// blocks are all of a run's, oldest first. One of them is shown in the search attribute and in the database.
type blocks struct {
	order    payment.OrderID
	list     []block
	recorded block
	records  int
}

func (b *blocks) add(step process.Step, subject, reason string) {
	b.remove(step, subject)
	b.list = append(b.list, block{Step: step, Subject: subject, Reason: reason})
}

// addPayment blocks the settling of one inclusion of a payment.
func (b *blocks) addPayment(id payment.PaymentID, inclusion int, reason string) {
	b.remove(process.StepConfirm, string(id))
	b.list = append(b.list, block{Step: process.StepConfirm, Subject: string(id), Inclusion: inclusion, Reason: reason})
}

func (b *blocks) remove(step process.Step, subject string) {
	b.keep(func(have block) bool { return have.Step != step || have.Subject != subject })
}

func (b *blocks) keep(wanted func(block) bool) {
	b.list = slices.DeleteFunc(b.list, func(have block) bool { return !wanted(have) })
}

func (b *blocks) clear() { b.list = nil }

func (b *blocks) has(step process.Step, subject string) bool {
	return slices.ContainsFunc(b.list, func(have block) bool { return have.Step == step && have.Subject == subject })
}

func (b *blocks) none() bool { return len(b.list) == 0 }

// first is the block that is shown, or the zero block.
func (b *blocks) first() block {
	if b.none() {
		return block{}
	}
	return b.list[0]
}

// record writes the shown block to the database when it is another one than before. Failing to is not worth blocking for.
func (b *blocks) record(ctx workflow.Context) {
	now := b.first()
	if now == b.recorded {
		return
	}
	b.recorded = now
	b.records++
	run := workflow.GetInfo(ctx).WorkflowExecution.RunID
	_, err := transact[struct{}](ctx, process.ActivityParkOrder, process.ParkInput{
		OrderID: b.order, Step: now.Step, Reason: now.Reason,
		RequestID: fmt.Sprintf("%s/park/%s/%d", b.order, run, b.records),
	})
	if err != nil {
		workflow.GetLogger(ctx).Warn("the block could not be recorded", "step", now.Step, "code", codeOf(err))
	}
}
