package process

import (
	"time"

	"github.com/sluicepay/sluice/payment"
)

// OrderInput starts an OrderWorkflow. Everything else is read from the database, so a run can be started again at any time.
type OrderInput struct {
	OrderID payment.OrderID `json:"order_id"`
}

// WatcherInput starts a ChainWatcherWorkflow.
type WatcherInput struct {
	Chain string `json:"chain"`
}

// ReviewCause says why money needs a person.
type ReviewCause string

// The causes of a review.
const (
	CauseLate         ReviewCause = "late"
	CauseClosedOrder  ReviewCause = "closed_order"
	CauseWrongAsset   ReviewCause = "wrong_asset"
	CauseWrongMode    ReviewCause = "wrong_mode" // live money at an address that was made in test mode
	CauseReversal     ReviewCause = "reversal"
	CauseHeld         ReviewCause = "held"
	CauseDisagreement ReviewCause = "disagreement"
	CauseStuck        ReviewCause = "stuck"
	// CauseDeposit is no question to anybody: the money is for no order. Its review confirms it and is resolved by itself.
	CauseDeposit ReviewCause = "deposit"
	// CauseNegativeBalance: a reversal took more than the merchant had available.
	CauseNegativeBalance ReviewCause = "negative_balance"
)

// ReviewInput starts a PaymentReviewWorkflow.
type ReviewInput struct {
	PaymentID payment.PaymentID `json:"payment_id"`
	Inclusion int               `json:"inclusion"`
	Cause     ReviewCause       `json:"cause"`
}

// CallbackInput starts a CallbackWorkflow: of an order, or of a payment that is for none.
type CallbackInput struct {
	OrderID   payment.OrderID   `json:"order_id"`
	PaymentID payment.PaymentID `json:"payment_id,omitempty"`
}

// PaymentSignal is the payload of both signals: a hint where to look.
type PaymentSignal struct {
	PaymentID payment.PaymentID `json:"payment_id"`
	Inclusion int               `json:"inclusion"`
}

// By is who asks for something by hand, and why. The UI sends no identity, so Actor is a claim; it is audited as one.
type By struct {
	Actor  string `json:"actor"`
	Reason string `json:"reason"`
}

// OpenResult answers the update open: the order has its address.
type OpenResult struct {
	OrderID payment.OrderID `json:"order_id"`
	State   payment.State   `json:"state"`
}

// CancelRequest is the update cancel.
type CancelRequest struct {
	By
}

// ExtendRequest is the update extend: the order expires this much later.
type ExtendRequest struct {
	By
	Seconds int `json:"seconds"`
}

// RescanRequest is the update rescan, on an order or a watcher. Zero From and To on an order: since its address was made.
type RescanRequest struct {
	By
	From uint64 `json:"from"`
	To   uint64 `json:"to"`
}

// RedeliverRequest is the update redeliver. No CallbackID: every parked callback of the order.
type RedeliverRequest struct {
	By
	CallbackID payment.CallbackID `json:"callback_id,omitempty"`
}

// Move is what a person may tell a parked workflow to do.
type Move string

// The moves. Which of them are legal now is in State.LegalMoves.
const (
	MoveRetry    Move = "retry"     // try the blocked step again
	MoveMarkPaid Move = "mark_paid" // the order is fulfilled by decision; posts nothing
	MoveRelease  Move = "release"   // review: held money becomes available to the merchant
	MoveHold     Move = "hold"      // review: keep it held and close the review
	MoveClose    Move = "close"     // review: seen, nothing to do
)

// ResolveRequest is the update resolve on a parked order or a review.
type ResolveRequest struct {
	By
	Move Move `json:"move"`
}

// UpdateResult answers an update made by hand.
type UpdateResult struct {
	State  payment.State   `json:"state,omitempty"`
	Labels []payment.Label `json:"labels,omitempty"`
	// Outcome names what happened: "done", "already_done", or why not.
	Outcome string `json:"outcome"`
	// From and To are the blocks that a rescan reads again, where they were recorded.
	From uint64 `json:"from,omitempty"`
	To   uint64 `json:"to,omitempty"`
}

// Step names where a workflow may be blocked.
type Step string

// The steps; the search attribute BlockedStep holds one of them or nothing.
const (
	StepAllocate Step = "allocate"
	StepConfirm  Step = "confirm"
	StepExpire   Step = "expire"
	StepCallback Step = "callback"
	StepReview   Step = "review"
)

// PaymentView is one payment as a workflow knows it.
type PaymentView struct {
	ID        payment.PaymentID `json:"id"`
	Inclusion int               `json:"inclusion"`
	Chain     string            `json:"chain"`
	Status    string            `json:"status"`
	// Settled: nothing more is to be done for this inclusion.
	Settled bool `json:"settled"`
	// Uncounted: it keeps the order from nothing, being dust, in another asset or late.
	Uncounted bool `json:"uncounted,omitempty"`
	// For support to read: what arrived (decimal), in which block, and how many confirmations it needs.
	Amount string `json:"amount,omitempty"`
	// Allocated is how much of it is for the order (decimal), when that is not all.
	Allocated string `json:"allocated,omitempty"`
	AssetCode string `json:"asset_code,omitempty"`
	Block     uint64 `json:"block,omitempty"`
	Needs     int    `json:"needs,omitempty"`
	// NeedsTag must cover the block as well. Evidence is what its newest credit rested on, if it was ever credited.
	NeedsTag payment.Tag      `json:"needs_tag,omitempty"`
	Evidence payment.Evidence `json:"evidence,omitempty"`
}

// OrderView is the truth about an order, read from or returned by a transaction. Workflows hold it between wake-ups.
type OrderView struct {
	ID         payment.OrderID    `json:"id"`
	MerchantID payment.MerchantID `json:"merchant_id"`
	Chain      string             `json:"chain"`
	AssetID    string             `json:"asset_id"`
	AssetCode  string             `json:"asset_code"`
	Amount     string             `json:"amount"` // decimal, for support to read
	Address    string             `json:"address"`
	State      payment.State      `json:"state"`
	Labels     []payment.Label    `json:"labels,omitempty"`
	ExpiresAt  time.Time          `json:"expires_at"`
	LateUntil  time.Time          `json:"late_until"`
	BlockTime  time.Duration      `json:"block_time"`
	Payments   []PaymentView      `json:"payments,omitempty"`
	// Endpoints with callbacks of this order still to be sent.
	PendingEndpoints []payment.EndpointID `json:"pending_endpoints,omitempty"`
	ParkedCallbacks  int                  `json:"parked_callbacks,omitempty"`
}

// SettleInput asks for one payment to be confirmed and credited.
type SettleInput struct {
	PaymentID payment.PaymentID `json:"payment_id"`
	// Review: the money is posted by the review's policy, not to fulfil an order that has closed.
	Review ReviewCause `json:"review,omitempty"`
}

// SettleOutcome names how settling ended.
type SettleOutcome string

// The outcomes of settling. Waiting for more blocks is not one: the activity is retried by the server until it is over.
const (
	SettleCredited SettleOutcome = "credited"
	SettleAlready  SettleOutcome = "already_credited"
	SettleDropped  SettleOutcome = "dropped"  // no canonical inclusion now; a later one sends a signal
	SettleIgnored  SettleOutcome = "ignored"  // dust, or nothing that counts
	SettleMismatch SettleOutcome = "mismatch" // the chain contradicts what was recorded, again and again: needs a person
	SettleHalted   SettleOutcome = "halted"   // the chain or asset is halted
	// SettleDisagreement: operators contradict each other, or too few of them vouch for so much money; a review is open.
	SettleDisagreement SettleOutcome = "disagreement"
)

// SettleResult is the outcome with the order as it is now. Order is nil for money that has none.
type SettleResult struct {
	Outcome   SettleOutcome `json:"outcome"`
	Inclusion int           `json:"inclusion"`
	Order     *OrderView    `json:"order,omitempty"`
}

// ExpireOutcome names how an attempt to close an order ended.
type ExpireOutcome string

// The outcomes of closing. "Not yet" is not one: the activity is retried by the server.
const (
	ExpireExpired ExpireOutcome = "expired"
	ExpireLive    ExpireOutcome = "live_payment" // a payment is live or was dropped a moment ago
	ExpireNotDue  ExpireOutcome = "not_due"      // somebody extended it
	ExpireOver    ExpireOutcome = "over"         // already paid, expired or cancelled
)

// ExpireResult is the outcome with the order as it is now.
type ExpireResult struct {
	Outcome ExpireOutcome `json:"outcome"`
	Order   OrderView     `json:"order"`
}

// DeliverInput asks for the callbacks of one order, or of one payment that is for none, to one endpoint to be sent, oldest
// event first, until none is due.
type DeliverInput struct {
	OrderID    payment.OrderID    `json:"order_id"`
	PaymentID  payment.PaymentID  `json:"payment_id,omitempty"`
	EndpointID payment.EndpointID `json:"endpoint_id"`
}

// DeliverResult says what is left.
type DeliverResult struct {
	Delivered int `json:"delivered"`
	// Parked callbacks wait for a person, in CallbackWorkflow.
	Parked int `json:"parked"`
}

// ReviewView is the truth about a review.
type ReviewView struct {
	ReviewID         string               `json:"review_id"`
	PaymentID        payment.PaymentID    `json:"payment_id"`
	Inclusion        int                  `json:"inclusion"`
	Cause            ReviewCause          `json:"cause"`
	MerchantID       payment.MerchantID   `json:"merchant_id"`
	OrderID          payment.OrderID      `json:"order_id"`
	Chain            string               `json:"chain"`
	AssetCode        string               `json:"asset_code"`
	Amount           string               `json:"amount"` // decimal
	Address          string               `json:"address"`
	Status           string               `json:"status"` // open, resolved
	Settled          bool                 `json:"settled"`
	Held             bool                 `json:"held"`
	PendingEndpoints []payment.EndpointID `json:"pending_endpoints,omitempty"`
}

// WorkflowState answers the query state of every workflow.
type WorkflowState struct {
	Status      string `json:"status"`
	BlockedStep Step   `json:"blocked_step,omitempty"`
	Reason      string `json:"reason,omitempty"`
	LegalMoves  []Move `json:"legal_moves,omitempty"`
	// Awaiting says in words what happens next.
	Awaiting  string        `json:"awaiting,omitempty"`
	Order     *OrderView    `json:"order,omitempty"`
	Review    *ReviewView   `json:"review,omitempty"`
	Callbacks *CallbackView `json:"callbacks,omitempty"`
}
