package pgtest

import (
	"context"
	"crypto/rand"
	"flag"
	"fmt"
	"net/url"
	"os"
	"os/signal"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/migrations"
)

// EnvURL names a superuser's URL of a running cluster to use instead of a private one.
const EnvURL = "SLUICE_TEST_PG_URL"

const setupTimeout = await.Broken

// DB is one test's database.
type DB struct {
	Name     string
	OwnerURL string // as the role that owns every object
	AppURL   string // as the role of the API and of workers
	ChainURL string // as the role of chain workers, which may do all that the other may
	Owner    *pgxpool.Pool
	App      *pgxpool.Pool
	Chain    *pgxpool.Pool
}

// New clones the migrated template and drops the clone when the test ends. The pools connect on first use.
func New(t testing.TB) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	s, err := shared.get(ctx)
	require.NoError(t, err, "bring up PostgreSQL for tests")
	template, err := s.template(ctx)
	require.NoError(t, err, "migrate the template database")
	return s.create(ctx, t, template)
}

// NewEmpty gives a database without any migration, owned by the owner role.
func NewEmpty(t testing.TB) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	s, err := shared.get(ctx)
	require.NoError(t, err, "bring up PostgreSQL for tests")
	return s.create(ctx, t, "template0")
}

// Main runs a package's tests, ends the private cluster if there is one, and exits.
func Main(m *testing.M) { os.Exit(Run(m)) }

// Run is Main without the exit, for a TestMain that has more to do. It also cleans up on SIGINT and SIGTERM, and then
// exits.
func Run(m *testing.M) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() {
		sig, ok := (<-signals).(syscall.Signal)
		if !ok {
			return
		}
		_ = shared.close()
		os.Exit(128 + int(sig))
	}()
	limitParallel()
	code := m.Run()
	if err := shared.close(); err != nil {
		fmt.Fprintln(os.Stderr, "pgtest:", err)
		code = max(code, 1)
	}
	return code
}

// atOnce is how many tests of a package run side by side at most: a machine with more processors has no more connections.
const atOnce = 8

// limitParallel changes nothing when somebody chose a number.
func limitParallel() {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if n := runtime.GOMAXPROCS(0); n > atOnce && !chosen {
		_ = flag.Set("test.parallel", strconv.Itoa(atOnce))
	}
}

// server is a cluster that this process may administer.
type server struct {
	url     *url.URL // a superuser's, of database postgres
	admin   *pgxpool.Pool
	cluster *pgcluster.Cluster // nil when it is somebody else's

	templateOnce sync.Once
	templateName string
	templateErr  error
}

// holder starts the process's one server on first use. A test binary has no other place to keep it.
type holder struct {
	mu     sync.Mutex
	server *server
	err    error
	closed bool
}

// One cluster per test binary is the point of the package.
var shared holder

func (h *holder) get(ctx context.Context) (*server, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil && h.err == nil {
		h.server, h.err = connect(ctx)
	}
	return h.server, h.err
}

func (h *holder) close() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.server == nil || h.closed {
		return nil
	}
	h.closed = true
	if h.server.cluster == nil {
		h.server.admin.Close()
		return nil
	}
	// The pool is not closed first: that waits for connections which an interrupted test still holds.
	return h.server.cluster.Stop()
}

func connect(ctx context.Context) (*server, error) {
	raw := os.Getenv(EnvURL)
	var cluster *pgcluster.Cluster
	if raw == "" {
		var err error
		if cluster, err = pgcluster.Start(ctx, pgcluster.Options{Settings: pgcluster.TestSettings()}); err != nil {
			return nil, err
		}
		raw = cluster.URL(pgcluster.Superuser, pgcluster.Superuser)
	}
	s, err := newServer(ctx, raw)
	if err != nil {
		if cluster != nil {
			_ = cluster.Stop()
		}
		return nil, err
	}
	s.cluster = cluster
	return s, nil
}

func newServer(ctx context.Context, raw string) (*server, error) {
	u, err := url.Parse(raw)
	if err != nil {
		return nil, fmt.Errorf("%s is not a URL", EnvURL) // without the text, which holds a password
	}
	config, err := pgxpool.ParseConfig(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", EnvURL, err)
	}
	config.MaxConns = 4
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("open the administrator's pool: %w", err)
	}
	s := &server{url: u, admin: pool}
	err = pool.AcquireFunc(ctx, func(conn *pgxpool.Conn) error {
		return pgcluster.EnsureRoles(ctx, conn.Conn(), s.password())
	})
	if err != nil {
		pool.Close()
		return nil, err
	}
	return s, nil
}

func (s *server) password() string {
	password, _ := s.url.User.Password()
	return password
}

// roleURL is how a role connects to a database of this cluster.
func (s *server) roleURL(role, db string) string {
	u := *s.url
	u.User = url.UserPassword(role, pgcluster.RolePassword(s.password(), role))
	u.Path = db
	return u.String()
}

func (s *server) create(ctx context.Context, t testing.TB, template string) *DB {
	t.Helper()
	name := "sluice_test_" + strings.ToLower(rand.Text()[:16])
	// Copying files costs a third of writing every page to the log first.
	_, err := s.admin.Exec(ctx, fmt.Sprintf(`CREATE DATABASE %s TEMPLATE %s OWNER %s STRATEGY file_copy`,
		pgx.Identifier{name}.Sanitize(), pgx.Identifier{template}.Sanitize(), pgcluster.OwnerRole))
	require.NoError(t, err, "clone the template database")
	_, err = s.admin.Exec(ctx, migrations.Restrict(name))
	require.NoError(t, err, "restrict the clone")
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), setupTimeout)
		defer cancel()
		_, err := s.admin.Exec(ctx, fmt.Sprintf(`DROP DATABASE %s WITH (FORCE)`, pgx.Identifier{name}.Sanitize()))
		if err != nil {
			t.Errorf("drop the test's database: %v", err)
		}
	})
	db := &DB{
		Name: name, OwnerURL: s.roleURL(pgcluster.OwnerRole, name), AppURL: s.roleURL(pgcluster.AppRole, name),
		ChainURL: s.roleURL(pgcluster.ChainRole, name),
	}
	db.Owner = openPool(t, db.OwnerURL, 4)
	db.App = openPool(t, db.AppURL, 10)
	db.Chain = openPool(t, db.ChainURL, 10)
	return db
}

func openPool(t testing.TB, url string, conns int32) *pgxpool.Pool {
	t.Helper()
	config, err := pgxpool.ParseConfig(url)
	require.NoError(t, err)
	config.MaxConns = conns
	// Not the test's own context: that ends before clean-up functions run, which may still want to look.
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	require.NoError(t, err)
	t.Cleanup(pool.Close)
	return pool
}
