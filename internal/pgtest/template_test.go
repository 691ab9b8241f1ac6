package pgtest

import (
	"fmt"
	"sync"
	"testing"
	"testing/fstest"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/pgcluster"
)

// another is what a second test binary on the same cluster would hold.
func another(t *testing.T) *server {
	t.Helper()
	s, err := shared.get(t.Context())
	require.NoError(t, err)
	other, err := newServer(t.Context(), s.roleURL(pgcluster.Superuser, "postgres"))
	require.NoError(t, err)
	t.Cleanup(other.admin.Close)
	return other
}

func migration(marker string) fstest.MapFS {
	sql := "-- +goose Up\nCREATE TABLE " + marker + " (id int);\n"
	return fstest.MapFS{"00001_first.sql": {Data: []byte(sql)}}
}

func (s *server) tables(t *testing.T, database string) []string {
	t.Helper()
	conn, err := pgx.Connect(t.Context(), s.roleURL(pgcluster.OwnerRole, database))
	require.NoError(t, err)
	defer func() { _ = conn.Close(t.Context()) }()
	rows, err := conn.Query(t.Context(), `SELECT tablename::text FROM pg_tables WHERE schemaname = 'public' ORDER BY 1`)
	require.NoError(t, err)
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(t, err)
	return names
}

func TestBinariesThatShareAClusterBuildOneTemplate(t *testing.T) {
	t.Parallel()
	files := migration("built_once") // without the lock the builds would drop each other's work
	names, errs := make([]string, 4), make([]error, 4)
	var wg sync.WaitGroup
	for i := range names {
		s := another(t)
		wg.Go(func() { names[i], errs[i] = s.ensureTemplate(t.Context(), files) })
	}
	wg.Wait()
	for i := range names {
		require.NoError(t, errs[i])
		require.Equal(t, names[0], names[i])
	}
	s := another(t)
	db := s.create(t.Context(), t, names[0])
	require.Equal(t, []string{"built_once", "goose_db_version"}, s.tables(t, db.Name))
}

func TestAnUnfinishedTemplateIsBuiltAgain(t *testing.T) {
	t.Parallel()
	s, files := another(t), migration("finished")
	hash, err := hashOf(files)
	require.NoError(t, err)
	_, err = s.admin.Exec(t.Context(), fmt.Sprintf(`CREATE DATABASE sluice_template_%s OWNER sluice_owner`, hash))
	require.NoError(t, err)
	name, err := s.ensureTemplate(t.Context(), files)
	require.NoError(t, err)
	db := s.create(t.Context(), t, name)
	require.Contains(t, s.tables(t, db.Name), "finished")
}

func TestOtherMigrationsGetAnotherTemplate(t *testing.T) {
	t.Parallel()
	one, err := hashOf(migration("one"))
	require.NoError(t, err)
	two, err := hashOf(migration("two"))
	require.NoError(t, err)
	require.NotEqual(t, one, two)
}

func TestNoMigrationsAreNoError(t *testing.T) {
	t.Parallel()
	_, err := another(t).ensureTemplate(t.Context(), fstest.MapFS{})
	require.NoError(t, err)
}
