// Package migrations holds the database schema as numbered goose files.
//
// Each file runs in one transaction together with its version row, as the owner role. A migration must work while
// the previous release is still running: add first, move, and remove only when nothing reads the old shape any more.
package migrations

import (
	"embed"
	"io/fs"
	"strconv"
	"strings"
)

// FS holds the SQL files; `sluice migrate` and the test kit apply them with a goose Provider.
//
//go:embed *.sql
var FS embed.FS

// Latest is the version of the newest migration: what a database must have reached for this release.
func Latest() int64 {
	names, err := fs.Glob(FS, "*.sql")
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var latest int64
	for _, name := range names {
		number, _, _ := strings.Cut(name, "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err != nil {
			panic("migrations: " + name + " does not begin with a number")
		}
		latest = max(latest, version)
	}
	return latest
}
