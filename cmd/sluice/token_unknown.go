package main

import (
	"context"
	"fmt"
	"text/tabwriter"
)

// maxUnknown is how many unknown contracts are listed; nobody looks through more by hand.
const maxUnknown = 100

type tokenUnknown struct {
	Chain string `help:"Only of this chain."`
}

// Run lists tokens that nobody enabled and that were sent to addresses of ours. It shows nothing that their contracts say of
// themselves: a name is what a contract is sent for.
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
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "CHAIN\tCONTRACT\tTRANSFERS\tADDRESSES\tSINCE")
		for _, u := range contracts {
			fmt.Fprintf(table, "%s\t%s\t%d\t%d\t%s\n", u.Chain, u.Contract.Text(), u.Transfers, u.Addresses, u.FirstSeen.UTC().Format("2006-01-02"))
		}
		if err := table.Flush(); err != nil {
			return err
		}
		fmt.Fprintln(c.out, "Most are advertisements or bait. Enable one that you know: sluice token add --chain CHAIN --contract CONTRACT --code CODE --decimals N")
		return nil
	})
}
