package payment

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// Guard is a list of conditions that must all hold. An empty guard always holds.
type Guard []Condition

// Holds tests all conditions.
func (g Guard) Holds(f OrderFacts) bool {
	for _, condition := range g {
		if !condition.Holds(f) {
			return false
		}
	}
	return true
}

// String joins the conditions for people.
func (g Guard) String() string {
	words := make([]string, len(g))
	for i, condition := range g {
		words[i] = string(condition)
	}
	return strings.Join(words, " and ")
}

// Transition is one row of the table: what happens to an order in state From
// when On happens and Guard holds. A row with Refuse set says that nothing may
// happen, and with which code.
type Transition struct {
	From   State
	On     Trigger
	Guard  Guard
	To     State // equal to From when the state stays
	Add    []Label
	Remove []Label
	Events []EventType
	Reason Reason
	Refuse Code
}

// Decision is what a trigger does to an order: the row that won, applied to the
// order's labels. Writing it twice changes nothing but its events, so the writer
// gives each event a key of the inclusion or request that caused it.
type Decision struct {
	On     Trigger
	From   State
	To     State
	Labels Labels      // the whole set after the transition
	Events []EventType // in the order to record them
	Reason Reason
}

// Moves tells whether the state changes.
func (d Decision) Moves() bool { return d.From != d.To }

// Fulfils tells whether this is the transition that makes the order paid.
func (d Decision) Fulfils() bool { return d.Moves() && d.To == StatePaid }

// Next decides what the trigger does to an order with these facts. It is a pure
// function of its arguments.
//
// A refusal is an Error with the row's code (CodeOrderState, CodePaymentLive,
// CodeChainLagging or CodeStale) that wraps a RefusalError; the Decision then keeps
// the state and labels and has no events. Facts that contradict each other and
// unknown triggers are CodeInternal.
func Next(f OrderFacts, on Trigger) (Decision, error) {
	stay := Decision{On: on, From: f.State, To: f.State, Labels: LabelsOf(f.Labels...)}
	if err := f.check(); err != nil {
		return stay, err
	}
	for _, row := range rowsFrom(f.State) {
		if row.On != on || !row.Guard.Holds(f) {
			continue
		}
		stay.Reason = row.Reason
		if row.Refuse != "" {
			return stay, refuse(row)
		}
		return Decision{
			On: on, From: f.State, To: row.To,
			Labels: f.Labels.Apply(row.Add, row.Remove),
			Events: slices.Clone(row.Events),
			Reason: row.Reason,
		}, nil
	}
	return stay, E(CodeInternal, "", "no rule for %q of an order that is %s", on, f.State)
}

// LegalTriggers lists the triggers that Next would accept for these facts: what
// support can offer as next moves.
func LegalTriggers(f OrderFacts) []Trigger {
	var legal []Trigger
	for _, trigger := range Triggers() {
		if _, err := Next(f, trigger); err == nil {
			legal = append(legal, trigger)
		}
	}
	return legal
}

// RefusalError is the cause inside the Error of a refused transition.
type RefusalError struct {
	State   State
	Trigger Trigger
	Reason  Reason
}

// Error prints state, trigger and reason.
func (r RefusalError) Error() string {
	return fmt.Sprintf("%s refused in state %s: %s", r.Trigger, r.State, r.Reason)
}

// ReasonOf returns the reason of a refused transition, or "" when err is not one.
func ReasonOf(err error) Reason {
	refusal, _ := errors.AsType[RefusalError](err)
	return refusal.Reason
}

func refuse(row Transition) *Error {
	return Wrap(RefusalError{State: row.From, Trigger: row.On, Reason: row.Reason}, row.Refuse, "",
		"order is %s: %s", row.From, row.Reason.Text())
}
