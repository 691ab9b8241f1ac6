package api

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"sync"
	"time"

	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/process"
)

const (
	// readinessTimeout bounds one check, all parts side by side.
	readinessTimeout = 2 * time.Second
	// readinessAge is how long a result is given again, so that checking costs the same however often it is asked for.
	readinessAge = time.Second
	// pollerAge is how long ago a worker may have last asked for work. It asks at least once a minute.
	pollerAge = 75 * time.Second
	// notReadyRetry is the Retry-After of 503 on /readyz.
	notReadyRetry = time.Second
)

// GetHealth answers as long as the process does.
func (s *Server) GetHealth(context.Context, GetHealthRequestObject) (GetHealthResponseObject, error) {
	return GetHealth200JSONResponse{Status: HealthStatusOk}, nil
}

// GetReadiness answers whether orders could be opened now.
func (s *Server) GetReadiness(ctx context.Context, _ GetReadinessRequestObject) (GetReadinessResponseObject, error) {
	health := s.readiness.check(ctx, func(name string, err error) {
		s.log.WarnContext(ctx, "not ready", "check", name, "error", scrub(err.Error()))
	})
	if s.draining.Load() {
		health.Status = HealthStatusUnavailable
	}
	s.metrics.setReady(health.Status == HealthStatusOk)
	if health.Status == HealthStatusOk {
		return GetReadiness200JSONResponse(health), nil
	}
	return GetReadiness503JSONResponse{Body: health, Headers: GetReadiness503ResponseHeaders{RetryAfter: seconds(notReadyRetry)}}, nil
}

// checks are what it takes to open an order: the database, at a schema that this program knows, Temporal, and a worker that
// takes workflows.
func (s *Server) checks(schema int64) map[string]func(context.Context) error {
	return map[string]func(context.Context) error{
		"database": s.store.Ping,
		"schema": func(ctx context.Context) error {
			version, err := s.store.SchemaVersion(ctx)
			if err == nil && version < schema {
				err = fmt.Errorf("the database is at schema %d, this program needs %d: run `sluice migrate`", version, schema)
			}
			return err
		},
		"temporal": func(ctx context.Context) error {
			_, err := s.engine.client.CheckHealth(ctx, &client.CheckHealthRequest{})
			return err
		},
		"workers": s.engine.checkWorkers,
	}
}

// checkWorkers returns nil when a worker has asked for an order's workflow tasks lately.
func (e engine) checkWorkers(ctx context.Context) error {
	queue, err := e.client.DescribeTaskQueue(ctx, process.OrdersQueue, enumspb.TASK_QUEUE_TYPE_WORKFLOW)
	if err != nil {
		return err
	}
	for _, poller := range queue.GetPollers() {
		if time.Since(poller.GetLastAccessTime().AsTime()) < pollerAge {
			return nil
		}
	}
	return errors.New("no worker takes workflows of orders")
}

// readiness runs checks side by side and remembers the result for a moment.
type readiness struct {
	checks map[string]func(context.Context) error
	// chains tells of the chains; it decides nothing.
	chains func(context.Context) (map[string]ChainHealth, error)

	mu     sync.Mutex // held while checking: whoever comes meanwhile shares the result
	at     time.Time
	health Health
}

func newReadiness(
	checks map[string]func(context.Context) error, chains func(context.Context) (map[string]ChainHealth, error),
) *readiness {
	return &readiness{checks: checks, chains: chains}
}

func (r *readiness) check(ctx context.Context, failed func(name string, err error)) Health {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.at.IsZero() || time.Since(r.at) >= readinessAge {
		r.health = r.run(context.WithoutCancel(ctx), failed) // the result is for others too
		r.at = time.Now()
	}
	return Health{Status: r.health.Status, Checks: maps.Clone(r.health.Checks), Chains: maps.Clone(r.health.Chains)}
}

// run asks every part. One that does not answer in time is not ready.
func (r *readiness) run(ctx context.Context, failed func(name string, err error)) Health {
	ctx, cancel := context.WithTimeout(ctx, readinessTimeout)
	defer cancel()
	type result struct {
		name string
		err  error
	}
	results := make(chan result, len(r.checks)) // nobody waits for a sender that is late
	for name, check := range r.checks {
		go func() { results <- result{name, check(ctx)} }()
	}
	chains := make(chan map[string]ChainHealth, 1)
	go func() {
		told, err := r.chains(ctx)
		if err != nil {
			failed("chains", err)
		}
		chains <- told
	}()
	missing := maps.Clone(r.checks)
	health := Health{Status: HealthStatusOk, Checks: map[string]HealthStatus{}}
	set := func(name string, err error) {
		delete(missing, name)
		health.Checks[name] = HealthStatusOk
		if err != nil {
			health.Checks[name], health.Status = HealthStatusUnavailable, HealthStatusUnavailable
			failed(name, err)
		}
	}
	for len(missing) > 0 {
		select {
		case done := <-results:
			set(done.name, done.err)
		case <-ctx.Done():
			for name := range maps.Clone(missing) {
				set(name, ctx.Err())
			}
		}
	}
	select {
	case health.Chains = <-chains:
	case <-ctx.Done():
	}
	return health
}
