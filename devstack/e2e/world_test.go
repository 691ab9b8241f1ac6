package e2e_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgcluster"
)

// What every world is set to.
const (
	confirmations = 3
	// callbackSchedule is the production one's shape in a moment: a few attempts, then parked.
	callbackSchedule = "0s,200ms,200ms,200ms,400ms,400ms"
	attempts         = 6
	// callbackTimeout is long enough for a busy machine to answer in.
	callbackTimeout = 30 * time.Second
	// maxReceivers is how many merchants a world can have.
	maxReceivers = 48
	startTimeout = 2 * await.Broken
)

// world is a running stack and what tests reach it by.
type world struct {
	*stack.Stack

	dir string
	// db reads as the owner of all tables.
	db       *pgxpool.Pool
	temporal client.Client
	// faucet pays; caller is a contract that makes several transfers in one transaction. Both hold tokens.
	faucet        *gethnode.Payer
	token, caller common.Address
	second        *purse // pays on the second chain
	receivers     chan net.Listener
	slow          *slowChain // nil unless asked for
	manual        bool       // blocks come when a test says so
	// failed is closed when a part died by itself; failure says which.
	failed  chan struct{}
	failure error

	stop    sync.Once
	stopErr error
}

// options are what differs between worlds.
type options struct {
	blockTime time.Duration // as in stack.Config
	env       []string
	slow      bool
	// endpoints are where Sluice is told to reach a chain; as in stack.Config.
	endpoints func(chain, rpc, ws string) []stack.Endpoint
	// temporal overrides dynamic settings of the server.
	temporal map[string]any
}

// sharedWorld is started by the first test that asks for it.
var sharedWorld struct {
	once  sync.Once
	world *world
	err   error
}

// shared returns the world for tests that break nothing.
func shared(t *testing.T) *world {
	t.Helper()
	sharedWorld.once.Do(func() {
		sharedWorld.world, sharedWorld.err = start(context.Background(), options{blockTime: time.Second, slow: true})
	})
	require.NoError(t, sharedWorld.err)
	return sharedWorld.world
}

// private starts a world for one test.
func private(t *testing.T, opts options) *world {
	t.Helper()
	w, err := start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, w.close()) })
	return w
}

func start(ctx context.Context, opts options) (*world, error) {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	w := &world{receivers: make(chan net.Listener, maxReceivers), failed: make(chan struct{}), manual: opts.blockTime < 0}
	if err := w.start(ctx, opts); err != nil {
		return nil, errors.Join(fmt.Errorf("start a world: %w", err), w.close())
	}
	return w, open.add(w)
}

func (w *world) start(ctx context.Context, opts options) error {
	var err error
	if w.dir, err = newFolder(); err != nil {
		return err
	}
	repo, err := stack.FindRepo(".")
	if err != nil {
		return err
	}
	binary, err := builtSluice(ctx, repo)
	if err != nil {
		return err
	}
	if err := w.openReceivers(); err != nil {
		return err
	}
	w.Stack, err = stack.Open(ctx, stack.Config{
		Dir: filepath.Join(w.dir, "state"), Binary: binary, BlockTime: opts.blockTime, Confirmations: confirmations,
		NoUI: true, Endpoints: opts.endpoints, TemporalSettings: opts.temporal,
		Env: append([]string{
			"SLUICE_CALLBACK_SCHEDULE=" + callbackSchedule,
			"SLUICE_CALLBACK_TIMEOUT=" + callbackTimeout.String(),
		}, opts.env...),
	})
	if err != nil {
		return err
	}
	steps := []func(context.Context) error{
		w.StartPostgres, w.StartTemporal, w.StartNodes, w.Migrate, w.SetUpChains, w.connect, w.fund,
	}
	if opts.slow {
		steps = append(steps, w.addSlowChain)
	}
	for _, step := range append(steps, w.StartWorker, w.StartAPI) {
		if err := step(ctx); err != nil {
			return err
		}
	}
	go func() {
		if err, ok := <-w.Failed(); ok {
			w.failure = err
			close(w.failed)
		}
	}()
	return nil
}

// built is the sluice command, built once for all worlds.
var built struct {
	once sync.Once
	path string
	err  error
}

func builtSluice(ctx context.Context, repo string) (string, error) {
	built.once.Do(func() { built.path, built.err = stack.Build(ctx, repo) })
	return built.path, built.err
}

// openReceivers listens for merchants to come.
func (w *world) openReceivers() error {
	for range maxReceivers {
		listener, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			return err
		}
		w.receivers <- listener
	}
	return nil
}

// allow lets a merchant's test callbacks reach a URL on this machine.
func (w *world) allow(t *testing.T, merchant, at string) {
	t.Helper()
	parsed, err := url.Parse(at)
	require.NoError(t, err)
	_, err = w.Sluice(t.Context(), nil, "endpoint", "allow", "--merchant", merchant, "--mode", "test", parsed.Host)
	require.NoError(t, err)
}

func (w *world) connect(ctx context.Context) error {
	config, err := pgxpool.ParseConfig(w.Postgres.URL(pgcluster.OwnerRole, stack.Database))
	if err != nil {
		return err
	}
	config.MaxConns = 8
	if w.db, err = pgxpool.NewWithConfig(ctx, config); err != nil {
		return err
	}
	w.temporal, err = client.DialContext(ctx, client.Options{
		HostPort: w.Temporal.Address(), Namespace: w.Temporal.Namespace(), Logger: quiet{},
	})
	return err
}

// plenty is more tokens than all tests pay, in base units.
var plenty = new(big.Int).Lsh(big.NewInt(1), 100)

// fund gives the faucet and the caller contract tokens to pay with.
func (w *world) fund(ctx context.Context) error {
	var err error
	if w.faucet, err = w.Dev.Node.Payer(ctx); err != nil {
		return err
	}
	w.token = common.HexToAddress(w.Dev.Token())
	caller, _, err := w.faucet.DeployCaller(ctx)
	if err != nil {
		return err
	}
	w.caller = caller
	var last common.Hash
	for _, owner := range []common.Address{w.faucet.Address(), caller} {
		if last, err = w.faucet.Mint(ctx, w.token, owner, plenty); err != nil {
			return err
		}
	}
	if err := w.sealed(ctx, last); err != nil {
		return err
	}
	w.second, err = w.newPurse(ctx, w.Dev2)
	return err
}

// sealed waits for a transaction, and seals it where nobody else does.
func (w *world) sealed(ctx context.Context, tx common.Hash) error {
	if w.manual {
		if _, err := w.Dev.Node.Mine(1); err != nil {
			return err
		}
	}
	_, err := w.faucet.Wait(ctx, tx)
	return err
}

// sluice runs a command that prints JSON.
func (w *world) sluice(t *testing.T, answer any, args ...string) {
	t.Helper()
	output, err := w.Sluice(t.Context(), nil, append(args, "--json")...)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(output, answer))
}

// close ends everything and removes every file.
func (w *world) close() error {
	w.stop.Do(func() {
		var errs []error
		if w.temporal != nil {
			w.temporal.Close()
		}
		if w.db != nil {
			w.db.Close()
		}
		if w.Stack != nil {
			errs = append(errs, w.Stack.Stop())
		}
		if w.slow != nil {
			errs = append(errs, w.slow.close())
		}
		close(w.receivers)
		for listener := range w.receivers {
			errs = append(errs, listener.Close())
		}
		if w.dir != "" {
			errs = append(errs, removeFolder(w.dir))
		}
		w.stopErr = errors.Join(errs...)
	})
	return w.stopErr
}

// quiet drops the SDK's remarks.
type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
