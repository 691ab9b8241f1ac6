package chain

import (
	"context"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// Capabilities are what one endpoint can do. They are found by trying: what providers say of themselves is often another
// plan's.
type Capabilities struct {
	// What watching needs. Beside it, every endpoint tells of its head and of blocks by their number: without that it is
	// not asked for anything.
	Blocks    bool // it sends blocks with their transactions, by hash
	Logs      bool // it sends the logs of a block, by its hash
	RangeLogs bool // it sends the logs of a range of blocks
	Receipts  bool // it sends receipts

	// What is used where there is such a thing.
	Safe, Finalized bool // it knows these tags
	Traces          bool // it traces a whole block
	BlockReceipts   bool // it sends all receipts of a block at once
}

// Need is something that watching needs of some endpoint of a chain, in words.
type Need string

// The needs.
const (
	NeedBlocks    Need = "blocks with their transactions"
	NeedLogs      Need = "the logs of a block"
	NeedRangeLogs Need = "the logs of a range of blocks"
	NeedReceipts  Need = "receipts"
)

// Needs lists all of them.
func Needs() []Need { return []Need{NeedBlocks, NeedLogs, NeedRangeLogs, NeedReceipts} }

// Meets tells whether an endpoint can do what is needed.
func (c Capabilities) Meets(need Need) bool {
	switch need {
	case NeedBlocks:
		return c.Blocks
	case NeedLogs:
		return c.Logs
	case NeedRangeLogs:
		return c.RangeLogs
	case NeedReceipts:
		return c.Receipts
	default:
		return false
	}
}

// Lacks says in words what watching needs and the endpoint cannot do, "" when there is nothing.
func (c Capabilities) Lacks() string {
	var lacks []string
	for _, need := range Needs() {
		if !c.Meets(need) {
			lacks = append(lacks, string(need))
		}
	}
	return strings.Join(lacks, ", ")
}

// Prober is a Source that can find out what its endpoint can do.
type Prober interface {
	// Probe asks for a little of everything. A refusal is an answer; the error says that the endpoint did not answer at
	// all, and then nothing was learnt.
	Probe(ctx context.Context) (Capabilities, error)
}

// Witness is one operator's own endpoints as a source: nobody else answers for it.
type Witness struct {
	Operator string
	Source
}

// Witnesser is a Source whose operators can be heard one by one.
type Witnesser interface {
	// Witnesses returns a source for each operator of the chain, those first that are likeliest to answer, and of those
	// the one last that most answers come from.
	Witnesses() []Witness
}

// Timekeeper is a Source of several operators that can ask more than one of them for a block's time.
type Timekeeper interface {
	// AgreeOnTime returns the block with the time that a header proves or two operators tell, as far as that can be had in a
	// moment, and what it rests on. A block whose time is established already is returned as it is.
	AgreeOnTime(ctx context.Context, block payment.BlockRef) payment.BlockRef
}
