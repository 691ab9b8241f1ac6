package activities

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var _ chain.Balancer = (*pool)(nil)

// Balances implements chain.Balancer.
func (p *pool) Balances(
	ctx context.Context, block payment.BlockRef, contract payment.Address, addresses []payment.Address,
) ([]payment.Amount, error) {
	return ask(ctx, p, func(n *member) ([]payment.Amount, error) {
		balancer, ok := n.node.(chain.Balancer)
		if !ok {
			return nil, fmt.Errorf("%w: balances", chain.ErrUnsupported)
		}
		return balancer.Balances(ctx, block, contract, addresses)
	})
}
