package store

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/payment"
)

// Errors by which a Recorder refuses. It wrote nothing when it returns one.
var (
	// ErrFenced: a later session of this chain exists.
	ErrFenced = errors.New("store: a later session records this chain")
	// ErrParentMismatch: the blocks do not continue the cursor, or a block that is read again is not the recorded one.
	ErrParentMismatch = errors.New("store: blocks do not continue what is recorded")
	// ErrHorizon: the rollback is deeper than the chain's horizon.
	ErrHorizon = errors.New("store: rollback is deeper than the horizon")
	// ErrFinal: the rollback undoes a block that the chain had called final.
	ErrFinal = errors.New("store: rollback undoes what was final")
	// ErrHearsay: a second look in ranges shows something else than what is recorded. The blocks have to be read by hash.
	ErrHearsay = errors.New("store: ranges show something else than what is recorded")
	// ErrContradiction: the blocks of one batch contradict themselves. Whoever read them has to read again.
	ErrContradiction = errors.New("store: blocks contradict themselves")
)

// UnresolvedError is returned when a transfer to an address of ours was not completed from its receipt.
type UnresolvedError struct {
	Recipients []payment.Address
}

// Error counts the recipients; it does not name them.
func (e *UnresolvedError) Error() string {
	return fmt.Sprintf("store: %d recipients have transfers without receipt", len(e.Recipients))
}

// ScanSession is one runner's turn at a chain. Only the newest session of a chain can write.
type ScanSession struct {
	Chain     string
	Epoch     int64
	ChainID   uint64
	Genesis   payment.Hash // zero when it was never pinned
	Start     uint64       // the first block to record when nothing is recorded yet
	Horizon   uint64       // how many blocks a rollback may undo
	BlockTime time.Duration
	MaxRange  uint64 // the most blocks to ask for at once
}

// Watch is what a runner is asked to do.
type Watch struct {
	Cursor *payment.BlockRef // the last block recorded; nil before the first
	Native bool              // look for top-level transfers of the chain's own coin
	Tokens []payment.Address // look for transfers of these contracts
	// AnyToken and Traces: look for transfers of other contracts and for internal transfers too, where a node can.
	AnyToken, Traces bool
	Paused           bool         // read nothing, write nothing
	Halted           bool         // nothing is credited until a person resumes the chain
	Rescans          []OpenRescan // most urgent first
	SecondLook       *OpenRescan  // blocks that were read once only; nil when there are none
	Ranged           uint64       // blocks that were read in ranges only
}

// OpenRescan is a range to read again, as far as the cursor has come.
type OpenRescan struct {
	ID       int64
	From, To uint64 // both included
	Next     uint64 // the first block that is not read again yet
	// Second: it is a second look. It has no row, and what it finds had been missed.
	Second bool
	// InRanges: its blocks were read by hash before, so that ranges will do.
	InRanges bool
	// Urgent: an open order waits for it, or will.
	Urgent bool
	// Requested: it was asked for, by a person or because two blocks hold one transfer.
	Requested bool
}

// Receipt says whether a transfer was completed from its transaction's receipt.
type Receipt uint8

const (
	// ReceiptUnread says that position and success are not known. Such a transfer cannot be recorded.
	ReceiptUnread Receipt = iota
	// ReceiptRead says that the transaction succeeded and the position is known.
	ReceiptRead
)

// Sighting is a transfer that was seen in a block.
type Sighting struct {
	payment.Transfer
	Receipt Receipt
}

// SeenBlock is a block with everything that was looked for and seen in it.
type SeenBlock struct {
	payment.BlockRef
	Sightings []Sighting
	// AnyToken and Traced: transfers of any contract, and internal transfers, were looked for.
	AnyToken, Traced bool
	// Poisoned are the recipients of token transfers of nothing, one for each. They are counted and nothing else.
	Poisoned []payment.Address
}

// Batch is a run of blocks to record, and what was looked for in them.
type Batch struct {
	Blocks []SeenBlock // consecutive, ascending, linked by parent hashes
	Native bool
	Tokens []payment.Address
	// ByHash: each block was read by itself, by its hash. What a range does not show may be there all the same.
	ByHash bool
	// Views are the same blocks as each operator shows them, when operators were heard one by one. Blocks is what any of them
	// shows.
	Views []View
	// Alone: the chain has one operator only.
	Alone bool

	quorum  int        // how many views refute what was recorded; 0: none do
	hearsay bool       // nothing may follow from it: it was read a second time, in ranges
	now     time.Time  // of the recording transaction; see believe
	held    []heldTime // what was said of blocks' times and is not believed
}

// View is the blocks of a batch as one operator shows them.
type View struct {
	Operator string
	Blocks   []SeenBlock
}

func (b Batch) first() SeenBlock { return b.Blocks[0] }

func (b Batch) last() SeenBlock { return b.Blocks[len(b.Blocks)-1] }

// everyView is the blocks, and the blocks as each operator shows them.
func (b Batch) everyView() [][]SeenBlock {
	all := [][]SeenBlock{b.Blocks}
	for _, view := range b.Views {
		all = append(all, view.Blocks)
	}
	return all
}

// check returns ErrContradiction for a batch that is no chain of blocks.
func (b Batch) check() error {
	if len(b.Blocks) == 0 {
		return fmt.Errorf("%w: no blocks", ErrContradiction)
	}
	for i, block := range b.Blocks[1:] {
		before := b.Blocks[i]
		if block.Number != before.Number+1 || block.Parent != before.Hash {
			return fmt.Errorf("%w: block %d does not follow block %d", ErrContradiction, block.Number, before.Number)
		}
	}
	for _, view := range b.Views {
		if !slices.EqualFunc(view.Blocks, b.Blocks, func(x, y SeenBlock) bool { return x.Hash == y.Hash }) {
			return fmt.Errorf("%w: operators show different blocks", ErrContradiction)
		}
	}
	return nil
}

// Recorded says what recording a batch found.
type Recorded struct {
	Matched int // transfers to addresses of ours
	New     int // of those, inclusions that were not recorded before
	// Refuted counts the inclusions that ended because operators contradict them, Doubted those that are contradicted and were
	// credited already.
	Refuted, Doubted int
}
