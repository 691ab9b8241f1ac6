package payment

import "slices"

// State says whether an order is fulfilled. What else is true of it is said by
// its labels.
type State string

// The states. Merchants see all but the first.
const (
	// StateOpening: the order is recorded and has no address yet.
	StateOpening State = "opening"
	// StateAwaitingPayment: the order has an address and no payment is on its way.
	StateAwaitingPayment State = "awaiting_payment"
	// StateConfirming: at least one payment is on its way and not confirmed.
	StateConfirming State = "confirming"
	// StatePaid: the order is fulfilled. It stays so: a reversal adds a label.
	StatePaid State = "paid"
	// StateExpired: the deadline passed on the chain's clock, unpaid. Late money may still fulfil it.
	StateExpired State = "expired"
	// StateCancelled: the merchant gave it up. Only a person can fulfil it.
	StateCancelled State = "cancelled"
)

// States lists every state, in the order of an order's life.
func States() []State {
	return []State{
		StateOpening, StateAwaitingPayment, StateConfirming, StatePaid, StateExpired, StateCancelled,
	}
}

// ParseState returns CodeInvalidParameter for a word that is no state.
func ParseState(s string) (State, error) {
	if !slices.Contains(States(), State(s)) {
		return "", E(CodeInvalidParameter, "", "unknown order state")
	}
	return State(s), nil
}

// Open tells whether the order still waits for its money: it counts against the
// merchant's cap on open orders and can expire.
func (s State) Open() bool {
	return s == StateOpening || s == StateAwaitingPayment || s == StateConfirming
}

// Label says what else is true of an order beside its state.
type Label string

// The labels.
const (
	// LabelUnderpaid: confirmed money is there, and too little.
	LabelUnderpaid Label = "underpaid"
	// LabelOverpaid: a fulfilled order holds more than it asked for.
	LabelOverpaid Label = "overpaid"
	// LabelLate: money came after the deadline, or after the order was closed.
	LabelLate Label = "late"
	// LabelManual: a person fulfilled the order, or settled it.
	LabelManual Label = "manual"
	// LabelWrongAsset: confirmed money came in an asset that the order did not ask for.
	LabelWrongAsset Label = "wrong_asset"
	// LabelWrongNetwork: confirmed money came on a chain that the order did not name.
	LabelWrongNetwork Label = "wrong_network"
	// LabelReversed: the chain took confirmed money back and the sum no longer covers the order.
	LabelReversed Label = "reversed"
)

// AllLabels lists every label.
func AllLabels() []Label {
	return []Label{
		LabelUnderpaid, LabelOverpaid, LabelLate, LabelManual,
		LabelWrongAsset, LabelWrongNetwork, LabelReversed,
	}
}

// Labels is a set of labels: sorted, without repeats, treated as immutable.
type Labels []Label

// LabelsOf makes a set of labels.
func LabelsOf(labels ...Label) Labels {
	set := slices.Clone(labels)
	slices.Sort(set)
	return Labels(slices.Compact(set))
}

// Has tells whether label is in the set.
func (l Labels) Has(label Label) bool { return slices.Contains(l, label) }

// Apply returns the set with add put in and remove taken out. A label in both
// stays: the new fact is the one just learned.
func (l Labels) Apply(add, remove []Label) Labels {
	kept := make([]Label, 0, len(l)+len(add))
	for _, label := range l {
		if !slices.Contains(remove, label) {
			kept = append(kept, label)
		}
	}
	return LabelsOf(append(kept, add...)...)
}

// EventType names what happened to an order, as merchants are told it.
type EventType string

// The event types.
const (
	// EventOrderCreated: the order has its address.
	EventOrderCreated EventType = "order.created"
	// EventOrderPaymentDetected: a payment in the order's asset was seen, unconfirmed.
	EventOrderPaymentDetected EventType = "order.payment_detected"
	// EventOrderUnderpaid: everything seen is confirmed, and too little.
	EventOrderUnderpaid EventType = "order.underpaid"
	// EventOrderPaid: the order is fulfilled.
	EventOrderPaid EventType = "order.paid"
	// EventOrderExpired: the deadline passed, unpaid.
	EventOrderExpired EventType = "order.expired"
	// EventOrderCancelled: the order was cancelled.
	EventOrderCancelled EventType = "order.cancelled"
	// EventOrderPaidLate: the order is fulfilled by late money, or by a person after it was closed.
	EventOrderPaidLate EventType = "order.paid_late"
	// EventOrderOverpaid: a fulfilled order holds more than it asked for.
	EventOrderOverpaid EventType = "order.overpaid"
	// EventPaymentLate: confirmed money came after the deadline, or after the order was cancelled, and does not
	// fulfil it.
	EventPaymentLate EventType = "payment.late"
	// EventPaymentMismatched: confirmed money came in another asset or on another network than the order's. It is posted as
	// what it is and does not count for the order.
	EventPaymentMismatched EventType = "payment.mismatched"
	// EventPaymentReversed: the chain took a confirmed payment back.
	EventPaymentReversed EventType = "payment.reversed"
	// EventDepositCredited: money came to a customer's address that none of his orders takes, whole or in part.
	EventDepositCredited EventType = "deposit.credited"
)

// EventTypes lists every event type.
func EventTypes() []EventType {
	return []EventType{
		EventOrderCreated, EventOrderPaymentDetected, EventOrderUnderpaid, EventOrderPaid,
		EventOrderExpired, EventOrderCancelled, EventOrderPaidLate, EventOrderOverpaid,
		EventPaymentLate, EventPaymentMismatched, EventPaymentReversed, EventDepositCredited,
	}
}

// ParseEventType returns CodeInvalidParameter for a word that is no event type.
func ParseEventType(s string) (EventType, error) {
	if !slices.Contains(EventTypes(), EventType(s)) {
		return "", E(CodeInvalidParameter, "", "unknown event type")
	}
	return EventType(s), nil
}

// Trigger is something that happened, or that somebody wants, which may move an
// order.
type Trigger string

// The triggers.
const (
	// TriggerAddressAllocated: the order's payment address was committed.
	TriggerAddressAllocated Trigger = "address_allocated"
	// TriggerPaymentDetected: a payment has a new canonical inclusion.
	TriggerPaymentDetected Trigger = "payment_detected"
	// TriggerPaymentDropped: a payment that was on its way left the canonical chain, or its
	// window to return ended.
	TriggerPaymentDropped Trigger = "payment_dropped"
	// TriggerPaymentConfirmed: a payment reached its confirmations and is being credited.
	TriggerPaymentConfirmed Trigger = "payment_confirmed"
	// TriggerPaymentReversed: a credited payment left the canonical chain.
	TriggerPaymentReversed Trigger = "payment_reversed"
	// TriggerExpire: the order's timer fired.
	TriggerExpire Trigger = "expire"
	// TriggerCancel: the merchant gives the order up.
	TriggerCancel Trigger = "cancel"
	// TriggerExtend: the deadline moves into the future. The facts already count with it.
	TriggerExtend Trigger = "extend"
	// TriggerResolveManual: a person fulfils the order, or accepts its shortfall.
	TriggerResolveManual Trigger = "resolve_manual"
)

// Triggers lists every trigger.
func Triggers() []Trigger {
	return []Trigger{
		TriggerAddressAllocated, TriggerPaymentDetected, TriggerPaymentDropped,
		TriggerPaymentConfirmed, TriggerPaymentReversed, TriggerExpire, TriggerCancel,
		TriggerExtend, TriggerResolveManual,
	}
}
