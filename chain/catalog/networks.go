package catalog

import (
	"time"

	"github.com/sluicepay/sluice/payment"
)

// Codes that several networks use.
const (
	eth  = "ETH"
	usdt = "USDT"
	usdc = "USDC"
)

// large is from how many units of a stablecoin a payment waits for more.
const large = "10000"

// largeETH is about as much in ether.
const largeETH = "4"

// dustETH is about a cent in ether; less is not worth a payment's place.
const dustETH = "0.000005"

// Networks lists what the catalogue knows, in the order in which it is shown.
func Networks() []Network {
	return []Network{ethereum(), bsc(), polygon(), optimism(), arbitrum(), base(), avalanche()}
}

func ethereum() Network {
	return Network{
		Name: "ethereum", DisplayName: "Ethereum", Family: payment.FamilyEVM, ChainID: 1,
		Coin: eth, CoinDecimals: 18, CoinDust: dustETH, BlockTime: 12 * time.Second,
		Policy:  payment.ConfirmationPolicy{Confirmations: 12},
		Tiers:   tiers(largeETH, 12, payment.TagFinalized),
		Horizon: 256, MaxRange: 500, MaxLag: 10 * time.Minute,
		Tokens: []Token{
			{Code: usdt, Contract: "0xdAC17F958D2ee523a2206206994597C13D831ec7", Decimals: 6},
			{Code: usdc, Contract: "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48", Decimals: 6},
		},
	}
}

func bsc() Network {
	return Network{
		Name: "bsc", DisplayName: "BNB Smart Chain", Family: payment.FamilyEVM, ChainID: 56,
		Coin: "BNB", CoinDecimals: 18, CoinDust: "0.00002", BlockTime: 450 * time.Millisecond,
		// Blocks are final after a few of them, so nothing is gained by counting.
		Policy:  payment.ConfirmationPolicy{Confirmations: 1, Tag: payment.TagFinalized},
		Horizon: 512, MaxRange: 500, MaxLag: 5 * time.Minute,
		Tokens: []Token{
			{Code: usdt, Contract: "0x55d398326f99059fF775485246999027B3197955", Decimals: 18},
			{Code: usdc, Contract: "0x8AC76a51cc950d9822D68b83fE1Ad97B32Cd580d", Decimals: 18},
		},
	}
}

func polygon() Network {
	return Network{
		Name: "polygon", DisplayName: "Polygon", Family: payment.FamilyEVM, ChainID: 137,
		Coin: "POL", CoinDecimals: 18, CoinDust: "0.05", BlockTime: 2 * time.Second,
		Policy: payment.ConfirmationPolicy{Confirmations: 100, Tag: payment.TagFinalized},
		// Reorganisations of well over a hundred blocks have happened.
		Horizon: 512, MaxRange: 500, MaxLag: 5 * time.Minute,
		WrongBlooms: true, // the logs of what comes over from Ethereum are in no filter
		Tokens: []Token{
			{Code: usdt, Contract: "0xc2132D05D31c914a87C6611C10748AEb04B58e8F", Decimals: 6},
			{Code: usdc, Contract: "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359", Decimals: 6},
		},
		CoinLogs: []string{"0x0000000000000000000000000000000000001010"},
	}
}

// rollup is what the networks that settle on Ethereum have in common: their blocks come from one sequencer, are safe when
// their data is on Ethereum, and final when that is.
func rollup(n Network) Network {
	n.Family, n.Coin, n.CoinDecimals, n.CoinDust = payment.FamilyEVM, eth, 18, dustETH
	n.Policy = payment.ConfirmationPolicy{Confirmations: 20}
	n.Tiers = tiers(largeETH, 20, payment.TagFinalized)
	n.MaxLag = 5 * time.Minute
	return n
}

func optimism() Network {
	return rollup(Network{
		Name: "optimism", DisplayName: "OP Mainnet", ChainID: 10, BlockTime: 2 * time.Second, Horizon: 1024, MaxRange: 500,
		Tokens: []Token{
			{Code: usdt, Contract: "0x01bFF41798a0BcF287b996046Ca68b395DbC1071", Decimals: 6},
			{Code: "USDT.OLD", Contract: "0x94b008aA00579c1307B0EF2c499aD98a8ce58e58", Decimals: 6, ByHand: true},
			{Code: usdc, Contract: "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85", Decimals: 6},
		},
	})
}

func arbitrum() Network {
	return rollup(Network{
		Name: "arbitrum", DisplayName: "Arbitrum One", ChainID: 42161, BlockTime: 250 * time.Millisecond, Horizon: 8192, MaxRange: 2000,
		Tokens: []Token{
			{Code: usdt, Contract: "0xFd086bC7CD5C481DCC9C85ebE478A1C0b69FCbb9", Decimals: 6},
			{Code: usdc, Contract: "0xaf88d065e77c8cC2239327C5EDb3A432268e5831", Decimals: 6},
		},
	})
}

func base() Network {
	return rollup(Network{
		Name: "base", DisplayName: "Base", ChainID: 8453, BlockTime: 2 * time.Second, Horizon: 1024, MaxRange: 500,
		Tokens: []Token{
			{Code: usdt, Contract: "0xfde4C96c8593536E31F229EA8f37b2ADa2699bb2", Decimals: 6},
			{Code: usdc, Contract: "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913", Decimals: 6},
		},
	})
}

func avalanche() Network {
	return Network{
		Name: "avalanche", DisplayName: "Avalanche C-Chain", Family: payment.FamilyEVM, ChainID: 43114,
		Coin: "AVAX", CoinDecimals: 18, CoinDust: "0.0005", BlockTime: 2 * time.Second,
		// A block is final when it is accepted, and nodes show only accepted ones.
		Policy:  payment.ConfirmationPolicy{Confirmations: 1},
		Horizon: 256, MaxRange: 500, MaxLag: 5 * time.Minute,
		Tokens: []Token{
			{Code: usdt, Contract: "0x9702230A8Ea53601f5cD2dc00fDBc13d4dF4A8c7", Decimals: 6},
			{Code: usdc, Contract: "0xB97EF9Ef8734C71904D8002F8b6Bc66Dd9c48a6E", Decimals: 6},
		},
	}
}

// tiers are one policy for large amounts of the coin and of both stablecoins.
func tiers(coins string, confirmations uint64, tag payment.Tag) []Tier {
	policy := payment.ConfirmationPolicy{Confirmations: confirmations, Tag: tag}
	return []Tier{
		{Asset: eth, From: coins, ConfirmationPolicy: policy},
		{Asset: usdt, From: large, ConfirmationPolicy: policy},
		{Asset: usdc, From: large, ConfirmationPolicy: policy},
	}
}
