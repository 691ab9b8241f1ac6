package pgcluster

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// fakeBinaries makes a folder that looks like a release's.
func fakeBinaries(t *testing.T, major int) string {
	t.Helper()
	dir := t.TempDir()
	script := fmt.Sprintf("#!/bin/sh\necho 'postgres (PostgreSQL) %d.4 (Test)'\n", major)
	for _, name := range []string{"initdb", "postgres"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755))
	}
	return dir
}

func TestFindTakesTheNewest(t *testing.T) {
	t.Parallel()
	old, newest, middle := fakeBinaries(t, 14), fakeBinaries(t, 18), fakeBinaries(t, 16)
	got, err := findIn(t.Context(), []string{"/nonexistent/*/bin", old, newest, middle}, 0)
	require.NoError(t, err)
	require.Equal(t, Binaries{Dir: newest, Major: 18}, got)

	got, err = findIn(t.Context(), []string{old, newest, middle}, 16)
	require.NoError(t, err)
	require.Equal(t, Binaries{Dir: middle, Major: 16}, got)
}

func TestFindSaysWhatToInstall(t *testing.T) {
	t.Parallel()
	_, err := findIn(t.Context(), []string{t.TempDir()}, 0)
	var missing *NotInstalledError
	require.ErrorAs(t, err, &missing)
	require.Contains(t, err.Error(), "PostgreSQL 15 or newer")
	require.Contains(t, err.Error(), "Install it with:")
	require.NotContains(t, err.Error(), "\n")

	old := fakeBinaries(t, 13)
	_, err = findIn(t.Context(), []string{old}, 0)
	require.ErrorAs(t, err, &missing)
	require.Equal(t, []Binaries{{Dir: old, Major: 13}}, missing.TooOld)
	require.Contains(t, err.Error(), "too old")

	_, err = findIn(t.Context(), []string{fakeBinaries(t, 17)}, 99)
	require.ErrorAs(t, err, &missing)
	require.Contains(t, err.Error(), "made by PostgreSQL 99")
}

func TestFindIgnoresFoldersWithoutAServer(t *testing.T) {
	t.Parallel()
	clientOnly := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(clientOnly, "initdb"), []byte("#!/bin/sh\n"), 0o755))
	_, err := findIn(t.Context(), []string{clientOnly, ".", "[broken"}, 0)
	require.Error(t, err)
}

// The fake apt-get notes whether Debian's own cluster was switched off while it ran, and installs fake binaries.
func TestEnsureInstalledInstallsWhatIsMissing(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installs as root only; with sudo the command is the same behind a prefix")
	}
	source, target, tools, conf := fakeBinaries(t, 17), t.TempDir(), t.TempDir(), filepath.Join(t.TempDir(), "conf.d")
	notes := filepath.Join(t.TempDir(), "notes")
	apt := fmt.Sprintf("#!/bin/sh\necho \"$@\" >> %[1]s\n[ \"$1\" = install ] || exit 100\ncat %[2]s/*.conf >> %[1]s\ncp %[3]s/* %[4]s/\n",
		notes, conf, source, target)
	require.NoError(t, os.WriteFile(filepath.Join(tools, "apt-get"), []byte(apt), 0o755))
	t.Setenv("PATH", tools+":/usr/bin:/bin")

	var lines []string
	bin, err := ensureInstalled(t.Context(), []string{target}, conf, func(line string) { lines = append(lines, line) })
	require.NoError(t, err)
	require.Equal(t, Binaries{Dir: target, Major: 17}, bin)
	require.Len(t, lines, 1)
	said, err := os.ReadFile(notes)
	require.NoError(t, err)
	require.Equal(t, "update -q\ninstall -y -q --no-install-recommends postgresql\ncreate_main_cluster = false\n", string(said))
	require.NoDirExists(t, conf)

	_, err = ensureInstalled(t.Context(), []string{target}, conf, func(string) { t.Error("nothing is missing any more") })
	require.NoError(t, err)
}

func TestEnsureInstalledSaysWhyItCouldNot(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Skip("installs as root only")
	}
	tools := t.TempDir()
	script := []byte("#!/bin/sh\necho E: Unable to locate package\nexit 100\n")
	require.NoError(t, os.WriteFile(filepath.Join(tools, "apt-get"), script, 0o755))
	t.Setenv("PATH", tools+":/usr/bin:/bin")
	_, err := ensureInstalled(t.Context(), []string{t.TempDir()}, filepath.Join(t.TempDir(), "conf.d"), nil)
	var missing *NotInstalledError
	require.ErrorAs(t, err, &missing)
	require.ErrorContains(t, err, "Unable to locate package")

	t.Setenv("PATH", t.TempDir()) // no apt-get at all
	_, err = ensureInstalled(t.Context(), []string{t.TempDir()}, t.TempDir(), nil)
	require.ErrorAs(t, err, &missing)
}
