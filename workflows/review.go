package workflows

import (
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// PaymentReviewWorkflow sees money that no open order can take through: it has it confirmed and posted like any other,
// tells the merchant, and then waits for a person's decision. A decision that leaves the money where it was, held or
// unconfirmed, can be changed: the run goes on until the money moved or a person closes it once more, and started again
// it waits again. A deposit is money like that too, about which nobody has to decide: its review ends by itself.
func PaymentReviewWorkflow(ctx workflow.Context, in process.ReviewInput) error {
	r := &reviewRun{ctx: detached(ctx), in: in, stale: true}
	r.resumed = workflow.GetSignalChannelWithOptions(ctx, process.SignalChainResumed,
		workflow.SignalChannelOptions{Description: "Try again what a halt of the chain kept from going on"})
	if err := r.setup(); err != nil {
		return err
	}
	return r.run()
}

const (
	reviewResolved = "resolved"
	// ownActor closes reviews in which there is nothing to decide: of payments that the chain took back before they counted, and
	// of deposits.
	ownActor = "sluice"
)

type reviewRun struct {
	ctx  workflow.Context
	in   process.ReviewInput
	view process.ReviewView
	// loaded: view is set.
	loaded     bool
	deliveries *deliveries
	stale      bool
	settling   bool
	// resumedMeanwhile: a halt ended while settling was under way, which may still report it.
	resumedMeanwhile bool
	// settled: settling is over, whatever the view says; dropped: because the payment is gone.
	settled, dropped bool
	// left: the money was released, or a person wants this run to end although it could still move.
	left bool
	// blocked is why settling cannot go on, refused why delivering cannot.
	blocked, refused string
	// resumed receives when a halt of the chain is over.
	resumed workflow.ReceiveChannel
}

func (r *reviewRun) setup() error {
	reg := &register{ctx: r.ctx}
	reg.state(r.state)
	reg.update(process.UpdateResolve, `Decide: {"actor":"…","reason":"…","move":"release"}`, r.onResolve, r.checkResolve)
	return reg.err
}

func (r *reviewRun) run() error {
	for {
		r.takeSignals()
		if err := r.read(); err != nil {
			return err
		}
		if err := r.reconcile(); err != nil {
			return err
		}
		r.publish()
		if workflow.GetInfo(r.ctx).GetContinueAsNewSuggested() {
			if err := r.handlersFinished(); err != nil {
				return err
			}
			return workflow.NewContinueAsNewError(r.ctx, process.PaymentReviewWorkflow, r.in)
		}
		if r.finished() {
			if err := r.handlersFinished(); err != nil {
				return err
			}
			if !r.stale {
				return r.leave()
			}
		}
		if err := workflow.Await(r.ctx, func() bool { return r.stale || r.resumed.Len() > 0 || r.finished() }); err != nil {
			return err
		}
	}
}

// takeSignals goes on with what a halt had blocked.
func (r *reviewRun) takeSignals() {
	for r.resumed.ReceiveAsync(nil) {
		r.stale = true
		r.resumedMeanwhile = r.settling
		if r.blocked == string(process.SettleHalted) {
			r.blocked = ""
		}
	}
}

func (r *reviewRun) handlersFinished() error {
	return workflow.Await(r.ctx, func() bool { return workflow.AllHandlersFinished(r.ctx) })
}

func (r *reviewRun) read() error {
	for r.stale {
		r.stale = false
		view, err := transact[process.ReviewView](r.ctx, process.ActivityReadReview, r.in)
		if err != nil {
			return err
		}
		r.view = view
		r.loaded = true
		if r.deliveries == nil {
			r.deliveries = newDeliveries(r.ctx, view.Stream(), r.delivered)
		}
		r.deliveries.want(view.PendingEndpoints)
	}
	return nil
}

// reconcile starts settling, and closes the review of a payment that is gone.
func (r *reviewRun) reconcile() error {
	switch {
	case r.resolved():
		return nil
	case r.posted():
		if r.in.Cause == process.CauseDeposit && r.deliveries.idle() {
			r.close("credited", "the deposit is credited and its callbacks are settled")
		}
		return nil
	case r.dropped:
		if !r.close("dropped", "the payment left the chain before it counted") {
			r.dropped = false
		}
	case !r.settling && r.blocked == "":
		r.settle()
	}
	return nil
}

// close resolves a review in which there is nothing to decide.
func (r *reviewRun) close(why, reason string) (done bool) {
	view, err := transact[process.ReviewView](r.ctx, process.ActivityResolveReview, process.ResolveReviewInput{
		Review: r.in, Move: process.MoveClose, By: process.By{Actor: ownActor, Reason: reason},
		RequestID: process.ReviewWorkflowID(r.in) + "/" + why,
	})
	if err != nil {
		r.blocked = codeOf(err)
		return false
	}
	r.view = view
	return true
}

func (r *reviewRun) settle() {
	r.settling = true
	workflow.Go(r.ctx, func(ctx workflow.Context) {
		result, err := perform[process.SettleResult](ctx, process.ActivitySettlePayment, r.view.Chain,
			process.SettleInput{PaymentID: r.in.PaymentID, Review: r.in.Cause}, "confirm and credit "+string(r.in.PaymentID))
		resumed := r.resumedMeanwhile
		r.settling, r.resumedMeanwhile = false, false
		r.stale = true
		switch {
		case err != nil:
			r.blocked = codeOf(err)
		case result.Outcome == process.SettleHalted && resumed:
			// It is over already: once more.
		case result.Outcome == process.SettleDropped:
			r.dropped = true
		case result.Outcome == process.SettleMismatch, result.Outcome == process.SettleHalted, result.Outcome == process.SettleDisagreement:
			r.blocked = string(result.Outcome)
		case result.Inclusion > r.in.Inclusion:
			// The payment was mined again: this inclusion is over, the newer one has a review of its own.
			r.dropped = true
		default:
			r.settled = true
		}
	})
}

// posted tells whether the money is where the ledger's rules put it, so that only the decision is missing.
func (r *reviewRun) posted() bool { return !r.dropped && (r.settled || r.view.Settled) }

func (r *reviewRun) resolved() bool { return r.view.Status == reviewResolved }

// parked: the review was closed before the payment was confirmed.
func (r *reviewRun) parked() bool { return r.resolved() && !r.dropped && !r.posted() }

// movable tells whether a review that was decided can still be decided otherwise.
func (r *reviewRun) movable() bool { return r.resolved() && !r.left && (r.decidesHeld() || r.parked()) }

// decidesHeld tells whether held money waits for this review. What is held of a deposit has a review of its own.
func (r *reviewRun) decidesHeld() bool { return r.view.Held && r.in.Cause != process.CauseDeposit }

func (r *reviewRun) finished() bool {
	return r.loaded && r.resolved() && !r.movable() && r.deliveries.idle()
}

// leave returns; callbacks that are parked by now go on in a workflow of their own.
func (r *reviewRun) leave() error {
	if r.deliveries.parkedCount() > 0 {
		handOverCallbacks(r.ctx, r.view.Stream())
	}
	return nil
}

func (r *reviewRun) delivered(_ payment.EndpointID, err error) {
	r.stale = true
	if err != nil {
		r.refused = codeOf(err)
	}
}

func (r *reviewRun) legalMoves() []process.Move {
	switch {
	case !r.loaded || r.resolved() && !r.movable():
		return nil
	case r.parked() || r.blocked != "":
		return []process.Move{process.MoveRetry, process.MoveClose}
	case !r.posted() && r.in.Cause == process.CauseStuck:
		return []process.Move{process.MoveClose}
	case !r.posted() || r.in.Cause == process.CauseDeposit:
		return nil
	case r.resolved():
		return []process.Move{process.MoveRelease, process.MoveClose}
	case r.view.Held:
		return []process.Move{process.MoveRelease, process.MoveHold}
	default:
		return []process.Move{process.MoveClose}
	}
}

func (r *reviewRun) checkResolve(req process.ResolveRequest) error {
	if err := checkBy(req.By); err != nil {
		return err
	}
	return checkMove(req.Move, r.legalMoves())
}

// onResolve decides. Retrying is no decision: it only removes the block, and opens a review that was closed. Closing what
// was decided already ends the run.
func (r *reviewRun) onResolve(ctx workflow.Context, req process.ResolveRequest) (process.UpdateResult, error) {
	leaving := req.Move == process.MoveRelease || req.Move == process.MoveClose && r.movable()
	view, err := transact[process.ReviewView](detached(ctx), process.ActivityResolveReview, process.ResolveReviewInput{
		Review: r.in, By: req.By, RequestID: updateID(ctx), Move: req.Move,
	})
	if err != nil {
		r.stale = true // what it was refused for may have ended the review
		return process.UpdateResult{}, told(err)
	}
	r.view, r.left = view, leaving
	r.blocked, r.refused = "", ""
	r.stale = true
	return process.UpdateResult{Outcome: process.OutcomeDone}, nil
}

func (r *reviewRun) blockedStep() (process.Step, string) {
	switch {
	case !r.loaded || r.resolved() && !r.movable():
		return "", ""
	case r.parked():
		return process.StepConfirm, string(payment.StatusParked)
	case r.blocked != "":
		return process.StepConfirm, r.blocked
	case r.posted() && r.in.Cause != process.CauseDeposit:
		return process.StepReview, string(r.in.Cause)
	case r.in.Cause == process.CauseStuck:
		return process.StepConfirm, string(r.in.Cause)
	default:
		return "", ""
	}
}

func (r *reviewRun) awaiting() string {
	switch {
	case !r.loaded:
		return "the review's row"
	case r.settling:
		return "confirmations"
	case r.in.Cause == process.CauseDeposit && r.posted():
		return "callbacks"
	case !r.resolved() || r.movable():
		return "a person, to make one of the moves below"
	case !r.deliveries.idle():
		return "callbacks"
	default:
		return "nothing"
	}
}

func (r *reviewRun) state() process.WorkflowState {
	view := r.view
	step, reason := r.blockedStep()
	return process.WorkflowState{
		Status: view.Status, BlockedStep: step, Reason: reason, LegalMoves: r.legalMoves(), Awaiting: r.awaiting(), Review: &view,
	}
}

func (r *reviewRun) publish() {
	v := r.view
	step, reason := r.blockedStep()
	attributes{
		Merchant: string(v.MerchantID), Chain: v.Chain, Asset: v.AssetCode, Address: v.Address, Blocked: step,
	}.upsert(r.ctx)
	p := &page{}
	p.line("**", escape(string(v.Cause)), "** ", escape(v.Status), " · ", escape(v.Amount), " ", escape(v.AssetCode), " on ", escape(v.Chain))
	p.line("Payment ", escape(string(v.PaymentID)), " to ", escape(v.Address), ", order ", escape(string(v.OrderID)))
	if step != "" {
		p.line("**Waits** at ", escape(string(step)), ": ", escape(reason))
	}
	if v.Held {
		p.line("The money is posted and held.")
	}
	if r.refused != "" {
		p.line("Delivering callbacks was refused: ", escape(r.refused))
	}
	p.line("Awaiting ", r.awaiting())
	for _, m := range r.legalMoves() {
		p.item("`resolve ", string(m), "`")
	}
	workflow.SetCurrentDetails(r.ctx, p.String())
}
