// Package store is all of Sluice's SQL: it turns what callers want into transactions on PostgreSQL, which holds the truth
// about money.
//
// # What it guarantees
//
//   - A change of an order or a payment is one transaction at READ COMMITTED. It locks what it changes, re-checks
//     everything it relies on under that lock, asks package payment whether the move is legal, and writes state, labels,
//     events, postings, wake-ups and audit together, or nothing.
//   - Every effect has a deterministic name with a unique index on it: the inclusion's key for money, the trigger's for
//     events, the request's id for what people ask for. A repeated call finds the effect done and returns what it
//     returned the first time, so callers may retry without knowing whether the last attempt was committed.
//   - Rows of money and history (postings, inclusions, events, audit) are added, never edited. The application's
//     database role could not edit them if this package tried.
//
// # Locks
//
// Everywhere in this order: the chain's cursor row (recording only), then customers' addresses by id (recording a payment to
// one, and giving one to an order), then orders by id, then payments by id, then the rest. Crediting and rolling back need no
// customer's address: what a payment is allocated to was decided when it was recorded. What is first inserted by several (accounts, addresses, reviews) uses INSERT … ON CONFLICT DO NOTHING and reads the
// winner in a second statement, because the first one's snapshot cannot see it. Deadlocks and serialization failures are retried
// inside, a few times.
//
// # Errors
//
// Refusals are *payment.Error with the code that the method names. A database that is away, overloaded or too slow is
// CodeUnavailable. Anything else is a defect and has no code.
package store
