package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// wakeUp is a hint to a workflow that there is something to look at, written in the transaction that makes it true.
type wakeUp struct {
	chain     string
	signal    string
	paymentID string
	inclusion int32
	orderID   *string
	// cause makes it a wake-up of the review of this inclusion, whatever state the order is in.
	cause process.ReviewCause
	// kind names the effect within the inclusion: the same kind is written once.
	kind string
}

// wake puts the wake-up into the outbox, once.
func (t txn) wake(ctx context.Context, w wakeUp) error {
	err := t.q.InsertOutbox(ctx, sqlc.InsertOutboxParams{
		Chain: w.chain, Signal: w.signal, PaymentID: w.paymentID, Inclusion: w.inclusion, OrderID: w.orderID,
		ReviewCause: optional(string(w.cause)),
		RequestID:   process.SignalRequestID(payment.PaymentID(w.paymentID), int(w.inclusion), w.kind),
	})
	if err != nil {
		return fmt.Errorf("write the wake-up %s of payment %s: %w", w.kind, w.paymentID, err)
	}
	return nil
}

// OutboxMessage is a wake-up on its way.
type OutboxMessage struct {
	ID        int64
	Chain     string
	Signal    string // process.SignalPaymentSeen, SignalPaymentDropped, or for a review SignalChainResumed
	PaymentID payment.PaymentID
	Inclusion int
	OrderID   payment.OrderID // "" for money that has no order
	// ReviewCause is set when the wake-up is for a review, whatever state the order is in.
	ReviewCause process.ReviewCause
	// RequestID deduplicates the signal at its receiver.
	RequestID string
	// Attempts counts the times it was claimed, this one included.
	Attempts int
}

// OutboxOutcome names what became of a wake-up.
type OutboxOutcome string

// The outcomes of a wake-up.
const (
	OutboxSignalled     OutboxOutcome = "signalled"
	OutboxOrderStarted  OutboxOutcome = "order_started"
	OutboxReviewStarted OutboxOutcome = "review_started"
	// OutboxMoot: nobody waits for this news any more.
	OutboxMoot OutboxOutcome = "moot"
)

// ClaimOutbox takes at most limit wake-ups of the chains that are due, oldest first. They are the owner's for the length
// of the lease; what is neither marked nor put back by then is claimed again, by anybody. Claims of several owners never
// overlap.
func (db *DB) ClaimOutbox(ctx context.Context, owner string, chains []string, limit int, lease time.Duration) ([]OutboxMessage, error) {
	rows, err := db.q.ClaimOutbox(ctx, sqlc.ClaimOutboxParams{
		Owner: owner, Chains: chains, MaxRows: int32(limit), LeaseMs: lease.Milliseconds(),
	})
	if err != nil {
		return nil, fmt.Errorf("claim wake-ups: %w", classify(err))
	}
	slices.SortFunc(rows, func(a, b sqlc.ClaimOutboxRow) int { return cmp.Compare(a.ID, b.ID) })
	messages := make([]OutboxMessage, 0, len(rows))
	for _, row := range rows {
		messages = append(messages, OutboxMessage{
			ID: row.ID, Chain: row.Chain, Signal: row.Signal,
			PaymentID: payment.PaymentID(row.PaymentID), Inclusion: int(row.Inclusion),
			OrderID: payment.OrderID(deref(row.OrderID)), ReviewCause: process.ReviewCause(deref(row.ReviewCause)),
			RequestID: row.RequestID, Attempts: int(row.Attempts),
		})
	}
	return messages, nil
}

// MarkSent says that a wake-up arrived. It counts from whoever sent it, also after the lease ended: the receiver
// deduplicates. Doing it again keeps the first outcome.
func (db *DB) MarkSent(ctx context.Context, id int64, outcome OutboxOutcome) error {
	if _, err := db.q.MarkOutboxSent(ctx, sqlc.MarkOutboxSentParams{ID: id, Outcome: string(outcome)}); err != nil {
		return fmt.Errorf("mark wake-up %d: %w", id, classify(err))
	}
	return nil
}

// RetryLater puts a claimed wake-up back for a while. It does nothing when the owner's lease has ended and another one
// holds the row, or when it was sent.
func (db *DB) RetryLater(ctx context.Context, owner string, id int64, delay time.Duration) error {
	_, err := db.q.RetryOutboxLater(ctx, sqlc.RetryOutboxLaterParams{ID: id, Owner: owner, DelayMs: delay.Milliseconds()})
	if err != nil {
		return fmt.Errorf("put back wake-up %d: %w", id, classify(err))
	}
	return nil
}

// PruneSent forgets at most limit wake-ups that arrived longer ago than age, and returns how many.
func (db *DB) PruneSent(ctx context.Context, age time.Duration, limit int) (int, error) {
	rows, err := db.q.PruneOutbox(ctx, sqlc.PruneOutboxParams{OlderMs: age.Milliseconds(), MaxRows: int32(limit)})
	if err != nil {
		return 0, fmt.Errorf("prune wake-ups: %w", classify(err))
	}
	return int(rows), nil
}

// RouteTo says who is to be told of a wake-up that found no running workflow of its order.
type RouteTo string

// The routes of a wake-up.
const (
	// RouteOrder: start the order's workflow, which reads everything it needs.
	RouteOrder RouteTo = "order"
	// RouteReview: start a review with the route's cause.
	RouteReview RouteTo = "review"
	// RouteNobody: the news is over, or nobody has to act on it.
	RouteNobody RouteTo = "nobody"
)

// Route is where a wake-up goes.
type Route struct {
	To    RouteTo
	Cause process.ReviewCause // of RouteReview
}

// Route decides by the rows as they are now. An open order takes its money itself, and so does an expired or cancelled one
// within its late window; money for any other needs a review, as does what came to an address of the other mode, and a deposit, whose
// review asks nobody.
func (db *DB) Route(ctx context.Context, m OutboxMessage) (Route, error) {
	if m.ReviewCause != "" {
		return Route{To: RouteReview, Cause: m.ReviewCause}, nil
	}
	row, err := db.q.RouteFacts(ctx, sqlc.RouteFactsParams{PaymentID: string(m.PaymentID), OrderID: optional(string(m.OrderID))})
	if err != nil {
		return Route{}, fmt.Errorf("read what wake-up %d is about: %w", m.ID, classify(err))
	}
	state := payment.State(row.State)
	status := payment.PaymentStatus(row.Status)
	unsettled := int(row.Inclusion) == m.Inclusion && (status == payment.StatusDetected || status == payment.StatusParked)
	switch {
	case state.Open():
		return Route{To: RouteOrder}, nil
	case m.Signal == process.SignalPaymentDropped || !unsettled:
		return Route{To: RouteNobody}, nil
	case row.WrongMode:
		return Route{To: RouteReview, Cause: process.CauseWrongMode}, nil
	case m.OrderID == "":
		return Route{To: RouteReview, Cause: process.CauseDeposit}, nil
	case row.WithinLateWindow && (state == payment.StateExpired || state == payment.StateCancelled):
		return Route{To: RouteOrder}, nil
	case state == payment.StateExpired || state == payment.StateCancelled:
		return Route{To: RouteReview, Cause: process.CauseLate}, nil
	default:
		return Route{To: RouteReview, Cause: process.CauseClosedOrder}, nil
	}
}
