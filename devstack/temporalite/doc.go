// Package temporalite runs a whole Temporal service, with its web UI, inside one Go process.
//
// It is for the local stack and for end-to-end tests; production runs Temporal's own images. What it promises:
//
//   - Everything listens on the loopback address.
//   - All state is one SQLite file. Workflows, timers and the namespace survive Stop and Start, and also the death of
//     the process: the file is in write-ahead mode with synchronous=NORMAL, which loses nothing that was answered
//     unless the machine itself goes down.
//   - When Start returns, the namespace exists with the wished retention and search attributes, and a client may start
//     workflows in it.
//   - The server's own messages go to a file, never to the terminal.
//
// SQLite gets one history shard and one connection: with more of either the server answers "shard status unknown" to
// some signals. The number of shards is written into the file when it is created and cannot change.
package temporalite
