package workers

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	namespacepb "go.temporal.io/api/namespace/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/serviceerror"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/workflows"
)

// Every activity has a policy and a worker, and every refusal that a policy calls final is one that activities make final.
func TestPoliciesAndActivitiesAgree(t *testing.T) {
	t.Parallel()
	served := map[string]any{}
	maps.Copy(served, ordersActivities(&activities.Orders{}))
	maps.Copy(served, callbacksActivities(&activities.Callbacks{}))
	maps.Copy(served, chainActivities(&activities.Chain{}))
	var policies []string
	for _, p := range workflows.Policies() {
		policies = append(policies, p.Activity)
		for _, code := range p.Final {
			require.True(t, activities.Final(code), "%s of %s would be retried by whoever reads the error alone", code, p.Activity)
		}
	}
	require.ElementsMatch(t, policies, slices.Collect(maps.Keys(served)))
}

func TestConfigIsCompleted(t *testing.T) {
	t.Parallel()
	_, err := Config{}.withDefaults()
	require.Error(t, err)
	full := Config{Client: &temporalClient{}, Namespace: "sluice", Store: &store.DB{}, Keys: keys()}
	_, err = full.withDefaults()
	require.ErrorContains(t, err, "ChainStore", "what records has a role of its own")
	full.ChainStore = &store.DB{}
	c, err := full.withDefaults()
	require.NoError(t, err)
	require.ElementsMatch(t, Roles(), c.Roles)
	require.Equal(t, 10, c.Callbacks.Schedule.Attempts())
	require.Equal(t, 15*time.Second, c.Callbacks.Timeout)
	require.Equal(t, 20*time.Second, c.ShutdownTimeout)
	full.Roles = []Role{RoleChains, RoleChains}
	c, err = full.withDefaults()
	require.NoError(t, err)
	require.Equal(t, []Role{RoleChains}, c.Roles)
	full.Roles = []Role{"janitor"}
	_, err = full.withDefaults()
	require.ErrorContains(t, err, "janitor")
}

func TestRunEndsWhenAskedWhileTemporalIsAway(t *testing.T) {
	t.Parallel()
	s := &service{describe: func() (*workflowservice.DescribeNamespaceResponse, error) {
		return nil, serviceerror.NewUnavailable("away")
	}}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := Run(ctx, Config{Client: &temporalClient{service: s}, Namespace: "sluice", Store: &store.DB{}, ChainStore: &store.DB{}, Keys: keys(), Log: discard()},
		func() { t.Error("it is not ready") })
	require.NoError(t, err)
}

// existing is a namespace that keeps closed workflows for a while, with search attributes.
func existing(retention time.Duration, attributes map[string]enumspb.IndexedValueType) *service {
	return &service{
		describe: func() (*workflowservice.DescribeNamespaceResponse, error) {
			return &workflowservice.DescribeNamespaceResponse{
				Config: &namespacepb.NamespaceConfig{WorkflowExecutionRetentionTtl: durationpb.New(retention)},
			}, nil
		},
		attributes: &operatorservice.ListSearchAttributesResponse{CustomAttributes: attributes},
	}
}

func TestPrepareMakesWhatIsMissing(t *testing.T) {
	t.Parallel()
	s := existing(0, nil)
	s.describe = func() (*workflowservice.DescribeNamespaceResponse, error) {
		return nil, serviceerror.NewNamespaceNotFound("sluice")
	}
	c := &temporalClient{service: s}
	require.NoError(t, Prepare(t.Context(), c, "sluice", discard()))
	require.Len(t, s.registered, 1)
	require.Equal(t, Retention, s.registered[0].GetWorkflowExecutionRetentionPeriod().AsDuration())
	require.Len(t, s.added, 1)
	require.Equal(t, process.SearchAttributeTypes(), s.added[0].GetSearchAttributes())
	require.Len(t, c.started, 1)
	require.Equal(t, len(process.SearchAttributeTypes()), c.started[0].TypedSearchAttributes.Size(), "the probe carries every attribute")
}

func TestPrepareLeavesAloneWhatIsRight(t *testing.T) {
	t.Parallel()
	s := existing(Retention, process.SearchAttributeTypes())
	require.NoError(t, Prepare(t.Context(), &temporalClient{service: s}, "sluice", discard()))
	require.Empty(t, s.registered)
	require.Empty(t, s.updated)
	require.Empty(t, s.added)
}

func TestPrepareMendsTheRetention(t *testing.T) {
	t.Parallel()
	s := existing(24*time.Hour, process.SearchAttributeTypes())
	require.NoError(t, Prepare(t.Context(), &temporalClient{service: s}, "sluice", discard()))
	require.Len(t, s.updated, 1)
	require.Equal(t, Retention, s.updated[0].GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration())
}

func TestAnAttributeOfAnotherTypeIsFatal(t *testing.T) {
	t.Parallel()
	types := process.SearchAttributeTypes()
	types["ExpiresAt"] = enumspb.INDEXED_VALUE_TYPE_KEYWORD
	err := Prepare(t.Context(), &temporalClient{service: existing(Retention, types)}, "sluice", discard())
	require.ErrorContains(t, err, "ExpiresAt")
}

func TestTheProbeIsTriedUntilItStarts(t *testing.T) {
	t.Parallel()
	c := &temporalClient{service: existing(Retention, process.SearchAttributeTypes())}
	c.start = func(n int) error {
		return when(n < 3, serviceerror.NewInvalidArgument("search attribute PayAddress is not defined"))
	}
	require.NoError(t, Prepare(t.Context(), c, "sluice", discard()))
	require.Len(t, c.started, 3)
}

// fakeWorker stands for a worker of a chain.
type fakeWorker struct {
	worker.Worker

	started, stopped atomic.Int32
	err              error
}

func (w *fakeWorker) Start() error { w.started.Add(1); return w.err }

func (w *fakeWorker) Stop() { w.stopped.Add(1) }

func TestEveryChainIsServedAndWatched(t *testing.T) {
	t.Parallel()
	made, watched := map[string]*fakeWorker{}, []string{}
	chains := []store.Chain{{Name: "one", Enabled: true}, {Name: "two"}, {Name: "three", Enabled: true}}
	fleet := &chainFleet{
		list: func(context.Context) ([]store.Chain, error) { return chains, nil },
		newWorker: func(chain string) worker.Worker {
			made[chain] = &fakeWorker{}
			return made[chain]
		},
		start: func(_ context.Context, chain string) error { watched = append(watched, chain); return nil },
		log:   discard(),
	}
	require.NoError(t, fleet.ensure(t.Context()))
	require.Equal(t, []string{"one", "three", "two"}, fleet.Chains())
	require.Equal(t, []string{"one", "two", "three"}, watched, "one that takes no orders too: money to old addresses still comes")
	chains = append(chains, store.Chain{Name: "four", Enabled: true})
	require.NoError(t, fleet.ensure(t.Context()))
	require.Equal(t, []string{"one", "two", "three", "one", "two", "three", "four"}, watched)
	require.Equal(t, int32(1), made["one"].started.Load(), "a worker that runs is left alone")
	fleet.stop()
	require.Equal(t, int32(1), made["four"].stopped.Load())
	require.Empty(t, fleet.Chains())

	only := &chainFleet{list: fleet.list, newWorker: fleet.newWorker, start: fleet.start, log: discard(), only: []string{"two"}}
	require.NoError(t, only.ensure(t.Context()))
	require.Equal(t, []string{"two"}, only.Chains())
}

// A chain that fails holds up no other, and is tried again.
func TestTheFleetTriesAgain(t *testing.T) {
	t.Parallel()
	var looks atomic.Int32
	broken := &fakeWorker{err: errors.New("cannot start")}
	fleet := &chainFleet{
		list: func(context.Context) ([]store.Chain, error) {
			if looks.Add(1) == 1 {
				return nil, errAway
			}
			return []store.Chain{{Name: "bad", Enabled: true}, {Name: "good", Enabled: true}}, nil
		},
		newWorker: func(chain string) worker.Worker {
			if chain == "bad" && looks.Load() < 3 {
				return broken
			}
			return &fakeWorker{}
		},
		start: func(context.Context, string) error { return nil },
		log:   discard(),
	}
	ctx, cancel := context.WithCancel(t.Context())
	served, done := make(chan struct{}), make(chan error, 1)
	go func() { done <- fleet.Run(ctx, served) }()
	<-served
	require.Equal(t, []string{"bad", "good"}, fleet.Chains())
	require.GreaterOrEqual(t, looks.Load(), int32(3))
	cancel()
	require.NoError(t, <-done)
}

// broom is a store of what was forgotten.
type broom struct {
	stalled  []store.StalledOrder
	deposits []payment.PaymentID
	swept    []string
	stuck    []string
	err      error
	pruned   int
	old      int // how many wake-ups are old enough to be forgotten
}

func (b *broom) SweepOrders(context.Context, time.Duration, int) ([]store.StalledOrder, error) {
	return b.stalled, b.err
}

func (b *broom) SweepDeposits(context.Context, time.Duration, int) ([]payment.PaymentID, error) {
	return b.deposits, b.err
}

func (b *broom) SweepUnsettled(_ context.Context, chain string, _ time.Duration, _ int) (store.Swept, error) {
	b.swept = append(b.swept, chain)
	return store.Swept{}, b.err
}

func (b *broom) OpenStuck(_ context.Context, chain string, now time.Time, _ int) ([]store.StuckPayment, error) {
	b.stuck = append(b.stuck, chain)
	return []store.StuckPayment{{ID: "pay_a", Inclusion: 1, Deadline: now}}, b.err
}

func (b *broom) PruneSent(_ context.Context, _ time.Duration, limit int) (int, error) {
	b.pruned++
	n := min(b.old, limit)
	b.old -= n
	return n, b.err
}

func (b *broom) PruneClaims(context.Context, time.Duration, int) (int, error) {
	b.pruned++
	return 0, b.err
}

func (b *broom) TakeSnapshot(context.Context) (int64, error) { return 0, b.err }

func TestOneRoundForgetsAllThatIsOld(t *testing.T) {
	t.Parallel()
	b := &broom{old: 3*upkeepBatch + 1}
	upkeep{store: b, to: &receiver{}, chains: func() []string { return nil }, log: discard()}.round(t.Context())
	require.Zero(t, b.old)
	require.Equal(t, 4+1, b.pruned, "four batches of wake-ups, and one of keys")
}

func TestTheUpkeepDoesItsRounds(t *testing.T) {
	t.Parallel()
	b := &broom{stalled: []store.StalledOrder{{ID: "ord_a", TakesPayments: true}, {ID: "ord_b"}}, deposits: []payment.PaymentID{"pay_a"}}
	r := &receiver{start: errAway}
	keeper := upkeep{store: b, to: r, chains: func() []string { return []string{"one", "two"} }, log: discard()}
	keeper.round(t.Context())
	require.Equal(t, []string{"one", "two"}, b.swept)
	require.Equal(t, []string{"one", "two"}, b.stuck)
	require.Equal(t, []payment.OrderID{"ord_a"}, r.orders)
	require.Equal(t, []process.Stream{"ord_b", "pay_a"}, r.others, "one that cannot be started holds up no other")
	require.Equal(t, 2, b.pruned)
	b.err = errAway
	keeper.round(t.Context())
	require.Equal(t, 4, b.pruned, "a task that fails holds up no other")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.NoError(t, keeper.Run(ctx))
}
