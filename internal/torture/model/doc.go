// Package model says what a correct payment engine would have written down, given what really happened.
//
// It is the independent half of the torture test. It knows the true blocks, as whoever made them up made them, and is
// told what was done: which blocks were recorded in one transaction and what was looked for in them, what was undone,
// which payment was confirmed, who asked for what. From that it predicts each payment's attribution, each order's state,
// labels and events in order, and the balances.
//
// It shares nothing with the product: no parser, no matcher, no table of states, no amounts. It imports the standard library only,
// and a test holds it to that. Where product and model disagree, one of them is wrong, and nothing that both rest on can
// hide it.
//
// A Model is not safe for concurrent use; Clone makes one to try what would have happened.
package model
