package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/ledger"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// post writes a posting. A key that is there already is left alone: the effect has happened. reverses is the row that a
// reversal mirrors.
func (t txn) post(ctx context.Context, p ledger.Posting, reverses *int64) error {
	if err := p.Validate(); err != nil {
		return err
	}
	debit, err := t.account(ctx, p.Debit)
	if err != nil {
		return err
	}
	credit, err := t.account(ctx, p.Credit)
	if err != nil {
		return err
	}
	inclusion := int32(p.Inclusion.Inclusion)
	_, err = t.q.InsertPosting(ctx, sqlc.InsertPostingParams{
		Key: p.Key, Kind: string(p.Kind), DebitAccount: debit, CreditAccount: credit,
		AssetID: p.Asset().String(), Amount: dbtype.Of(p.Amount),
		PaymentID: optional(string(p.Inclusion.Payment)), Inclusion: &inclusion,
		OrderID: optional(string(p.Order)), Reverses: reverses,
	})
	if err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return fmt.Errorf("post %s: %w", p.Key, err)
	}
	return nil
}

// account finds an account, making it on first use.
func (t txn) account(ctx context.Context, a ledger.Account) (int64, error) {
	id, err := t.findAccount(ctx, a)
	if err == nil || !errors.Is(err, pgx.ErrNoRows) {
		return id, err
	}
	err = t.q.InsertAccount(ctx, sqlc.InsertAccountParams{
		Kind: string(a.Kind), AssetID: a.Asset.String(),
		MerchantID: optional(string(a.Merchant)), Mode: optional(string(a.Mode)), AddressID: optional(string(a.Address)),
	})
	if err != nil {
		return 0, fmt.Errorf("open account %s: %w", a, err)
	}
	if id, err = t.findAccount(ctx, a); err != nil { // a later statement sees the account of whoever was faster
		return 0, fmt.Errorf("find account %s: %w", a, err)
	}
	return id, nil
}

func (t txn) findAccount(ctx context.Context, a ledger.Account) (int64, error) {
	kind, asset := string(a.Kind), a.Asset.String()
	switch {
	case a.Address != "":
		return t.q.FindCustody(ctx, sqlc.FindCustodyParams{Kind: kind, AssetID: asset, AddressID: string(a.Address)})
	case a.Merchant != "":
		return t.q.FindMerchantAccount(ctx, sqlc.FindMerchantAccountParams{
			Kind: kind, AssetID: asset, MerchantID: string(a.Merchant), Mode: string(a.Mode),
		})
	default:
		return t.q.FindOwnAccount(ctx, sqlc.FindOwnAccountParams{Kind: kind, AssetID: asset})
	}
}

// creditEntry is a credit in the books.
type creditEntry struct {
	ledger.Posting
	id                 int64
	released, reversed bool
}

// creditOf reads the credit of an inclusion. Error: CodeNotFound when it was never credited.
func (t txn) creditOf(ctx context.Context, ref payment.InclusionRef) (creditEntry, error) {
	row, err := t.q.CreditEntry(ctx, sqlc.CreditEntryParams{PaymentID: string(ref.Payment), Inclusion: int32(ref.Inclusion)})
	if err != nil {
		return creditEntry{}, notFound(err, "credit")
	}
	var asset payment.AssetID
	if err := asset.UnmarshalText([]byte(row.AssetID)); err != nil {
		return creditEntry{}, fmt.Errorf("asset of posting %s: %w", row.Key, err)
	}
	return creditEntry{
		id: row.ID, released: row.Released, reversed: row.Reversed,
		Posting: ledger.Posting{
			Key: row.Key, Kind: ledger.PostCredit, Amount: row.Amount.Amount, Inclusion: ref,
			Order: payment.OrderID(deref(row.OrderID)),
			Debit: ledger.Custody(asset, payment.AddressID(deref(row.DebitAddress))),
			Credit: ledger.Account{
				Kind: ledger.AccountKind(row.CreditKind), Asset: asset,
				Merchant: payment.MerchantID(deref(row.CreditMerchant)), Mode: payment.Mode(deref(row.CreditMode)),
			},
		},
	}, nil
}

// reverseCredit posts the reversal of an inclusion's credit, taking back its release first if there was one. Doing it
// again posts nothing. The payment must be locked, and its row still has to be changed. Error: CodeNotFound when it was
// never credited.
func (t txn) reverseCredit(ctx context.Context, ref payment.InclusionRef) error {
	credit, err := t.creditOf(ctx, ref)
	if err != nil {
		return err
	}
	if credit.reversed {
		return nil
	}
	postings, err := ledger.ReversalOf(credit.Posting, credit.released)
	if err != nil {
		return err
	}
	for _, p := range postings {
		var reverses *int64
		if p.Kind == ledger.PostReversal {
			reverses = &credit.id
		}
		if err := t.post(ctx, p, reverses); err != nil {
			return err
		}
	}
	return nil
}

// releaseCredit posts that the held money of an inclusion's credit is available now. Doing it again posts nothing. The
// payment must be locked. Errors: CodeNotFound when it was never credited, CodeOrderState when it is not held or reversed.
func (t txn) releaseCredit(ctx context.Context, ref payment.InclusionRef) error {
	credit, err := t.creditOf(ctx, ref)
	if err != nil {
		return err
	}
	if credit.reversed {
		return payment.E(payment.CodeOrderState, "", "the chain took this money back")
	}
	release, err := ledger.ReleaseOf(credit.Posting)
	if err != nil {
		return err
	}
	return t.post(ctx, release, nil)
}

// optional makes NULL of "".
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}
