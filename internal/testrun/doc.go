// Command testrun runs test commands and leaves nothing of them behind.
//
//	testrun [-with-parent] -- [-C folder] command… [-- [-C folder] command…]…
//
// It makes one temporary folder and sets TMPDIR to it, starts one throw-away PostgreSQL cluster for all commands (in
// SLUICE_TEST_PG_URL), installs PostgreSQL first where it is missing and that is allowed, and runs the commands one after
// another. All of them run, and the exit status is that of the first one that failed.
//
// When they have ended, when one hangs and somebody presses Ctrl-C, or on SIGTERM or SIGHUP, it ends every process that
// they started. On Linux that includes those that put themselves into a session of their own: testrun is the reaper of
// its descendants, so that an orphan becomes its child and is found. Then it stops PostgreSQL and removes the folder. A
// second Ctrl-C skips the patience. With -with-parent it also ends when the process that started it does, as the go
// command leaves what it runs alone when it is killed.
package main
