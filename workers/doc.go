// Package workers runs the process: it makes Temporal ready, serves the task queues, keeps a watcher running for every
// enabled chain, and relays wake-ups from the outbox to workflows.
//
// A process serves roles (SLUICE_WORKER_ROLES):
//
//   - orders: workflows, and the activities that need only the database (queue "orders").
//   - callbacks: HTTP to merchants (queue "callbacks"), on workers of its own, so that slow receivers take no one's turn.
//   - chains: for each enabled chain its watcher and receipt checks (queue "chain-<name>"), the relay, and the upkeep.
//
// Any number of processes may serve the same role. What must be done by one at a time is fenced in the database: outbox rows
// by a lease, watchers by the cursor's epoch.
//
// # Failures
//
// Temporal or the database away: everything here retries, and /readyz says so. A signal whose delivery is uncertain is sent
// again under the same request id. A wake-up that finds no running workflow starts what should be running (see Relay).
package workers
