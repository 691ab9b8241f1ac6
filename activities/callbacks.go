package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

// CallbackStore is what delivering needs of the store.
type CallbackStore interface {
	AcquireDelivery(ctx context.Context, stream process.Stream, endpoint payment.EndpointID, owner string, ttl time.Duration) (store.Acquired, error)
	RecordAttempt(ctx context.Context, d store.Delivery, attempt store.Attempt, next store.Next) (store.AttemptResult, error)
	ReleaseDelivery(ctx context.Context, d store.Delivery) error
}

// Opener opens what is sealed; seal.Keyring is one.
type Opener interface {
	Open(s seal.Sealed, at seal.Place) ([]byte, error)
}

// Sender makes one attempt; *webhook.Sender is one.
type Sender interface {
	Send(ctx context.Context, m webhook.Message) (webhook.Result, error)
}

// Callbacks are the activities that talk to merchants' servers.
type Callbacks struct {
	Store    CallbackStore
	Keys     Opener
	Sender   Sender
	Schedule webhook.Schedule
	// Timeout is the sender's for one attempt.
	Timeout time.Duration
	// Shift is how long one attempt of the activity goes on sending before it lets the server begin a new one; a minute when
	// zero.
	Shift time.Duration
	Log   *slog.Logger
}

const (
	// leaseSlack is how much longer than one request a delivery is leased: reading the reply and recording the attempt.
	leaseSlack = 15 * time.Second
	// recordTimeout bounds recording an attempt that was made, whatever has become of the worker meanwhile.
	recordTimeout = 6 * time.Second
	// addressBusy is how long an attempt waits that would have been one too many to its server's address.
	addressBusy = 5 * time.Second
)

// DeliverCallbacks sends a stream's callbacks to one endpoint, oldest event first, until none is pending. When one is
// pending and not due, or another sender or too many others are at it, it waits; waiting counts no attempt. The position
// in the schedule is the number of recorded attempts. Refusal: not_found.
func (c *Callbacks) DeliverCallbacks(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
	result, err := c.deliver(ctx, in)
	return result, failure(ctx, c.Log, err)
}

func (c *Callbacks) deliver(ctx context.Context, in process.DeliverInput) (process.DeliverResult, error) {
	var result process.DeliverResult
	owner := ownerOf(ctx)
	over := time.Now().Add(orDefault(c.Shift, time.Minute))
	for {
		activity.RecordHeartbeat(ctx)
		acquired, err := c.Store.AcquireDelivery(ctx, in.Stream(), in.EndpointID, owner, c.Timeout+leaseSlack)
		switch {
		case err != nil:
			return result, err
		case acquired.Delivery == nil && acquired.Reason != "":
			return result, waiting(acquired.Delay, "callbacks wait: %s", acquired.Reason)
		case acquired.Delivery == nil:
			result.Parked = acquired.Parked
			return result, nil
		}
		delivered, err := c.attempt(ctx, *acquired.Delivery)
		if err != nil {
			return result, err
		}
		if delivered {
			result.Delivered++
		}
		select {
		case <-activity.GetWorkerStopChannel(ctx):
			return result, waiting(shortestWait, "the worker stops; another one goes on")
		default:
		}
		if time.Now().After(over) {
			return result, waiting(shortestWait, "more callbacks are pending")
		}
	}
}

// ownerOf names the sender: another one for each attempt of the activity, because two of them may overlap.
func ownerOf(ctx context.Context) string {
	info := activity.GetInfo(ctx)
	return fmt.Sprintf("%s/%s/%d", info.WorkflowExecution.RunID, info.ActivityID, info.Attempt)
}

// attempt makes one attempt and records it. One that did not come to an end is given back: it is none.
func (c *Callbacks) attempt(ctx context.Context, d store.Delivery) (delivered bool, err error) {
	message, err := c.message(d)
	if err != nil {
		return false, errors.Join(err, c.release(ctx, d))
	}
	started := time.Now()
	result, err := c.Sender.Send(ctx, message)
	if errors.Is(err, webhook.ErrBusy) {
		return false, errors.Join(waiting(addressBusy, "callbacks wait: address_busy"), c.release(ctx, d))
	}
	if err != nil {
		return false, errors.Join(err, c.release(ctx, d))
	}
	recording, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	attempt := store.Attempt{
		Reply: replyOf(result.Outcome), Outcome: string(result.Outcome), Status: result.Status, Latency: result.Latency,
		Excerpt: result.Excerpt, StartedAt: started,
	}
	recorded, err := c.Store.RecordAttempt(recording, d, attempt, c.next(d, result))
	switch {
	case errors.Is(err, store.ErrLeaseLost):
		return false, waiting(time.Second, "another sender has taken over")
	case err != nil:
		return false, err
	}
	c.Log.InfoContext(ctx, "callback attempt", "delivery", d, "outcome", result.Outcome, "status", result.Status,
		"latency", result.Latency, "callback_status", recorded.Status)
	return result.Outcome.Verdict() == webhook.VerdictSettled, nil
}

func (c *Callbacks) release(ctx context.Context, d store.Delivery) error {
	releasing, cancel := context.WithTimeout(context.WithoutCancel(ctx), recordTimeout)
	defer cancel()
	return c.Store.ReleaseDelivery(releasing, d)
}

// next says what follows an attempt that was not accepted.
func (c *Callbacks) next(d store.Delivery, result webhook.Result) store.Next {
	if result.Outcome.Verdict() == webhook.VerdictDisable {
		return store.Next{Park: store.ParkGone}
	}
	delay, exhausted := c.Schedule.Next(string(d.CallbackID), d.Attempts+1, result.RetryAfter)
	switch {
	case exhausted && result.Outcome == webhook.OutcomeRefusedTarget:
		return store.Next{Park: store.ParkTargetForbidden}
	case exhausted:
		return store.Next{Park: store.ParkExhausted}
	default:
		return store.Next{After: delay}
	}
}

// replyOf says what the endpoint made of an attempt. Only silence tells against its being there.
func replyOf(outcome webhook.Outcome) store.Reply {
	switch outcome {
	case webhook.OutcomeDelivered:
		return store.ReplyAccepted
	case webhook.OutcomeGone:
		return store.ReplyGone
	case webhook.OutcomeDNSError, webhook.OutcomeConnectionError, webhook.OutcomeTLSError, webhook.OutcomeTimeout:
		return store.ReplySilence
	default:
		return store.ReplyRefused
	}
}

// message opens the secrets that sign a delivery.
func (c *Callbacks) message(d store.Delivery) (webhook.Message, error) {
	m := webhook.Message{ID: string(d.EventID), Account: string(d.MerchantID) + " " + string(d.Mode), URL: d.URL, Body: d.Body}
	var err error
	if m.Targets, err = webhook.NewTargets(d.Targets); err != nil {
		return m, fmt.Errorf("callback targets of merchant %s: %w", d.MerchantID, err)
	}
	sealed := []seal.Sealed{d.Secret}
	if d.Previous != nil {
		sealed = append(sealed, *d.Previous)
	}
	for _, s := range sealed {
		secret, err := c.secret(d, s)
		if err != nil {
			return m, err
		}
		m.Secrets = append(m.Secrets, secret)
	}
	return m, nil
}

// secret opens one, where the delivery says that it is sealed for.
func (c *Callbacks) secret(d store.Delivery, s seal.Sealed) (webhook.Secret, error) {
	text, err := c.Keys.Open(s, d.SealedAt)
	if err != nil {
		return webhook.Secret{}, fmt.Errorf("signing secret of endpoint %s: %w", d.EndpointID, err)
	}
	secret, err := webhook.ParseSecret(string(text))
	if err != nil {
		return webhook.Secret{}, fmt.Errorf("signing secret of endpoint %s: %w", d.EndpointID, err)
	}
	return secret, nil
}
