package seal

import "github.com/sluicepay/sluice/payment"

// The places at which Sluice keeps sealed values. Whoever seals and whoever opens name them through these functions, so
// that the two cannot differ.

// MerchantCallbackSecret is what signs callbacks to a URL that an order names itself.
func MerchantCallbackSecret(id payment.MerchantID) Place {
	return Place{Purpose: "merchants.callback_secret", RowID: string(id)}
}

// EndpointSecret is what signs callbacks to a merchant's endpoint.
func EndpointSecret(id payment.EndpointID) Place {
	return Place{Purpose: "webhook_endpoints.secret", RowID: string(id)}
}

// EndpointURL is a chain's RPC URL, which may hold an API key.
func EndpointURL(chain string, fingerprint payment.Hash) Place {
	return Place{Purpose: "rpc_endpoints.url", RowID: chain + "/" + fingerprint.String()}
}

// EndpointWebSocketURL is the WebSocket URL beside it.
func EndpointWebSocketURL(chain string, fingerprint payment.Hash) Place {
	return Place{Purpose: "rpc_endpoints.ws_url", RowID: chain + "/" + fingerprint.String()}
}

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
