package process

import (
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// Workflow types.
const (
	OrderWorkflow         = "OrderWorkflow"
	ChainWatcherWorkflow  = "ChainWatcherWorkflow"
	PaymentReviewWorkflow = "PaymentReviewWorkflow"
	CallbackWorkflow      = "CallbackWorkflow"
	// ProbeWorkflow carries every search attribute and ends at once: until one has started, nothing is ready.
	ProbeWorkflow = "ProbeWorkflow"
)

// Task queues.
const (
	// OrdersQueue runs the workflows and the activities that only need the database.
	OrdersQueue = "orders"
	// CallbacksQueue talks to merchants' servers, on workers of its own.
	CallbacksQueue = "callbacks"
)

// ChainQueue runs a chain's watcher and its receipt checks.
func ChainQueue(chain string) string { return "chain-" + chain }

// OrderWorkflowID names the one workflow of an order.
func OrderWorkflowID(id payment.OrderID) string { return "order/" + string(id) }

// WatcherWorkflowID names the one watcher of a chain.
func WatcherWorkflowID(chain string) string { return "watcher/" + chain }

// CallbackWorkflowID names the workflow for callbacks that outlive the run of their order or review.
func CallbackWorkflowID(of Stream) string { return "callbacks/" + string(of) }

// ReviewWorkflowID names the review of one inclusion of a payment for one cause.
func ReviewWorkflowID(in ReviewInput) string {
	return fmt.Sprintf("review/%s/%d/%s", in.PaymentID, in.Inclusion, in.Cause)
}

// OpenUpdateID is fixed per order: asking again returns the stored answer, also after the workflow has closed.
func OpenUpdateID(id payment.OrderID) string { return "open/" + string(id) }

// SignalRequestID is the deduplication key of one wake-up.
func SignalRequestID(p payment.PaymentID, inclusion int, kind string) string {
	return fmt.Sprintf("%s/%d/%s", p, inclusion, kind)
}

// OrderIDFromWorkflowID is the inverse of OrderWorkflowID.
func OrderIDFromWorkflowID(id string) (payment.OrderID, error) {
	rest, ok := strings.CutPrefix(id, "order/")
	if !ok {
		return "", fmt.Errorf("process: %q is not an order workflow id", id)
	}
	return payment.ParseOrderID(rest)
}

// Signals. All are wake-ups only.
const (
	SignalPaymentSeen    = "payment_seen"
	SignalPaymentDropped = "payment_dropped"
	// SignalChainResumed tells a review that a halt of its chain is over.
	SignalChainResumed = "chain_resumed"
	// SignalCallbacksChanged tells a CallbackWorkflow to look again; it carries nothing.
	SignalCallbacksChanged = "callbacks_changed"
)

// Updates and the query. The Temporal UI lists them with these names.
const (
	UpdateOpen      = "open"
	UpdateResolve   = "resolve"
	UpdateCancel    = "cancel"
	UpdateExtend    = "extend"
	UpdateRescan    = "rescan"
	UpdateRedeliver = "redeliver"
	QueryState      = "state"
)

// Activities.
const (
	ActivityAllocateAddress  = "AllocateAddress"  // local, orders
	ActivityReadOrder        = "ReadOrder"        // local, orders
	ActivitySettlePayment    = "SettlePayment"    // chain-<name>
	ActivityExpireOrder      = "ExpireOrder"      // orders
	ActivityCancelOrder      = "CancelOrder"      // local, orders
	ActivityExtendOrder      = "ExtendOrder"      // local, orders
	ActivityResolveOrder     = "ResolveOrder"     // local, orders
	ActivityParkOrder        = "ParkOrder"        // local, orders: blocked step and audit
	ActivityDeliverCallbacks = "DeliverCallbacks" // callbacks
	ActivityRedeliver        = "Redeliver"        // local, orders
	ActivityReadCallbacks    = "ReadCallbacks"    // local, orders
	ActivityReadReview       = "ReadReview"       // local, orders
	ActivityResolveReview    = "ResolveReview"    // local, orders
	ActivityRequestRescan    = "RequestRescan"    // local, orders
	ActivityWatchChain       = "WatchChain"       // chain-<name>
)
