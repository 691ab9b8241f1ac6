package main

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// What does not fit any more shows nothing. Whether the tests find it is for `make mutants` to show.
func TestEveryMutantFits(t *testing.T) {
	t.Parallel()
	root, err := checkout()
	require.NoError(t, err)
	names := map[string]bool{}
	for _, m := range catalogue() {
		changed, err := m.apply(root)
		require.NoError(t, err, m.name)
		require.NotEmpty(t, changed, m.name)
		require.NotEmpty(t, m.tests, m.name)
		require.False(t, names[m.name], "two mutants are called %s", m.name)
		names[m.name] = true
	}
}
