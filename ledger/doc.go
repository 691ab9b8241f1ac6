// Package ledger holds the posting rules: which accounts move for which event. It is pure; package store writes what it
// decides.
//
// A Posting debits one account and credits another by the same amount of the same asset, so it balances by construction.
// There is no other kind of entry and no way to change one: what turns out wrong is undone by a further posting. Balances
// are credits less debits. Custody, what is held on chain, is therefore never positive, and what is owed to merchants
// normally is; all balances of an asset sum up to zero.
//
//	event            debit                credit
//	confirmed        custody of address   available, held or dust
//	released         held                 available
//	reversed         where it went        custody of address
//	reversed after   available            held                   (first takes the release back, so that the
//	a release                                                     reversal is the exact mirror of the credit)
//	found on chain   custody of address   suspense
//	explained        suspense             custody of address     (beside the credit of the payment that explains it)
//	settled by hand  suspense             available, dust, fees or loss; back when a payment explains it
//
// Detection posts nothing. A merchant's available balance goes negative when money that was available is reversed: the
// chain took it, and the books say so. Each posting has a deterministic key, unique in the database, so an effect
// that is repeated posts nothing the second time.
package ledger
