package chain

import (
	"context"

	"github.com/sluicepay/sluice/payment"
)

// FoundTransfer is a Transfer log with its block. Its Position is not known: no receipt was read.
type FoundTransfer struct {
	BlockNumber uint64
	BlockHash   payment.Hash
	payment.Transfer
}

// TokenSweeper finds the Transfers of every contract by recipient, which costs a node little where all Transfers of a range
// would be too many. A source may implement it.
type TokenSweeper interface {
	// TransfersTo returns the Transfer logs to any of the recipients, of whatever contract, in the canonical blocks
	// from..to. Those that move nothing are left out. Only for blocks that are final: nothing ties the
	// logs to a chain of hashes. Errors are those of Source.Range.
	TransfersTo(ctx context.Context, from, to uint64, recipients []payment.Address) ([]FoundTransfer, error)
}
