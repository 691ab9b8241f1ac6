package store_test

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/migrations"
	"github.com/sluicepay/sluice/store"
)

func rights(t *testing.T, url string, role store.Role) error {
	t.Helper()
	db, err := store.Open(t.Context(), url, store.Options{Role: role})
	require.NoError(t, err)
	defer db.Close()
	return db.CheckRights(t.Context())
}

// TestProgramsRefuseOtherRights: those of the other role, of the owner, and of a database that nobody restricted. A dump and a template carry no rights
// on a database, so it is looked at where it is used.
func TestProgramsRefuseOtherRights(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t)
	require.NoError(t, rights(t, pg.AppURL, store.RoleApp))
	require.NoError(t, rights(t, pg.ChainURL, store.RoleChain))
	var refused *store.RightsError
	for _, c := range []struct {
		url  string
		role store.Role
		says string
	}{
		{pg.OwnerURL, store.RoleApp, "log in as sluice_app"},
		{pg.OwnerURL, store.RoleChain, "log in as sluice_chain"},
		{pg.ChainURL, store.RoleApp, "log in as sluice_app"},
		{pg.AppURL, store.RoleChain, "log in as sluice_chain"},
		{pgtest.NewEmpty(t).AppURL, store.RoleApp, "run sluice migrate"},
	} {
		err := rights(t, c.url, c.role)
		require.ErrorAs(t, err, &refused)
		require.ErrorContains(t, err, c.says)
	}
	for _, loose := range []string{"TEMPORARY ON DATABASE " + pgx.Identifier{pg.Name}.Sanitize(), "CREATE ON SCHEMA public"} {
		_, err := pg.Owner.Exec(t.Context(), `GRANT `+loose+` TO PUBLIC`)
		require.NoError(t, err)
		for url, role := range map[string]store.Role{pg.AppURL: store.RoleApp, pg.ChainURL: store.RoleChain} {
			err := rights(t, url, role)
			require.ErrorAs(t, err, &refused)
			require.ErrorContains(t, err, migrations.Restrict(pg.Name), "it says what to run")
		}
		_, err = pg.Owner.Exec(t.Context(), `REVOKE CREATE ON SCHEMA public FROM PUBLIC; `+migrations.Restrict(pg.Name))
		require.NoError(t, err)
		require.NoError(t, rights(t, pg.AppURL, store.RoleApp))
	}
}

// TestASessionLooksIntoTheSchemaFirst: whatever its role was told to look into, which a role may tell itself.
func TestASessionLooksIntoTheSchemaFirst(t *testing.T) {
	t.Parallel()
	pg := pgtest.New(t)
	_, err := pg.App.Exec(t.Context(), `ALTER ROLE sluice_app IN DATABASE `+pgx.Identifier{pg.Name}.Sanitize()+` SET search_path = 'pg_temp'`)
	require.NoError(t, err)
	db, err := store.Open(t.Context(), pg.AppURL, store.Options{Role: store.RoleApp})
	require.NoError(t, err)
	defer db.Close()
	_, err = db.SchemaVersion(t.Context())
	require.NoError(t, err)
}
