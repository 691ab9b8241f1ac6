package payment

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestAssetIDSpelling(t *testing.T) {
	t.Parallel()
	checksummed := "0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed"
	contract, err := ParseAddress(FamilyEVM, checksummed)
	require.NoError(t, err)

	require.Equal(t, "dev/native", NativeAsset("dev").String())
	require.True(t, NativeAsset("dev").IsNative())
	require.Equal(t, "dev/"+strings.ToLower(checksummed), TokenAsset("dev", contract).String())
	require.False(t, TokenAsset("dev", contract).IsNative())

	for _, s := range []string{"dev/" + checksummed, "dev/" + strings.ToLower(checksummed)} {
		got, err := ParseAssetID(FamilyEVM, s)
		require.NoError(t, err)
		require.Equal(t, TokenAsset("dev", contract), got)
	}
	native, err := ParseAssetID(FamilyEVM, "dev/native")
	require.NoError(t, err)
	require.Equal(t, NativeAsset("dev"), native)
}

func TestParseAssetIDRefuses(t *testing.T) {
	t.Parallel()
	token := "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed"
	for _, bad := range []string{
		"", "/", "dev", "dev/", "/native", "dev/NATIVE", "dev/USDC", "dev/native/", "dev//native", "Dev/native",
		"dev /native", "dev/" + token[:41], "-dev/native", "1dev/native", "dev/" + token + "/x",
		"dev/0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAeD", strings.Repeat("d", 33) + "/native",
	} {
		got, err := ParseAssetID(FamilyEVM, bad)
		require.Equal(t, CodeUnknownAsset, CodeOf(err), "%q", bad)
		require.Equal(t, AssetID{}, got)
		require.Equal(t, CodeUnknownAsset, CodeOf((&AssetID{Chain: "x"}).UnmarshalText([]byte(bad+"?"))), "%q", bad)
	}
}

func TestAssetIDRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		id := AssetID{Chain: rapid.StringMatching(`[a-z][a-z0-9-]{0,31}`).Draw(t, "chain")}
		if rapid.Bool().Draw(t, "token") {
			id.Contract = anyAddress().Draw(t, "contract")
		}
		back, err := ParseAssetID(FamilyEVM, id.String())
		if err != nil || back != id {
			t.Fatalf("%s reads as %s, %v", id, back, err)
		}
		text, err := json.Marshal(map[AssetID]AssetID{id: id})
		if err != nil {
			t.Fatal(err)
		}
		var m map[AssetID]AssetID
		if err := json.Unmarshal(text, &m); err != nil || m[id] != id {
			t.Fatalf("%s through JSON is %v, %v", id, m, err)
		}
	})
	var zero AssetID
	out, err := json.Marshal(zero)
	require.NoError(t, err)
	require.Equal(t, `""`, string(out))
	back := NativeAsset("dev")
	require.NoError(t, json.Unmarshal(out, &back))
	require.Equal(t, zero, back)
}

func TestAssetParsesAndFormats(t *testing.T) {
	t.Parallel()
	usdc := Asset{ID: NativeAsset("dev"), Symbol: "USDC", Decimals: 6}
	amount, err := usdc.Parse("25.00")
	require.NoError(t, err)
	require.Equal(t, AmountFromUint64(25_000_000), amount)
	require.Equal(t, "25", usdc.Format(amount))
	_, err = usdc.Parse("0.0000001")
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
}

func TestTransferAsset(t *testing.T) {
	t.Parallel()
	contract, err := ParseAddress(FamilyEVM, "0x5aaeb6053f3e94c9b9a09f33669435e7ef1beaed")
	require.NoError(t, err)
	require.Equal(t, NativeAsset("dev"), Transfer{Native: true}.Asset("dev"))
	require.Equal(t, TokenAsset("dev", contract), Transfer{Contract: contract}.Asset("dev"))
}
