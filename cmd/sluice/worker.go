package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/migrations"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
	"github.com/sluicepay/sluice/workers"
)

type workerCommand struct{}

// Help is shown by --help.
func (workerCommand) Help() string {
	return "Configuration: docs/operations.md. Serves /healthz, /readyz and /metrics. Stops on SIGTERM, activities under way finished."
}

// Run serves the roles until it is asked to stop.
func (workerCommand) Run(ctx context.Context) error {
	settings, err := config.Load[config.Worker]()
	if err != nil {
		return err
	}
	schedule, err := webhook.ParseSchedule(settings.CallbackSchedule)
	if err != nil {
		return fmt.Errorf("SLUICE_CALLBACK_SCHEDULE: %w", err)
	}
	s, err := openService(ctx, "worker", settings.Common, settings)
	if err != nil {
		return err
	}
	defer s.close()
	var recorded *store.DB
	if slices.Contains(settings.Roles, string(workers.RoleChains)) {
		recorded, err = openStore(ctx, settings.ChainURL, store.Options{
			MaxConns: settings.MaxConns, ApplicationName: "sluice-chains", Logger: s.log, Role: store.RoleChain,
		})
		if err != nil {
			return fmt.Errorf("SLUICE_CHAIN_DATABASE_URL: %w", err)
		}
		defer recorded.Close()
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	metrics, err := workers.NewMetrics(registry)
	if err != nil {
		return err
	}
	listener, err := listen(ctx, settings.Listen)
	if err != nil {
		return err
	}
	roles := make([]workers.Role, len(settings.Roles))
	for i, role := range settings.Roles {
		roles[i] = workers.Role(role)
	}
	state := &workerHealth{service: s}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return serveInternal(ctx, listener, state.handler(registry)) })
	group.Go(func() error {
		return workers.Run(ctx, workers.Config{
			Client: s.client, Namespace: settings.Namespace, Store: s.db, ChainStore: recorded, Keys: s.keys, Roles: roles, Chains: settings.Chains,
			Callbacks:       workers.CallbackConfig{Schedule: schedule, Timeout: settings.CallbackTimeout},
			ShutdownTimeout: settings.ShutdownTimeout, Log: s.log, Metrics: metrics,
		}, func() {
			state.serving.Store(true)
			s.log.InfoContext(ctx, "serving", "roles", settings.Roles)
		})
	})
	return group.Wait()
}

// workerHealth answers what an orchestrator asks.
type workerHealth struct {
	service *service
	serving atomic.Bool
}

func (h *workerHealth) handler(registry *prometheus.Registry) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "alive") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		if reason := h.unready(r.Context()); reason != "" {
			http.Error(w, reason, http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
	})
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	return mux
}

const readyTimeout = 3 * time.Second

// unready says what is missing, in words of ours.
func (h *workerHealth) unready(ctx context.Context) string {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	version, err := h.service.db.SchemaVersion(ctx)
	var rights *store.RightsError
	switch {
	case errors.As(err, &rights):
		return rights.Error()
	case err != nil:
		return "the database does not answer"
	case version < migrations.Latest():
		return fmt.Sprintf("the database's schema is at version %d, this release needs %d: run sluice migrate", version, migrations.Latest())
	case !h.serving.Load():
		return "Temporal is not ready yet"
	}
	if _, err := h.service.client.CheckHealth(ctx, nil); err != nil {
		return "Temporal does not answer"
	}
	return ""
}
