package payment

import "slices"

// Table returns every row of the state table, grouped by state in the order of
// States and by trigger in the order of Triggers. The rows are fresh: changing
// them changes nothing.
//
// Within a state and trigger the guards exclude each other and cover all facts,
// so the order of rows carries no meaning.
func Table() []Transition {
	var table []Transition
	for _, state := range States() {
		rows := rowsFrom(state)
		for _, trigger := range Triggers() {
			for _, row := range rows {
				if row.On == trigger {
					table = append(table, row)
				}
			}
		}
	}
	return table
}

// rowsFrom builds the rows of one state. They are built on each call because a
// package-level table could be changed by anyone who is handed a row's slices.
func rowsFrom(state State) []Transition {
	switch state {
	case StateOpening:
		return openingRows()
	case StateAwaitingPayment:
		return slices.Concat(openRows(state), awaitingRows())
	case StateConfirming:
		return slices.Concat(openRows(state), confirmingRows())
	case StatePaid:
		return paidRows()
	case StateExpired:
		return expiredRows()
	case StateCancelled:
		return cancelledRows()
	default:
		return nil
	}
}

// refusals makes one unguarded refusal per trigger.
func refusals(from State, reason Reason, triggers ...Trigger) []Transition {
	rows := make([]Transition, len(triggers))
	for i, on := range triggers {
		rows[i] = Transition{From: from, On: on, To: from, Refuse: CodeOrderState, Reason: reason}
	}
	return rows
}

// fulfilments makes the rows that fulfil an order whose sum suffices: in time or
// late, exactly or with a surplus. They hold together exactly when all of
// before and IfFulfilling do. The reversed label goes, because the sum is whole.
func fulfilments(from State, on Trigger, before ...Condition) []Transition {
	inTime := Transition{
		From: from, On: on, To: StatePaid, Reason: ReasonPaidInTime,
		Remove: []Label{LabelUnderpaid, LabelReversed, LabelLate},
		Events: []EventType{EventOrderPaid},
	}
	late := Transition{
		From: from, On: on, To: StatePaid, Reason: ReasonPaidLate,
		Add:    []Label{LabelLate},
		Remove: []Label{LabelUnderpaid, LabelReversed},
		Events: []EventType{EventOrderPaidLate},
	}
	return slices.Concat(
		exactAndOver(inTime, append(slices.Clone(before), IfOnTime)...),
		exactAndOver(late, append(slices.Clone(before), IfLate)...),
	)
}

// exactAndOver splits a fulfilling row by whether the sum is above due.
func exactAndOver(row Transition, guard ...Condition) []Transition {
	exact, over := row, row
	exact.Guard = append(slices.Clone(guard), IfNotOver)
	over.Guard = append(slices.Clone(guard), IfOver)
	over.Add = append(slices.Clone(row.Add), LabelOverpaid)
	over.Events = append(slices.Clone(row.Events), EventOrderOverpaid)
	return []Transition{exact, over}
}

// byHand makes the rows by which a person fulfils an order. What the labels say
// about the money stays true and stays written, but for reversed: whoever
// decides has accepted that.
func byHand(from State, event EventType) []Transition {
	return exactAndOver(Transition{
		From: from, On: TriggerResolveManual, To: StatePaid, Reason: ReasonFulfilledByHand,
		Add: []Label{LabelManual}, Remove: []Label{LabelReversed}, Events: []EventType{event},
	})
}

// strangers makes the rows for a confirmed payment that does not count for the
// order. It is posted, and never moves the order. Nor does one whose credit the
// sum does not show: it was confirmed on facts that have changed.
func strangers(from State) []Transition {
	return []Transition{
		{
			From: from, On: TriggerPaymentConfirmed, Guard: Guard{IfWrongAsset}, To: from,
			Add: []Label{LabelWrongAsset}, Events: []EventType{EventPaymentMismatched}, Reason: ReasonWrongAsset,
		},
		{
			From: from, On: TriggerPaymentConfirmed, Guard: Guard{IfWrongNetwork}, To: from,
			Add: []Label{LabelWrongNetwork}, Events: []EventType{EventPaymentMismatched}, Reason: ReasonWrongNetwork,
		},
		{
			From: from, On: TriggerPaymentConfirmed, Guard: Guard{IfDust}, To: from,
			Reason: ReasonDust,
		},
		{
			From: from, On: TriggerPaymentConfirmed, Guard: Guard{IfMatching, IfNothing}, To: from,
			Refuse: CodeStale, Reason: ReasonNoLongerCredited,
		},
	}
}

// detections makes the rows for a payment that appeared. The facts are read
// after the trigger was sent, so the payment may be gone again.
func detections(from, to State) []Transition {
	return []Transition{
		{
			From: from, On: TriggerPaymentDetected, Guard: Guard{IfMatching, IfLive}, To: to,
			Events: []EventType{EventOrderPaymentDetected}, Reason: ReasonPaymentSeen,
		},
		{
			From: from, On: TriggerPaymentDetected, Guard: Guard{IfMatching, IfNoneLive}, To: from,
			Refuse: CodeStale, Reason: ReasonNoLongerLive,
		},
		{
			From: from, On: TriggerPaymentDetected, Guard: Guard{IfNotMatching}, To: from,
			Reason: ReasonDoesNotCount,
		},
	}
}

// ignored makes a row that accepts a trigger and changes nothing.
func ignored(from State, on Trigger) Transition {
	return Transition{From: from, On: on, To: from, Reason: ReasonNothingChanges}
}

// strangerReversed is the row for the reversal of a payment that never counted
// towards the order.
func strangerReversed(from State) Transition {
	return Transition{
		From: from, On: TriggerPaymentReversed, Guard: Guard{IfNotMatching}, To: from,
		Events: []EventType{EventPaymentReversed}, Reason: ReasonDoesNotCount,
	}
}
