package store

import (
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
)

// MerchantSecretPlace is where the secret stands that signs callbacks to a URL that an order names itself.
func MerchantSecretPlace(id payment.MerchantID) seal.Place {
	return seal.Place{Purpose: SealMerchantSecret, RowID: string(id)}
}

// EndpointSecretPlace is where the secret stands that signs callbacks to a merchant's endpoint.
func EndpointSecretPlace(id payment.EndpointID) seal.Place {
	return seal.Place{Purpose: SealEndpointSecret, RowID: string(id)}
}

// endpointSecretPlace is where an endpoint's secrets stand: in its own row, or in its own merchant's, whatever the row names, so that no other merchant's
// secret signs for it.
func endpointSecretPlace(id payment.EndpointID, merchant payment.MerchantID, forMerchant bool) seal.Place {
	if forMerchant {
		return MerchantSecretPlace(merchant)
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
