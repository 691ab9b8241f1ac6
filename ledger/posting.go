package ledger

import (
	"github.com/sluicepay/sluice/payment"
)

// PostingKind says what a posting records.
type PostingKind string

// The kinds of posting.
const (
	// PostCredit: a payment was confirmed.
	PostCredit PostingKind = "credit"
	// PostReversal: the chain took a confirmed payment back. The mirror of its credit.
	PostReversal PostingKind = "reversal"
	// PostRelease: held money became available.
	PostRelease PostingKind = "release"
	// PostHold: available money is held again.
	PostHold PostingKind = "hold"
)

// The last parts of the keys of postings about an inclusion.
const (
	keyCredit    = "credit"
	keyReversal  = "reversal"
	keyRelease   = "release"
	keyUnrelease = "unrelease"
)

// Posting is one entry of the books. Amount is in base units of the accounts' asset.
type Posting struct {
	// Key is the deterministic name of the effect; the database takes each key once.
	Key    string
	Kind   PostingKind
	Debit  Account
	Credit Account
	Amount payment.Amount
	// Inclusion is the payment's inclusion that it is about.
	Inclusion payment.InclusionRef
	// Order is the order that the payment is attributed to, if any.
	Order payment.OrderID
}

// Asset is what moves.
func (p Posting) Asset() payment.AssetID { return p.Debit.Asset }

// Validate returns CodeInternal for a posting that would not balance or that could not be found again.
func (p Posting) Validate() error {
	if err := p.Debit.Validate(); err != nil {
		return err
	}
	if err := p.Credit.Validate(); err != nil {
		return err
	}
	switch {
	case p.Key == "":
		return p.fault("no key")
	case p.Debit == p.Credit:
		return p.fault("both sides are one account")
	case p.Debit.Asset != p.Credit.Asset:
		return p.fault("the sides are in different assets")
	case p.Amount.IsZero():
		return p.fault("nothing moves")
	case p.Inclusion.Payment == "" || p.Inclusion.Inclusion < 1:
		return p.fault("no inclusion")
	}
	return nil
}

func (p Posting) fault(what string) error {
	return payment.E(payment.CodeInternal, "", "posting %q: %s", p.Key, what)
}

// Confirmed is a payment that reached its confirmations, with what decides where it goes.
type Confirmed struct {
	Inclusion payment.InclusionRef
	Asset     payment.AssetID
	Amount    payment.Amount
	Address   payment.AddressID
	Merchant  payment.MerchantID
	Mode      payment.Mode
	Order     payment.OrderID
	Facts     payment.CreditFacts
	// ReviewHolds: somebody has to decide about this payment, whatever the policies say.
	ReviewHolds bool
}

// ReasonHeldByReview says why money is held that every policy would let through.
const ReasonHeldByReview payment.Reason = "held_by_review"

// CreditOf posts a confirmed payment: custody of its address against exactly one other account, and why that one. It
// returns CodeInternal for a payment that cannot be posted.
func CreditOf(c Confirmed) (Posting, payment.Reason, error) {
	place, reason := payment.PlaceCredit(c.Facts)
	if c.ReviewHolds && place == payment.PlaceAvailable {
		place, reason = payment.PlaceHeld, ReasonHeldByReview
	}
	p := Posting{
		Key: c.Inclusion.Key(keyCredit), Kind: PostCredit,
		Debit: Custody(c.Asset, c.Address), Amount: c.Amount, Inclusion: c.Inclusion, Order: c.Order,
	}
	switch place {
	case payment.PlaceDust:
		p.Credit = Dust(c.Asset)
	case payment.PlaceAvailable:
		p.Credit = Available(c.Asset, c.Merchant, c.Mode)
	case payment.PlaceHeld:
		p.Credit = Held(c.Asset, c.Merchant, c.Mode)
	default:
		return Posting{}, "", p.fault("unknown place")
	}
	return p, reason, p.Validate()
}

// ReleaseOf posts that the held money of a credit became available. It returns CodeOrderState when the credit did not go
// to a held account.
func ReleaseOf(credit Posting) (Posting, error) {
	if credit.Kind != PostCredit || credit.Credit.Kind != KindHeld {
		return Posting{}, payment.E(payment.CodeOrderState, "", "this money is not held")
	}
	held := credit.Credit
	return Posting{
		Key: credit.Inclusion.Key(keyRelease), Kind: PostRelease,
		Debit: held, Credit: Available(held.Asset, held.Merchant, held.Mode),
		Amount: credit.Amount, Inclusion: credit.Inclusion, Order: credit.Order,
	}, nil
}

// ReversalOf posts that the chain took a credit back: the mirror of the credit, after taking back its release if there
// was one. The postings are to be written in this order, the last being the mirror. It returns CodeInternal when
// credit is not a credit.
func ReversalOf(credit Posting, released bool) ([]Posting, error) {
	if credit.Kind != PostCredit {
		return nil, credit.fault("only a credit is reversed")
	}
	mirror := Posting{
		Key: credit.Inclusion.Key(keyReversal), Kind: PostReversal,
		Debit: credit.Credit, Credit: credit.Debit,
		Amount: credit.Amount, Inclusion: credit.Inclusion, Order: credit.Order,
	}
	if !released {
		return []Posting{mirror}, nil
	}
	release, err := ReleaseOf(credit)
	if err != nil {
		return nil, err
	}
	back := release
	back.Key, back.Kind = credit.Inclusion.Key(keyUnrelease), PostHold
	back.Debit, back.Credit = release.Credit, release.Debit
	return []Posting{back, mirror}, nil
}
