package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"text/tabwriter"
	"time"

	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/store"
)

// maxListed is how many findings are listed.
const maxListed = 1000

type ledgerFindings struct {
	Settled bool `help:"Also those that a person has settled and no payment has taken back."`
	printed
}

// Run lists findings, the oldest first.
func (l ledgerFindings) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		findings, err := a.db.ListFindings(ctx, l.Settled, maxListed)
		if err != nil {
			return err
		}
		if l.JSON {
			return json.NewEncoder(c.out).Encode(findings)
		}
		if len(findings) == 0 {
			fmt.Fprintln(c.out, "every balance is explained by payments")
			return nil
		}
		table := tabwriter.NewWriter(c.out, 0, 0, 2, ' ', 0)
		fmt.Fprintln(table, "ID\tAMOUNT\tASSET\tADDRESS\tMERCHANT\tFOR\tBLOCKS\tFOUND\tSTATE")
		for _, f := range findings {
			fmt.Fprintf(table, "%d\t%s\t%s (%s)\t%s\t%s %s\t%s\t%d-%d\t%s\t%s\n", f.ID, f.Amount.Decimal(f.Asset.Decimals), f.Asset.Symbol, f.Asset.ID,
				f.Address.Text(), f.Merchant, f.Mode, findingOf(f), f.After+1, f.Block, f.FoundAt.UTC().Format(time.DateTime), findingState(f))
		}
		return table.Flush()
	})
}

// findingOf is what the address was made for. A customer's id is the merchant's text, so it is quoted.
func findingOf(f store.BalanceFinding) string {
	if f.Order != "" {
		return string(f.Order)
	}
	return fmt.Sprintf("customer %q", f.Customer)
}

func findingState(f store.BalanceFinding) string {
	state := "in suspense"
	if f.SettledTo != "" {
		state = "settled to " + f.SettledTo
	}
	if !f.Missing.IsZero() {
		state += fmt.Sprintf(", but the address lacks %s (%s)", f.Missing.Decimal(f.Asset.Decimals), f.CheckedAt.UTC().Format(time.DateTime))
	}
	return state
}

type settleFinding struct {
	ID        int64  `arg:"" help:"Which finding, as 'ledger findings' lists it."`
	To        string `required:"" enum:"merchant,dust,fees,loss,withdraw" help:"merchant: to the merchant whose address it is at. dust: too little to bother. fees: our own money, put there for network fees. loss: nobody's, set against losses. withdraw: it is not there, as a comparison of the last hour shows."`
	RequestID string `help:"A name of this decision: the same name again changes nothing." placeholder:"NAME"`
	audited
}

// Help is shown by --help.
func (settleFinding) Help() string {
	return "Reads SLUICE_MIGRATE_DATABASE_URL (the owner role): the application's own role may move no money that no payment brought. Needs --reason."
}

// Run settles a finding as the owner of the ledger.
func (s settleFinding) Run(ctx context.Context, c console) error {
	if s.Reason == "" {
		return errors.New("--reason says why; it goes into the audit")
	}
	settings, err := config.Load[config.Migrate]()
	if err != nil {
		return err
	}
	db, err := store.Open(ctx, settings.URL.Reveal(), store.Options{MaxConns: 1, ApplicationName: "sluice-cli"})
	if err != nil {
		return err
	}
	defer db.Close()
	already, err := db.SettleFinding(ctx, s.ID, store.FindingDestination(s.To), s.by(), s.RequestID)
	switch {
	case err != nil:
		return err
	case already:
		fmt.Fprintf(c.out, "finding %d: this was done before\n", s.ID)
	default:
		fmt.Fprintf(c.out, "finding %d: %s\n", s.ID, s.To)
	}
	return nil
}
