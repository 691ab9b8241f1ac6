package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/worker"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// ensureEvery is how often chains are looked at: a new one is watched within this time, without a restart.
const ensureEvery = time.Minute

// chainFleet keeps a worker on the queue of every configured chain of this process, and a watcher workflow for it. A chain
// that takes no orders has both: money to old addresses is still found and credited.
type chainFleet struct {
	list      func(context.Context) ([]store.Chain, error)
	only      []string // empty: every configured chain
	newWorker func(chain string) worker.Worker
	start     func(ctx context.Context, chain string) error
	log       *slog.Logger

	mu      sync.Mutex
	workers map[string]worker.Worker
}

// Run ensures now and every minute until ctx ends, then stops the workers. It closes served when that succeeded for the
// first time.
func (f *chainFleet) Run(ctx context.Context, served chan<- struct{}) error {
	defer f.stop()
	delay, first := firstRetry, true
	for {
		wait := ensureEvery
		err := f.ensure(ctx)
		switch {
		case err != nil && ctx.Err() == nil:
			f.log.WarnContext(ctx, "chains could not be looked at, trying again", "error", err)
			wait, delay = delay, min(2*delay, mostRetry)
		case first && err == nil:
			close(served)
			first = false
			fallthrough
		default:
			delay = firstRetry
		}
		if pause(ctx, wait) != nil {
			return nil
		}
	}
}

// Chains lists the chains that have a worker here now.
func (f *chainFleet) Chains() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	names := make([]string, 0, len(f.workers))
	for name := range f.workers {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

func (f *chainFleet) ensure(ctx context.Context) error {
	chains, err := f.list(ctx)
	if err != nil {
		return err
	}
	var failures []error
	for _, c := range chains {
		if len(f.only) > 0 && !slices.Contains(f.only, c.Name) {
			continue
		}
		if err := errors.Join(f.serve(c.Name), f.start(ctx, c.Name)); err != nil {
			failures = append(failures, fmt.Errorf("chain %s: %w", c.Name, err))
		}
	}
	return errors.Join(failures...)
}

// serve starts the worker of a chain unless it runs.
func (f *chainFleet) serve(chain string) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.workers[chain] != nil {
		return nil
	}
	w := f.newWorker(chain)
	if err := w.Start(); err != nil {
		return err
	}
	if f.workers == nil {
		f.workers = make(map[string]worker.Worker)
	}
	f.workers[chain] = w
	f.log.Info("serving chain", "chain", chain)
	return nil
}

func (f *chainFleet) stop() {
	var group sync.WaitGroup
	f.mu.Lock()
	for chain, w := range f.workers {
		group.Go(w.Stop)
		delete(f.workers, chain)
	}
	f.mu.Unlock()
	group.Wait()
}

// startWatcher starts a chain's watcher workflow unless it runs.
func startWatcher(c client.Client) func(ctx context.Context, chain string) error {
	return func(ctx context.Context, chain string) error {
		_, err := c.ExecuteWorkflow(ctx, client.StartWorkflowOptions{
			ID: process.WatcherWorkflowID(chain), TaskQueue: process.OrdersQueue,
			WorkflowIDConflictPolicy: enumspb.WORKFLOW_ID_CONFLICT_POLICY_USE_EXISTING,
			WorkflowIDReusePolicy:    enumspb.WORKFLOW_ID_REUSE_POLICY_ALLOW_DUPLICATE,
			StaticSummary:            "watches " + chain,
		}, process.ChainWatcherWorkflow, process.WatcherInput{Chain: chain})
		return err
	}
}
