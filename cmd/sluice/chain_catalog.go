package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// enableTokens adds the catalogue's tiers, and its tokens that the chain does not have yet after asking their contracts. A token that is not
// what the catalogue says is left out; the error tells which, and the chain is enabled all the same.
func (e chainEnable) enableTokens(ctx context.Context, c console, a admin, plan chainPlan) error {
	if plan.network == nil {
		return nil
	}
	if plan.fresh {
		if err := setTiers(ctx, c, a, plan, plan.native); err != nil {
			return err
		}
	}
	if e.NoTokens {
		return nil
	}
	nodes := make([]node, len(e.RPC))
	for i, url := range e.RPC {
		nodes[i] = node{url: url, name: "--rpc number " + strconv.Itoa(i+1)}
	}
	var left []string
	for _, listed := range plan.network.Tokens {
		asset, err := listedAsset(plan.chain, listed)
		if err != nil {
			return err
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
		if err := setTiers(ctx, c, a, plan, asset); err != nil {
			return err
		}
	}
	if len(left) > 0 {
		return &exitError{code: 3, message: e.Name + " is enabled, and without " + strings.Join(left, " and ") +
			"; once the reason is gone, run the same command again"}
	}
	return nil
}

// setTiers makes larger amounts of a new asset wait for what the catalogue says. A tag that no node knows is left out: payments
// would wait for it for ever.
func setTiers(ctx context.Context, c console, a admin, plan chainPlan, asset store.NewAsset) error {
	for _, tier := range plan.network.Tiers {
		if tier.Asset != asset.Code {
			continue
		}
		from, err := payment.ParseDecimal(tier.From, asset.Decimals)
		if err != nil {
			return fmt.Errorf("the catalogue's tier of %s: %w", tier.Asset, err)
		}
		err = a.knowsTag(ctx, plan.chain.Name, tier.Tag)
		if err != nil && !errors.Is(err, chain.ErrUnsupported) && !errors.Is(err, chain.ErrBlockUnknown) {
			return &exitError{code: 3, message: fmt.Sprintf("%s is enabled, but not that %s from %s on waits for %s: set it with \"chain tier set\": %v",
				plan.chain.Name, asset.Code, tier.From, policyWords(tier.ConfirmationPolicy), err)}
		}
		if err != nil {
			fmt.Fprintf(c.err, "%s from %s on waits no longer than other amounts: %v\n", asset.Code, tier.From, err)
			continue
		}
		key := store.TierKey{Chain: plan.chain.Name, Asset: &asset.ID, From: from}
		if err := a.db.SetConfirmationTier(ctx, key, tier.ConfirmationPolicy, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s from %s on: %s\n", asset.Code, tier.From, policyWords(tier.ConfirmationPolicy))
	}
	return nil
}

// demandAgreement makes a new network of the catalogue that has several operators credit nothing on the word of one of them.
// While only one is left, payments are seen and wait, unless "chain evidence limit" allows some of it.
func demandAgreement(ctx context.Context, c console, a admin, plan chainPlan, operators []string) error {
	several := slices.ContainsFunc(operators, func(name string) bool { return name != operators[0] })
	if plan.network == nil || !plan.fresh || !several {
		return nil
	}
	if err := a.db.SetEvidenceTier(ctx, store.TierKey{Chain: plan.chain.Name}, payment.EvidenceAgreed, a.by); err != nil {
		return err
	}
	fmt.Fprintf(c.out, "a payment counts when two operators agree about it; \"chain evidence limit\" says how much may count while only one is left\n")
	return nil
}

func listedAsset(settings store.Chain, listed catalog.Token) (store.NewAsset, error) {
	contract, err := payment.ParseAddress(settings.Family, listed.Contract)
	return store.NewAsset{ID: payment.TokenAsset(settings.Name, contract), Code: listed.Code, Decimals: listed.Decimals}, err
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
	asset.CodeHash = &meta.CodeHash
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
