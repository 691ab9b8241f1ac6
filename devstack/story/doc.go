// Package story plays Sluice to somebody who watches: a merchant who takes orders over the API and receives callbacks, and
// a payer with a wallet. It knows of Sluice only what a merchant knows, and of the chain only what a payer knows.
//
// Three orders: one that nobody pays and that therefore expires, one paid in a token, one paid in the native coin. The
// first is posted first and its end shown last, so that its minute passes while the others are played.
//
// The story is a check too: Play fails when an order does not end as it should, when a callback is missing, comes
// unsigned or tells another story than the API, when the merchant's balance has not grown by exactly what was paid, or
// when the books do not balance.
package story
