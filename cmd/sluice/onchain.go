package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/big"

	nodes "github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/reconcile"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// checkOnChain compares the books of every chain, or of one, with the chain itself, and prints the outcome. It tells whether all
// of it agrees.
func (l ledgerCheck) checkOnChain(ctx context.Context, c console, a admin) (bool, error) {
	chains, err := a.db.ListChains(ctx)
	if err != nil {
		return false, err
	}
	agrees, compared := true, 0
	for _, chain := range chains {
		if l.Chain != "" && chain.Name != l.Chain {
			continue
		}
		compared++
		report, err := compareChain(ctx, a, chain)
		switch {
		case payment.CodeOf(err) == payment.CodeUnknownChain:
			fmt.Fprintf(c.err, "%s: nothing was recorded yet\n", chain.Name)
			continue
		case err != nil:
			return false, fmt.Errorf("compare with %s: %w", chain.Name, err)
		}
		agrees = agrees && report.OK()
		if l.JSON {
			err = json.NewEncoder(c.out).Encode(report)
		} else {
			printComparison(c.out, report)
		}
		if err != nil {
			return false, err
		}
	}
	if compared == 0 && l.Chain != "" {
		return false, payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	}
	return agrees, nil
}

// compareChain asks the chain's nodes one after the other until one can tell all balances. Errors name a node's operator: its URL may
// hold a key.
func compareChain(ctx context.Context, a admin, chain store.Chain) (reconcile.Report, error) {
	endpoints, err := a.db.ListRPCEndpoints(ctx, chain.Name)
	if err != nil {
		return reconcile.Report{}, err
	}
	failures := []error{errors.New("no node could tell the balances")}
	sources := make([]reconcile.Source, 0, len(endpoints))
	for _, endpoint := range endpoints {
		url, err := a.keys.Open(endpoint.URL, endpoint.URLPlace(chain.Name))
		if err != nil {
			return reconcile.Report{}, err
		}
		source, err := evm.New(evm.Options{URL: string(url)})
		if err != nil {
			return reconcile.Report{}, err
		}
		defer source.Close()
		sources = append(sources, source)
	}
	for i, endpoint := range endpoints {
		var others []nodes.Verifier
		for j := range sources {
			if j != i {
				others = append(others, sources[j])
			}
		}
		report, err := reconcile.Chain(ctx, a.db, sources[i], chain.Name, others...)
		if err == nil || payment.CodeOf(err) == payment.CodeUnknownChain {
			return report, err
		}
		failures = append(failures, fmt.Errorf("node of %s: %w", endpoint.Operator, err))
	}
	return reconcile.Report{}, errors.Join(failures...)
}

func printComparison(out io.Writer, report reconcile.Report) {
	verdict := "agrees with the books"
	if !report.OK() {
		verdict = "DIFFERS from the books"
	}
	fmt.Fprintf(out, "%s %s: %d addresses and %d payments at block %d\n", report.Chain, verdict, report.Addresses, report.Payments, report.Block.Number)
	for _, p := range report.Unseen {
		fmt.Fprintf(out, "  NOT THERE %s/%d: %s base units of %s (%s)\n", p.Payment, p.Inclusion, p.Amount, p.Asset, p.Outcome)
	}
	if more := report.Missing - len(report.Unseen); more > 0 {
		fmt.Fprintf(out, "  and %d more payments\n", more)
	}
	for _, asset := range report.Assets {
		amount := func(v *big.Int) string { return store.SignedFromBig(v).Decimal(asset.Decimals) }
		fmt.Fprintf(out, "  %s (%s): on chain %s, custody %s (of it findings %s), not posted yet %s, difference %s\n", asset.Code, asset.ID,
			amount(asset.OnChain), amount(asset.Custody), amount(asset.Findings), amount(asset.Live), amount(asset.Difference))
		for _, address := range asset.Addresses {
			fmt.Fprintf(out, "    DIFFERS %s (%s): %s\n", address.Address.Text(), address.ID, amount(address.Difference))
		}
		if more := asset.Differ - len(asset.Addresses); more > 0 {
			fmt.Fprintf(out, "    and %d more addresses\n", more)
		}
	}
}
