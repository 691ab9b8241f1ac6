// Package chain holds the contracts between Sluice and the networks that
// payments happen on. It knows no network: chain/evm implements the contracts over
// JSON-RPC, chain/scan reads a chain to its end with them, chain/chaintest is the
// suite that every implementation passes.
//
// # What a source promises
//
// A node, and more so a load balancer in front of several, answers each question
// from whatever it knows at that moment: it lags, it goes back, it answers "nothing"
// for blocks that it has not seen, it changes its mind between two calls. A Source
// turns that into a promise about each single answer:
//
//   - A Block holds every transfer that its Filter asked for, or there is an error.
//     "Nothing" is only answered by a node that has the block.
//   - An answer belongs to the block hash it names. Numbers are used to find hashes,
//     never to tie transfers to a block.
//   - Nothing is promised between two calls. The next one may be answered by another
//     node, or after a reorganisation; the caller links blocks by parent hashes.
//
// # Candidates
//
// Reading the receipt of every transaction would cost more than everything else
// together, so a Block is first read without receipts. Its transfers are candidates:
// a token transfer does not know its position in its transaction's receipt yet, a
// native one does not know whether its transaction succeeded. The caller says which
// of them concern it, and Resolve completes those.
//
// # Failures
//
// Every failure of a source is one of the ReasonErrors of this package, found with
// errors.Is and named for logs and metrics by Reason. Their text never holds an
// address of a node: those carry keys.
package chain
