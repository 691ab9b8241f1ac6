package catalog

import (
	"slices"

	"github.com/sluicepay/sluice/payment"
)

// testNetworks are the public test networks of the catalogue's networks: their coins are given away.
var testNetworks = []uint64{
	11155111, 560048, 17000, // Ethereum: Sepolia, Hoodi, Holesky
	97, 80002, 11155420, 421614, 84532, 43113, // BNB Smart Chain, Polygon, OP, Arbitrum, Base, Avalanche
}

// developmentChains are the numbers that development nodes give themselves.
var developmentChains = []uint64{1337, 31337}

// Mode is what money on a network is, where that is known of everybody's: the catalogue's networks are live, their public test networks
// test. It is "" for others.
func Mode(family payment.Family, id uint64) payment.Mode {
	if _, ok := ByChainID(family, id); ok {
		return payment.ModeLive
	}
	if family == payment.FamilyEVM && slices.Contains(testNetworks, id) {
		return payment.ModeTest
	}
	return ""
}

// Development tells whether a chain has the number of a development node, which is somebody's own and of test mode unless he says otherwise.
func Development(family payment.Family, id uint64) bool {
	return family == payment.FamilyEVM && slices.Contains(developmentChains, id)
}
