package chain

import (
	"context"

	"github.com/sluicepay/sluice/payment"
)

// Balancer is a Source that can tell what addresses hold.
type Balancer interface {
	// Balances reads what each address holds after a block, in the order asked for: of the token at contract, or of the
	// chain's own coin when contract is the zero Address. It returns ErrBlockUnknown when the node does not have the block
	// or it is not canonical, ErrUnavailable when the node has forgotten the state after it, and ErrNoToken when the
	// contract does not answer like a token.
	Balances(ctx context.Context, block payment.BlockRef, contract payment.Address, addresses []payment.Address) ([]payment.Amount, error)
}
