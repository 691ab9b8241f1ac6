package seal

import "github.com/sluicepay/sluice/payment"

// xpubPurpose separates these codes from any other that this package may make.
const xpubPurpose = "xpubs"

// SignXPub authenticates a row of extended public keys: a key that somebody swapped in the database derives no address.
// merchant is empty for a family's default.
func (r Keyring) SignXPub(id, family string, merchant payment.MerchantID, xpub string) MAC {
	return r.MAC(xpubPurpose, []byte(id), []byte(family), []byte(merchant), []byte(xpub))
}

// VerifyXPub is its counterpart. Errors: ErrUnknownKey, ErrMAC.
func (r Keyring) VerifyXPub(mac MAC, id, family string, merchant payment.MerchantID, xpub string) error {
	return r.Verify(mac, xpubPurpose, []byte(id), []byte(family), []byte(merchant), []byte(xpub))
}
