package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
	"github.com/sluicepay/sluice/workflows"
)

// Role is a group of task queues that a process serves.
type Role string

// The roles.
const (
	RoleOrders    Role = "orders"
	RoleCallbacks Role = "callbacks"
	RoleChains    Role = "chains"
)

// Config is what a process of workers needs.
type Config struct {
	Client    client.Client
	Namespace string
	Store     *store.DB
	Keys      *seal.Keyring
	Roles     []Role
	// Chains limits RoleChains to these; empty means every enabled one.
	Chains          []string
	Callbacks       CallbackConfig
	ShutdownTimeout time.Duration
	Log             *slog.Logger
	Metrics         *Metrics
	// Patience and WatchOptions are for tests; the zero values are for production.
	Patience     activities.Patience
	WatchOptions activities.WatchOptions
}

// CallbackConfig is how callbacks are sent.
type CallbackConfig struct {
	Schedule webhook.Schedule
	Targets  webhook.Targets
	Timeout  time.Duration
}

// Bounds of one process. Pollers are more than the SDK's two because each holds one request at a time.
const (
	workflowPollers    = 8
	activityPollers    = 8
	concurrentCallback = 128
	concurrentSettle   = 64
	concurrentOrders   = 64
)

// Run serves the configured roles until ctx ends, then lets activities finish within ShutdownTimeout. ready is called once all
// queues of the roles are served. An error means that the process cannot go on; Temporal or the database being away is not one.
func Run(ctx context.Context, cfg Config, ready func()) error {
	if err := Prepare(ctx, cfg.Client, cfg.Namespace, cfg.Log); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop while Temporal was away
		}
		return err
	}
	p := &processRun{Config: cfg, owner: identity()}
	group, ctx := errgroup.WithContext(ctx)
	for _, role := range slices.Compact(slices.Sorted(slices.Values(cfg.Roles))) {
		if err := p.serve(ctx, group, role); err != nil {
			return errors.Join(err, group.Wait())
		}
	}
	ready()
	return group.Wait()
}

// identity names this process in leases and in the Temporal UI.
func identity() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown"
	}
	return fmt.Sprintf("%s/%d/%s", host, os.Getpid(), uuid.NewString()[:8])
}

// processRun is one process at work.
type processRun struct {
	Config

	owner string
}

func (p *processRun) serve(ctx context.Context, group *errgroup.Group, role Role) error {
	switch role {
	case RoleOrders:
		return p.run(ctx, group, p.ordersWorker())
	case RoleCallbacks:
		sender := webhook.NewSender(webhook.Config{Timeout: p.Callbacks.Timeout, Targets: p.Callbacks.Targets})
		group.Go(func() error {
			<-ctx.Done()
			sender.Close()
			return nil
		})
		return p.run(ctx, group, p.callbacksWorker(sender))
	case RoleChains:
		p.serveChains(ctx, group)
		return nil
	default:
		return fmt.Errorf("workers: unknown role %q", role)
	}
}

// run starts a worker and stops it, activities finished, when ctx ends.
func (p *processRun) run(ctx context.Context, group *errgroup.Group, w worker.Worker) error {
	if err := w.Start(); err != nil {
		return fmt.Errorf("workers: start: %w", err)
	}
	group.Go(func() error {
		<-ctx.Done()
		w.Stop()
		return nil
	})
	return nil
}

func (p *processRun) options() worker.Options {
	return worker.Options{
		Identity:          p.owner,
		WorkerStopTimeout: p.ShutdownTimeout,
		// A panic is a bug of ours: the workflow waits for the fix instead of failing.
		WorkflowPanicPolicy: worker.BlockWorkflow,
		Interceptors:        []interceptor.WorkerInterceptor{&scrubber{log: p.Log}},
	}
}

func (p *processRun) ordersWorker() worker.Worker {
	options := p.options()
	options.MaxConcurrentWorkflowTaskPollers = workflowPollers
	options.MaxConcurrentActivityTaskPollers = activityPollers
	options.MaxConcurrentActivityExecutionSize = concurrentOrders
	w := worker.New(p.Client, process.OrdersQueue, options)
	workflows.Register(w)
	a := &activities.Orders{Store: p.Store, Keys: *p.Keys, Log: p.Log}
	register(w, map[string]any{
		process.ActivityAllocateAddress: a.AllocateAddress,
		process.ActivityReadOrder:       a.ReadOrder,
		process.ActivityExpireOrder:     a.ExpireOrder,
		process.ActivityCancelOrder:     a.CancelOrder,
		process.ActivityExtendOrder:     a.ExtendOrder,
		process.ActivityResolveOrder:    a.ResolveOrder,
		process.ActivityParkOrder:       a.ParkOrder,
		process.ActivityRedeliver:       a.Redeliver,
		process.ActivityReadCallbacks:   a.ReadCallbacks,
		process.ActivityReadReview:      a.ReadReview,
		process.ActivityResolveReview:   a.ResolveReview,
		process.ActivityRequestRescan:   a.RequestRescan,
	})
	return w
}

func (p *processRun) callbacksWorker(sender *webhook.Sender) worker.Worker {
	options := p.options()
	options.DisableWorkflowWorker = true
	options.MaxConcurrentActivityTaskPollers = activityPollers
	options.MaxConcurrentActivityExecutionSize = concurrentCallback
	w := worker.New(p.Client, process.CallbacksQueue, options)
	a := &activities.Callbacks{
		Store: p.Store, Keys: p.Keys, Sender: sender, Schedule: p.Callbacks.Schedule, Timeout: p.Callbacks.Timeout, Log: p.Log,
	}
	register(w, map[string]any{process.ActivityDeliverCallbacks: a.DeliverCallbacks})
	return w
}

func (p *processRun) chainWorker(chain string, a *activities.Chain) worker.Worker {
	options := p.options()
	options.DisableWorkflowWorker = true
	options.MaxConcurrentActivityTaskPollers = activityPollers
	options.MaxConcurrentActivityExecutionSize = concurrentSettle
	w := worker.New(p.Client, process.ChainQueue(chain), options)
	register(w, map[string]any{process.ActivityWatchChain: a.WatchChain, process.ActivitySettlePayment: a.SettlePayment})
	return w
}

// register adds activities under the names that histories hold.
func register(w worker.ActivityRegistry, byName map[string]any) {
	for name, fn := range byName {
		w.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
}

// serveChains runs watchers, receipt checks, the relay and the upkeep.
func (p *processRun) serveChains(ctx context.Context, group *errgroup.Group) {
	nodes := activities.NewNodes(p.Store, p.Keys, p.Log)
	watch := p.WatchOptions
	watch.Recorder = activities.StoreRecorder{Store: store.NewRecorder(p.Store)}
	watch.OnProgress = p.Metrics.progress
	a := &activities.Chain{
		Settle: p.Store, Watch: p.Store, Sources: nodes, Log: p.Log, Patience: p.Patience, WatchOptions: watch,
	}
	fleet := &chainFleet{
		list: p.Store.ListChains, only: p.Chains, start: startWatcher(p.Client), log: p.Log,
		newWorker: func(chain string) worker.Worker { return p.chainWorker(chain, a) },
	}
	to := temporalSignaller{client: p.Client, namespace: p.Namespace, identity: p.owner}
	relay := &Relay{
		Outbox: p.Store, To: to, Owner: p.owner, Chains: fleet.Chains, Log: p.Log, Metrics: p.Metrics,
	}
	keeper := upkeep{store: p.Store, to: to, chains: fleet.Chains, log: p.Log}
	group.Go(func() error {
		defer nodes.Close() // after the workers that use them have stopped
		return fleet.Run(ctx)
	})
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { return keeper.Run(ctx) })
}
