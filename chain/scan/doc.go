// Package scan reads a chain block by block and hands what it found to a
// Recorder, so that every transfer to an address ever issued is recorded exactly
// once for each block it is in. It knows neither networks (chain.Source) nor SQL
// (Recorder).
//
// # Model
//
// The cursor is the last block fully recorded. It lives with the Recorder and is
// read again before each step; the scanner keeps nothing that a crash could lose.
// A step is one of:
//
//   - follow: find the next block by number, check that its parent is the cursor,
//     read it by hash, record it. Used for the newest Policy.NearHead blocks.
//   - catch up: read a range below those, check the link to the cursor, record it in
//     chunks. The range shrinks when the node refuses and grows again.
//   - roll back: the next block's parent is not the cursor. Walk from it down its
//     parents by hash until one is a recorded block, the common ancestor, and undo
//     what is above. The next step follows the new chain.
//   - rescan: read blocks again, by hash, that a person, a new token or a quarantine asked
//     for, record what was missed, leave the cursor.
//   - second look: every block is read twice, and once of that by its hash, because ranges
//     are answered from an index that may have holes. What was read in ranges is read by
//     hash at once, beside other work as well; what was read by hash is read in ranges when
//     it is final and there is nothing else to do. It raises an alarm if it finds anything.
//     It hears two operators one by one,
//     where there are two, and so does a rescan that was asked for: what both
//     contradict was made up. When the two differ, in what they show or in receipts, all
//     are heard, and of those who hold other blocks than the others the majority, two at
//     least. When they cannot be had, three times in a row, one will
//     do: what it adds is worth having, and nothing is given up on its word. Ranges give up
//     and add nothing: they agree with what is recorded, or the blocks are read by hash.
//   - compare balances: after that, and where internal transfers cannot be seen.
//   - wait: nothing to do until the poll interval has passed or the source wakes us.
//
// # Matching
//
// Which transfers concern us is asked twice. Known is asked after a block was
// fetched and decides whose receipts are read. Record asks again inside its
// transaction, for all candidates, because an address may have been issued in
// between; if one is found whose receipt was not read, the transaction does nothing
// and returns an UnresolvedError, and the step is repeated with that receipt.
//
// # Fencing
//
// Begin raises the chain's epoch. Every write carries the epoch of its Session and
// does nothing but return ErrFenced when a later one exists. So two scanners of one
// chain may run at once, by mistake or after a network partition, and only the
// later one writes.
//
// # Reorganisations
//
// A head below the cursor is a node that lags, not a reorganisation: the scanner
// waits. Nor does it act on another block at the cursor's own height: nodes disagree
// about the newest block all the time. It rolls back when the chain beside the
// cursor's is longer, and every parent down to the common ancestor was read by hash,
// so that the answers of different nodes cannot be mixed up.
//
// A reorganisation deeper than the horizon, or of a block that the chain had called
// final, should not exist. Recorder.Halt stops crediting on the chain first, until a
// person resumes it. Then it is undone like any other, down to the newest recorded
// block that the chain still has, and the new chain is followed: payments on it have
// to be seen, whatever happened to the old one.
//
// # Failures
//
// A block after the cursor that cannot be read, whatever that is called, is tried again, by
// its hash, until Policy.QuarantineFailures and QuarantineAfter are both reached while
// blocks beside it are answered for. Then it is quarantined: what can be read of it is
// recorded, the cursor moves over it, its coverage stays a hole across which no order
// expires, an error is logged, and a rescan keeps trying to read it. When the blocks beside
// it are not answered for either, it is an outage: nothing is given up, however long that
// lasts. A block that cannot be had by its number is named by its child.
//
// A failure of the source or of the recorder is reported with the next Progress and
// the step is tried again, later each time up to Policy.MaxBackoff. Run ends only
// with its context, with ErrFenced, or chain.ErrWrongChain. A crash at
// any point loses nothing and doubles nothing: a step is repeated from the cursor,
// and all of the Recorder's writes are idempotent transactions.
package scan
