package temporalite

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"go.temporal.io/server/common/authorization"
	"go.temporal.io/server/common/config"
	"go.temporal.io/server/common/log"
	"go.temporal.io/server/schema/sqlite"
	"go.temporal.io/server/temporal"
	"go.uber.org/zap"

	"github.com/sluicepay/sluice/devstack/loopback"
)

// startAttempts bounds how often Start picks new ports when another program takes one between picking and listening.
const startAttempts = 3

// Server is a running Temporal service. Its methods may be called from several goroutines; Stop may be called twice.
type Server struct {
	opts     Options
	temporal temporal.Server
	ui       *webUI
	logger   *zap.Logger
	frontend string
	stopped  chan struct{}
}

// Start runs a server on the state in opts.Dir, creating it when there is none, and returns when the namespace takes
// workflows. A port named in opts that is taken is an error; ports left open are chosen. The context bounds starting
// only: the server runs until Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	opts, err := opts.withDefaults()
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(opts.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("create temporal's folder: %w", err)
	}
	for _, port := range []int{opts.FrontendPort, opts.UIPort} {
		if port != 0 && !loopback.Free(port) {
			return nil, fmt.Errorf("start temporal: port %d is in use", port)
		}
	}
	logger, err := newLogger(opts.LogFile)
	if err != nil {
		return nil, err
	}
	for attempt := 1; ; attempt++ {
		server, err := start(ctx, opts, logger)
		if err == nil {
			return server, nil
		}
		if attempt == startAttempts || !portTaken(err) {
			return nil, fmt.Errorf("start temporal (its messages are in %s): %w", opts.LogFile, err)
		}
	}
}

func start(ctx context.Context, opts Options, logger *zap.Logger) (*Server, error) {
	ports, err := choosePorts(opts)
	if err != nil {
		return nil, err
	}
	s := &Server{
		opts:     opts,
		logger:   logger,
		frontend: loopback.Addr(ports.frontend),
		stopped:  make(chan struct{}),
	}
	if err := catchFatal(func() error { return s.startTemporal(ports) }); err != nil {
		return nil, err
	}
	if err := s.ready(ctx, ports); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

func (s *Server) startTemporal(ports servicePorts) (err error) {
	if s.temporal, err = newTemporal(s.opts, ports, s.logger); err != nil {
		return err
	}
	if err := s.temporal.Start(); err != nil {
		return errors.Join(err, s.temporal.Stop())
	}
	return nil
}

// ready brings a started service to the point where clients can use it.
func (s *Server) ready(ctx context.Context, ports servicePorts) error {
	if err := ensureNamespace(ctx, s.frontend, s.opts); err != nil {
		return err
	}
	if s.opts.NoUI {
		return nil
	}
	ui, err := startWebUI(ctx, s.frontend, ports.ui, s.opts.Namespace)
	s.ui = ui
	return err
}

// Stop ends the UI, then the services in reverse order of their start, and returns when nothing listens any more.
func (s *Server) Stop() error {
	select {
	case <-s.stopped:
		return nil
	default:
		close(s.stopped)
	}
	if s.ui != nil {
		s.ui.stop()
	}
	err := s.temporal.Stop()
	_ = s.logger.Sync()
	if err != nil {
		return fmt.Errorf("stop temporal: %w", err)
	}
	return nil
}

// Address is host:port of the frontend, for client.Options.HostPort.
func (s *Server) Address() string { return s.frontend }

// Namespace is the namespace that was ensured.
func (s *Server) Namespace() string { return s.opts.Namespace }

// UIURL is the address of the web UI, without a trailing slash; empty when it was left out.
func (s *Server) UIURL() string {
	if s.ui == nil {
		return ""
	}
	return s.ui.url
}

// WorkflowURL is the UI's page of one workflow; empty when the UI was left out.
func (s *Server) WorkflowURL(workflowID string) string {
	if s.ui == nil {
		return ""
	}
	return WorkflowURL(s.ui.url, s.opts.Namespace, workflowID)
}

func newTemporal(opts Options, ports servicePorts, zl *zap.Logger) (temporal.Server, error) {
	cfg := serverConfig(opts.databasePath(), ports)
	if err := ensureSchema(opts.databasePath(), cfg); err != nil {
		return nil, err
	}
	server, err := temporal.NewServer(
		temporal.WithConfig(cfg),
		temporal.ForServices(temporal.DefaultServices),
		temporal.WithStaticHosts(staticHosts(ports)),
		temporal.WithLogger(log.NewZapLogger(zl)),
		temporal.WithAuthorizer(authorization.NewNoopAuthorizer()),
		temporal.WithClaimMapper(func(*config.Config) authorization.ClaimMapper {
			return authorization.NewNoopClaimMapper()
		}),
		temporal.WithDynamicConfigClient(dynamicConfig(opts.Settings)),
	)
	if err != nil {
		return nil, fmt.Errorf("assemble the service: %w", err)
	}
	return server, nil
}

// ensureSchema creates the database. It is built beside its place and moved there when complete, so that a process
// that dies half way leaves no file that looks ready.
func ensureSchema(path string, cfg *config.Config) error {
	if _, err := os.Stat(path); err == nil {
		return nil
	}
	building := filepath.Join(filepath.Dir(path), "."+databaseFile+".new")
	if err := removeDatabase(building); err != nil {
		return err
	}
	store := *cfg.Persistence.DataStores[cfg.Persistence.DefaultStore].SQL
	store.DatabaseName = building
	// A rollback journal keeps the new file whole on its own: the write-ahead log of a moved file would be left behind.
	store.ConnectAttributes = map[string]string{"mode": "rwc", "journal_mode": "delete"}
	if err := sqlite.SetupSchema(&store); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	if err := os.Rename(building, path); err != nil {
		return fmt.Errorf("create the database: %w", err)
	}
	return nil
}

func removeDatabase(path string) error {
	for _, suffix := range []string{"", "-journal", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("remove an unfinished database: %w", err)
		}
	}
	return nil
}
