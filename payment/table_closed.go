package payment

import "slices"

func paidRows() []Transition {
	from := StatePaid
	return slices.Concat(
		refusals(from, ReasonHasAddress, TriggerAddressAllocated),
		detections(from, from),
		[]Transition{ignored(from, TriggerPaymentDropped)},
		paidConfirmed(),
		paidReversed(),
		refusals(from, ReasonAlreadyPaid, TriggerExpire, TriggerCancel, TriggerExtend),
		[]Transition{
			{
				From: from, On: TriggerResolveManual, Guard: Guard{IfReversed}, To: from,
				Add: []Label{LabelManual}, Remove: []Label{LabelReversed}, Reason: ReasonShortfallAccepted,
			},
			{
				From: from, On: TriggerResolveManual, Guard: Guard{IfNotReversed}, To: from,
				Refuse: CodeOrderState, Reason: ReasonAlreadyPaid,
			},
		},
	)
}

func paidConfirmed() []Transition {
	from, on := StatePaid, TriggerPaymentConfirmed
	return append(strangers(from),
		Transition{
			From: from, On: on, Guard: Guard{IfMatching, IfShort}, To: from,
			Reason: ReasonShort,
		},
		Transition{
			From: from, On: on, Guard: Guard{IfMatching, IfCovered, IfNotOver}, To: from,
			Remove: []Label{LabelReversed, LabelUnderpaid}, Reason: ReasonRestored,
		},
		Transition{
			From: from, On: on, Guard: Guard{IfMatching, IfOver}, To: from,
			Add: []Label{LabelOverpaid}, Remove: []Label{LabelReversed, LabelUnderpaid},
			Events: []EventType{EventOrderOverpaid}, Reason: ReasonSurplus,
		},
	)
}

// paidReversed keeps the order paid: goods may have left the shop. A reversal
// that only takes a surplus leaves no shortfall, and so no label.
func paidReversed() []Transition {
	from, on := StatePaid, TriggerPaymentReversed
	return []Transition{
		strangerReversed(from),
		{
			From: from, On: on, Guard: Guard{IfMatching, IfNotCovered}, To: from,
			Add: []Label{LabelReversed}, Remove: []Label{LabelOverpaid},
			Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedShort,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfCovered, IfNotOver}, To: from,
			Remove: []Label{LabelOverpaid}, Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedCovered,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfOver}, To: from,
			Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedCovered,
		},
	}
}

func expiredRows() []Transition {
	from, on := StateExpired, TriggerPaymentConfirmed
	return slices.Concat(
		closedRows(from, ReasonAlreadyExpired),
		strangers(from),
		fulfilments(from, on, IfMatching),
		[]Transition{
			{
				From: from, On: on, Guard: Guard{IfMatching, IfLateDeclined}, To: from,
				Add: []Label{LabelLate}, Remove: []Label{LabelUnderpaid, LabelReversed},
				Events: []EventType{EventPaymentLate}, Reason: ReasonLateDeclined,
			},
			{
				From: from, On: on, Guard: Guard{IfMatching, IfShort, IfLive}, To: from,
				Add: []Label{LabelLate}, Reason: ReasonMoreOnTheWay,
			},
			{
				From: from, On: on, Guard: Guard{IfMatching, IfShort, IfNoneLive}, To: from,
				Add: []Label{LabelLate, LabelUnderpaid}, Events: []EventType{EventOrderUnderpaid}, Reason: ReasonShort,
			},
		},
	)
}

// cancelledRows never fulfil by themselves: the merchant said that it no longer
// sells. Money that comes all the same is posted, and a person decides.
func cancelledRows() []Transition {
	from, on := StateCancelled, TriggerPaymentConfirmed
	return slices.Concat(
		closedRows(from, ReasonAlreadyCancelled),
		strangers(from),
		[]Transition{
			{
				From: from, On: on, Guard: Guard{IfMatching, IfShort}, To: from,
				Add: []Label{LabelLate}, Events: []EventType{EventPaymentLate}, Reason: ReasonMoneyAfterCancel,
			},
			{
				From: from, On: on, Guard: Guard{IfMatching, IfCovered}, To: from,
				Add: []Label{LabelLate}, Remove: []Label{LabelUnderpaid, LabelReversed},
				Events: []EventType{EventPaymentLate}, Reason: ReasonMoneyAfterCancel,
			},
		},
	)
}

// closedRows are the rows that expired and cancelled share: everything but a
// confirmed payment.
func closedRows(from State, closed Reason) []Transition {
	return slices.Concat(
		refusals(from, ReasonHasAddress, TriggerAddressAllocated),
		detections(from, from),
		[]Transition{
			ignored(from, TriggerPaymentDropped),
			strangerReversed(from),
		},
		unfulfilledReversed(from, from),
		refusals(from, closed, TriggerExpire, TriggerCancel, TriggerExtend),
		byHand(from, EventOrderPaidLate),
	)
}
