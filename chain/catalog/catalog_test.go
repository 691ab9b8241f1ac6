package catalog_test

import (
	"regexp"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/catalog"
	"github.com/sluicepay/sluice/payment"
)

// table is the page that the catalogue was made from, written down a second time: a slip in either is found.
var table = map[string]struct {
	id            uint64
	coin          string
	confirmations uint64
	tag           payment.Tag
	large         payment.Tag // what payments of large sums wait for as well
	decimals      uint8       // of both tokens
}{
	"ethereum":  {id: 1, coin: "ETH", confirmations: 12, large: "finalized", decimals: 6},
	"bsc":       {id: 56, coin: "BNB", confirmations: 1, tag: "finalized", decimals: 18},
	"polygon":   {id: 137, coin: "POL", confirmations: 100, tag: "finalized", decimals: 6},
	"optimism":  {id: 10, coin: "ETH", confirmations: 20, large: "finalized", decimals: 6},
	"arbitrum":  {id: 42161, coin: "ETH", confirmations: 20, large: "finalized", decimals: 6},
	"base":      {id: 8453, coin: "ETH", confirmations: 20, large: "finalized", decimals: 6},
	"avalanche": {id: 43114, coin: "AVAX", confirmations: 1, decimals: 6},
}

func TestNetworks(t *testing.T) {
	t.Parallel()
	networks := catalog.Networks()
	require.Len(t, networks, len(table))
	for _, n := range networks {
		want, known := table[n.Name]
		require.True(t, known, n.Name)
		require.Equal(t, want.id, n.ChainID, n.Name)
		require.Equal(t, want.coin, n.Coin, n.Name)
		require.EqualValues(t, 18, n.CoinDecimals, n.Name)
		require.Equal(t, want.confirmations, n.Policy.Confirmations, n.Name)
		require.Equal(t, want.tag, n.Policy.Tag, n.Name)
		require.Equal(t, n.Name == "polygon", n.WrongBlooms, n.Name)
		found, ok := catalog.ByChainID(payment.FamilyEVM, want.id)
		require.True(t, ok)
		require.Equal(t, n.Name, found.Name, "chain ids are unique")
		named, ok := catalog.Find(n.Name)
		require.True(t, ok)
		require.Equal(t, n.ChainID, named.ChainID, "names are unique")
		codes := map[string]uint8{}
		for _, token := range n.Tokens {
			codes[token.Code] = token.Decimals
			require.Equal(t, want.decimals, token.Decimals, "%s on %s", token.Code, n.Name)
		}
		require.Contains(t, codes, "USDT")
		require.Contains(t, codes, "USDC")
		if want.large == "" {
			require.Empty(t, n.Tiers)
			continue
		}
		require.Len(t, n.Tiers, 3)
		for _, tier := range n.Tiers {
			require.Equal(t, want.large, tier.Tag)
		}
	}
	_, ok := catalog.Find("dev")
	require.False(t, ok)
	_, ok = catalog.ByChainID(payment.FamilyEVM, 1337)
	require.False(t, ok)
}

// What the database takes; a slip would only be found when somebody enables the network.
func TestSettingsAreTaken(t *testing.T) {
	t.Parallel()
	code, name := regexp.MustCompile(`^[A-Z][A-Z0-9.]{0,15}$`), regexp.MustCompile(`^[a-z][a-z0-9-]{0,31}$`)
	for _, n := range catalog.Networks() {
		require.Regexp(t, name, n.Name)
		require.Regexp(t, code, n.Coin)
		require.Equal(t, payment.FamilyEVM, n.Family)
		require.NotEmpty(t, n.DisplayName)
		require.Positive(t, n.BlockTime.Milliseconds())
		require.Positive(t, n.MaxLag.Seconds())
		for _, count := range []uint64{n.Policy.Confirmations, n.Horizon, n.MaxRange} {
			require.Positive(t, count)
			require.LessOrEqual(t, count, uint64(100_000))
		}
		require.Greater(t, n.Horizon, n.Policy.Confirmations, "what can still be undone is watched")
		decimals := map[string]uint8{n.Coin: n.CoinDecimals}
		for _, token := range n.Tokens {
			require.Regexp(t, code, token.Code)
			require.NotContains(t, decimals, token.Code, "codes are unique within a network")
			decimals[token.Code] = token.Decimals
		}
		for _, tier := range n.Tiers {
			require.Contains(t, decimals, tier.Asset)
			amount, err := payment.ParseDecimal(tier.From, decimals[tier.Asset])
			require.NoError(t, err)
			require.False(t, amount.IsZero())
			require.GreaterOrEqual(t, tier.Confirmations, n.Policy.Confirmations, "more money waits no shorter")
		}
	}
}

func TestContracts(t *testing.T) {
	t.Parallel()
	seen := map[string]string{}
	for _, n := range catalog.Networks() {
		for _, token := range n.Tokens {
			address, err := payment.ParseAddress(n.Family, token.Contract)
			require.NoError(t, err)
			require.Equal(t, address.Text(), token.Contract, "written with its checksum")
			require.Empty(t, seen[token.Contract], "no network's token is another's by mistake")
			seen[token.Contract] = n.Name
			found, ok := n.Token(address)
			require.True(t, ok)
			require.Equal(t, token, found)
			require.False(t, catalog.IsCoinLog(address))
		}
		_, ok := n.Token(payment.Address{Family: n.Family, Raw: "another contract....."[:20]})
		require.False(t, ok)
	}
}

func TestPolygonsCoinLogIsKnown(t *testing.T) {
	t.Parallel()
	address, err := payment.ParseAddress(payment.FamilyEVM, "0x0000000000000000000000000000000000001010")
	require.NoError(t, err)
	require.True(t, catalog.IsCoinLog(address))
}
