package rpcpool

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var _ chain.Balancer = (*Pool)(nil)

// Balances implements chain.Balancer: all balances of one question come from one endpoint that has the block.
func (p *Pool) Balances(
	ctx context.Context, block payment.BlockRef, contract payment.Address, addresses []payment.Address,
) ([]payment.Amount, error) {
	return ask(ctx, p, p.questionOf(heavy, block.Hash), func(ctx context.Context, m *member) ([]payment.Amount, error) {
		balancer, ok := m.Endpoint.(chain.Balancer)
		if !ok {
			return nil, fmt.Errorf("%w: balances", chain.ErrUnsupported)
		}
		return balancer.Balances(ctx, block, contract, addresses)
	})
}
