package pgcluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"strconv"
	"strings"
)

// MinMajor is the oldest PostgreSQL release that the schema works on (it uses NULLS NOT DISTINCT).
const MinMajor = 15

// Binaries is a folder that holds one release's initdb and postgres.
type Binaries struct {
	Dir   string
	Major int
}

// NotInstalledError says that no usable PostgreSQL server binaries were found.
type NotInstalledError struct {
	// Major is the only release that would do (an existing data folder needs its own), or 0 for any from MinMajor.
	Major int
	// TooOld lists what was found but cannot be used.
	TooOld []Binaries
}

func (e *NotInstalledError) Error() string {
	var b strings.Builder
	if e.Major != 0 {
		fmt.Fprintf(&b, "the data folder was made by PostgreSQL %d, whose server binaries were not found", e.Major)
	} else {
		fmt.Fprintf(&b, "PostgreSQL %d or newer (initdb, postgres) was not found", MinMajor)
	}
	for _, old := range e.TooOld {
		fmt.Fprintf(&b, "; %s holds %d", old.Dir, old.Major)
	}
	b.WriteString(". " + e.Hint())
	return b.String()
}

// Hint is one line that says what to install.
func (e *NotInstalledError) Hint() string {
	if len(e.TooOld) > 0 {
		return "Your system's package is too old; see https://www.postgresql.org/download/ for newer ones"
	}
	if runtime.GOOS == "darwin" {
		return "Install it with: brew install postgresql@17"
	}
	if e.Major != 0 {
		return fmt.Sprintf("Install it with: apt-get install postgresql-%d (Debian, Ubuntu), or your system's package", e.Major)
	}
	return "Install it with: apt-get install postgresql (Debian, Ubuntu), dnf install postgresql-server (Fedora), " +
		"or your system's package"
}

// usualFolders are where distributions put the server binaries, most of them outside PATH.
func usualFolders() []string {
	return []string{
		"/usr/lib/postgresql/*/bin",
		"/usr/pgsql-*/bin",
		"/usr/local/pgsql*/bin",
		"/usr/local/lib/postgresql/*/bin",
		"/usr/lib/postgresql*/bin",
		"/usr/local/opt/postgresql*/bin",
		"/opt/homebrew/opt/postgresql*/bin",
		"/home/linuxbrew/.linuxbrew/opt/postgresql*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin",
		"/usr/bin",
		"/usr/local/bin",
	}
}

// Find returns the newest usable binaries in PATH or the usual folders. Error: *NotInstalledError.
func Find(ctx context.Context) (Binaries, error) {
	return findIn(ctx, searchPath(), 0)
}

func searchPath() []string {
	return append(filepath.SplitList(os.Getenv("PATH")), usualFolders()...)
}

// findIn looks through folders (globs allowed) for the newest release, or for exactly `major` unless that is 0.
func findIn(ctx context.Context, folders []string, major int) (Binaries, error) {
	var found, old []Binaries
	seen := map[string]bool{}
	for _, pattern := range folders {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue // a PATH entry that happens to be a broken pattern
		}
		for _, dir := range dirs {
			if dir = filepath.Clean(dir); seen[dir] || !filepath.IsAbs(dir) {
				continue
			}
			seen[dir] = true
			m, err := majorOf(ctx, dir)
			switch {
			case err != nil:
			case m < MinMajor:
				old = append(old, Binaries{dir, m})
			case major == 0 || m == major:
				found = append(found, Binaries{dir, m})
			}
		}
	}
	if len(found) == 0 {
		return Binaries{}, &NotInstalledError{Major: major, TooOld: old}
	}
	// Stable: among folders with the same release, PATH wins.
	slices.SortStableFunc(found, func(a, b Binaries) int { return b.Major - a.Major })
	return found[0], nil
}

var versionPattern = regexp.MustCompile(`\(PostgreSQL\) (\d+)`)

var errNoServer = errors.New("no PostgreSQL server in this folder")

func majorOf(ctx context.Context, dir string) (int, error) {
	for _, name := range []string{"initdb", "postgres"} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.IsDir() || info.Mode()&0o111 == 0 {
			return 0, errNoServer
		}
	}
	out, err := exec.CommandContext(ctx, filepath.Join(dir, "postgres"), "--version").Output()
	if err != nil {
		return 0, fmt.Errorf("ask %s/postgres for its version: %w", dir, err)
	}
	match := versionPattern.FindSubmatch(out)
	if match == nil {
		return 0, errNoServer
	}
	return strconv.Atoi(string(match[1]))
}
