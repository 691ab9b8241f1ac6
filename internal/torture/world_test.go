package torture_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// world is a database that histories share, one after another.
type world struct {
	*storetest.Bundle
	chains *atomic.Uint64 // made so far
	tally  *tally
}

func newWorld(t *testing.T, tally *tally) *world {
	t.Helper()
	return openWorld(t, pgtest.New(t), tally)
}

func openWorld(t *testing.T, pg *pgtest.DB, tally *tally) *world {
	t.Helper()
	keys, _ := seal.NewRandomKeyring()
	return reopen(t, &world{tally: tally, chains: &atomic.Uint64{}, Bundle: &storetest.Bundle{Keys: *keys, Mode: payment.ModeTest}}, pg)
}

// reopen opens a world on another database.
func reopen(t *testing.T, like *world, pg *pgtest.DB) *world {
	t.Helper()
	db, err := store.Open(t.Context(), pg.ChainURL, store.Options{
		MaxConns: 8, ApplicationName: "torture", StatementTimeout: await.Broken, Tracer: saboteur{}, Logger: slog.New(slog.DiscardHandler),
	})
	require.NoError(t, err)
	t.Cleanup(db.Close)
	bundle := *like.Bundle
	bundle.PG, bundle.DB = pg, db
	return &world{tally: like.tally, chains: like.chains, Bundle: &bundle}
}

// checkBooks proves the ledger of everybody.
func (w *world) checkBooks(t *testing.T) {
	t.Helper()
	w.CheckBooks(t)
}

// sabotage is what goes wrong in the database during one operation. The zero value only counts.
type sabotage struct {
	// at is the statement, from 1, at which the connection dies; 0 for none.
	at int
	// commit is what becomes of the first COMMIT.
	commit commitFault

	statements int
	// commits counts those that PostgreSQL carried out, whatever the caller was told.
	commits int
}

type commitFault int

const (
	commitFine commitFault = iota
	// commitUnsent: the connection dies before COMMIT is sent.
	commitUnsent
	// commitUnheard: PostgreSQL commits, and the answer is lost.
	commitUnheard
)

type sabotageKey struct{}

func (s *sabotage) in(ctx context.Context) context.Context {
	return context.WithValue(ctx, sabotageKey{}, s)
}

// saboteur carries sabotage out.
type saboteur struct{}

func (saboteur) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	s, ok := ctx.Value(sabotageKey{}).(*sabotage)
	if !ok {
		return ctx
	}
	s.statements++
	if s.statements == s.at {
		_ = conn.PgConn().Conn().Close()
		return ctx
	}
	if data.SQL != "commit" || s.commit == commitFine {
		return ctx
	}
	if s.commit == commitUnheard {
		results, err := conn.PgConn().Exec(context.WithoutCancel(ctx), "commit").ReadAll()
		if err == nil && len(results) == 1 && results[0].CommandTag.String() == "COMMIT" {
			s.commits++
		}
	}
	s.commit = commitFine
	_ = conn.PgConn().Conn().Close()
	return ctx
}

func (saboteur) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if s, ok := ctx.Value(sabotageKey{}).(*sabotage); ok && data.Err == nil && data.CommandTag.String() == "COMMIT" {
		s.commits++
	}
}
