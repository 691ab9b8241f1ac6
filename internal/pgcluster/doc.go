// Package pgcluster runs a private PostgreSQL cluster as a child process, for the local stack and for tests.
//
// Guarantees:
//   - The server listens on 127.0.0.1 only, has no Unix socket, and asks for a random password that is stored with
//     mode 0600 beside the data.
//   - It runs as a normal user. A caller that is root drops privileges to `postgres` or `nobody`, because PostgreSQL
//     refuses to run as root. When that user cannot reach the state folder (say, below a home directory with mode
//     0700), the data moves to a folder that it can reach and the state folder keeps a symbolic link.
//   - It does not outlive its parent on Linux, and a Ctrl-C in the terminal does not reach it: the parent stops it.
//   - A state folder belongs to one process at a time. A server that a killed parent left behind, a stale
//     postmaster.pid and an interrupted initdb are cleared before the next start.
//   - Stop of a cluster that is not Persistent leaves no file behind.
//
// State folder: lock (held while in use), password, postgres.log, data (a folder, or a link to one).
//
// Failures: *NotInstalledError when there are no usable binaries, ErrInUse when another process holds the state
// folder, *StartError with the end of the server's log when it does not come up.
package pgcluster
