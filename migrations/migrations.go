// Package migrations holds the database schema as numbered goose files.
//
// Each file runs in one transaction together with its version row, as the owner role. A migration must work while
// the previous release is still running: add first, move, and remove only when nothing reads the old shape any more.
package migrations

import "embed"

// FS holds the SQL files; `sluice migrate` and the test kit apply them with a goose Provider.
//
//go:embed *.sql
var FS embed.FS
