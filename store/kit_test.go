package store_test

import (
	"context"

	"github.com/jackc/pgx/v5/pgconn"
)

// execer runs SQL that the store does not.
type execer interface {
	Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error)
}
