package pgtest_test

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

func TestNewGivesEachTestItsOwnDatabase(t *testing.T) {
	t.Parallel()
	one, two := pgtest.New(t), pgtest.New(t)
	require.NotEqual(t, one.Name, two.Name)
	_, err := one.Owner.Exec(t.Context(), `CREATE TABLE only_here (id int)`)
	require.NoError(t, err)
	var found bool
	const look = `SELECT EXISTS (SELECT FROM pg_tables WHERE tablename = 'only_here')`
	require.NoError(t, one.Owner.QueryRow(t.Context(), look).Scan(&found))
	require.True(t, found)
	require.NoError(t, two.Owner.QueryRow(t.Context(), look).Scan(&found))
	require.False(t, found)
}

func TestRolesAreNoSuperusers(t *testing.T) {
	t.Parallel()
	db := pgtest.New(t)
	for user, pool := range map[string]*pgxpool.Pool{"sluice_owner": db.Owner, "sluice_app": db.App} {
		require.Equal(t, user, text(t, pool, `SELECT current_user::text`))
		require.Equal(t, "off", text(t, pool, `SELECT current_setting('is_superuser')`))
	}
	_, err := db.App.Exec(t.Context(), `CREATE TABLE forbidden (id int)`)
	require.ErrorContains(t, err, "permission denied")
}

func TestManyClonesAtOnce(t *testing.T) {
	t.Parallel()
	for range 6 {
		t.Run("clone", func(t *testing.T) {
			t.Parallel()
			_, err := pgtest.New(t).App.Exec(t.Context(), `SELECT 1`)
			require.NoError(t, err)
		})
	}
}

func TestNewEmptyHoldsNothing(t *testing.T) {
	t.Parallel()
	db := pgtest.NewEmpty(t)
	var tables int
	err := db.Owner.QueryRow(t.Context(), `SELECT count(*) FROM pg_tables WHERE schemaname = 'public'`).Scan(&tables)
	require.NoError(t, err)
	require.Zero(t, tables)
}

func text(t *testing.T, pool *pgxpool.Pool, sql string) string {
	t.Helper()
	var text string
	require.NoError(t, pool.QueryRow(t.Context(), sql).Scan(&text))
	return text
}
