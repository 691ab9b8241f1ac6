package store

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	mathrand "math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Delivery is one attempt that may be made now. Its sender holds the lease of the stream and endpoint, one of the server's slots
// and one of its merchant's until RecordAttempt or ReleaseDelivery, or until they run out.
type Delivery struct {
	Owner      string
	Token      string // names the attempt: recording it twice is one attempt
	Stream     process.Stream
	EndpointID payment.EndpointID
	MerchantID payment.MerchantID
	Mode       payment.Mode
	CallbackID payment.CallbackID
	EventID    payment.EventID // the webhook-id
	Type       payment.EventType
	Body       []byte // exactly these bytes are signed and sent
	URL        string
	Secret     seal.Sealed
	SealedAt   seal.Place // where Secret and Previous open
	Targets    []string   // host:port inside the operator's network that the merchant may be called at
	// Previous also signs during a rotation; nil otherwise.
	Previous *seal.Sealed
	// Attempts were recorded before this one, in this round of the schedule.
	Attempts int
	Round    int
}

// LogValue keeps the URL, which may hold a secret, and the body out of logs.
func (d Delivery) LogValue() slog.Value {
	return slog.GroupValue(slog.String("callback", string(d.CallbackID)), slog.String("endpoint", string(d.EndpointID)),
		slog.Int("round", d.Round), slog.Int("attempts", d.Attempts))
}

// WaitReason names why nothing can be sent now.
type WaitReason string

// The reasons to wait. None of them counts as an attempt.
const (
	WaitNotDue  WaitReason = "not_due"      // the schedule's next step is ahead
	WaitLeased  WaitReason = "leased"       // another sender is at it
	WaitBusy    WaitReason = "busy"         // the server, or its merchant, has as many requests in flight as it may
	WaitBreaker WaitReason = "breaker_open" // the server does not answer and is left alone for a while
)

// Acquired is what AcquireDelivery found: a delivery, or how long to wait, or neither because nothing is pending.
type Acquired struct {
	Delivery *Delivery
	// Reason and Delay are set when something is pending and cannot be sent now.
	Reason WaitReason
	Delay  time.Duration
	// Parked counts the callbacks that wait for a person.
	Parked int
}

const (
	// busyDelay is the shortest wait for a slot, and busyMost the longest. In between each one that waits is let ask busyStep
	// after the one before, so that a server that hangs does not keep the workers busy with asking.
	busyDelay = time.Second
	busyMost  = 30 * time.Second
	busyStep  = 250 * time.Millisecond
	// serverSlots and merchantSlots are how many requests of a merchant and mode may be in flight, to one server and in all. A
	// worker sends several times merchantSlots at once.
	serverSlots   = 4
	merchantSlots = 16
	// minDelay keeps a sender whose turn is almost there from asking in a tight loop.
	minDelay = 50 * time.Millisecond
)

// errWait undoes what was taken on the way to finding that nothing can be sent.
var errWait = errors.New("store: nothing can be sent now")

// AcquireDelivery takes the stream's oldest event that the endpoint has not got, if it may be sent now. Nobody else gets it
// until ttl is over, so ttl must exceed the longest attempt. owner names the sender, a different one for each run of the
// activity; asking again as the same owner returns the same delivery under a new token. Callbacks of a disabled endpoint
// are parked on sight.
func (db *DB) AcquireDelivery(ctx context.Context, stream process.Stream, endpoint payment.EndpointID, owner string, ttl time.Duration) (Acquired, error) {
	a := acquiring{stream: string(stream), endpoint: string(endpoint), owner: owner, ttl: ttl}
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		a.txn, a.found = t, Acquired{}
		return a.run(ctx)
	})
	if errors.Is(err, errWait) {
		err = nil
	}
	if err == nil && a.found.Reason == WaitBusy {
		a.found.Delay, err = db.queue(ctx, a.busy)
	}
	if err != nil {
		return Acquired{}, err
	}
	return a.found, nil
}

// queue says when to ask for a slot again: later, the more there are that wait.
func (db *DB) queue(ctx context.Context, at place) (time.Duration, error) {
	step := busyStep * serverSlots / time.Duration(at.slots) // more slots are free sooner
	wait, err := db.q.QueueForSlot(ctx, sqlc.QueueForSlotParams{
		MerchantID: at.merchant, Target: at.target, StepMs: step.Milliseconds(), MostMs: busyMost.Milliseconds(),
	})
	if err != nil {
		return 0, fmt.Errorf("queue for a slot: %w", classify(err))
	}
	delay := max(time.Duration(wait)*time.Millisecond, busyDelay)
	// Those who share a moment do not all come at once.
	return delay - time.Duration(mathrand.Int64N(int64(delay)/5)), nil //nolint:gosec // jitter needs no secrecy
}

// server is what a breaker belongs to: one server of one merchant in one mode, whichever of its URLs is called.
type server struct{ merchant, mode, target string }

// place is what a number of slots belong to.
type place struct {
	merchant, target string
	slots            int32
}

// own is the server's own place.
func (s server) own() place { return place{s.merchant, s.mode + " " + s.target, serverSlots} }

// all is the place of all servers of its merchant and mode.
func (s server) all() place { return place{s.merchant, s.mode, merchantSlots} }

type acquiring struct {
	txn
	at                      server // known once the endpoint was read
	busy                    place  // the one without a free slot
	stream, endpoint, owner string
	ttl                     time.Duration
	found                   Acquired
}

func (a *acquiring) run(ctx context.Context) error {
	parked, err := a.q.CountParkedCallbacks(ctx, sqlc.CountParkedCallbacksParams{Stream: a.stream, EndpointID: a.endpoint})
	if err != nil {
		return fmt.Errorf("count parked callbacks: %w", err)
	}
	a.found.Parked = int(parked)
	if err := a.lease(ctx); err != nil {
		return err
	}
	head, err := a.head(ctx)
	if err != nil {
		return err
	}
	target, err := a.q.DeliveryEndpoint(ctx, a.endpoint)
	if err != nil {
		return notFound(err, "endpoint")
	}
	a.at = server{target.MerchantID, target.Mode, target.Target}
	if target.Disabled {
		return a.parkDisabled(ctx)
	}
	if head.WaitMs > 0 {
		return a.wait(WaitNotDue, time.Duration(head.WaitMs)*time.Millisecond)
	}
	for _, at := range []place{a.at.own(), a.at.all()} {
		if err := a.slot(ctx, at); err != nil {
			return err
		}
	}
	if err := a.breaker(ctx); err != nil {
		return err
	}
	a.found.Delivery = &Delivery{
		Owner: a.owner, Token: rand.Text(),
		Stream: process.Stream(a.stream), EndpointID: payment.EndpointID(a.endpoint), MerchantID: payment.MerchantID(target.MerchantID),
		Mode: payment.Mode(target.Mode), CallbackID: payment.CallbackID(head.ID), EventID: payment.EventID(head.EventID), Type: payment.EventType(head.Type),
		Body: head.Body, URL: target.Url, Secret: seal.Sealed{KeyID: target.SecretKey, Bytes: target.Secret},
		SealedAt: endpointSecretPlace(payment.EndpointID(a.endpoint), payment.MerchantID(target.MerchantID), payment.Mode(target.Mode), target.SealedForMerchant),
		Attempts: int(head.Attempts), Round: int(head.Round),
	}
	if a.found.Delivery.Targets, err = a.callbackTargets(ctx, target.MerchantID, target.Mode); err != nil {
		return err
	}
	if target.PreviousValid {
		a.found.Delivery.Previous = &seal.Sealed{KeyID: deref(target.PreviousSecretKey), Bytes: target.PreviousSecret}
	}
	return nil
}

// wait gives back everything and tells the sender to come again.
func (a *acquiring) wait(reason WaitReason, delay time.Duration) error {
	a.found.Reason, a.found.Delay = reason, max(delay, minDelay)
	return errWait
}

func (a *acquiring) lease(ctx context.Context) error {
	taken, err := a.q.TakeCallbackLease(ctx, sqlc.TakeCallbackLeaseParams{
		Stream: a.stream, EndpointID: a.endpoint, Owner: a.owner, TtlMs: a.ttl.Milliseconds(),
	})
	if err != nil {
		return fmt.Errorf("take the lease: %w", err)
	}
	if taken == 1 {
		return nil
	}
	lease, err := a.q.CallbackLease(ctx, sqlc.CallbackLeaseParams{Stream: a.stream, EndpointID: a.endpoint})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) { // no row: it was given back just now
		return fmt.Errorf("read the lease: %w", err)
	}
	return a.wait(WaitLeased, min(time.Duration(lease.RemainingMs)*time.Millisecond, busyDelay))
}

// head reads the oldest pending callback, in a statement that begins under the lease.
func (a *acquiring) head(ctx context.Context) (sqlc.HeadCallbackRow, error) {
	head, err := a.q.HeadCallback(ctx, sqlc.HeadCallbackParams{Stream: a.stream, EndpointID: a.endpoint})
	if errors.Is(err, pgx.ErrNoRows) {
		return head, errWait // nothing is pending: no reason and no delay
	}
	if err != nil {
		return head, fmt.Errorf("read the next callback: %w", err)
	}
	return head, nil
}

// parkDisabled parks what an event wrote while the endpoint was being disabled.
func (a *acquiring) parkDisabled(ctx context.Context) error {
	if _, err := a.q.LockEndpoint(ctx, sqlc.LockEndpointParams{ID: a.endpoint}); err != nil {
		return fmt.Errorf("lock endpoint %s: %w", a.endpoint, err)
	}
	parked, err := a.q.ParkStreamCallbacks(ctx, sqlc.ParkStreamCallbacksParams{
		Stream: a.stream, EndpointID: a.endpoint, Reason: optional(string(ParkEndpointDisabled)),
	})
	if err != nil {
		return fmt.Errorf("park callbacks of endpoint %s: %w", a.endpoint, err)
	}
	a.found.Parked += int(parked)
	return a.free(ctx)
}

// slot takes one of a place's slots, or keeps the one that this sender has.
func (a *acquiring) slot(ctx context.Context, at place) error {
	owner := slotOwner(a.owner, a.stream, a.endpoint)
	held, err := a.q.HeldEndpointSlot(ctx, sqlc.HeldEndpointSlotParams{
		MerchantID: at.merchant, Target: at.target, Owner: owner, TtlMs: a.ttl.Milliseconds(),
	})
	if err != nil {
		return fmt.Errorf("look for a slot: %w", err)
	}
	if held > 0 {
		return nil
	}
	for range 2 {
		taken, err := a.q.TakeEndpointSlot(ctx, sqlc.TakeEndpointSlotParams{
			MerchantID: at.merchant, Target: at.target, Owner: owner, TtlMs: a.ttl.Milliseconds(),
		})
		if err != nil {
			return fmt.Errorf("take a slot: %w", err)
		}
		if taken == 1 {
			return nil
		}
		err = a.q.MakeEndpointSlots(ctx, sqlc.MakeEndpointSlotsParams{MerchantID: at.merchant, Target: at.target, Slots: at.slots})
		if err != nil {
			return fmt.Errorf("make slots: %w", err)
		}
	}
	a.busy = at
	return a.wait(WaitBusy, busyDelay)
}

// slotOwner is the owner of a slot: a sender may be at several streams and endpoints of one server.
func slotOwner(owner, stream, endpoint string) string { return owner + " " + stream + " " + endpoint }

// breaker waits while the server is left alone. When that time is over one sender may try; its attempt decides.
func (a *acquiring) breaker(ctx context.Context) error {
	state, err := a.q.BreakerWait(ctx, sqlc.BreakerWaitParams{MerchantID: a.at.merchant, Target: a.at.own().target})
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the breaker: %w", err)
	}
	if !state.Tripped {
		return nil
	}
	if state.WaitMs == 0 {
		probing, err := a.q.ProbeBreaker(ctx, sqlc.ProbeBreakerParams{
			MerchantID: a.at.merchant, Target: a.at.own().target, ProbeMs: a.ttl.Milliseconds(),
		})
		if err != nil {
			return fmt.Errorf("try the server: %w", err)
		}
		if probing == 1 {
			return nil
		}
		state.WaitMs = busyDelay.Milliseconds()
	}
	return a.wait(WaitBreaker, time.Duration(state.WaitMs)*time.Millisecond)
}

func (a *acquiring) free(ctx context.Context) error {
	return a.giveBack(ctx, Delivery{
		Owner: a.owner, Stream: process.Stream(a.stream), EndpointID: payment.EndpointID(a.endpoint),
	}, a.at)
}

// giveBack gives back the sender's slots and lease, if they are still the sender's.
func (t txn) giveBack(ctx context.Context, d Delivery, at server) error {
	err := t.q.FreeEndpointSlots(ctx, sqlc.FreeEndpointSlotsParams{
		MerchantID: at.merchant, Targets: []string{at.own().target, at.all().target}, Owner: slotOwner(d.Owner, string(d.Stream), string(d.EndpointID)),
	})
	if err != nil {
		return fmt.Errorf("free the slots: %w", err)
	}
	err = t.q.DropCallbackLease(ctx, sqlc.DropCallbackLeaseParams{
		Stream: string(d.Stream), EndpointID: string(d.EndpointID), Owner: d.Owner,
	})
	if err != nil {
		return fmt.Errorf("drop the lease: %w", err)
	}
	return nil
}

// ReleaseDelivery gives a delivery back without an attempt, as when the sender has to stop. A breaker that it was to try
// stays as it is until the sender's time is over.
func (db *DB) ReleaseDelivery(ctx context.Context, d Delivery) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		endpoint, err := t.q.DeliveryEndpoint(ctx, string(d.EndpointID))
		if err != nil {
			return notFound(err, "endpoint")
		}
		return t.giveBack(ctx, d, server{endpoint.MerchantID, endpoint.Mode, endpoint.Target})
	})
}
