package workers

import (
	"context"
	"fmt"
	"os"
	"time"

	"github.com/google/uuid"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/worker"
	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
	"github.com/sluicepay/sluice/workflows"
)

// Bounds of one process. Pollers are more than the SDK's two because each holds one request at a time.
const (
	workflowPollers    = 16
	activityPollers    = 8
	concurrentCallback = 128
	concurrentSettle   = 64
	concurrentOrders   = 64
	// concurrentLocal bounds local activities. They share the database's pool; more would only wait there.
	concurrentLocal = 128
	// stuckAfter is when a workflow task that does not yield is taken for a defect. The SDK's one second is too short for a
	// machine that is busy with something else.
	stuckAfter = 5 * time.Second
)

// Run serves the configured roles until ctx ends, then lets activities finish within ShutdownTimeout. ready is called once all
// queues of the roles are served. An error means that the process cannot go on; Temporal or the database being away is not one.
func Run(ctx context.Context, cfg Config, ready func()) error {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return err
	}
	if err := Prepare(ctx, cfg.Client, cfg.Namespace, cfg.Log); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // asked to stop while Temporal was away
		}
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	p := &processRun{Config: cfg, owner: identity(), failed: make(chan error, 1)}
	group.Go(func() error {
		select {
		case err := <-p.failed:
			return err // and so ends the others
		case <-ctx.Done():
			return nil
		}
	})
	for _, role := range cfg.Roles {
		if err := p.serve(ctx, group, role); err != nil {
			p.fail(err)
			return group.Wait()
		}
	}
	if ctx.Err() == nil && ready != nil {
		ready()
	}
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
	// failed takes the first reason why the process cannot go on.
	failed chan error
}

func (p *processRun) fail(err error) {
	select {
	case p.failed <- err:
	default: // there is one already
	}
}

func (p *processRun) serve(ctx context.Context, group *errgroup.Group, role Role) error {
	switch role {
	case RoleOrders:
		return p.run(ctx, group, p.ordersWorker())
	case RoleCallbacks:
		sender := webhook.NewSender(webhook.Config{Timeout: p.Callbacks.Timeout})
		group.Go(func() error {
			<-ctx.Done()
			sender.Close()
			return nil
		})
		return p.run(ctx, group, p.callbacksWorker(sender))
	case RoleChains:
		return p.serveChains(ctx, group)
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
		WorkflowPanicPolicy:      worker.BlockWorkflow,
		DeadlockDetectionTimeout: stuckAfter,
		// Activities and workflows are called by the names in package process, and by nothing else.
		DisableRegistrationAliasing: true,
		Interceptors:                []interceptor.WorkerInterceptor{newGuard(p.Log)},
		OnFatalError:                func(err error) { p.fail(fmt.Errorf("workers: %w", err)) },
	}
}

func (p *processRun) ordersWorker() worker.Worker {
	options := p.options()
	options.MaxConcurrentWorkflowTaskPollers = workflowPollers
	options.MaxConcurrentActivityTaskPollers = activityPollers
	options.MaxConcurrentActivityExecutionSize = concurrentOrders
	options.MaxConcurrentLocalActivityExecutionSize = concurrentLocal
	w := worker.New(p.Client, process.OrdersQueue, options)
	workflows.Register(w)
	a := &activities.Orders{Store: p.Store, Keys: *p.Keys, Log: p.Log}
	register(w, ordersActivities(a))
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
	register(w, callbacksActivities(a))
	return w
}

func (p *processRun) chainWorker(chain string, a *activities.Chain) worker.Worker {
	options := p.options()
	options.DisableWorkflowWorker = true
	options.MaxConcurrentActivityTaskPollers = activityPollers
	options.MaxConcurrentActivityExecutionSize = concurrentSettle
	w := worker.New(p.Client, process.ChainQueue(chain), options)
	register(w, chainActivities(a))
	return w
}

func ordersActivities(a *activities.Orders) map[string]any {
	return map[string]any{
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
	}
}

func callbacksActivities(a *activities.Callbacks) map[string]any {
	return map[string]any{process.ActivityDeliverCallbacks: a.DeliverCallbacks}
}

func chainActivities(a *activities.Chain) map[string]any {
	return map[string]any{process.ActivityWatchChain: a.WatchChain, process.ActivitySettlePayment: a.SettlePayment}
}

// register adds activities under the names that histories hold.
func register(w worker.ActivityRegistry, byName map[string]any) {
	for name, fn := range byName {
		w.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: name})
	}
}

// serveChains runs watchers, receipt checks, the relay and the upkeep. It returns when the chains that there are have their
// workers.
func (p *processRun) serveChains(ctx context.Context, group *errgroup.Group) error {
	nodes := activities.NewNodes(p.ChainStore, p.Keys, p.Log)
	p.Metrics.watchNodes(nodes.Stats)
	watch := p.WatchOptions
	watch.Recorder = activities.StoreRecorder{Store: store.NewRecorder(p.ChainStore)}
	watch.OnProgress = p.Metrics.progress
	tokens := &activities.Tokens{Store: p.ChainStore, Keys: p.Keys, Log: p.Log}
	a := &activities.Chain{
		Settle: p.ChainStore, Sources: nodes, Tokens: tokens, Log: p.Log, Patience: p.Patience, WatchOptions: watch,
		Alarm: p.Metrics.settleAlarm,
	}
	fleet := &chainFleet{
		list: p.ChainStore.ListChains, only: p.Chains, start: startWatcher(p.Client), log: p.Log,
		newWorker: func(chain string) worker.Worker { return p.chainWorker(chain, a) },
	}
	to := temporalSignaller{client: p.Client, namespace: p.Namespace, identity: p.owner}
	relay := &Relay{
		Outbox: p.ChainStore, To: to, Owner: p.owner, Chains: fleet.Chains, Log: p.Log, Metrics: p.Metrics,
	}
	keeper := upkeep{store: p.ChainStore, to: to, chains: fleet.Chains, log: p.Log}
	tokenCare := tokenKeeper{store: p.ChainStore, tokens: tokens, chains: fleet.Chains, metrics: p.Metrics, log: p.Log}
	served := make(chan struct{})
	group.Go(func() error {
		defer nodes.Close() // after the workers that use them have stopped
		return fleet.Run(ctx, served)
	})
	group.Go(func() error { return relay.Run(ctx) })
	group.Go(func() error { return keeper.Run(ctx) })
	told := &alarms{list: p.ChainStore.ListChainAlarms, metrics: p.Metrics, log: p.Log}
	group.Go(func() error { return told.Run(ctx) })
	group.Go(func() error {
		select { // not before the chains are known
		case <-served:
			return tokenCare.Run(ctx)
		case <-ctx.Done():
			return nil
		}
	})
	select {
	case <-served:
	case <-ctx.Done():
	}
	return nil
}
