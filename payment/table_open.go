package payment

import "slices"

func openingRows() []Transition {
	return append(
		refusals(StateOpening, ReasonHasNoAddress,
			TriggerPaymentDetected, TriggerPaymentDropped, TriggerPaymentConfirmed,
			TriggerPaymentReversed, TriggerExpire, TriggerCancel, TriggerExtend, TriggerResolveManual),
		Transition{
			From: StateOpening, On: TriggerAddressAllocated, To: StateAwaitingPayment,
			Events: []EventType{EventOrderCreated}, Reason: ReasonAddressReady,
		},
	)
}

// openRows are the rows that awaiting_payment and confirming share. Between the
// two, the state follows from the facts: confirming while a payment is live,
// awaiting_payment otherwise.
func openRows(from State) []Transition {
	return slices.Concat(
		refusals(from, ReasonHasAddress, TriggerAddressAllocated),
		detections(from, StateConfirming),
		openConfirmed(from),
		openReversed(from),
		openExpire(from),
		openExtend(from),
		openCancel(from),
		byHand(from, EventOrderPaid),
	)
}

func openConfirmed(from State) []Transition {
	on := TriggerPaymentConfirmed
	return slices.Concat(strangers(from), fulfilments(from, on, IfMatching), []Transition{
		{
			From: from, On: on, Guard: Guard{IfMatching, IfLateDeclined, IfLive}, To: StateConfirming,
			Add: []Label{LabelLate}, Remove: []Label{LabelUnderpaid, LabelReversed},
			Events: []EventType{EventPaymentLate}, Reason: ReasonMoreOnTheWay,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfLateDeclined, IfNoneLive}, To: StateAwaitingPayment,
			Add: []Label{LabelLate}, Remove: []Label{LabelUnderpaid, LabelReversed},
			Events: []EventType{EventPaymentLate}, Reason: ReasonLateDeclined,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfShort, IfLive, IfAllOnTime}, To: StateConfirming,
			Reason: ReasonMoreOnTheWay,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfShort, IfLive, IfLateMoney}, To: StateConfirming,
			Add: []Label{LabelLate}, Reason: ReasonMoreOnTheWay,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfShort, IfNoneLive, IfAllOnTime}, To: StateAwaitingPayment,
			Add: []Label{LabelUnderpaid}, Events: []EventType{EventOrderUnderpaid}, Reason: ReasonShort,
		},
		{
			From: from, On: on, Guard: Guard{IfMatching, IfShort, IfNoneLive, IfLateMoney}, To: StateAwaitingPayment,
			Add: []Label{LabelUnderpaid, LabelLate}, Events: []EventType{EventOrderUnderpaid}, Reason: ReasonShort,
		},
	})
}

func openReversed(from State) []Transition {
	rows := []Transition{strangerReversed(from)}
	for _, to := range []State{StateConfirming, StateAwaitingPayment} {
		live := IfLive
		if to == StateAwaitingPayment {
			live = IfNoneLive
		}
		rows = append(rows, unfulfilledReversed(from, to, live)...)
	}
	return rows
}

// unfulfilledReversed makes the rows for an order that is not fulfilled and
// loses a credit that counted.
func unfulfilledReversed(from, to State, also ...Condition) []Transition {
	on := TriggerPaymentReversed
	return []Transition{
		{
			From: from, On: on, Guard: append(Guard{IfMatching, IfNothing}, also...), To: to,
			Add: []Label{LabelReversed}, Remove: []Label{LabelUnderpaid},
			Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedShort,
		},
		{
			From: from, On: on, Guard: append(Guard{IfMatching, IfShort}, also...), To: to,
			Add:    []Label{LabelReversed, LabelUnderpaid},
			Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedShort,
		},
		{
			From: from, On: on, Guard: append(Guard{IfMatching, IfCovered}, also...), To: to,
			Events: []EventType{EventPaymentReversed}, Reason: ReasonReversedCovered,
		},
	}
}

// openExpire closes an order only when the chain itself has said all it can:
// nothing on its way that came on time, its clock past the deadline, no unread block before it.
// The sum is looked at once more, so that an order whose money is there ends
// paid whatever brought it here.
func openExpire(from State) []Transition {
	on := TriggerExpire
	quiet := []Condition{IfNoneAwaited, IfTimePassed, IfAllRead}
	return slices.Concat([]Transition{
		{
			From: from, On: on, Guard: Guard{IfAwaited}, To: from,
			Refuse: CodePaymentLive, Reason: ReasonPaymentLive,
		},
		{
			From: from, On: on, Guard: Guard{IfNoneAwaited, IfTimeAhead}, To: from,
			Refuse: CodeChainLagging, Reason: ReasonDeadlineAhead,
		},
		{
			From: from, On: on, Guard: Guard{IfNoneAwaited, IfTimePassed, IfHole}, To: from,
			Refuse: CodeChainLagging, Reason: ReasonUnreadBlocks,
		},
		{
			From: from, On: on, Guard: append(slices.Clone(quiet), IfNotEnough), To: StateExpired,
			Events: []EventType{EventOrderExpired}, Reason: ReasonDeadlinePassed,
		},
	}, fulfilments(from, on, quiet...))
}

// openCancel gives an order up that waits for nothing, by the same money as openExpire.
func openCancel(from State) []Transition {
	on := TriggerCancel
	return []Transition{
		{
			From: from, On: on, Guard: Guard{IfAwaited}, To: from,
			Refuse: CodePaymentLive, Reason: ReasonPaymentLive,
		},
		{
			From: from, On: on, Guard: Guard{IfNoneAwaited, IfNotEnough}, To: StateCancelled,
			Events: []EventType{EventOrderCancelled}, Reason: ReasonCancelled,
		},
		{
			From: from, On: on, Guard: Guard{IfNoneAwaited, IfFulfilling}, To: from,
			Refuse: CodeOrderState, Reason: ReasonMoneySuffices,
		},
	}
}

// openExtend moves no state by itself, but money that was late may be in time
// now.
func openExtend(from State) []Transition {
	on := TriggerExtend
	return append(fulfilments(from, on),
		Transition{
			From: from, On: on, Guard: Guard{IfNotEnough, IfAllOnTime}, To: from,
			Remove: []Label{LabelLate}, Reason: ReasonExtended,
		},
		Transition{
			From: from, On: on, Guard: Guard{IfNotEnough, IfLateMoney}, To: from,
			Reason: ReasonExtended,
		},
	)
}

func awaitingRows() []Transition {
	from := StateAwaitingPayment
	return []Transition{
		// A drop that comes twice, or after the payment was confirmed, has no
		// second effect.
		{
			From: from, On: TriggerPaymentDropped, Guard: Guard{IfNoneLive}, To: from,
			Reason: ReasonNothingChanges,
		},
		{
			From: from, On: TriggerPaymentDropped, Guard: Guard{IfLive}, To: StateConfirming,
			Reason: ReasonMoreOnTheWay,
		},
	}
}

func confirmingRows() []Transition {
	from := StateConfirming
	dropped := TriggerPaymentDropped
	return append(fulfilments(from, dropped, IfNoneLive),
		Transition{
			From: from, On: dropped, Guard: Guard{IfLive}, To: from,
			Reason: ReasonMoreOnTheWay,
		},
		Transition{
			From: from, On: dropped, Guard: Guard{IfNoneLive, IfNothing}, To: StateAwaitingPayment,
			Reason: ReasonNothingOnTheWay,
		},
		Transition{
			From: from, On: dropped, Guard: Guard{IfNoneLive, IfShort}, To: StateAwaitingPayment,
			Add: []Label{LabelUnderpaid}, Events: []EventType{EventOrderUnderpaid}, Reason: ReasonShort,
		},
		Transition{
			From: from, On: dropped, Guard: Guard{IfNoneLive, IfLateDeclined}, To: StateAwaitingPayment,
			Reason: ReasonLateDeclined,
		},
	)
}
