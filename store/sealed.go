package store

import (
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
)

// MerchantSecretPlace is where the secret stands that signs callbacks to a URL that an order of the mode names itself. The live one is
// where releases before there were two had theirs.
func MerchantSecretPlace(id payment.MerchantID, mode payment.Mode) seal.Place {
	row := string(id)
	if mode != payment.ModeLive {
		row += "/" + string(mode)
	}
	return seal.Place{Purpose: SealMerchantSecret, RowID: row}
}

// EndpointSecretPlace is where the secret stands that signs callbacks to a merchant's endpoint.
func EndpointSecretPlace(id payment.EndpointID) seal.Place {
	return seal.Place{Purpose: SealEndpointSecret, RowID: string(id)}
}

// endpointSecretPlace is where an endpoint's secrets stand: in its own row, or in its own merchant's and mode's, whatever the row names, so that no other
// secret signs for it.
func endpointSecretPlace(id payment.EndpointID, merchant payment.MerchantID, mode payment.Mode, forMerchant bool) seal.Place {
	if forMerchant {
		return MerchantSecretPlace(merchant, mode)
	}
	return EndpointSecretPlace(id)
}

// URLPlace is where the endpoint's URL stands.
func (e RPCEndpoint) URLPlace(chain string) seal.Place {
	return seal.Place{Purpose: SealRPCURL, RowID: e.SealRow(chain)}
}

// WSURLPlace is where the endpoint's WebSocket URL stands.
func (e RPCEndpoint) WSURLPlace(chain string) seal.Place {
	return seal.Place{Purpose: SealRPCWSURL, RowID: e.SealRow(chain)}
}
