package workflows

import (
	"fmt"
	"slices"
	"strings"

	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// publish shows where the order stands: the block in the database, search attributes if they changed, the details.
func (o *orderRun) publish() {
	o.blocks.record(o.ctx)
	a := attributes{
		Status: string(o.view.State), Merchant: string(o.view.MerchantID), Chain: o.view.Chain, Asset: o.view.AssetCode,
		Address: o.view.Address, Blocked: o.shownBlock().Step, ExpiresAt: o.view.ExpiresAt,
	}
	a.upsert(o.ctx)
	workflow.SetCurrentDetails(o.ctx, o.details())
}

// shownBlock is what keeps the order from going on; parked callbacks of a run that stays open are shown when nothing else is.
func (o *orderRun) shownBlock() block {
	if o.blocks.none() && o.parked() > 0 && !o.finished() {
		return block{Step: process.StepCallback, Reason: fmt.Sprintf("%d parked", o.parked())}
	}
	return o.blocks.first()
}

// awaiting says in words what comes next.
func (o *orderRun) awaiting() string {
	switch {
	case !o.blocks.none():
		return "a person, to make one of the moves below"
	case !o.opened:
		return "an address"
	case len(o.settling) > 0:
		return fmt.Sprintf("confirmations of %d payment(s)", len(o.settling))
	case o.expiry.running:
		return "the chain's clock to pass the deadline"
	case o.view.State.Open():
		return "a payment, until " + stamp(o.view.ExpiresAt)
	case !o.deliveries.idle():
		return fmt.Sprintf("callbacks to %d endpoint(s)", len(o.deliveries.running))
	case o.view.State == payment.StatePaid:
		return "nothing"
	default:
		return "late payments, until " + stamp(o.view.LateUntil)
	}
}

// details is the page that support reads.
func (o *orderRun) details() string {
	v := o.view
	p := &page{}
	p.line("**", escape(string(v.State)), "** ", labels(v.Labels), " · ", escape(v.Amount), " ", escape(v.AssetCode), " on ", escape(v.Chain))
	if v.Address != "" {
		p.line("Pay to ", escape(v.Address), " · expires ", stamp(v.ExpiresAt), " · late until ", stamp(v.LateUntil))
	}
	for _, b := range o.blocks.list {
		p.line("**Blocked** at ", escape(b.String()))
	}
	p.line("Awaiting ", o.awaiting())
	for _, pay := range v.Payments {
		p.item(o.paymentLine(pay))
	}
	if o.parked() > 0 {
		p.line(fmt.Sprintf("%d callback(s) parked: send them again with the update redeliver", o.parked()))
	}
	p.line("Moves: ", o.moveList())
	return p.String()
}

// paymentLine shows a payment by what stays true while nobody looks: the block at which it counts, not a number that
// would be old when it is read.
func (o *orderRun) paymentLine(v process.PaymentView) string {
	line := escape(string(v.ID)) + " · " + escape(v.Amount) + " " + escape(v.AssetCode) + " on " + escape(v.Chain) + " · " + escape(v.Status)
	if v.Allocated != "" {
		line += " · " + escape(v.Allocated) + " of it for this order"
	}
	if v.Block > 0 && v.Needs > 0 {
		line += fmt.Sprintf(" in block %d · counts with %d confirmation(s), at block %d", v.Block, v.Needs, v.Block+uint64(v.Needs)-1)
	}
	return line
}

func labels(all []payment.Label) string {
	words := make([]string, 0, len(all))
	for _, l := range all {
		words = append(words, escape(string(l)))
	}
	slices.Sort(words)
	return strings.Join(words, ", ")
}

// moveList names the updates that would be taken now.
func (o *orderRun) moveList() string {
	var moves []string
	for _, m := range o.legalMoves() {
		moves = append(moves, "`"+process.UpdateResolve+" "+string(m)+"`")
	}
	if !o.opened {
		return strings.Join(moves, ", ")
	}
	if o.view.State == payment.StateAwaitingPayment {
		moves = append(moves, "`"+process.UpdateCancel+"`")
	}
	if o.view.State.Open() {
		moves = append(moves, "`"+process.UpdateExtend+"`")
	}
	moves = append(moves, "`"+process.UpdateRescan+"`")
	if o.parked() > 0 {
		moves = append(moves, "`"+process.UpdateRedeliver+"`")
	}
	return strings.Join(moves, ", ")
}
