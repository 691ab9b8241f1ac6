package stack

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/sluicepay/sluice/devstack/loopback"
	"github.com/sluicepay/sluice/devstack/temporalite"
	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/process"
)

// Stack is a running stack. Its parts may be stopped and started one by one, for instance to see what happens when one
// of them is away; Stop ends what is left.
type Stack struct {
	Postgres *pgcluster.Cluster
	Temporal *temporalite.Server
	// Dev and Dev2 are the development chains. Their nodes are nil until StartNodes.
	Dev, Dev2 *Chain
	Worker    *Program
	API       *Program

	cfg      Config
	folder   *folder
	state    state
	secrets  secrets
	binary   string
	failed   chan error
	stopping chan struct{}

	mu       sync.Mutex
	programs []*Program         // every program ever made, for Stop
	away     *pgcluster.Cluster // the cluster whose end was asked for

	stop    sync.Once
	stopErr error
}

// startAttempts bounds how often Start begins again when another program takes a port between choosing and listening.
const startAttempts = 3

// Start starts every part in order and returns when the API is ready for orders. When a part fails or the context
// ends, everything already started is stopped again. When a port that was left open was lost to another program in the
// meantime, such as a second stack that starts beside this one, all is started again on other ports.
//
// Errors: ErrRunning, *pgcluster.NotInstalledError, *proc.DiedError, and those of the single parts.
func Start(ctx context.Context, cfg Config) (*Stack, error) {
	for attempt := 1; ; attempt++ {
		s, err := Open(ctx, cfg)
		if err != nil {
			return nil, err
		}
		if err = s.startAll(ctx); err == nil {
			return s, nil
		}
		err = errors.Join(err, s.Stop())
		if attempt == startAttempts || ctx.Err() != nil || !s.lostPort() {
			return nil, err
		}
	}
}

func (s *Stack) startAll(ctx context.Context) error {
	for _, start := range []func(context.Context) error{
		s.StartPostgres, s.StartTemporal, s.StartNodes, s.Migrate, s.SetUpChains, s.StartWorker, s.StartAPI, s.publish,
	} {
		if err := start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lostPort tells, once everything is stopped, whether somebody else listens on a port that was chosen.
func (s *Stack) lostPort() bool {
	lost := false
	_ = s.state.Ports.each(func(_ string, port *int) error {
		lost = lost || !loopback.Free(*port)
		return nil
	})
	return lost
}

// Open takes the state folder, chooses the ports and builds the sluice command, and starts nothing: whoever wants only
// some parts, or another order, calls their Start methods. The caller must Stop it.
func Open(ctx context.Context, cfg Config) (*Stack, error) {
	cfg, err := cfg.withDefaults()
	if err != nil {
		return nil, err
	}
	f, err := openFolder(cfg.Dir)
	if err != nil {
		return nil, err
	}
	s := &Stack{cfg: cfg, folder: f, binary: cfg.Binary, failed: make(chan error, 1), stopping: make(chan struct{})}
	if err := s.prepare(ctx); err != nil {
		return nil, errors.Join(err, f.close())
	}
	s.Dev = &Chain{Name: ChainName, ID: ChainID, Decimals: TokenDecimals, token: &s.state.Token}
	s.Dev2 = &Chain{Name: SecondName, ID: SecondID, Decimals: SecondDecimals, token: &s.state.Token2}
	s.Worker = s.NewProgram("worker", s.cfg.WorkerEnv, "worker")
	s.API = s.NewProgram("api", s.cfg.APIEnv, "api")
	return s, nil
}

func (s *Stack) prepare(ctx context.Context) error {
	if err := s.folder.load(stateFile, &s.state); err != nil {
		return err
	}
	var err error
	if s.secrets, err = s.folder.loadSecrets(); err != nil {
		return err
	}
	if s.binary == "" {
		err := s.step("sluice", "building the sluice command; the first time this takes a minute or two", func() (string, error) {
			var err error
			s.binary, err = Build(ctx, s.cfg.Repo)
			return s.binary, err
		})
		if err != nil {
			return err
		}
	}
	// After building: that takes long enough for a port to be lost.
	if s.state.Ports, err = choosePorts(s.cfg.Ports, s.state.Ports); err != nil {
		return err
	}
	return s.saveState()
}

func (s *Stack) saveState() error { return s.folder.save(stateFile, s.state) }

// step runs one step and reports its beginning and its success.
func (s *Stack) step(part, remark string, run func() (detail string, err error)) error {
	s.cfg.Progress(Event{Part: part, Detail: remark})
	began := time.Now()
	detail, err := run()
	if err != nil {
		return fmt.Errorf("%s: %w", part, err)
	}
	s.cfg.Progress(Event{Part: part, Done: true, Detail: detail, Took: time.Since(began)})
	return nil
}

// StartPostgres starts PostgreSQL, with the roles and the empty database, installing the server where it may.
func (s *Stack) StartPostgres(ctx context.Context) error {
	if err := s.installPostgres(ctx); err != nil {
		return err
	}
	return s.step("postgres", "", func() (string, error) {
		cluster, err := pgcluster.Start(ctx, pgcluster.Options{
			DataDir:    s.folder.path("postgres"),
			Port:       s.state.Ports.Postgres,
			Persistent: true,
			Durable:    s.cfg.Durable,
		})
		if err != nil {
			return "", err
		}
		s.Postgres = cluster
		go s.watchPostgres(cluster)
		if err := cluster.EnsureDatabase(ctx, Database); err != nil {
			return "", err
		}
		return loopback.Addr(cluster.Port()), s.writeEnv()
	})
}

func (s *Stack) watchPostgres(cluster *pgcluster.Cluster) {
	select {
	case <-s.stopping:
		return
	case <-cluster.Done():
	}
	s.mu.Lock()
	expected := s.away == cluster
	s.mu.Unlock()
	if !expected {
		s.fail(postgresDied(cluster))
	}
}

// StopPostgres stops PostgreSQL alone, without failing the stack. StartPostgres brings it back on the same port.
func (s *Stack) StopPostgres() error {
	s.mu.Lock()
	s.away = s.Postgres
	s.mu.Unlock()
	return s.Postgres.Stop()
}

// StopTemporal stops Temporal alone, with its UI. StartTemporal brings it back on the same ports.
func (s *Stack) StopTemporal() error { return s.Temporal.Stop() }

// StartTemporal starts Temporal with its UI, with the namespace and the search attributes.
func (s *Stack) StartTemporal(ctx context.Context) error {
	err := s.step("temporal", "", func() (string, error) {
		server, err := temporalite.Start(ctx, temporalite.Options{
			Dir:              s.folder.path("temporal"),
			LogFile:          s.folder.path("logs", "temporal.log"),
			FrontendPort:     s.state.Ports.Temporal,
			UIPort:           s.state.Ports.TemporalUI,
			NoUI:             s.cfg.NoUI,
			SearchAttributes: process.SearchAttributeTypes(),
			Settings:         s.cfg.TemporalSettings,
		})
		if err != nil {
			return "", err
		}
		s.Temporal = server
		return server.Address(), nil
	})
	if err != nil || s.cfg.NoUI {
		return err
	}
	return s.step("temporal ui", "", func() (string, error) { return s.Temporal.UIURL(), nil })
}

// Migrate brings the database's schema up to date.
func (s *Stack) Migrate(ctx context.Context) error {
	return s.step("migrations", "", func() (string, error) {
		_, err := s.Sluice(ctx, nil, "migrate")
		return "", err
	})
}

// StartWorker starts `sluice worker` and waits until it is ready.
func (s *Stack) StartWorker(ctx context.Context) error {
	return s.step("worker", "", func() (string, error) { return s.WorkerURL(), s.Worker.Start(ctx) })
}

// StartAPI starts `sluice api` and waits until it is ready for orders.
func (s *Stack) StartAPI(ctx context.Context) error {
	return s.step("api", "", func() (string, error) {
		if err := s.API.Start(ctx); err != nil {
			return "", err
		}
		s.awaitChains(ctx)
		return s.APIURL(), nil
	})
}

// APIURL is the address of the API, without a trailing slash.
func (s *Stack) APIURL() string { return "http://" + loopback.Addr(s.state.Ports.API) }

// WorkerURL is the address of the worker's health and metrics.
func (s *Stack) WorkerURL() string { return "http://" + loopback.Addr(s.state.Ports.Worker) }

// Ports are those in use.
func (s *Stack) Ports() Ports { return s.state.Ports }

// Dir is the state folder.
func (s *Stack) Dir() string { return s.folder.dir }

// Failed receives the first part that ended by itself.
func (s *Stack) Failed() <-chan error { return s.failed }

func (s *Stack) fail(err error) {
	select {
	case <-s.stopping:
		return
	default:
	}
	select {
	case s.failed <- err:
	default: // only the first failure counts: the others follow from it
	}
}

// Stop ends every part that runs, in reverse order, and gives the state folder up. Nothing of the stack runs when it
// returns. Further calls return what the first one returned.
func (s *Stack) Stop() error {
	s.stop.Do(func() {
		close(s.stopping)
		s.stopErr = s.stopParts()
	})
	return s.stopErr
}

func (s *Stack) stopParts() error {
	var errs []error
	s.mu.Lock()
	programs := s.programs
	s.mu.Unlock()
	// The API before the workers: nothing new comes in while the workers finish.
	for i := len(programs) - 1; i >= 0; i-- {
		errs = append(errs, programs[i].Stop())
	}
	for _, c := range s.Chains() {
		if c.Node != nil {
			errs = append(errs, c.Node.Close())
		}
	}
	if s.Temporal != nil {
		errs = append(errs, s.Temporal.Stop())
	}
	if s.Postgres != nil {
		errs = append(errs, s.Postgres.Stop())
	}
	errs = append(errs, s.unpublish(), s.folder.close())
	return errors.Join(errs...)
}
