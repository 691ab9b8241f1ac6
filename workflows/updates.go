package workflows

import (
	"errors"
	"slices"
	"unicode"
	"unicode/utf8"

	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// An update is refused twice: by its validator when what is in memory rules it out, which writes no history, and by the
// transaction when the truth does. Either way the error's type is a payment.Code.

// Bounds of what a person may write into the audit.
const (
	maxActor  = 200
	maxReason = 1000
)

// updateID is the request's key in the audit. It is qualified, because an update's id is unique within its workflow only.
func updateID(ctx workflow.Context) string {
	return workflow.GetInfo(ctx).WorkflowExecution.ID + "/" + workflow.GetCurrentUpdateInfo(ctx).ID
}

// checkBy wants to know who asks and why.
func checkBy(by process.By) error {
	switch {
	case by.Actor == "":
		return deny(payment.CodeMissingParameter, "actor is missing: say who you are")
	case by.Reason == "":
		return deny(payment.CodeMissingParameter, "reason is missing: say why")
	case !printable(by.Actor, maxActor) || !printable(by.Reason, maxReason):
		return deny(payment.CodeInvalidParameter, "actor or reason is too long or holds control characters")
	}
	return nil
}

func printable(s string, most int) bool {
	if !utf8.ValidString(s) || utf8.RuneCountInString(s) > most {
		return false
	}
	for _, r := range s {
		if !unicode.IsGraphic(r) {
			return false
		}
	}
	return true
}

func checkMove(move process.Move, legal []process.Move) error {
	if !slices.Contains(legal, move) {
		return deny(payment.CodeOrderState, "this move is not legal now: the current details list those that are")
	}
	return nil
}

// deny is a refusal by a validator.
func deny(code payment.Code, message string) error {
	return temporal.NewNonRetryableApplicationError(message, string(code), nil)
}

// told turns the error of an operation into what the sender of the update gets.
func told(err error) error {
	var r *refusal
	if errors.As(err, &r) {
		return r.failure()
	}
	return err
}

// register sets up the handlers of a workflow, and reports the first that cannot be.
type register struct {
	ctx workflow.Context
	err error
}

func (r *register) update(name, description string, handler, validator any) {
	if r.err == nil {
		r.err = workflow.SetUpdateHandlerWithOptions(r.ctx, name, handler, workflow.UpdateHandlerOptions{
			Validator: validator, Description: description,
		})
	}
}

func (r *register) state(state func() process.WorkflowState) {
	if r.err == nil {
		r.err = workflow.SetQueryHandlerWithOptions(r.ctx, process.QueryState,
			func() (process.WorkflowState, error) { return state(), nil },
			workflow.QueryHandlerOptions{Description: "Where this workflow stands"})
	}
}
