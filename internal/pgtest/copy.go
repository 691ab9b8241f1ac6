package pgtest

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"
)

// Copy clones the database as it is now, like a backup that is restored. Nobody else may be connected to it meanwhile: close
// what you opened. The idle connections of its own pools are closed here.
func (db *DB) Copy(t testing.TB) *DB {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), setupTimeout)
	defer cancel()
	s, err := shared.get(ctx)
	require.NoError(t, err)
	db.Owner.Reset()
	db.App.Reset()
	db.Chain.Reset()
	return s.create(ctx, t, db.Name)
}
