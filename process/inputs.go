package process

import "github.com/sluicepay/sluice/payment"

// Every request made by hand carries the id of the update that brought it as RequestID: the key of its audit row, so that
// asking again is not a second deed.

// CancelInput asks for an order to be given up.
type CancelInput struct {
	OrderID   payment.OrderID `json:"order_id"`
	By        By              `json:"by"`
	RequestID string          `json:"request_id"`
}

// ExtendInput asks for a later deadline.
type ExtendInput struct {
	OrderID   payment.OrderID `json:"order_id"`
	By        By              `json:"by"`
	RequestID string          `json:"request_id"`
	Seconds   int             `json:"seconds"`
}

// ResolveInput tells a blocked order how to go on.
type ResolveInput struct {
	OrderID   payment.OrderID   `json:"order_id"`
	PaymentID payment.PaymentID `json:"payment_id,omitempty"` // when it is about the callbacks of a payment that is for no order
	By        By                `json:"by"`
	RequestID string            `json:"request_id"`
	Move      Move              `json:"move"`
	// Step is where the workflow was blocked, for the audit row; empty when it was not.
	Step Step `json:"step,omitempty"`
}

// LeaveInput records that the parked callbacks of an order, or of a payment that is for none, are left as they are.
type LeaveInput struct {
	OrderID   payment.OrderID   `json:"order_id,omitempty"`
	PaymentID payment.PaymentID `json:"payment_id,omitempty"`
	By        By                `json:"by"`
	RequestID string            `json:"request_id"`
}

// ParkInput records that an order's workflow waits for a person at a step, or with no Step that it no longer does.
type ParkInput struct {
	OrderID payment.OrderID `json:"order_id"`
	Step    Step            `json:"step,omitempty"`
	// Reason is a code or an outcome, never the text of a foreign error.
	Reason string `json:"reason,omitempty"`
	// RequestID names this one parking: `<order>/park/<run>/<n>`.
	RequestID string `json:"request_id"`
}

// RescanInput asks for blocks to be read again: of a chain, or of an order's chain. Zero From and To on an order: since
// its address was made, on every enabled chain that the address can be paid on.
type RescanInput struct {
	Chain     string          `json:"chain,omitempty"`
	OrderID   payment.OrderID `json:"order_id,omitempty"`
	By        By              `json:"by"`
	RequestID string          `json:"request_id"`
	From      uint64          `json:"from,omitempty"`
	To        uint64          `json:"to,omitempty"`
}

// RescanResult answers RescanInput.
type RescanResult struct {
	// Outcome is OutcomeDone or OutcomeAlreadyDone; empty in histories that are older than it.
	Outcome string `json:"outcome"`
	// From and To are what was recorded of the blocks and will be read again, on the order's own chain.
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// RedeliverInput asks for parked callbacks of an order or payment to be sent again. No CallbackID: all of them.
type RedeliverInput struct {
	OrderID    payment.OrderID    `json:"order_id"`
	PaymentID  payment.PaymentID  `json:"payment_id,omitempty"` // when it is for no order
	CallbackID payment.CallbackID `json:"callback_id,omitempty"`
	By         By                 `json:"by"`
	RequestID  string             `json:"request_id"`
}

// ResolveReviewInput decides a review.
type ResolveReviewInput struct {
	Review    ReviewInput `json:"review"`
	By        By          `json:"by"`
	RequestID string      `json:"request_id"`
	Move      Move        `json:"move"`
}

// WatchOutcome names why WatchChain came back.
type WatchOutcome string

// The outcomes of watching. A worker that stops is not one: the activity is retried on another.
const (
	WatchTurn     WatchOutcome = "turn"     // its hour is over: begin a new history
	WatchDisabled WatchOutcome = "disabled" // what workers of the release before say of a chain that takes no orders
)

// WatchResult says why WatchChain came back.
type WatchResult struct {
	Outcome WatchOutcome `json:"outcome"`
}

// ParkedCallback is a callback that nobody will send again until it is told to.
type ParkedCallback struct {
	ID         payment.CallbackID `json:"id"`
	EndpointID payment.EndpointID `json:"endpoint_id"`
	Event      payment.EventType  `json:"event"`
	Reason     string             `json:"reason"`
	Attempts   int                `json:"attempts"`
}

// CallbackView is the truth about an order's callbacks: at most the 100 oldest of each kind.
type CallbackView struct {
	OrderID    payment.OrderID    `json:"order_id"`
	PaymentID  payment.PaymentID  `json:"payment_id,omitempty"` // when it is for no order
	MerchantID payment.MerchantID `json:"merchant_id"`
	// PendingEndpoints have callbacks still to be sent.
	PendingEndpoints []payment.EndpointID `json:"pending_endpoints,omitempty"`
	Parked           []ParkedCallback     `json:"parked,omitempty"`
}

// OrderResult answers a request made by hand: what happened, and the order as it is now.
type OrderResult struct {
	// Outcome is "done" or "already_done".
	Outcome string    `json:"outcome"`
	Order   OrderView `json:"order"`
}

// The outcomes of requests made by hand. Refusals are errors whose type is a payment.Code.
const (
	OutcomeDone        = "done"
	OutcomeAlreadyDone = "already_done"
)
