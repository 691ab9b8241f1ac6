// Package chaintest is what implementations of chain's contracts are tested with.
//
// RunSource is the conformance suite: it drives a Bench, a chain under a test's
// control, and asks the Bench's Source about it. There are two benches:
//
//   - NewGeth runs a real go-ethereum node (package gethnode) and is the judge of
//     how nodes behave;
//   - NewFake runs a Fake, a JSON-RPC server over blocks that a test makes up. It can
//     do what a real node does only in a bad hour: lag, answer with nothing, refuse
//     ranges, mix up ids, send blocks with transactions that nobody has heard of.
//     Running it through the suite too keeps it honest.
//
// Packages that need a chain in their tests take a Bench or a Fake from here.
package chaintest
