// Package torture plays random lives of chains, orders and machines on the real store, scanner, recorder and settlement, and
// compares what was written down with an independent model after every step.
//
// # A history
//
// A history is a merchant, one or two chains of its own and a few dozen steps, drawn by rapid. Chains mine transfers of
// every kind and reorganise, also deeper than they may; transactions come back elsewhere, changed, or never. Scanners are cut
// off at any point; statements fail; commits succeed and nobody learns of it. Nodes lag, refuse, forget, contradict
// themselves, and leave logs out of answers about ranges for ever; one of two operators lies. Wake-ups are lost, repeated and reordered. Orders are opened at once, expire, are
// cancelled and extended while money arrives. The database is restored from an older copy.
//
// The nodes are chaintest.Fakes behind the real JSON-RPC source, so that parsing and checking are part of what is tried. There is
// no Temporal server: activities are called as it would call them, also when they failed or when nobody knows.
//
// # What is checked
//
// Safety, after every step: payments, orders, labels, events and balances are those of package model. No credit before its
// confirmations, none from a block that left the chain, none twice. The books check out.
//
// Liveness, after calm: nothing fails any more and the chains go on. Then every transfer of an enabled asset to an address ever
// issued is credited, for its amount, in its last block; nothing else is; no wake-up, rescan or hole is left; orders are where
// the model says.
//
// # Running it
//
// The tests run a few histories, `make test-full` thousands, `make torture` as many as you like: N says how many, SEED which.
// A history that fails prints the line that plays it again, and rapid's shortest version of its steps.
package torture
