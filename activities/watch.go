package activities

import (
	"context"
	"errors"
	"sync"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/process"
)

// WatchOptions change how a chain is watched.
type WatchOptions struct {
	// Recorder keeps what is found. Required.
	Recorder scan.Recorder
	// Policy bounds how the scanner goes about the chain.
	Policy scan.Policy
	// Turn is how long one attempt watches before it asks for a new history; an hour when zero.
	Turn time.Duration
	// Pulse is the time between heartbeats; two seconds when zero.
	Pulse time.Duration
	// Recheck is the time between two looks at which nodes there are; half a minute when zero.
	Recheck time.Duration
	// Fault is called at every point of a step. Tests kill the process there.
	Fault func(scan.Point)
	// OnProgress is told of every step, for metrics.
	OnProgress func(chain string, p scan.Progress)
}

// Why an attempt to watch ends before its context does.
var (
	errTurn     = errors.New("the turn is over")
	errStopping = errors.New("the worker stops")
)

// Pulse is a heartbeat's content: how far the watcher is, for support to see beside the pending activity.
type Pulse struct {
	Mode     scan.Mode `json:"mode,omitempty"`
	Block    uint64    `json:"block,omitempty"`
	Head     uint64    `json:"head,omitempty"`
	Lag      uint64    `json:"lag"`
	Failure  string    `json:"failure,omitempty"`
	Failures int       `json:"failures,omitempty"`
	Rescans  int       `json:"rescans,omitempty"`
	// Halted: nothing is credited on the chain. SecondLookFound counts transfers that were missed at first.
	Halted          bool `json:"halted,omitempty"`
	SecondLookFound int  `json:"second_look_found,omitempty"`
	// Ranged counts the blocks that wait to be read by hash.
	Ranged uint64 `json:"ranged,omitempty"`
	// Quarantined counts the blocks that the attempt gave up on.
	Quarantined int `json:"quarantined,omitempty"`
}

// WatchChain records a chain's blocks until its turn is over or the worker stops. A chain that takes no orders is watched like any other. Where it is lives
// in the database: an attempt that dies loses nothing, one that is overtaken writes nothing. Refusal: unknown_chain.
func (c *Chain) WatchChain(ctx context.Context, in process.WatcherInput) (process.WatchResult, error) {
	result, err := c.watch(ctx, in.Chain)
	return result, failure(ctx, c.Log, err)
}

func (c *Chain) watch(ctx context.Context, name string) (process.WatchResult, error) {
	source, err := c.Sources.Source(ctx, name)
	if err != nil {
		return process.WatchResult{}, err
	}
	w := &watching{Chain: c, name: name}
	running, end := context.WithCancelCause(ctx)
	var beside sync.WaitGroup
	beside.Go(func() { w.attend(running, ctx, end) })
	scanner := scan.Scanner{Chain: name, Source: source, Recorder: c.WatchOptions.Recorder, Options: scan.Options{
		Policy: c.WatchOptions.Policy, OnProgress: w.progressed, Logger: c.Log, Fault: c.WatchOptions.Fault,
	}}
	err = scanner.Run(running)
	cause := context.Cause(running)
	end(nil)
	beside.Wait()
	return ended(err, cause)
}

// ended says what the end of a scan means for the workflow.
func ended(err, cause error) (process.WatchResult, error) {
	switch {
	case errors.Is(cause, errTurn):
		return process.WatchResult{Outcome: process.WatchTurn}, nil
	case errors.Is(cause, errStopping):
		return process.WatchResult{}, waiting(shortestWait, "the worker stops; another one goes on")
	case errors.Is(err, scan.ErrFenced):
		return process.WatchResult{}, waiting(time.Second, "another attempt has taken over")
	case errors.Is(err, chain.ErrWrongChain):
		return process.WatchResult{}, retryIn(longestWait, "wrong_chain", "the nodes are on another chain than the one configured")
	default:
		return process.WatchResult{}, err
	}
}

func retryIn(delay time.Duration, kind, text string) error {
	return temporal.NewApplicationErrorWithOptions(text, kind, temporal.ApplicationErrorOptions{NextRetryDelay: delay})
}

// watching is one attempt.
type watching struct {
	*Chain

	name string
	mu   sync.Mutex
	last Pulse
}

func (w *watching) progressed(p scan.Progress) {
	pulse := Pulse{
		Mode: p.Mode, Head: p.Head, Lag: p.Lag(), Failure: p.Failure, Failures: p.Failures, Rescans: p.Rescans,
		Quarantined: p.Quarantined, Halted: p.Halted, SecondLookFound: p.SecondLookFound, Ranged: p.Ranged,
	}
	if p.Cursor != nil {
		pulse.Block = p.Cursor.Number
	}
	w.mu.Lock()
	w.last = pulse
	w.mu.Unlock()
	if w.WatchOptions.OnProgress != nil {
		w.WatchOptions.OnProgress(w.name, p)
	}
}

// attend runs beside the scan: it sends heartbeats, and ends the scan when it is time. A heartbeat also brings the news
// that the server has given the attempt up.
func (w *watching) attend(running, attempt context.Context, end context.CancelCauseFunc) {
	pulse := time.NewTicker(orDefault(w.WatchOptions.Pulse, 2*time.Second))
	defer pulse.Stop()
	recheck := time.NewTicker(orDefault(w.WatchOptions.Recheck, 30*time.Second))
	defer recheck.Stop()
	turn := time.NewTimer(orDefault(w.WatchOptions.Turn, time.Hour))
	defer turn.Stop()
	for {
		select {
		case <-running.Done():
			return
		case <-activity.GetWorkerStopChannel(attempt):
			end(errStopping)
			return
		case <-turn.C:
			end(errTurn)
			return
		case <-pulse.C:
			w.beat(attempt)
		case <-recheck.C:
			// The moment to learn of nodes that came or went; what goes wrong with that is told by the next step.
			_, _ = w.Sources.Source(running, w.name)
		}
	}
}

func (w *watching) beat(attempt context.Context) {
	w.mu.Lock()
	pulse := w.last
	w.mu.Unlock()
	activity.RecordHeartbeat(attempt, pulse)
}
