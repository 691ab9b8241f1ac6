package story

import (
	"context"
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// books shows the merchant's balances and checks what they have grown by, and the books behind them.
func (p *play) books(ctx context.Context, before []balance) error {
	p.out.Title("The ledger", "")
	balances, err := p.api.balances(ctx)
	if err != nil {
		return err
	}
	for asset, paid := range map[string]string{p.world.TokenCode: tokenAmount, p.world.Native: nativeAmount} {
		if err := p.grown(before, balances, asset, paid); err != nil {
			return err
		}
	}
	for _, b := range balances {
		p.out.Row(b.Asset, b.Available+" available", "")
	}
	report, err := p.world.Sluice(ctx, "ledger", "check")
	if err != nil {
		return err
	}
	summary, _, _ := strings.Cut(strings.TrimSpace(string(report)), "\n")
	p.out.Good("ledger check", summary, "")
	return nil
}

// grown checks that a balance has grown by exactly what was paid, a decimal.
func (p *play) grown(before, now []balance, asset, paid string) error {
	had, err := p.available(before, asset)
	if err != nil {
		return err
	}
	want, err := payment.ParseDecimal(paid, p.world.decimals(asset))
	if err != nil {
		return err
	}
	if want, err = had.Add(want); err != nil {
		return err
	}
	has, err := p.available(now, asset)
	if err != nil {
		return err
	}
	if has != want {
		decimals := p.world.decimals(asset)
		return fmt.Errorf("the merchant has %s %s and should have %s", has.Decimal(decimals), asset, want.Decimal(decimals))
	}
	return nil
}

// available is what a merchant may dispose of, zero when the asset is not listed.
func (p *play) available(balances []balance, asset string) (payment.Amount, error) {
	for _, b := range balances {
		if b.Chain == p.world.Chain && b.Asset == asset {
			return payment.ParseDecimal(b.Available, p.world.decimals(asset))
		}
	}
	return payment.Amount{}, nil
}
