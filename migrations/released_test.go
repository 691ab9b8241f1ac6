package migrations_test

import (
	"crypto/sha256"
	"encoding/hex"
	"io/fs"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/migrations"
)

// A database that has run a migration never runs it again: what is changed in its file is changed in new databases only, and the
// next migration fails in the old ones. released.sha256 (written by sha256sum) says which contents are out; a line is added with
// each migration, and never changed.
func TestReleasedMigrationsStayAsTheyAre(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("released.sha256")
	require.NoError(t, err)
	released := map[string]string{}
	for line := range strings.Lines(string(text)) {
		sum, name, ok := strings.Cut(strings.TrimSpace(line), "  ")
		require.True(t, ok, line)
		released[name] = sum
	}
	names, err := fs.Glob(migrations.FS, "*.sql")
	require.NoError(t, err)
	for _, name := range names {
		content, err := fs.ReadFile(migrations.FS, name)
		require.NoError(t, err)
		sum := sha256.Sum256(content)
		require.Equal(t, released[name], hex.EncodeToString(sum[:]), "%s: add a migration instead of changing this one", name)
		delete(released, name)
	}
	require.Empty(t, released, "migrations that are gone")
}
