package main

import (
	"context"
	"errors"

	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/api"
	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/migrations"
)

type apiCommand struct{}

// Help is shown by --help.
func (apiCommand) Help() string {
	return "Configuration: docs/operations.md. Stops on SIGTERM, requests under way finished."
}

// Run serves until it is asked to stop.
func (apiCommand) Run(ctx context.Context) error {
	settings, err := config.Load[config.API]()
	if err != nil {
		return err
	}
	s, err := openService(ctx, "api", settings.Common, settings)
	if err != nil {
		return err
	}
	defer s.close()
	server, err := api.New(api.Config{
		Store: s.db, Temporal: s.client, Verifier: addressVerifier{keys: s.keys},
		SchemaVersion: migrations.Latest(), TrustedProxies: settings.TrustedProxies, OpenTimeout: settings.OpenTimeout,
		Logger: s.log,
	})
	if err != nil {
		return err
	}
	listener, err := listen(ctx, settings.Listen)
	if err != nil {
		return err
	}
	group, ctx := errgroup.WithContext(ctx)
	if settings.MetricsListen != "" {
		metrics, err := listen(ctx, settings.MetricsListen)
		if err != nil {
			return errors.Join(err, listener.Close())
		}
		group.Go(func() error { return serveInternal(ctx, metrics, server.Metrics()) })
	}
	s.log.InfoContext(ctx, "listening", "address", listener.Addr().String())
	group.Go(func() error { return server.Serve(ctx, listener, settings.ShutdownTimeout) })
	return group.Wait()
}
