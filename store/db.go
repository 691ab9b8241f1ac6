package store

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Options configure a DB. The zero value is good for production.
type Options struct {
	// MaxConns bounds the pool; 10 when zero.
	MaxConns int32
	// StatementTimeout ends a statement that takes longer; 5 s when zero. It must stay below the timeouts of whoever
	// calls, so that an effect that was given up on is not still being written.
	StatementTimeout time.Duration
	// ApplicationName is shown in pg_stat_activity; "sluice" when empty.
	ApplicationName string
	// Logger is told of retried transactions; slog.Default when nil.
	Logger *slog.Logger
	// Role is what the connections must have the rights of, and no more; empty asks nothing.
	Role Role
	// Tracer sees every statement, BEGIN and COMMIT included; nil for none.
	Tracer pgx.QueryTracer
}

// DB is a pool of connections as one role. It is safe for concurrent use.
type DB struct {
	pool *pgxpool.Pool
	q    *sqlc.Queries
	log  *slog.Logger
	// creating lets one order of a merchant and mode be created at a time.
	creating turns
}

const (
	defaultMaxConns         = 10
	defaultStatementTimeout = 5 * time.Second
	// idleTransactionTimeout frees the locks of a process that was stopped between two statements.
	idleTransactionTimeout = 15 * time.Second
	txAttempts             = 5
)

// Open makes the pool. It connects on first use: a database that is away is an error of the first call, not of this one.
func Open(ctx context.Context, url string, opts Options) (*DB, error) {
	config, err := pgxpool.ParseConfig(url)
	if err != nil {
		return nil, errors.New("store: the database URL cannot be read") // without the text, which holds a password
	}
	if opts.MaxConns == 0 {
		opts.MaxConns = defaultMaxConns
	}
	if opts.StatementTimeout == 0 {
		opts.StatementTimeout = defaultStatementTimeout
	}
	if opts.ApplicationName == "" {
		opts.ApplicationName = "sluice"
	}
	if opts.Logger == nil {
		opts.Logger = slog.Default()
	}
	config.MaxConns = opts.MaxConns
	config.ConnConfig.Tracer = opts.Tracer
	params := config.ConnConfig.RuntimeParams
	params["application_name"] = opts.ApplicationName
	params["timezone"] = "UTC"
	// A role may change what its own sessions look into first.
	params["search_path"] = "pg_catalog, public, pg_temp"
	params["statement_timeout"] = strconv.FormatInt(opts.StatementTimeout.Milliseconds(), 10)
	params["idle_in_transaction_session_timeout"] = strconv.FormatInt(idleTransactionTimeout.Milliseconds(), 10)
	if opts.Role != "" {
		config.AfterConnect = opts.Role.checkRights
	}
	pool, err := pgxpool.NewWithConfig(ctx, config)
	if err != nil {
		return nil, fmt.Errorf("store: open the pool: %w", err)
	}
	return &DB{pool: pool, q: sqlc.New(pool), log: opts.Logger}, nil
}

// Close waits for connections in use and closes the pool.
func (db *DB) Close() { db.pool.Close() }

// Ping reports whether the database answers. Error: CodeUnavailable.
func (db *DB) Ping(ctx context.Context) error { return classify(db.pool.Ping(ctx)) }

// txn is one transaction. Its methods are the steps that several operations share.
type txn struct {
	q   *sqlc.Queries
	raw pgx.Tx
	log *slog.Logger
}

// tx runs fn in one READ COMMITTED transaction and commits when fn returns nil. On a deadlock or serialization failure it
// runs fn again from the start, so fn must keep nothing from an earlier run. Errors are classified.
func (db *DB) tx(ctx context.Context, fn func(ctx context.Context, t txn) error) error {
	for attempt := 1; ; attempt++ {
		err := pgx.BeginTxFunc(ctx, db.pool, pgx.TxOptions{IsoLevel: pgx.ReadCommitted}, func(raw pgx.Tx) error {
			return fn(ctx, txn{q: db.q.WithTx(raw), raw: raw, log: db.log})
		})
		if err == nil || !collided(err) || attempt == txAttempts {
			return classify(err)
		}
		db.log.DebugContext(ctx, "transaction collided, trying again", "attempt", attempt, "error", err)
		if err := pause(ctx, time.Duration(attempt)*5*time.Millisecond); err != nil {
			return err
		}
	}
}

// pause waits between half and one and a half of d.
func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d/2 + rand.N(d)) //nolint:gosec // jitter needs no secrecy
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// SQLSTATE codes; see PostgreSQL's appendix A.
const (
	stateSerialization = "40001"
	stateDeadlock      = "40P01"
	stateCanceled      = "57014" // statement_timeout
	classConnection    = "08"
	classData          = "22"
	classResources     = "53"
	classIntervention  = "57"
)

func sqlState(err error) string {
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		return pgErr.Code
	}
	return ""
}

func collided(err error) bool {
	state := sqlState(err)
	return state == stateSerialization || state == stateDeadlock
}

// classify makes CodeUnavailable of errors that say that the database is away or overloaded, so that callers repeat the
// request. Other errors stay what they are.
func classify(err error) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	if _, ok := errors.AsType[*payment.Error](err); ok {
		return err
	}
	if unavailable(err) {
		return payment.Wrap(err, payment.CodeUnavailable, "", "the database cannot answer now")
	}
	return err
}

func unavailable(err error) bool {
	state := sqlState(err)
	switch {
	case state == stateCanceled, collided(err):
		return true
	case len(state) == 5:
		class := state[:2]
		return class == classConnection || class == classResources || class == classIntervention
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, net.ErrClosed), pgconn.Timeout(err):
		return true
	}
	if _, ok := errors.AsType[*pgconn.ConnectError](err); ok {
		return true
	}
	_, ok := errors.AsType[net.Error](err)
	return ok
}

// notFound turns "no row" into CodeNotFound and classifies the rest.
func notFound(err error, what string) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return payment.E(payment.CodeNotFound, "", "no such %s", what)
	}
	return classify(err)
}

const (
	stateForeignKey = "23503"
	stateUnique     = "23505"
	stateCheck      = "23514"
)

// outOfRange tells whether a value was not what its type or a rule about its row lets it be.
func outOfRange(err error) bool {
	state := sqlState(err)
	return state == stateCheck || strings.HasPrefix(state, classData)
}

// refused turns a violated constraint into the error that it means: what was referred to is missing, exists already, or is
// outside its rules. The database's own text stays the cause, which is never shown.
func refused(err error, what string) error {
	switch sqlState(err) {
	case stateForeignKey:
		return payment.Wrap(err, payment.CodeNotFound, "", "no such %s", what)
	case stateUnique:
		return payment.Wrap(err, payment.CodeInvalidParameter, "", "this %s exists already", what)
	case stateCheck:
		return payment.Wrap(err, payment.CodeInvalidParameter, "", "this %s is outside its rules", what)
	default:
		return err
	}
}
