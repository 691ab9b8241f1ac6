package scan

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Errors by which a Recorder refuses. It wrote nothing when it returns one.
var (
	// ErrFenced: a later session of this chain exists. The scanner ends.
	ErrFenced = errors.New("fenced: a later session records this chain")
	// ErrParentMismatch: the blocks do not continue the cursor, or a rescanned block is
	// not the recorded one. The scanner reads the cursor again.
	ErrParentMismatch = errors.New("blocks do not continue what is recorded")
	// ErrHorizon: the reorganisation is deeper than the session's horizon. The scanner halts the chain and asks again.
	ErrHorizon = errors.New("reorganisation is deeper than the horizon")
	// ErrFinal: the reorganisation undoes a block that the chain had called final. The scanner halts the chain and asks
	// again.
	ErrFinal = errors.New("reorganisation undoes what was final")
	// ErrHearsay: a second look in ranges shows something else than what is recorded. Nothing is concluded from ranges but where to
	// look: the scanner reads the blocks by hash.
	ErrHearsay = errors.New("ranges show something else than what is recorded")
)

// UnresolvedError is returned by Record and RecordRescan when they find, inside
// their transaction, a recipient of ours whose candidate is chain.Unresolved. The
// scanner reads those receipts and records again.
type UnresolvedError struct {
	Recipients []payment.Address
}

// Error counts the recipients; it does not name them.
func (e *UnresolvedError) Error() string {
	return fmt.Sprintf("%d recipients have candidates without receipt", len(e.Recipients))
}

// Recorder keeps what the scanner found. Every method that writes is one
// transaction, checks the session's epoch in it, and may be repeated with the same
// arguments without a second effect: the scanner repeats it when it does not know
// whether it was committed. All errors but those above mean "try again".
type Recorder interface {
	// Begin starts a session by raising the chain's epoch: sessions before it are
	// fenced from now on.
	Begin(ctx context.Context, chain string) (Session, error)

	// Watch reads what to do next. It returns ErrFenced when the session is over.
	Watch(ctx context.Context, session Session) (Watch, error)

	// ObserveHead remembers how far the chain is, for lag. It never moves the cursor.
	// A head lower than the last one is a node that lags and may be ignored.
	ObserveHead(ctx context.Context, session Session, head payment.BlockRef) error

	// ObserveFinal remembers the newest block that the chain calls final, nil when it calls none so, and where the cursor
	// is now: both for the day on which the chain takes back what it never should. A block that contradicts what is
	// recorded is ignored.
	ObserveFinal(ctx context.Context, session Session, final *payment.BlockRef) error

	// Known returns those of the addresses that belong to us, as of a read that starts
	// after the call. It only saves reading receipts: Record decides.
	Known(ctx context.Context, session Session, addresses []payment.Address) ([]payment.Address, error)

	// Record records consecutive blocks, oldest first, in one transaction: check that
	// the first continues the cursor (or is Session.Start when there is none); look up
	// the recipients of all candidates, in a statement that starts inside the
	// transaction; for each Resolved candidate to one of ours, begin an inclusion of its
	// payment, move its order, write its events and wake-ups; remember the blocks; move
	// the cursor; extend the coverage by the blocks for everything in batch.Filter.
	// A Void candidate is nothing. It returns ErrFenced, ErrParentMismatch, or an
	// UnresolvedError.
	Record(ctx context.Context, session Session, batch Batch) (Recorded, error)

	// Quarantine gives up on a block that continues the cursor and cannot be read in full: in one transaction it remembers
	// the block and moves the cursor over it like Record, records what could be read of it, extends the coverage by no more
	// than that (batch.Filter, which is empty when nothing could be read), and opens a rescan of the block. RecordRescan of
	// the block ends the quarantine. reason is one of chain's names. It returns ErrFenced, ErrParentMismatch, or an
	// UnresolvedError.
	Quarantine(ctx context.Context, session Session, batch Batch, reason string) error

	// RecordRescan records blocks at or below the cursor again, in one transaction:
	// everything that Record does but moving the cursor, and moves the rescan's Next
	// behind the last block. A block that is still remembered must be the remembered
	// one, otherwise it returns ErrParentMismatch. What was recorded before stays as it
	// is, also when it is not there any more, unless it is refuted: operators that read
	// the recorded block, and in it what the transfer is found by, do not show that
	// transfer with that content. It takes two of batch.Views that do not show it, and
	// fewer that do; or the only view, when batch.Alone and the rescan was asked for. Refuted is also what as many show in another block. A refuted inclusion ends, and what is there instead begins a new one; one
	// that was credited is left alone and a person is told. Blocks that were not read by hash refute nothing, and a second look at
	// such adds nothing: when they show anything else than what is recorded it returns ErrHearsay.
	RecordRescan(ctx context.Context, session Session, rescan Rescan, batch Batch) (Recorded, error)

	// LookLater leaves the block at which a second look or a rescan stands, job.Next, to a rescan of its own, so that the blocks behind
	// it are not kept waiting. It leaves only some at once, and does nothing when there are more.
	LookLater(ctx context.Context, session Session, job Rescan) error

	// Ancestors returns remembered blocks at or below a height, newest first, at most
	// limit. It remembers all canonical blocks down to the horizon.
	Ancestors(ctx context.Context, session Session, below uint64, limit int) ([]payment.BlockRef, error)

	// Remembered returns some recorded blocks at or below a height, newest first, at most limit, however deep: those
	// within the horizon, those with payments, and others far apart. Their parents are not known.
	Remembered(ctx context.Context, session Session, below uint64, limit int) ([]payment.BlockRef, error)

	// Rollback undoes everything above a block, in one transaction: end the inclusions
	// there, move their orders back, write events and wake-ups, forget the blocks, trim
	// the coverage, set the cursor to that block. The block is remembered, or it is one
	// below Session.Start while that is remembered: then the cursor becomes empty,
	// whatever the block's hash. It returns ErrHorizon, and changes nothing, when
	// that is further below the cursor than the session's horizon, and ErrFinal when
	// it is below a block that was final; on a halted chain it returns neither, and any
	// block of Remembered will do. It does nothing when the cursor is at or below the
	// block already.
	Rollback(ctx context.Context, session Session, to payment.BlockRef) error

	// Halt stops crediting on the chain until a person resumes it. Recording goes on.
	// The reason is one of this package's or chain's names.
	Halt(ctx context.Context, session Session, reason string) error
}

// Session is one scanner's turn at a chain.
type Session struct {
	Chain    string // name
	Epoch    int64
	Identity chain.Identity // what the source has to be; a zero Genesis is not compared
	Start    uint64         // the first block to record when nothing is recorded yet
	// Horizon is how many blocks a rollback may undo.
	Horizon uint64
	// BlockTime is the usual time between two blocks: the poll interval goes by it.
	BlockTime time.Duration
	// MaxRange is the most blocks to ask for at once when catching up; 0 leaves it to
	// the Policy.
	MaxRange uint64
}

// Watch is what the scanner is asked to do, read afresh before each step.
type Watch struct {
	Cursor *payment.BlockRef // the last block recorded; nil before the first
	Filter chain.Filter      // native and the tokens that are enabled now
	Paused bool              // read nothing, write nothing
	// Rescans are open rescans, the most urgent first. One step is done between two
	// steps at the head, so a long rescan delays no new block by more than one chunk.
	Rescans []Rescan
	// SecondLook is the next run of blocks that was read only once; nil when there is none. Blocks that were read in ranges come
	// first, of those the ones in the lives of open orders. Blocks that were read by hash come when they are final.
	SecondLook *Rescan
	// Ranged counts the blocks that were read in ranges only.
	Ranged uint64
	Halted bool // nothing is credited until a person resumes the chain
}

// Rescan is a range to read again.
type Rescan struct {
	ID       int64
	From, To uint64 // both included
	Next     uint64 // the first block that is not read again yet; above To when done
	// Second: it is a second look, of which the recorder keeps account by the blocks and not by the ID. What it finds had
	// been missed.
	Second bool
	// InRanges: every block of the second look was read by its hash before, so that a range will do. Everything else is read again
	// by hash.
	InRanges bool
	// Urgent: an open order waits for it, or will.
	Urgent bool
	// Requested: it was asked for, by a person or because two blocks hold one transfer.
	Requested bool
}

// Batch is a run of blocks to record.
type Batch struct {
	Blocks []chain.Block // consecutive, ascending, linked
	Filter chain.Filter  // what was looked for in them
	// ByHash: each block was read by itself. What a range does not show may be there all the same.
	ByHash bool
	// Views are the same blocks as each operator shows them, one view for each, when operators were heard one by one. Blocks
	// is what any of them shows.
	Views []View
	// Alone: the chain has one operator only.
	Alone bool
}

// View is the blocks of a batch as one operator shows them.
type View struct {
	Operator string
	Blocks   []chain.Block
}

// Recorded says what a transaction found.
type Recorded struct {
	Matched int // candidates to addresses of ours
	New     int // of those, inclusions that had not been recorded before
	// Refuted counts the inclusions that ended because operators contradict them, Doubted those that are contradicted and were
	// credited already.
	Refuted, Doubted int
}
