// Package api is the HTTP API: the one place where Sluice meets merchants' programs.
//
// openapi.yaml is the contract. Parameters, scopes and the shapes of bodies are checked against it, the server's
// skeleton is generated from it (api.gen.go), and the tests hold every answer against it.
//
// # What it guarantees
//
//   - A request that is refused has changed nothing, and a problem document says why: with a code for programs and the
//     parameter at fault. Codes become statuses in one table (problem.go). An error without a code is a plain 500; its
//     text goes to the log and never into an answer.
//   - One Idempotency-Key makes one order, whatever dies at whatever point. Before anything else is begun, the key and
//     an order without address are committed. What the first request leaves unfinished, the next one with the same key
//     finds and finishes. Only a 201 is remembered, byte for byte.
//   - What belongs to another merchant or the other mode does not exist: 404.
//   - No address is shown that the wallet does not give again: each is derived anew, from a key whose authentication
//     code is checked, and compared with the one in the database.
//   - Logs and metrics hold no text that a client chose, but for a request id of plain letters and digits: no headers,
//     no query strings, no bodies, no paths beyond the route's template.
//
// # Opening an order
//
//	step                              when it dies right after, the same request finds
//	commit key, body hash, order      the order without address: goes on with it, once the lock has run out (30 s)
//	start the workflow, update open   the workflow allocates by itself: the address is there, or the update attaches
//	read the order, check it          the same order
//	store the answer                  the answer
//
// The database decides: whatever Temporal answered or failed to answer, an order that has its address is answered with
// 201. While parts are away the answer is 503 with Retry-After, and the lock is given up so that the repetition attaches
// at once.
//
// # Failures
//
// Temporal, the workers or the database away: 503 unavailable. A chain that is not read far enough, paused or halted: 503
// chain_lagging, and nothing is created. No wallet to derive from: 503 addresses_exhausted. An
// address that does not derive again: 500 and a log line at level error; somebody changed the database.
package api
