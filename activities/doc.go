// Package activities holds the side effects of the workflows: database transactions, questions to chains, HTTP to
// merchants. One struct per set of dependencies: Orders (database and wallets), Chain (database and nodes), Callbacks
// (database and HTTP). Which of them runs on which queue is said in package workers.
//
// # What an activity may count on, and what it owes
//
// Any activity may run twice, at the same time, or die between two statements. What makes that harmless is a key in the
// database, named for each activity in package workflows (Policies); the store's methods return the same result when they
// are repeated. So an activity holds no state between attempts that money depends on.
//
// # Errors
//
//   - A refusal that no repetition would change is a non-retryable application error whose type is its payment.Code.
//   - Waiting is an error of type "waiting", category benign, with the delay after which the server tries again. It writes
//     no history, and its message is what support sees beside the pending activity.
//   - Everything else is retried. Its text goes to the worker's log; to Temporal go a code and a sentence of ours, because
//     the texts of foreign errors hold URLs with keys.
package activities
