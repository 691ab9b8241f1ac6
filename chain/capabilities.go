package chain

import (
	"context"

	"github.com/sluicepay/sluice/payment"
)

// Capabilities are what one endpoint can do beyond what every node can. They are found by trying: what providers say of
// themselves is often another plan's.
type Capabilities struct {
	Safe, Finalized bool // it knows these tags
	Traces          bool // it traces a whole block
	BlockReceipts   bool // it sends all receipts of a block at once
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
