package activities_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

// desk is the store of one endpoint's callbacks and the sender to it.
type desk struct {
	t        *testing.T
	keys     *seal.Keyring
	mu       sync.Mutex
	queue    []store.Acquired
	acquire  error
	results  []webhook.Result
	sendErr  error
	record   error
	sent     []webhook.Message
	attempts []store.Attempt
	nexts    []store.Next
	released int
	owners   map[string]bool
	onSend   func()
}

const deskEndpoint = payment.EndpointID("whk_aaaaaaaaaaaaaaaaaaaaaaaaaa")

func newDesk(t *testing.T) *desk {
	t.Helper()
	keys, _ := seal.NewRandomKeyring()
	return &desk{t: t, keys: keys, owners: map[string]bool{}}
}

func (d *desk) delivery(n, attempts int) store.Acquired {
	secret := webhook.NewSecret()
	return store.Acquired{Delivery: &store.Delivery{
		Owner: "o", Token: fmt.Sprint(n), Stream: "ord_a", EndpointID: deskEndpoint, MerchantID: "mer_a",
		CallbackID: payment.CallbackID(fmt.Sprintf("cbk_%d", n)), EventID: payment.EventID(fmt.Sprintf("evt_%d", n)), Body: []byte(`{}`),
		URL: "https://shop.example/hook?token=canary-token", Attempts: attempts, Round: 1,
		Secret: d.keys.Seal([]byte(secret.Reveal()), store.EndpointSecretPlace(deskEndpoint)), SealedAt: store.EndpointSecretPlace(deskEndpoint),
	}}
}

func (d *desk) AcquireDelivery(_ context.Context, _ process.Stream, _ payment.EndpointID, owner string, ttl time.Duration) (store.Acquired, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	require.Greater(d.t, ttl, 15*time.Second, "the lease outlives the longest attempt")
	d.owners[owner] = true
	if d.acquire != nil || len(d.queue) == 0 {
		return store.Acquired{Parked: 3}, d.acquire
	}
	next := d.queue[0]
	d.queue = d.queue[1:]
	return next, nil
}

func (d *desk) RecordAttempt(ctx context.Context, _ store.Delivery, attempt store.Attempt, next store.Next) (store.AttemptResult, error) {
	require.NoError(d.t, ctx.Err(), "what was done is recorded also when the attempt was ended")
	d.attempts, d.nexts = append(d.attempts, attempt), append(d.nexts, next)
	return store.AttemptResult{Status: "pending"}, d.record
}

func (d *desk) ReleaseDelivery(ctx context.Context, _ store.Delivery) error {
	require.NoError(d.t, ctx.Err())
	d.released++
	return nil
}

func (d *desk) Send(_ context.Context, m webhook.Message) (webhook.Result, error) {
	d.sent = append(d.sent, m)
	if d.onSend != nil {
		d.onSend()
	}
	if d.sendErr != nil {
		return webhook.Result{}, d.sendErr
	}
	result := webhook.Result{Outcome: webhook.OutcomeDelivered, Status: 204}
	if len(d.results) > 0 {
		result, d.results = d.results[0], d.results[1:]
	}
	return result, nil
}

func (d *desk) activity() *activities.Callbacks {
	schedule, err := webhook.ParseSchedule("0s,5s,5m")
	require.NoError(d.t, err)
	return &activities.Callbacks{Store: d, Keys: d.keys, Sender: d, Schedule: schedule, Timeout: 15 * time.Second, Log: discard()}
}

func (d *desk) run() (process.DeliverResult, error) {
	return run[process.DeliverResult](d.t, d.activity().DeliverCallbacks, process.DeliverInput{OrderID: "ord_a", EndpointID: deskEndpoint})
}

func TestDeliverSendsUntilNothingIsPending(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.queue = []store.Acquired{d.delivery(1, 0), d.delivery(2, 0), d.delivery(3, 0)}
	result, err := d.run()
	require.NoError(t, err)
	require.Equal(t, process.DeliverResult{Delivered: 3, Parked: 3}, result)
	require.Equal(t, []string{"evt_1", "evt_2", "evt_3"}, []string{d.sent[0].ID, d.sent[1].ID, d.sent[2].ID})
	require.Equal(t, store.ReplyAccepted, d.attempts[0].Reply)
	require.Zero(t, d.released)
}

func TestDeliverWaitsWithoutAnAttempt(t *testing.T) {
	t.Parallel()
	for _, reason := range []store.WaitReason{store.WaitNotDue, store.WaitLeased, store.WaitBusy, store.WaitBreaker} {
		d := newDesk(t)
		d.queue = []store.Acquired{{Reason: reason, Delay: 20 * time.Hour}}
		_, err := d.run()
		requireWaiting(t, err, 20*time.Hour, 20*time.Hour, string(reason))
		require.Empty(t, d.sent)
	}
}

func TestWhatFollowsAnAttempt(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		attempts int
		result   webhook.Result
		reply    store.Reply
		park     store.ParkReason
		after    time.Duration
	}{
		"a first failure":          {0, webhook.Result{Outcome: webhook.OutcomeRetry, Status: 500}, store.ReplyRefused, "", 5 * time.Second},
		"a second":                 {1, webhook.Result{Outcome: webhook.OutcomeTimeout}, store.ReplySilence, "", 5 * time.Minute},
		"the last":                 {2, webhook.Result{Outcome: webhook.OutcomeConnectionError}, store.ReplySilence, store.ParkExhausted, 0},
		"asked to wait":            {0, webhook.Result{Outcome: webhook.OutcomeRetry, Status: 429, RetryAfter: time.Hour}, store.ReplyRefused, "", time.Hour},
		"a redirect":               {0, webhook.Result{Outcome: webhook.OutcomeRedirect, Status: 302}, store.ReplyRefused, "", 5 * time.Second},
		"gone":                     {0, webhook.Result{Outcome: webhook.OutcomeGone, Status: 410}, store.ReplyGone, store.ParkGone, 0},
		"a forbidden target":       {0, webhook.Result{Outcome: webhook.OutcomeRefusedTarget}, store.ReplyRefused, "", 5 * time.Second},
		"forbidden to the end":     {2, webhook.Result{Outcome: webhook.OutcomeRefusedTarget}, store.ReplyRefused, store.ParkTargetForbidden, 0},
		"a name that is not there": {0, webhook.Result{Outcome: webhook.OutcomeDNSError}, store.ReplySilence, "", 5 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := newDesk(t)
			d.queue = []store.Acquired{d.delivery(1, c.attempts)}
			d.results = []webhook.Result{c.result}
			result, err := d.run()
			require.NoError(t, err)
			require.Zero(t, result.Delivered)
			require.Equal(t, c.reply, d.attempts[0].Reply)
			require.Equal(t, c.park, d.nexts[0].Park)
			require.InDelta(t, c.after.Seconds(), d.nexts[0].After.Seconds(), c.after.Seconds()/9)
		})
	}
}

func TestEveryWebhookOutcomeHasAReply(t *testing.T) {
	t.Parallel()
	for _, outcome := range webhook.Outcomes() {
		d := newDesk(t)
		d.queue = []store.Acquired{d.delivery(1, 0)}
		d.results = []webhook.Result{{Outcome: outcome}}
		_, err := d.run()
		require.NoError(t, err)
		require.NotEmpty(t, d.attempts[0].Reply)
	}
}

func TestAnInterruptedAttemptIsGivenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.queue = []store.Acquired{d.delivery(1, 0)}
	d.sendErr = webhook.ErrInterrupted
	_, err := d.run()
	require.Equal(t, "internal", requireRetried(t, err))
	require.Empty(t, d.attempts, "it may have arrived or not: it is no attempt")
	require.Equal(t, 1, d.released)
}

func TestASealThatDoesNotOpenIsRetriedAndGivenBack(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	strange := d.delivery(1, 0)
	strange.Delivery.Secret = d.keys.Seal([]byte("x"), seal.Place{Purpose: "elsewhere", RowID: "y"})
	d.queue = []store.Acquired{strange}
	_, err := d.run()
	requireRetried(t, err)
	require.Equal(t, 1, d.released)
	require.Empty(t, d.sent)
}

func TestBothSecretsSignDuringARotationAndOrdersUseTheMerchants(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	own, old := webhook.NewSecret(), webhook.NewSecret()
	rotating := d.delivery(1, 0)
	rotating.Delivery.Secret = d.keys.Seal([]byte(own.Reveal()), store.MerchantSecretPlace("mer_a", payment.ModeTest))
	previous := d.keys.Seal([]byte(old.Reveal()), store.MerchantSecretPlace("mer_a", payment.ModeTest))
	rotating.Delivery.SealedAt = store.MerchantSecretPlace("mer_a", payment.ModeTest)
	rotating.Delivery.Previous = &previous
	d.queue = []store.Acquired{rotating}
	_, err := d.run()
	require.NoError(t, err)
	require.Len(t, d.sent[0].Secrets, 2)
	require.Equal(t, own.Reveal(), d.sent[0].Secrets[0].Reveal())
	require.Equal(t, old.Reveal(), d.sent[0].Secrets[1].Reveal())
}

func TestALostLeaseEndsTheSender(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.queue = []store.Acquired{d.delivery(1, 0), d.delivery(2, 0)}
	d.record = store.ErrLeaseLost
	_, err := d.run()
	requireWaiting(t, err, 0, time.Minute, "another sender")
	require.Len(t, d.sent, 1)
}

func TestAShiftEnds(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	for n := range 5 {
		d.queue = append(d.queue, d.delivery(n, 0))
	}
	callbacks := d.activity()
	callbacks.Shift = time.Nanosecond
	_, err := run[process.DeliverResult](t, callbacks.DeliverCallbacks, process.DeliverInput{OrderID: "ord_a", EndpointID: deskEndpoint})
	requireWaiting(t, err, 0, time.Second, "more callbacks")
	require.Len(t, d.sent, 1)
}

func TestAStoppingWorkerFinishesItsAttempt(t *testing.T) {
	t.Parallel()
	d := newDesk(t)
	d.queue = []store.Acquired{d.delivery(1, 0), d.delivery(2, 0)}
	deliver := d.activity().DeliverCallbacks
	env := environment(deliver)
	stopping := make(chan struct{})
	env.SetWorkerStopChannel(stopping)
	d.onSend = func() { close(stopping) }
	_, err := execute[process.DeliverResult](t, env, deliver, process.DeliverInput{OrderID: "ord_a", EndpointID: deskEndpoint})
	requireWaiting(t, err, 0, time.Second, "the worker stops")
	require.Len(t, d.attempts, 1)
}

func TestNoURLOrSecretIsLoggedOrReturned(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	d := newDesk(t)
	callbacks := d.activity()
	callbacks.Log = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelDebug}))
	d.queue = []store.Acquired{d.delivery(1, 0), d.delivery(2, 0)}
	_, err := run[process.DeliverResult](t, callbacks.DeliverCallbacks, process.DeliverInput{OrderID: "ord_a", EndpointID: deskEndpoint})
	require.NoError(t, err)
	d.acquire = payment.Wrap(errors.New("x"), payment.CodeUnavailable, "", "the database cannot answer now")
	_, err = run[process.DeliverResult](t, callbacks.DeliverCallbacks, process.DeliverInput{OrderID: "ord_a", EndpointID: deskEndpoint})
	require.Equal(t, "unavailable", requireRetried(t, err))
	require.Contains(t, out.String(), "cbk_1")
	require.NotContains(t, out.String(), "canary")
	require.NotContains(t, out.String(), "whsec_")
}
