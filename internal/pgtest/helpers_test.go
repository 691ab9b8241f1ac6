package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"
)

type rows struct {
	t    *testing.T
	pool *pgxpool.Pool
}

func (r rows) QueryRowText(sql string) string {
	r.t.Helper()
	var text string
	require.NoError(r.t, r.pool.QueryRow(r.t.Context(), sql).Scan(&text))
	return text
}
