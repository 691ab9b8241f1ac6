package activities_test

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// tower is a chain whose head stands still at block 5, recorded up to there.
type tower struct {
	mu       sync.Mutex
	missing  error
	watch    error
	identity uint64
	steps    chan struct{}
}

func newTower() *tower {
	return &tower{identity: 1337, steps: make(chan struct{}, 1000)}
}

func (w *tower) Source(context.Context, string) (activities.Source, error) {
	return lookout{tower: w}, w.missing
}

// lookout is the node of the tower.
type lookout struct {
	chain.Source
	chain.Verifier
	*tower
}

func (w lookout) Identity(context.Context) (chain.Identity, error) {
	return chain.Identity{ChainID: w.identity}, nil
}

func (w lookout) Head(context.Context, payment.Tag) (payment.BlockRef, error) {
	return payment.BlockRef{Number: 5}, nil
}

func (w lookout) SubscribeHeads(context.Context) <-chan struct{} { return nil }

// records is the recorder of the tower.
type records struct {
	scan.Recorder
	*tower
}

func (r records) Begin(context.Context, string) (scan.Session, error) {
	return scan.Session{Chain: "dev", Epoch: 1, Identity: chain.Identity{ChainID: 1337}, BlockTime: time.Millisecond}, nil
}

func (r records) Watch(context.Context, scan.Session) (scan.Watch, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	select {
	case r.steps <- struct{}{}:
	default:
	}
	return scan.Watch{Cursor: &payment.BlockRef{Number: 5}}, r.watch
}

func (r records) ObserveHead(context.Context, scan.Session, payment.BlockRef) error { return nil }

func (r records) ObserveFinal(context.Context, scan.Session, *payment.BlockRef) error { return nil }

func (w *tower) activity(change func(*activities.WatchOptions)) *activities.Chain {
	opts := activities.WatchOptions{
		Recorder: records{tower: w}, Policy: scan.Policy{MinPoll: time.Millisecond, MaxPoll: time.Millisecond},
		Turn: time.Minute, Pulse: time.Millisecond, Recheck: time.Millisecond,
	}
	change(&opts)
	return &activities.Chain{Sources: w, Log: discard(), WatchOptions: opts}
}

func TestTheTurnOfAWatcherEnds(t *testing.T) {
	t.Parallel()
	w := newTower()
	watch := w.activity(func(o *activities.WatchOptions) { o.Turn = 100 * time.Millisecond }).WatchChain
	env := environment(watch)
	beats := heartbeats[activities.Pulse](t, env)
	result, err := execute[process.WatchResult](t, env, watch, process.WatcherInput{Chain: "dev"})
	require.NoError(t, err)
	require.Equal(t, process.WatchTurn, result.Outcome)
	require.NotEmpty(t, *beats)
}

func TestAWatcherStopsWithItsWorker(t *testing.T) {
	t.Parallel()
	w := newTower()
	watch := w.activity(func(*activities.WatchOptions) {}).WatchChain
	env := environment(watch)
	stopping := make(chan struct{})
	env.SetWorkerStopChannel(stopping)
	go func() {
		<-w.steps
		close(stopping)
	}()
	_, err := execute[process.WatchResult](t, env, watch, process.WatcherInput{Chain: "dev"})
	requireWaiting(t, err, 0, 2*time.Second, "another one goes on")
}

func TestWhatEndsAScan(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		given func(*tower)
		check func(*testing.T, error)
	}{
		"overtaken":   {func(w *tower) { w.watch = scan.ErrFenced }, func(t *testing.T, err error) { requireWaiting(t, err, 0, 2*time.Second, "taken over") }},
		"wrong chain": {func(w *tower) { w.identity = 1 }, func(t *testing.T, err error) { require.Equal(t, "wrong_chain", requireRetried(t, err)) }},
		"unknown": {func(w *tower) { w.missing = payment.E(payment.CodeUnknownChain, "", "no such chain") },
			func(t *testing.T, err error) { requireRefused(t, err, payment.CodeUnknownChain) }},
		"database away": {func(w *tower) { w.missing = payment.E(payment.CodeUnavailable, "", "away") },
			func(t *testing.T, err error) { require.Equal(t, "unavailable", requireRetried(t, err)) }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			w := newTower()
			c.given(w)
			_, err := run[process.WatchResult](t, w.activity(func(*activities.WatchOptions) {}).WatchChain, process.WatcherInput{Chain: "dev"})
			c.check(t, err)
		})
	}
}

func TestThePulseSaysHowFarTheWatcherIs(t *testing.T) {
	t.Parallel()
	w := newTower()
	seen := make(chan scan.Progress, 1)
	watch := w.activity(func(o *activities.WatchOptions) {
		o.Turn = 50 * time.Millisecond
		o.OnProgress = func(name string, p scan.Progress) {
			if name == "dev" {
				select {
				case seen <- p:
				default:
				}
			}
		}
	}).WatchChain
	_, err := run[process.WatchResult](t, watch, process.WatcherInput{Chain: "dev"})
	require.NoError(t, err)
	require.Equal(t, uint64(5), (<-seen).Head)
}
