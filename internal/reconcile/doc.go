// Package reconcile compares what the books say with what the chain says: for each asset of a chain, and each address ever
// issued, custody and live money against the balance after one block at or below the cursor; and each payment up to there against the transaction
// that it was recorded from. So money that somebody wrote into the database is found: no node has it.
//
// The block is fixed first and the balances are read by its hash, so recording may go on meanwhile: what comes in later blocks
// does not count on either side. A reorganisation of the block makes the comparison fail, not lie.
package reconcile
