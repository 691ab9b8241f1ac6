// Package story plays Sluice to somebody who watches: a merchant who takes orders over the API and receives callbacks, and
// a payer with a wallet. It knows of Sluice only what a merchant knows, and of the chain only what a payer knows.
//
// Three orders: one that nobody pays and that therefore expires, one paid in a token, one paid in the native coin. The
// first is posted first and its end shown last, so that its minute passes while the others are played.
//
// The story is a check too: Play fails when an order does not end as it should, when a callback is missing, comes
// unsigned or tells another story than the API, when an order was credited anything but what it asked for, when the
// merchant's balances are not the sum of what all its orders received, or when the books do not balance.
package story
