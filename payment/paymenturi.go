package payment

import "strconv"

// PaymentURI writes the EIP-681 link that a wallet opens to pay an amount of an
// asset to an address: a native transfer, or a call of the token's transfer. The
// amount is in base units, written in full, because wallets differ on exponents.
// It returns "" for a family that has no such link.
func PaymentURI(chainID uint64, asset AssetID, to Address, amount Amount) string {
	if to.Family != FamilyEVM {
		return ""
	}
	chain := "@" + strconv.FormatUint(chainID, 10)
	if asset.IsNative() {
		return "ethereum:" + to.Text() + chain + "?value=" + amount.String()
	}
	return "ethereum:" + asset.Contract.Text() + chain + "/transfer?address=" + to.Text() + "&uint256=" + amount.String()
}
