package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

type tokenResume struct {
	Code  string `arg:"" help:"The token's code, such as USDC."`
	Chain string `required:"" help:"On which chain."`
	audited
}

// Run ends a token's halt and pins what its contract is now.
func (r tokenResume) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		asset, err := a.db.TokenContract(ctx, r.Chain, r.Code)
		if err != nil {
			return err
		}
		var meta chain.TokenMeta
		tokens := activities.Tokens{Store: a.db, Keys: a.keys, Log: slog.New(slog.DiscardHandler)}
		err = tokens.Do(ctx, r.Chain, func(node activities.TokenNode) error {
			meta, err = node.TokenMeta(ctx, asset.Contract)
			return err
		})
		if err != nil {
			return fmt.Errorf("no node could be asked about the contract: %w", err)
		}
		if err := a.db.ResumeToken(ctx, r.Chain, r.Code, activities.StateOf(meta), a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s on %s is credited again; code %s, implementation %s\n", r.Code, r.Chain, meta.CodeHash, meta.Implementation)
		if meta.Deprecated {
			fmt.Fprintln(c.out, "its contract says that it is deprecated: what is sent to it may be worth nothing")
		}
		return nil
	})
}

type tokenRecheck struct {
	Code  string  `arg:"" help:"The token's code, such as USDC."`
	Chain string  `required:"" help:"On which chain."`
	From  *string `help:"Look at the contract before a payment of so much or more is credited (decimal). Left out: only once a day."`
	audited
}

// Run sets from which amount on a token is looked at before crediting.
func (r tokenRecheck) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, r.audited, func(a admin) error {
		assets, err := a.db.ListAssets(ctx, r.Chain)
		if err != nil {
			return err
		}
		var from *payment.Amount
		for _, asset := range assets {
			if asset.Symbol != r.Code || r.From == nil {
				continue
			}
			amount, err := asset.Parse(*r.From)
			if err != nil {
				return fmt.Errorf("--from: %w", err)
			}
			from = &amount
		}
		if err := a.db.SetTokenRecheck(ctx, r.Chain, r.Code, from, a.by); err != nil {
			return err
		}
		if from == nil {
			fmt.Fprintln(c.out, r.Code, "on", r.Chain, "is looked at once a day")
		} else {
			fmt.Fprintln(c.out, r.Code, "on", r.Chain, "is also looked at before", *r.From, "or more is credited")
		}
		return nil
	})
}
