package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestReadStatTakesAnyName(t *testing.T) {
	t.Parallel()
	name := filepath.Join(t.TempDir(), "stat")
	require.NoError(t, os.WriteFile(name, []byte("12 (a) R 99 (b) Z 34 12 12 0\n"), 0o600))
	e, ok := readStat(name)
	require.True(t, ok)
	require.Equal(t, entry{process: process{pid: 12, name: "a) R 99 (b"}, parent: 34, zombie: true}, e)
	_, ok = readStat(name + "-gone")
	require.False(t, ok)
}
