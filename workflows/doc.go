// Package workflows holds the deterministic code that Temporal runs: one workflow per order, per watched chain, per
// review of a payment, and per order whose callbacks outlived it.
//
// # Model
//
// A workflow decides nothing about money. Every decision is a transaction in PostgreSQL, reached through an activity; the
// workflow knows what to ask next, waits, and shows people where it stands. Between two wake-ups the whole state of an
// order's run is the last [process.OrderView] that a transaction returned. So a run can be started again at any time,
// under any history, and finds its place: its first step asks for the order's address and gets the one it has.
//
// [OrderWorkflow] is a reconcile loop. Each turn compares the view with what is under way (payments being settled,
// endpoints being called, a timer) and starts what is missing; then it waits until a signal, a result, a timer or an
// update changed something.
//
// # Guarantees
//
//   - Signals are hints. A run that is woken reads the order; what the signal said is not even decoded.
//   - Views never go backwards. An operation whose view may be older than the one held makes the run read again.
//   - One settling activity per payment and one delivering activity per endpoint at a time.
//   - A run returns only when nothing is under way, no update is unanswered and no signal is unread.
//   - Nothing fails an order's run but an order that does not exist. What cannot go on is blocked: the search attribute
//     BlockedStep names the step, the current details give the reason and the legal moves, the update resolve moves it. A
//     blocked run still takes payments.
//   - Cancelling a run from outside does nothing; the update cancel asks the order's rules.
//
// # What recovers what
//
//	what is lost                    what brings it back
//	the worker, at any step         replay; transactions repeat without a second effect
//	the update open                 the run allocates by itself; the next open attaches to it
//	a signal                        the sweep sends another
//	the whole run (terminated)      the relay, when the next signal finds none; the sweep of orders that stand still
//	a local activity, repeatedly    the same activity as a regular one, retried for ever
//
// Timeouts, retries and idempotency keys of all activities are one table, in options.go.
package workflows
