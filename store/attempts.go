package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// ErrLeaseLost says that another sender has taken over the order and endpoint, so this sender's failure does not count.
var ErrLeaseLost = errors.New("store: another sender has the lease")

// Reply says what an endpoint made of an attempt.
type Reply string

// The replies. Only silence counts towards the breaker: a server that replies with an error is there.
const (
	ReplyAccepted Reply = "accepted" // it took the event
	ReplyRefused  Reply = "refused"  // it replied, and did not take it
	ReplyGone     Reply = "gone"     // it asked never to be called again
	ReplySilence  Reply = "silence"  // no reply: it timed out or could not be reached
)

// Attempt is what one attempt led to.
type Attempt struct {
	Reply     Reply
	Outcome   string // the sender's name for it
	Status    int    // 0 when no reply arrived
	Latency   time.Duration
	Excerpt   string // the beginning of the reply; cut here to one kilobyte
	StartedAt time.Time
}

// ParkReason says why a callback is not sent any more until a person asks for it.
type ParkReason string

// The reasons to park a callback.
const (
	ParkExhausted        ParkReason = "exhausted"
	ParkGone             ParkReason = "gone"
	ParkEndpointDisabled ParkReason = "endpoint_disabled"
	ParkTargetForbidden  ParkReason = "target_forbidden"
)

// Next is what follows an attempt that was not accepted: another one after a delay, or none for a reason.
type Next struct {
	After time.Duration
	Park  ParkReason // "" for another attempt
}

// AttemptResult says how the callback stands after its attempt.
type AttemptResult struct {
	Status string // pending, delivered, parked
	// EndpointDisabled: this attempt was the last one that the endpoint gets.
	EndpointDisabled bool
}

// The breaker opens at the fifth silence in a row, for half a minute, and twice as long each time a try fails.
const (
	breakerFailures = 5
	breakerFirst    = 30 * time.Second
	breakerMost     = 10 * time.Minute
)

// failureLimit is how long an endpoint may fail without one success in between before it is disabled.
//
// It must have failed throughout: so many times, and never for longer than failureGap without an attempt. The schedule's
// longest step is a day and a tenth, so an endpoint that something is pending for has no such gap.
const (
	failureLimit = 5 * 24 * time.Hour
	failureGap   = 2 * 24 * time.Hour
	failureCount = 10
)

// Reasons for which an endpoint is disabled.
const (
	disabledGone    = "gone"
	disabledFailing = "failing"
)

const (
	maxExcerpt        = 1024
	parkBatch         = 500
	callbackDelivered = "delivered"
)

// RecordAttempt writes an attempt down, moves its callback on, and gives back slot and lease. next is ignored for an
// attempt that was accepted. An endpoint that is gone, or that has failed for five days, is disabled, and its pending
// callbacks are parked.
//
// Recording an attempt again changes nothing and returns how the callback stands. An acceptance counts even when the lease
// was lost meanwhile: the event has arrived. Any other outcome then returns ErrLeaseLost and writes nothing.
func (db *DB) RecordAttempt(ctx context.Context, d Delivery, attempt Attempt, next Next) (AttemptResult, error) {
	var result AttemptResult
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		var err error
		result, err = t.recordAttempt(ctx, d, attempt, next)
		return err
	})
	if err == nil && result.EndpointDisabled {
		db.parkAll(ctx, d.EndpointID)
	}
	return result, err
}

// parkAll parks what is pending for a disabled endpoint, a batch at a time. That the endpoint is disabled stands by then,
// and what is left here, because of an error or because somebody has it, is parked when its turn comes.
func (db *DB) parkAll(ctx context.Context, endpoint payment.EndpointID) {
	for parked := int64(parkBatch); parked == parkBatch; {
		err := db.tx(ctx, func(ctx context.Context, t txn) error {
			parked = 0
			row, err := t.q.LockEndpoint(ctx, sqlc.LockEndpointParams{ID: string(endpoint)})
			if err != nil || !row.Disabled {
				return err
			}
			parked, err = t.q.ParkEndpointCallbacks(ctx, sqlc.ParkEndpointCallbacksParams{
				EndpointID: row.ID, Reason: optional(string(ParkEndpointDisabled)), MaxRows: parkBatch,
			})
			return err
		})
		if err != nil {
			db.log.WarnContext(ctx, "not all callbacks of a disabled endpoint are parked yet", "endpoint", endpoint, "error", err)
			return
		}
	}
}

func (t txn) recordAttempt(ctx context.Context, d Delivery, attempt Attempt, next Next) (AttemptResult, error) {
	// The endpoint first: whoever disables it goes on to park its callbacks.
	endpoint, err := t.q.LockEndpoint(ctx, sqlc.LockEndpointParams{
		ID: string(d.EndpointID), GiveUpAfterMs: failureLimit.Milliseconds(), GapMs: failureGap.Milliseconds(), GiveUpFailures: failureCount,
	})
	if err != nil {
		return AttemptResult{}, notFound(err, "endpoint")
	}
	callback, err := t.q.LockCallback(ctx, string(d.CallbackID))
	if err != nil {
		return AttemptResult{}, notFound(err, "callback")
	}
	recorded, err := t.q.AttemptExists(ctx, d.Token)
	if err != nil {
		return AttemptResult{}, fmt.Errorf("look for the attempt: %w", err)
	}
	if recorded {
		return AttemptResult{Status: callback.Status, EndpointDisabled: endpoint.Disabled}, nil
	}
	if attempt.Reply != ReplyAccepted {
		if err := t.holdsLease(ctx, d); err != nil {
			return AttemptResult{}, err
		}
	}
	if err := t.insertAttempt(ctx, d, attempt); err != nil {
		return AttemptResult{}, err
	}
	result, err := t.moveCallback(ctx, callback, d, attempt, next)
	if err != nil {
		return AttemptResult{}, err
	}
	if result.EndpointDisabled, err = t.endpointHealth(ctx, endpoint, attempt); err != nil {
		return AttemptResult{}, err
	}
	if result.EndpointDisabled && result.Status == callbackPending {
		_, err := t.q.ParkStreamCallbacks(ctx, sqlc.ParkStreamCallbacksParams{
			Stream: string(d.Stream), EndpointID: endpoint.ID, Reason: optional(string(ParkEndpointDisabled)),
		})
		if err != nil {
			return AttemptResult{}, fmt.Errorf("park callbacks of endpoint %s: %w", endpoint.ID, err)
		}
		result.Status = callbackParked
	}
	return result, t.giveBack(ctx, d, server{endpoint.MerchantID, endpoint.Mode, endpoint.Target})
}

// holdsLease returns ErrLeaseLost when somebody else has the lease. One that ran out and that nobody took is still good.
func (t txn) holdsLease(ctx context.Context, d Delivery) error {
	lease, err := t.q.CallbackLease(ctx, sqlc.CallbackLeaseParams{Stream: string(d.Stream), EndpointID: string(d.EndpointID)})
	if errors.Is(err, pgx.ErrNoRows) || err == nil && lease.Owner != d.Owner {
		return ErrLeaseLost
	}
	if err != nil {
		return fmt.Errorf("read the lease: %w", err)
	}
	return nil
}

func (t txn) insertAttempt(ctx context.Context, d Delivery, attempt Attempt) error {
	params := sqlc.InsertAttemptParams{
		CallbackID: string(d.CallbackID), Round: int32(d.Round), Token: d.Token, Outcome: attempt.Outcome,
		LatencyMs: int32(attempt.Latency.Milliseconds()), Excerpt: storable(attempt.Excerpt), StartedAt: attempt.StartedAt,
	}
	if attempt.Status != 0 {
		status := int32(attempt.Status)
		params.Status = &status
	}
	if err := t.q.InsertAttempt(ctx, params); err != nil {
		return fmt.Errorf("write the attempt: %w", err)
	}
	return nil
}

// storable cuts a stranger's text to what a column takes.
func storable(text string) string {
	text = strings.ReplaceAll(text, "\x00", "")
	if len(text) > maxExcerpt {
		text = text[:maxExcerpt]
	}
	return strings.ToValidUTF8(text, "")
}

// moveCallback writes what follows. A callback that was settled, parked or given a new round while the attempt was under way
// only learns of its acceptance.
func (t txn) moveCallback(ctx context.Context, callback sqlc.LockCallbackRow, d Delivery, attempt Attempt, next Next) (AttemptResult, error) {
	result := AttemptResult{Status: callback.Status}
	var err error
	switch {
	case callback.Status == callbackDelivered:
	case attempt.Reply == ReplyAccepted:
		result.Status = callbackDelivered
		err = t.q.CallbackDelivered(ctx, callback.ID)
	case callback.Status == callbackParked, int(callback.Round) != d.Round:
	case next.Park != "":
		result.Status = callbackParked
		err = t.q.CallbackParked(ctx, sqlc.CallbackParkedParams{ID: callback.ID, Reason: optional(string(next.Park))})
	default:
		err = t.q.CallbackRetry(ctx, sqlc.CallbackRetryParams{ID: callback.ID, DelayMs: next.After.Milliseconds()})
	}
	if err != nil {
		return result, fmt.Errorf("move callback %s: %w", callback.ID, err)
	}
	return result, nil
}

// endpointHealth keeps count of the endpoint's failures, and tells whether it is disabled now.
func (t txn) endpointHealth(ctx context.Context, endpoint sqlc.LockEndpointRow, attempt Attempt) (disabled bool, err error) {
	at := server{endpoint.MerchantID, endpoint.Mode, endpoint.Target}
	if attempt.Reply == ReplySilence {
		err = t.silence(ctx, at)
	} else {
		err = t.q.CloseBreaker(ctx, sqlc.CloseBreakerParams{MerchantID: at.merchant, Target: at.own().target})
	}
	if err != nil {
		return false, fmt.Errorf("keep the breaker of endpoint %s: %w", endpoint.ID, err)
	}
	switch {
	case attempt.Reply == ReplyAccepted:
		if err := t.q.EndpointHealthy(ctx, endpoint.ID); err != nil {
			return false, fmt.Errorf("note that endpoint %s works: %w", endpoint.ID, err)
		}
		return endpoint.Disabled, nil
	case attempt.Reply == ReplyGone:
		return true, t.disableEndpoint(ctx, endpoint.ID, disabledGone)
	case endpoint.GivenUp:
		return true, t.disableEndpoint(ctx, endpoint.ID, disabledFailing)
	}
	if err := t.q.EndpointFailed(ctx, sqlc.EndpointFailedParams{ID: endpoint.ID, GapMs: failureGap.Milliseconds()}); err != nil {
		return false, fmt.Errorf("note that endpoint %s fails: %w", endpoint.ID, err)
	}
	return endpoint.Disabled, nil
}

func (t txn) disableEndpoint(ctx context.Context, id, reason string) error {
	_, err := t.q.DisableEndpoint(ctx, sqlc.DisableEndpointParams{ID: id, Reason: optional(reason)})
	if err != nil {
		return fmt.Errorf("disable endpoint %s: %w", id, err)
	}
	return nil
}

// silence counts an attempt without an answer, and opens the breaker when there were too many in a row.
func (t txn) silence(ctx context.Context, at server) error {
	failures, err := t.q.BreakerSilence(ctx, sqlc.BreakerSilenceParams{MerchantID: at.merchant, Target: at.own().target})
	if err != nil || failures < breakerFailures {
		return err
	}
	wait := breakerMost
	if doubled := failures - breakerFailures; doubled < 10 {
		wait = min(breakerFirst<<doubled, breakerMost)
	}
	return t.q.OpenBreaker(ctx, sqlc.OpenBreakerParams{MerchantID: at.merchant, Target: at.own().target, OpenMs: wait.Milliseconds()})
}
