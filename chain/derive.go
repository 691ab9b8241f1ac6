package chain

import "github.com/sluicepay/sluice/payment"

// AddressDeriver gives the addresses of one wallet without holding its keys. It is safe for concurrent use.
type AddressDeriver interface {
	// Derive returns the address at index, always the same one. Indices go from 0 to 2^31-1; above them the error is
	// payment.CodeInvalidParameter.
	Derive(index uint32) (payment.Address, error)
}
