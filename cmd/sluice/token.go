package main

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type tokenCommands struct {
	Add     tokenAdd     `cmd:"" help:"Enable a token, after asking its contract for its decimals."`
	Disable tokenDisable `cmd:"" help:"Take no new orders in an asset. Its money is found and credited as before."`
	Enable  tokenEnable  `cmd:"" help:"Take orders in an asset again."`
	Unknown tokenUnknown `cmd:"" help:"List tokens that were sent to addresses of ours and that nobody enabled."`
	Resume  tokenResume  `cmd:"" help:"Credit a halted token again, and pin what its contract is now: look at it first."`
	Recheck tokenRecheck `cmd:"" help:"Say from which amount on a token's contract is looked at before a payment is credited."`
}

type tokenAdd struct {
	Chain          string `required:"" help:"On which chain."`
	Code           string `required:"" help:"The name that orders use, such as USDC; unique within the chain."`
	Contract       string `help:"Address of the contract. Default: the catalogue's, by the code."`
	Decimals       *uint8 `help:"Decimals, pinned from now on; must be what the contract says. Default: the catalogue's."`
	OutsideCatalog string `name:"outside-catalog" placeholder:"WHY" help:"Your word for a token that the catalogue does not know."`
	// What is left out keeps what is set; the first time, it is 0.
	DustBelow *string `help:"Amounts below this are dust (decimal). Default: a cent for a token of the catalogue, else 0."`
	Tolerance *string `help:"This much less than due still fulfils an order (decimal). Default: 0."`
	audited
}

// Run enables the token if the contract agrees.
func (t tokenAdd) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, t.audited, func(a admin) error {
		settings, err := a.db.GetChain(ctx, t.Chain)
		if err != nil {
			return err
		}
		asset, err := t.asset(ctx, a.db, settings)
		if err != nil {
			return err
		}
		nodes, err := nodesOf(ctx, a, t.Chain)
		if err != nil {
			return err
		}
		meta, err := askToken(ctx, nodes, asset.ID.Contract, asset.Decimals)
		if err != nil {
			return err
		}
		asset.CodeHash = &meta.CodeHash
		if t.OutsideCatalog != "" {
			a.by.Reason = strings.TrimPrefix(a.by.Reason+"; outside the catalogue: "+t.OutsideCatalog, "; ")
		}
		if err := a.db.AddToken(ctx, asset, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s on %s is enabled as %s (%d decimals; the contract calls itself %q)\n",
			asset.ID.Contract.Text(), t.Chain, t.Code, asset.Decimals, meta.Symbol)
		return nil
	})
}

// asset is the token as it is to be: what was not given is the catalogue's, or stays as it is set.
func (t tokenAdd) asset(ctx context.Context, db *store.DB, settings store.Chain) (store.NewAsset, error) {
	contract, listed, err := t.find(settings)
	if err != nil {
		return store.NewAsset{}, err
	}
	asset := store.NewAsset{ID: payment.TokenAsset(t.Chain, contract), Code: t.Code}
	assets, err := db.ListAssets(ctx, t.Chain)
	if err != nil {
		return asset, err
	}
	enabled := false
	for _, known := range assets {
		if known.ID == asset.ID {
			enabled = true
			asset.Decimals, asset.DustBelow, asset.Tolerance = known.Decimals, known.DustBelow, known.Tolerance
		}
	}
	switch {
	case catalog.IsCoinLog(contract):
		return asset, errCoinLog(contract)
	case listed != nil && t.Decimals != nil && *t.Decimals != listed.Decimals:
		return asset, fmt.Errorf("the catalogue has %d decimals for %s, not %d", listed.Decimals, contract.Text(), *t.Decimals)
	case listed != nil:
		asset.Decimals = listed.Decimals
	case !enabled && strings.TrimSpace(t.OutsideCatalog) == "":
		return asset, errOutsideCatalog(contract, t.Chain)
	case !enabled && t.Decimals == nil:
		return asset, &exitError{code: 2, message: "give --decimals: the catalogue does not know this token"}
	}
	override(&asset.Decimals, t.Decimals)
	if listed != nil && !enabled {
		if asset.DustBelow, err = payment.ParseDecimal(listed.Dust(), asset.Decimals); err != nil {
			return asset, fmt.Errorf("the catalogue's dust of %s: %w", t.Code, err)
		}
	}
	return asset, errors.Join(overrideAmount("--dust-below", &asset.DustBelow, t.DustBelow, asset.Decimals),
		overrideAmount("--tolerance", &asset.Tolerance, t.Tolerance, asset.Decimals))
}

// find returns the contract that is meant, and what the catalogue has on it.
func (t tokenAdd) find(settings store.Chain) (payment.Address, *catalog.Token, error) {
	network, _ := catalog.ByChainID(settings.Family, settings.ChainID)
	if t.Contract == "" {
		for _, listed := range network.Tokens {
			if listed.Code == t.Code {
				contract, err := payment.ParseAddress(settings.Family, listed.Contract)
				return contract, &listed, err
			}
		}
		return payment.Address{}, nil, &exitError{code: 2, message: "give --contract: the catalogue has no such token on this chain"}
	}
	contract, err := payment.ParseAddress(settings.Family, t.Contract)
	if err != nil {
		return contract, nil, fmt.Errorf("--contract: %w", err)
	}
	if listed, ok := network.Token(contract); ok {
		return contract, &listed, nil
	}
	return contract, nil, nil
}

func errCoinLog(contract payment.Address) error {
	return fmt.Errorf("%s only reports what the network's own coin does: as a token, all of it would count twice", contract.Text())
}

// errOutsideCatalog says what the operator's word is asked for.
func errOutsideCatalog(contract payment.Address, chain string) error {
	return &exitError{code: 2, message: contract.Text() + " on " + chain + " is not in the catalogue. A token that takes a fee of each " +
		"transfer, or that changes balances by itself, cannot be recognised, and would be credited with more than there is. " +
		"If you know that this one does neither, say how in --outside-catalog; it goes into the audit"}
}

// node is one to ask about a token, with what errors may call it: its URL may hold a key.
type node struct{ url, name string }

// nodesOf are a chain's nodes.
func nodesOf(ctx context.Context, a admin, chainName string) ([]node, error) {
	endpoints, err := a.db.ListRPCEndpoints(ctx, chainName)
	if err != nil {
		return nil, err
	}
	nodes := make([]node, len(endpoints))
	for i, endpoint := range endpoints {
		url, err := a.keys.Open(endpoint.URL, endpoint.URLPlace(chainName))
		if err != nil {
			return nil, err
		}
		nodes[i] = node{url: string(url), name: "node of " + endpoint.Operator}
	}
	return nodes, nil
}

// askToken compares the decimals with the contract's own, at every node that answers: they must say the same, and run the
// same code. Nodes that do not answer are passed over unless none does.
func askToken(ctx context.Context, nodes []node, contract payment.Address, decimals uint8) (chain.TokenMeta, error) {
	var (
		agreed   *chain.TokenMeta
		failures []error
	)
	for _, n := range nodes {
		meta, err := tokenMeta(ctx, n.url, contract)
		switch {
		case errors.Is(err, chain.ErrNoToken):
			return meta, fmt.Errorf("%s: %w", n.name, err)
		case err != nil:
			failures = append(failures, fmt.Errorf("%s: %w", n.name, err))
		case meta.Decimals != decimals:
			return meta, fmt.Errorf("the contract has %d decimals, not %d", meta.Decimals, decimals)
		case meta.Deprecated:
			return meta, errors.New("the contract says that it is deprecated: what is sent to it may be worth nothing")
		case agreed != nil && agreed.CodeHash != meta.CodeHash:
			return meta, fmt.Errorf("%s: the contract has other code than at another node", n.name)
		default:
			agreed = &meta
		}
	}
	if agreed == nil {
		return chain.TokenMeta{}, fmt.Errorf("no node could be asked about the contract: %w", errors.Join(failures...))
	}
	return *agreed, nil
}

func tokenMeta(ctx context.Context, url string, contract payment.Address) (chain.TokenMeta, error) {
	source, err := evm.New(evm.Options{URL: url})
	if err != nil {
		return chain.TokenMeta{}, err
	}
	defer source.Close()
	return source.TokenMeta(ctx, contract)
}
