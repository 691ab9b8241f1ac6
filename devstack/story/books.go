package story

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/sluicepay/sluice/payment"
)

// settleWithin is how long payments of an earlier, interrupted play may still move the balances at the end of this one.
const settleWithin = 5 * time.Second

// books shows the merchant's balances and checks them, and the books behind them.
func (p *play) books(ctx context.Context) error {
	p.out.Title("The ledger", "")
	balances, err := p.settled(ctx)
	if err != nil {
		return err
	}
	for _, b := range balances {
		p.out.Row(b.Asset+" on "+b.Chain, b.Available+" available", "the sum of what the orders received")
	}
	report, err := p.world.Sluice(ctx, "ledger", "check")
	if err != nil {
		return err
	}
	summary, _, _ := strings.Cut(strings.TrimSpace(string(report)), "\n")
	p.out.Good("ledger check", summary, "")
	return nil
}

// settled returns the balances once they are what all the merchant's orders received.
func (p *play) settled(ctx context.Context) ([]balance, error) {
	deadline := time.NewTimer(settleWithin)
	defer deadline.Stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		balances, err := p.api.balances(ctx)
		if err != nil {
			return nil, err
		}
		difference, err := p.difference(ctx, balances)
		if err != nil || difference == "" {
			return balances, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-deadline.C:
			return nil, fmt.Errorf("the merchant %s", difference)
		case <-ticker.C:
		}
	}
}

// difference says how the balances differ from what the orders received; empty when they do not.
func (p *play) difference(ctx context.Context, balances []balance) (string, error) {
	orders, err := p.api.orders(ctx)
	if err != nil {
		return "", err
	}
	for _, chain := range []Chain{p.world.First, p.world.Second} {
		for _, asset := range []string{chain.TokenCode, chain.Native} {
			difference, err := chain.difference(asset, orders, balances)
			if err != nil || difference != "" {
				return difference, err
			}
		}
	}
	return "", nil
}

// difference is the same for one asset of the chain.
func (c Chain) difference(asset string, orders []order, balances []balance) (string, error) {
	var (
		received, has payment.Amount
		err           error
	)
	for _, o := range orders {
		if o.Chain == c.Name && o.Asset == asset {
			if received, err = c.plus(received, o.Received, asset); err != nil {
				return "", err
			}
		}
	}
	for _, b := range balances {
		if b.Chain == c.Name && b.Asset == asset {
			if has, err = c.plus(has, b.Available, asset); err != nil {
				return "", err
			}
		}
	}
	if has == received {
		return "", nil
	}
	decimals := c.decimals(asset)
	return fmt.Sprintf("has %s %s on %s and its orders received %s",
		has.Decimal(decimals), asset, c.Name, received.Decimal(decimals)), nil
}

// plus adds a decimal of an asset to a sum in base units.
func (c Chain) plus(sum payment.Amount, decimal, asset string) (payment.Amount, error) {
	amount, err := payment.ParseDecimal(decimal, c.decimals(asset))
	if err != nil {
		return sum, fmt.Errorf("the API says %q %s: %w", decimal, asset, err)
	}
	return sum.Add(amount)
}
