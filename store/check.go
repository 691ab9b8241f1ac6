package store

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Finding is something in the books that should not be.
type Finding struct {
	// Rule names the rule that is broken.
	Rule string
	// Subject is the posting, account, payment or asset that breaks it.
	Subject string
}

// The rules that LedgerCheck proves.
const (
	RuleAssets    = "accounts_agree_with_posting"
	RuleBalances  = "snapshot_and_tail_are_the_sum"
	RuleSnapshots = "snapshot_is_the_sum"
	RuleTotals    = "accounts_sum_up_to_zero"
	RuleCredited  = "credited_payment_has_its_credit"
	RuleCredits   = "credit_has_its_payment" //nolint:gosec // not that kind of credential
	RuleCustody   = "custody_is_what_was_credited"
	RuleReleases  = "release_has_its_credit"
	RuleKinds     = "posting_is_about_a_payment"
	RuleFindings  = "finding_is_what_was_found"
	RulePayments  = "payment_is_its_addresses"
	// RuleAddresses is proved by CheckAddresses.
	RuleAddresses = "address_is_its_wallets"
	// RuleAllocated, RuleOwed and RuleDeposits are about customers' addresses.
	RuleAllocated = "allocation_is_the_payments"
	RuleOwed      = "order_takes_what_it_owes"
	RuleDeposits  = "deposit_is_told"
)

// LedgerBalance is what one kind of account holds of one asset, over everybody.
type LedgerBalance struct {
	AssetID  string
	Code     string
	Decimals uint8
	Account  string
	Balance  Signed // credits less debits
}

// LedgerReport is the outcome of a check.
type LedgerReport struct {
	Postings, Accounts, CreditedPayments int64
	Addresses                            int
	Balances                             []LedgerBalance
	// Unverifiable is what the books rest on and only nodes can tell: see package reconcile.
	Unverifiable Unverifiable
	// Findings are at most 100 of each rule.
	Findings []Finding
}

// Unverifiable is what was recorded of a chain. That the books add up says nothing about whether it is there.
type Unverifiable struct {
	// Payments are recorded as being on the chain, and Findings are open.
	Payments, Findings int64
}

// OK tells whether the books add up, given what was recorded of the chains.
func (r LedgerReport) OK() bool { return len(r.Findings) == 0 }

const (
	// maxFindings bounds the findings of one rule.
	maxFindings = 100
	addressPage = 1000
)

// LedgerCheck proves the books as of one moment: the accounts of every posting are in its asset; balances from snapshots
// are the sums of all postings; every asset sums up to zero; every credited payment has exactly one credit that was not
// reversed, for what its inclusion carried, and the other way round; custody is what was credited; every release has its
// credit; no posting is about anything but a payment or a difference that was found on chain; of payments to customers'
// addresses, no order takes more than it asks for, and what no order takes was told as a deposit; every payment is its address's merchant's. Whether the
// chain shows what was recorded it cannot know, and counts as unverifiable. It reads everything and takes as long as that takes; nothing waits for it.
func (db *DB) LedgerCheck(ctx context.Context) (LedgerReport, error) {
	var report LedgerReport
	options := pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly} // one snapshot for all queries
	err := pgx.BeginTxFunc(ctx, db.pool, options, func(raw pgx.Tx) error {
		c := checker{q: db.q.WithTx(raw)}
		if err := c.q.NoStatementTimeout(ctx); err != nil {
			return err
		}
		for _, rule := range []func(context.Context) error{
			c.assets, c.balances, c.snapshots, c.totals, c.credited, c.credits, c.custody, c.releases, c.kinds, c.findings,
			c.payments, c.allocations, c.owed, c.deposits, c.size, c.sums,
		} {
			if err := rule(ctx); err != nil {
				return err
			}
		}
		report = c.report
		return nil
	})
	if err != nil {
		return LedgerReport{}, fmt.Errorf("check the ledger: %w", classify(err))
	}
	return report, nil
}

type checker struct {
	q      *sqlc.Queries
	report LedgerReport
}

func (c *checker) found(rule, subject string) {
	c.report.Findings = append(c.report.Findings, Finding{Rule: rule, Subject: subject})
}

// each adds a finding for every row.
func each[T any](c *checker, rule string, rows []T, err error, subject func(T) string) error {
	if err != nil {
		return fmt.Errorf("%s: %w", rule, err)
	}
	for _, row := range rows {
		c.found(rule, subject(row))
	}
	return nil
}

func (c *checker) assets(ctx context.Context) error {
	rows, err := c.q.CheckAssets(ctx, maxFindings)
	return each(c, RuleAssets, rows, err, func(r sqlc.CheckAssetsRow) string { return r.Key })
}

func (c *checker) balances(ctx context.Context) error {
	rows, err := c.q.CheckBalances(ctx, maxFindings)
	return each(c, RuleBalances, rows, err, func(r sqlc.CheckBalancesRow) string {
		return fmt.Sprintf("account %d (%s): %s, not %s", r.AccountID, r.Kind, r.Balance, r.Total)
	})
}

func (c *checker) snapshots(ctx context.Context) error {
	rows, err := c.q.CheckSnapshots(ctx, maxFindings)
	return each(c, RuleSnapshots, rows, err, func(r sqlc.CheckSnapshotsRow) string {
		return fmt.Sprintf("account %d through posting %d", r.AccountID, r.ThroughPosting)
	})
}

func (c *checker) totals(ctx context.Context) error {
	rows, err := c.q.CheckTotals(ctx, maxFindings)
	return each(c, RuleTotals, rows, err, func(r sqlc.CheckTotalsRow) string { return fmt.Sprintf("%s: %s", r.AssetID, r.Total) })
}

func (c *checker) credited(ctx context.Context) error {
	rows, err := c.q.CheckCreditedPayments(ctx, maxFindings)
	return each(c, RuleCredited, rows, err, func(r sqlc.CheckCreditedPaymentsRow) string { return fmt.Sprintf("%s/%d", r.ID, r.Inclusion) })
}

func (c *checker) credits(ctx context.Context) error {
	rows, err := c.q.CheckCredits(ctx, maxFindings)
	return each(c, RuleCredits, rows, err, func(r sqlc.CheckCreditsRow) string { return r.Key })
}

func (c *checker) custody(ctx context.Context) error {
	rows, err := c.q.CheckCustody(ctx, maxFindings)
	return each(c, RuleCustody, rows, err, func(r sqlc.CheckCustodyRow) string { return fmt.Sprintf("account %d of %s", r.AccountID, r.AddressID) })
}

func (c *checker) releases(ctx context.Context) error {
	rows, err := c.q.CheckReleases(ctx, maxFindings)
	return each(c, RuleReleases, rows, err, func(r sqlc.CheckReleasesRow) string { return r.Key })
}

func (c *checker) kinds(ctx context.Context) error {
	rows, err := c.q.CheckKinds(ctx, maxFindings)
	return each(c, RuleKinds, rows, err, func(r sqlc.CheckKindsRow) string { return fmt.Sprintf("%s (%s)", r.Key, r.Kind) })
}

func (c *checker) findings(ctx context.Context) error {
	rows, err := c.q.CheckFindings(ctx, maxFindings)
	return each(c, RuleFindings, rows, err, func(key string) string { return key })
}

func (c *checker) payments(ctx context.Context) error {
	rows, err := c.q.CheckPayments(ctx, maxFindings)
	return each(c, RulePayments, rows, err, func(id string) string { return id })
}

func (c *checker) allocations(ctx context.Context) error {
	rows, err := c.q.CheckAllocations(ctx, maxFindings)
	return each(c, RuleAllocated, rows, err, func(id string) string { return id })
}

func (c *checker) owed(ctx context.Context) error {
	rows, err := c.q.CheckOwed(ctx, maxFindings)
	return each(c, RuleOwed, rows, err, func(id string) string { return id })
}

func (c *checker) deposits(ctx context.Context) error {
	rows, err := c.q.CheckDeposits(ctx, maxFindings)
	return each(c, RuleDeposits, rows, err, func(r sqlc.CheckDepositsRow) string { return fmt.Sprintf("%s/%d", r.ID, r.Inclusion) })
}

func (c *checker) size(ctx context.Context) error {
	row, err := c.q.CheckSize(ctx)
	c.report.Postings, c.report.Accounts, c.report.CreditedPayments = row.Postings, row.Accounts, row.Credited
	c.report.Unverifiable = Unverifiable{Payments: row.Inclusions, Findings: row.Findings}
	return err
}

func (c *checker) sums(ctx context.Context) error {
	rows, err := c.q.BooksBalances(ctx)
	for _, row := range rows {
		c.report.Balances = append(c.report.Balances, LedgerBalance{
			AssetID: row.AssetID, Code: row.Code, Decimals: uint8(row.Decimals), Account: row.Kind, Balance: signedOf(row.Balance.Int),
		})
	}
	return err
}

// CheckAddresses has every address derived again: money at one that no wallet derives is somebody else's, however much of it is on the chain. derive says
// what is wrong with where an address says that it comes from. It returns how many addresses there are and at most 100 findings.
func (db *DB) CheckAddresses(ctx context.Context, derive func(Origin) error) (addresses int, found []Finding, err error) {
	for after := ""; ; {
		rows, err := db.q.AddressOrigins(ctx, sqlc.AddressOriginsParams{After: after, MaxRows: addressPage})
		if err != nil {
			return 0, nil, fmt.Errorf("read where addresses come from: %w", classify(err))
		}
		for _, row := range rows {
			origin := Origin{Merchant: payment.MerchantID(row.OwnerID), Index: uint32(row.DerivationIndex), Wallet: Wallet{
				ID: payment.XPubID(row.WalletID), Family: payment.Family(row.WalletFamily), Merchant: payment.MerchantID(deref(row.MerchantID)),
				Xpub: seal.NewSecret(row.Xpub), Path: row.Path, MAC: seal.MAC{KeyID: row.MacKey, Sum: row.Mac},
			}}
			origin.Address, err = payment.AddressFromBytes(payment.Family(row.Family), row.Bytes)
			if err == nil {
				err = derive(origin)
			}
			if err != nil && len(found) < maxFindings {
				found = append(found, Finding{Rule: RuleAddresses, Subject: fmt.Sprintf("%s: %v", row.ID, err)})
			}
		}
		addresses += len(rows)
		if len(rows) < addressPage {
			return addresses, found, nil
		}
		after = rows[len(rows)-1].ID
	}
}

// TakeSnapshot sums the ledger up to its newest posting, so that balances add less, and returns that posting's number. It
// waits for postings that are being written and holds new ones off for one short statement.
func (db *DB) TakeSnapshot(ctx context.Context) (int64, error) {
	through, err := db.q.TakeSnapshot(ctx)
	return through, classify(err)
}
