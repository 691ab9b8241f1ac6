// Package pgtest gives each test a migrated PostgreSQL database of its own.
//
// One cluster serves a test binary: the one that SLUICE_TEST_PG_URL names (a superuser's URL, set by `make test`), or
// a private throw-away cluster that starts with the first New and ends with Main. The migrations run once per cluster
// into a template database whose name holds their hash; New clones it, which takes about 0.2 s, and drops the clone
// when the test ends. Several test binaries may share a cluster.
//
//	func TestMain(m *testing.M) { pgtest.Main(m) }
//
//	func TestSomething(t *testing.T) {
//		t.Parallel()
//		db := pgtest.New(t)
//		_, err := db.App.Exec(t.Context(), "…") // as the application's role
//	}
//
// The cluster does not wait for the disk: it is fast, and useless after a crash of the machine.
package pgtest
