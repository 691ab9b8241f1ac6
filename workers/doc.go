// Package workers runs everything that is not asked for over HTTP: it serves Temporal's task queues, keeps a watcher on every
// chain, carries wake-ups from the outbox to workflows, and looks again for what was forgotten.
//
// # Roles
//
//	role       task queue       what runs there
//	orders     orders           all workflows, and activities that need the database only
//	callbacks  callbacks        deliveries to merchants' servers
//	chains     chain-<name>     one worker per configured chain: its watcher and its receipt checks
//	           –                outbox relay, watcher ensurer, sweep and pruning, in every process with this role
//
// Any number of processes may have any of the roles. What must happen once is decided in the database (leases, epochs,
// keys) or by Temporal (workflow ids), never by being the only one.
//
// # Starting and stopping
//
// Run waits for the namespace, its retention and the search attributes, making them where they are missing, and until a probe
// workflow that carries every attribute has started: before that an order's workflow would be refused. Then it serves until its
// context ends. Stopping lets activities finish within the shutdown timeout: the long ones (watching, delivering) are told
// and come back at once, so that another process goes on.
//
// # What leaves a worker
//
// Results, errors and heartbeats go into histories that more people can read than the database. An interceptor looks at
// each of them and keeps back what looks like a secret or an address of a server: see guard.go.
package workers
