package main

import (
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
)

// TestProgramsDoNotStartWithOtherRights: each says what to run, and running it mends it.
func TestProgramsDoNotStartWithOtherRights(t *testing.T) {
	b := setup(t)
	b.exec(`GRANT TEMPORARY ON DATABASE ` + pgx.Identifier{b.pg.Name}.Sanitize() + ` TO PUBLIC`)
	for _, command := range [][]string{{"api"}, {"worker"}, {"chain", "list"}, {"ledger", "check"}} {
		r := b.run("", command...)
		require.Equal(t, 1, r.code, command)
		require.Contains(t, r.err, "run sluice migrate", command)
	}
	r := b.run("", "migrate")
	require.Zero(t, r.code, r.err)
	require.Zero(t, b.run("", "chain", "list").code)

	t.Setenv("SLUICE_CHAIN_DATABASE_URL", b.pg.AppURL)
	r = b.run("", "worker")
	require.Equal(t, 1, r.code)
	require.Contains(t, r.err, "SLUICE_CHAIN_DATABASE_URL: store: sluice_app may not record payments")
	t.Setenv("SLUICE_DATABASE_URL", b.pg.ChainURL)
	require.Contains(t, b.run("", "api").err, "log in as sluice_app")
}
