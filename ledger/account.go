package ledger

import (
	"fmt"

	"github.com/sluicepay/sluice/payment"
)

// AccountKind says what an account is for.
type AccountKind string

// The kinds of account.
const (
	// KindCustody is what an address of ours holds on chain.
	KindCustody AccountKind = "custody"
	// KindAvailable is owed to a merchant, who may be paid.
	KindAvailable AccountKind = "merchant:available"
	// KindHeld is owed to a merchant and waits for a decision.
	KindHeld AccountKind = "merchant:held"
	// KindSuspense is money or a difference that nobody is known to own.
	KindSuspense AccountKind = "suspense:unattributed"
	// KindDust is money too little to be a payment.
	KindDust AccountKind = "dust"
	// KindFees is what was spent on network fees.
	KindFees AccountKind = "fees"
	// KindLoss is what is gone.
	KindLoss AccountKind = "loss"
	// KindInTransit is on its way between addresses of ours.
	KindInTransit AccountKind = "in_transit"
)

// AccountKinds lists every kind.
func AccountKinds() []AccountKind {
	return []AccountKind{
		KindCustody, KindAvailable, KindHeld, KindSuspense, KindDust, KindFees, KindLoss, KindInTransit,
	}
}

// ofMerchant tells whether accounts of this kind belong to one merchant in one mode.
func (k AccountKind) ofMerchant() bool { return k == KindAvailable || k == KindHeld }

// Account names an account by what it is, not by a number. It is comparable.
type Account struct {
	Kind     AccountKind
	Asset    payment.AssetID
	Merchant payment.MerchantID // merchants' accounts only
	Mode     payment.Mode       // merchants' accounts only
	Address  payment.AddressID  // custody only
}

// Custody is the account of what an address holds of an asset.
func Custody(asset payment.AssetID, address payment.AddressID) Account {
	return Account{Kind: KindCustody, Asset: asset, Address: address}
}

// Available is the account of what a merchant may be paid.
func Available(asset payment.AssetID, merchant payment.MerchantID, mode payment.Mode) Account {
	return Account{Kind: KindAvailable, Asset: asset, Merchant: merchant, Mode: mode}
}

// Held is the account of what is a merchant's and waits for a decision.
func Held(asset payment.AssetID, merchant payment.MerchantID, mode payment.Mode) Account {
	return Account{Kind: KindHeld, Asset: asset, Merchant: merchant, Mode: mode}
}

// Dust is the account of what is too little to be a payment.
func Dust(asset payment.AssetID) Account { return Account{Kind: KindDust, Asset: asset} }

// Validate returns CodeInternal for an account that cannot be: an address without custody, a merchant without mode.
func (a Account) Validate() error {
	known := false
	for _, kind := range AccountKinds() {
		known = known || kind == a.Kind
	}
	switch {
	case !known:
		return a.fault("unknown kind")
	case a.Asset.Chain == "":
		return a.fault("no asset")
	case (a.Kind == KindCustody) != (a.Address != ""):
		return a.fault("custody, and nothing else, is of an address")
	case a.Kind.ofMerchant() != (a.Merchant != ""), a.Kind.ofMerchant() != (a.Mode != ""):
		return a.fault("a merchant's account, and nothing else, has a merchant and a mode")
	}
	return nil
}

func (a Account) fault(what string) error {
	return payment.E(payment.CodeInternal, "", "account %q: %s", string(a.Kind), what)
}

// String names the account for logs.
func (a Account) String() string {
	switch {
	case a.Kind == KindCustody:
		return fmt.Sprintf("%s(%s, %s)", a.Kind, a.Asset, a.Address)
	case a.Kind.ofMerchant():
		return fmt.Sprintf("%s(%s, %s, %s)", a.Kind, a.Asset, a.Merchant, a.Mode)
	default:
		return fmt.Sprintf("%s(%s)", a.Kind, a.Asset)
	}
}
