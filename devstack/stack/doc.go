// Package stack runs all of Sluice on one machine's loopback address: PostgreSQL, Temporal with its UI, two chain nodes, the
// workers and the API. The command `devstack` and the end-to-end tests both start it from here.
//
// # Parts
//
// In the order they start: PostgreSQL (a child process, see internal/pgcluster), Temporal with its UI (inside this
// process), the development chains (inside this process), the migrations, the chains and their tokens, `sluice worker` and
// `sluice api` (child processes). Stop ends them in reverse.
//
// # State
//
// All state is one folder, which belongs to one running stack at a time:
//
//	lock           held while a stack runs
//	state.json     the ports used last, and what has been set up
//	running.json   addresses of the running stack; gone when it has stopped
//	secrets.json   master keys and the development wallet's words (0600)
//	env            the environment of the sluice commands, to be sourced by a shell (0600)
//	postgres, temporal, chain, chain2, logs
//
// Stopping and starting again goes on where it was, also after the process was killed. Ports are taken again when they
// are still free. A folder that was made when there was one chain gets the second when it is started again.
//
// # Failures
//
// A part that ends by itself is reported on Failed, with the end of its log; the owner then stops the stack. Nothing
// outlives the process that runs a stack: its children are tied to it by the kernel (see package proc).
package stack
