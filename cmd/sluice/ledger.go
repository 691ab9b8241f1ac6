package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/sluicepay/sluice/store"
)

type ledgerCommands struct {
	Check    ledgerCheck    `cmd:"" help:"Prove that the books add up, and with --on-chain that the chain has what they say; exit code 3 when something is wrong."`
	Snapshot ledgerSnapshot `cmd:"" help:"Take a snapshot of all balances, so that reading them stays quick."`

	Findings      ledgerFindings `cmd:"" help:"List money on the chain that neither a payment nor a person has explained."`
	SettleFinding settleFinding  `cmd:"" help:"Decide by hand what becomes of such money."`
}

type ledgerCheck struct {
	OnChain bool   `help:"Also compare with the chain: every asset's balances, one question per asset and address, and every payment that was recorded."`
	Chain   string `help:"With --on-chain: of this chain only." placeholder:"NAME"`
	printed
}

// exitFindings is the exit code of a check that found something.
const exitFindings = 3

// Run proves the books and prints what it counted.
func (l ledgerCheck) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		report, err := a.db.LedgerCheck(ctx)
		if err != nil {
			return err
		}
		addresses, underived, err := a.db.CheckAddresses(ctx, addressVerifier{keys: a.keys}.VerifyAddress)
		if err != nil {
			return err
		}
		report.Addresses, report.Findings = addresses, append(report.Findings, underived...)
		if l.JSON {
			err = json.NewEncoder(c.out).Encode(report)
		} else {
			printReport(c.out, report)
		}
		agrees := true
		if err == nil && l.OnChain {
			agrees, err = l.checkOnChain(ctx, c, a)
		}
		if err == nil && !(report.OK() && agrees) {
			return &exitError{code: exitFindings}
		}
		return err
	})
}

func printReport(out io.Writer, report store.LedgerReport) {
	verdict := "the books add up"
	if !report.OK() {
		verdict = fmt.Sprintf("%d FINDINGS", len(report.Findings))
	}
	fmt.Fprintf(out, "%s: %d postings, %d accounts, %d credited payments, %d addresses\n",
		verdict, report.Postings, report.Accounts, report.CreditedPayments, report.Addresses)
	for _, b := range report.Balances {
		fmt.Fprintf(out, "  %-22s %24s %s (%s)\n", b.Account, b.Balance.Decimal(b.Decimals), b.Code, b.AssetID)
	}
	if u := report.Unverifiable; u != (store.Unverifiable{}) {
		fmt.Fprintf(out, "  UNVERIFIABLE without nodes: payments %d, open findings %d (--on-chain asks for them)\n", u.Payments, u.Findings)
	}
	for _, f := range report.Findings { // whoever wrote what is wrong may have named it
		fmt.Fprintf(out, "  BROKEN %s: %s\n", f.Rule, foreign(f.Subject))
	}
}

type ledgerSnapshot struct{}

// Run takes a snapshot.
func (ledgerSnapshot) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		through, err := a.db.TakeSnapshot(ctx)
		if err != nil {
			return err
		}
		fmt.Fprintln(c.out, "snapshot through posting", through)
		return nil
	})
}
