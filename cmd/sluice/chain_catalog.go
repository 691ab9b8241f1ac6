package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"text/tabwriter"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// applyCatalog adds the catalogue's tokens that the chain does not have yet, after asking their contracts, and the tiers of what was enabled
// by this command, now or before, and did not get them yet. What cannot be had is left out; the error tells what, and the chain is
// enabled all the same.
func (e chainEnable) applyCatalog(ctx context.Context, c console, a admin, plan chainPlan) error {
	if plan.network == nil {
		return nil
	}
	var without []string
	if !e.NoTokens {
		left, err := e.enableTokens(ctx, c, a, plan)
		if err != nil {
			return err
		}
		without = append(without, left...)
	}
	assets, err := a.db.ListAssets(ctx, e.Name)
	if err != nil {
		return err
	}
	for _, asset := range assets {
		if !asset.TiersPending {
			continue
		}
		missing, err := completeTiers(ctx, c, a, plan, asset)
		if err != nil {
			return err
		}
		if missing != nil {
			without = append(without, "tiers for large amounts of "+asset.Symbol)
			fmt.Fprintf(c.err, "large amounts of %s on %s wait no longer than others yet: %v\n", asset.Symbol, e.Name, missing)
		}
	}
	if len(without) > 0 {
		return &exitError{code: 3, message: e.Name + " is enabled, and without " + strings.Join(without, " and ") +
			"; once the reason is gone, run the same command again"}
	}
	return nil
}

// enableTokens adds the catalogue's tokens, and returns the codes of those that could not be added.
func (e chainEnable) enableTokens(ctx context.Context, c console, a admin, plan chainPlan) ([]string, error) {
	nodes := make([]node, len(e.RPC))
	for i, url := range e.RPC {
		nodes[i] = node{url: url, name: e.nodeName(i)}
	}
	var left []string
	for _, listed := range plan.network.Tokens {
		asset, err := listedAsset(plan.chain, listed)
		if err != nil {
			return left, err
		}
		if listed.ByHand || configured(plan.assets, asset) {
			continue
		}
		if err := enableListed(ctx, a, nodes, asset); err != nil {
			left = append(left, listed.Code)
			fmt.Fprintf(c.err, "%s on %s is not enabled: %s: %v\n", listed.Code, e.Name, listed.Contract, err)
			continue
		}
		fmt.Fprintf(c.out, "%s on %s is enabled as %s (%d decimals)\n", listed.Contract, e.Name, listed.Code, listed.Decimals)
	}
	return left, nil
}

// completeTiers makes larger amounts of an asset wait for what the catalogue says, all tiers or none: missing is why none could be set.
// A tag that no node knows is left out: payments would wait for it for ever.
func completeTiers(ctx context.Context, c console, a admin, plan chainPlan, asset store.AssetInfo) (missing, err error) {
	var tiers []store.ProposedTier
	var words []string
	for _, tier := range plan.network.Tiers {
		if tier.Asset != asset.Symbol {
			continue
		}
		from, err := payment.ParseDecimal(tier.From, asset.Decimals)
		if err != nil {
			return nil, fmt.Errorf("the catalogue's tier of %s: %w", tier.Asset, err)
		}
		switch err := a.knowsTag(ctx, plan.chain.Name, tier.Tag); {
		case errors.Is(err, chain.ErrUnsupported), errors.Is(err, chain.ErrBlockUnknown):
			fmt.Fprintf(c.err, "%s from %s on waits no longer than other amounts: %v\n", asset.Symbol, tier.From, err)
		case err != nil:
			return err, nil
		default:
			tiers = append(tiers, store.ProposedTier{From: from, Policy: tier.ConfirmationPolicy})
			words = append(words, fmt.Sprintf("%s from %s on: %s\n", asset.Symbol, tier.From, policyWords(tier.ConfirmationPolicy)))
		}
	}
	done, err := a.db.CompleteTiers(ctx, asset.ID, tiers, a.by)
	if done {
		fmt.Fprint(c.out, strings.Join(words, ""))
	}
	return nil, err
}

func listedAsset(settings store.Chain, listed catalog.Token) (store.NewAsset, error) {
	contract, errContract := payment.ParseAddress(settings.Family, listed.Contract)
	dust, errDust := payment.ParseDecimal(listed.Dust(), listed.Decimals)
	return store.NewAsset{
		ID: payment.TokenAsset(settings.Name, contract), Code: listed.Code, Decimals: listed.Decimals, DustBelow: dust,
	}, errors.Join(errContract, errDust)
}

// configured tells whether a token was added before, by hand or by this, or another has its name.
func configured(assets []store.AssetInfo, asset store.NewAsset) bool {
	for _, known := range assets {
		if known.ID == asset.ID || known.Symbol == asset.Code {
			return true
		}
	}
	return false
}

func enableListed(ctx context.Context, a admin, nodes []node, asset store.NewAsset) error {
	meta, err := askToken(ctx, nodes, asset.ID.Contract, asset.Decimals)
	if err != nil {
		return err
	}
	asset.CodeHash, asset.TiersPending = &meta.CodeHash, true
	return a.db.AddToken(ctx, asset, a.by)
}

type chainCatalog struct{}

// Run lists what the catalogue knows.
func (chainCatalog) Run(c console) error {
	table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tCHAIN ID\tCOIN\tBLOCKS\tWAITS FOR\tMORE FROM\tTOKENS")
	for _, n := range catalog.Networks() {
		var tokens, more []string
		for _, t := range n.Tokens {
			text := fmt.Sprintf("%s (%d)", t.Code, t.Decimals)
			if t.ByHand {
				text += " by hand"
			}
			tokens = append(tokens, text)
		}
		for _, t := range n.Tiers {
			more = append(more, fmt.Sprintf("%s %s: %s", t.From, t.Asset, policyWords(t.ConfirmationPolicy)))
		}
		fmt.Fprintf(table, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", n.Name, n.ChainID, n.Coin, n.BlockTime, policyWords(n.Policy),
			strings.Join(more, "; "), strings.Join(tokens, ", "))
	}
	return table.Flush()
}
