// Package e2e holds the end-to-end tests: orders from the merchant's request to the merchant's inbox, on the real parts.
// Nothing is simulated but the merchant and the payer: the Temporal server, PostgreSQL, a go-ethereum node over HTTP,
// and the sluice binary's own processes.
//
// # Worlds
//
// A world is a running stack. Most tests share one, each with a merchant, a key, an endpoint and a receiver of its own, so
// they run side by side. Tests that kill or stop something have a world to themselves.
//
// Every world has the stack's two chains, "dev" and "dev2", which seal a block every second, so that their clocks are the
// wall's, unless a test that has the world to itself seals them. The shared one has "slow" as well, which seals a block when a test says
// so and is reached through a proxy that can fail; it belongs to one test.
//
// # What is asserted
//
// A test ends by comparing everything that an order leaves behind with what it should be: state, labels, events, postings,
// reviews, the attempts that were made, and the receiver's inbox, which counts every request on the wire. It compares when
// nothing is pending any more, so what it saw once is all there will be. Waiting is for signals where there are any, and
// for conditions everywhere else; nothing sleeps.
//
// # Secrets
//
// TestCanariesDoNotSing lets everything fail that can, with all secrets of its world known, and then looks for every piece of
// them, in every spelling, in all that was said and left behind. What it reads must also hold what is expected there, so
// that it cannot pass by looking at nothing.
//
// # Histories
//
// TestRecordHistories writes the histories that package workflows replays. It runs when SLUICE_RECORD_HISTORIES names a
// folder: see `make histories`.
package e2e
