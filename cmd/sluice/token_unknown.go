package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/store"
)

const (
	// maxUnknown is how many unknown contracts are listed; nobody looks through more by hand.
	maxUnknown = 100
	// symbolsTimeout is how long nodes may take to say what these call themselves.
	symbolsTimeout = 20 * time.Second
)

type tokenUnknown struct {
	Chain     string `help:"Only of this chain."`
	NoSymbols bool   `help:"Ask no node what the contracts call themselves."`
}

// Run lists tokens that nobody enabled and that were sent to addresses of ours. What a contract calls itself is shown as what it is:
// a stranger's words, in quotes and in ASCII, which can do nothing to a terminal.
func (u tokenUnknown) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		contracts, err := a.db.UnknownContracts(ctx, u.Chain, maxUnknown)
		if err != nil {
			return err
		}
		if len(contracts) == 0 {
			fmt.Fprintln(c.out, "no transfers of tokens that are not enabled")
			return nil
		}
		symbols := map[store.UnknownContract]string{}
		if !u.NoSymbols {
			symbols = askSymbols(ctx, c, a, contracts)
		}
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "CHAIN\tCONTRACT\tTRANSFERS\tADDRESSES\tSINCE\tCALLS ITSELF")
		for _, u := range contracts {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\t%s\n", u.Chain, u.Contract.Text(), u.Transfers, u.Addresses,
				u.FirstSeen.UTC().Format("2006-01-02"), symbols[u])
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "Most are advertisements or bait, and a name proves nothing. Enable one that you know: sluice token add --chain CHAIN --contract CONTRACT --code CODE --decimals N")
		return nil
	})
}

// askSymbols asks the nodes of each chain what contracts call themselves. It leaves out what is no token, and what no node says in time.
func askSymbols(ctx context.Context, c console, a admin, contracts []store.UnknownContract) map[store.UnknownContract]string {
	ctx, cancel := context.WithTimeout(ctx, symbolsTimeout)
	defer cancel()
	symbols := map[store.UnknownContract]string{}
	tokens := activities.Tokens{Store: a.db, Keys: a.keys, Log: slog.New(slog.DiscardHandler)}
	asked := map[string]bool{}
	for _, first := range contracts {
		if asked[first.Chain] {
			continue
		}
		asked[first.Chain] = true
		err := tokens.Do(ctx, first.Chain, func(node activities.TokenNode) error {
			for _, u := range contracts {
				if _, known := symbols[u]; known || u.Chain != first.Chain {
					continue
				}
				meta, err := node.TokenMeta(ctx, u.Contract)
				if err != nil && !errors.Is(err, chain.ErrNoToken) {
					return err
				}
				symbols[u] = quoted(meta.Symbol)
			}
			return nil
		})
		if err != nil {
			fmt.Fprintf(c.err, "what tokens on %s call themselves is not known: %v\n", first.Chain, err)
		}
	}
	return symbols
}

// quoted is a stranger's text for a terminal; "" stays what it is.
func quoted(text string) string {
	if text == "" {
		return ""
	}
	return strconv.QuoteToASCII(text)
}
