package payment

import (
	"encoding/json"
	"math/big"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// maxAmountText is 2^256-1 in decimal.
const maxAmountText = "115792089237316195423570985008687907853269984665640564039457584007913129639935"

// overMaxText is 2^256.
const overMaxText = "115792089237316195423570985008687907853269984665640564039457584007913129639936"

func anyAmount() *rapid.Generator[Amount] {
	return rapid.Custom(func(t *rapid.T) Amount {
		a, err := AmountFromBytes(rapid.SliceOfN(rapid.Byte(), 0, 32).Draw(t, "bytes"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	})
}

func TestParseDecimal(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		in       string
		decimals uint8
		want     string // base units
	}{
		{"25", 6, "25000000"},
		{"25.0", 6, "25000000"},
		{"25.00", 6, "25000000"},
		{"25.000000", 6, "25000000"},
		{"0.000001", 6, "1"},
		{"0", 6, "0"},
		{"0.0", 6, "0"},
		{"0.5", 1, "5"},
		{"7", 0, "7"},
		{"1.000000000000000001", 18, "1000000000000000001"},
		{maxAmountText, 0, maxAmountText},
		{maxAmountText[:60] + "." + maxAmountText[60:], 18, maxAmountText},
		{"0." + strings.Repeat("0", 254) + "1", 255, "1"},
		{"0", 255, "0"},
	} {
		got, err := ParseDecimal(c.in, c.decimals)
		require.NoError(t, err, "%q", c.in)
		require.Equal(t, c.want, got.String(), "%q", c.in)
	}
}

// badDecimals are refused whatever the number of decimals.
func badDecimals() []string {
	return []string{
		"", " ", ".", "-", "+", "-1", "+1", "-0", "1e3", "1E3", "1e-3", "0x10", "0b1", "0o7",
		"1_000", "1,000", "1'000", "1 000", " 1", "1 ", "\t1", "1\n", "1\x00", "\ufeff1",
		"١٢", "１２", "1２", "²", "½", "∞", "NaN", "Inf", "infinity", "null", "true",
		"01", "00", "007", "00.5", "-0.5", ".5", "5.", "1..2", "1.2.3", "1.-2", "1.+2", "1.2e3",
		"1. 2", "1.２", "0x1.8p1", "\xff", "1\xff", "$1", "1%", "1/2", "(1)", overMaxText,
		strings.Repeat("9", 79), strings.Repeat("9", 100_000),
	}
}

func TestParseDecimalRefuses(t *testing.T) {
	t.Parallel()
	for _, in := range badDecimals() {
		for _, decimals := range []uint8{0, 6, 18, 255} {
			_, err := ParseDecimal(in, decimals)
			require.Equal(t, CodeInvalidAmount, CodeOf(err), "%.40q at %d decimals", in, decimals)
		}
	}
	for _, c := range []struct {
		in       string
		decimals uint8
	}{
		{"1.0", 0},                   // no decimals means no point
		{"1.0000000", 6},             // too many places even when they are zeros
		{"0.0000001", 6},             // too many places
		{maxAmountText, 1},           // ten times too much
		{"1", 78},                    // 10^78 > 2^256
		{"1", 255},                   // 10^255
		{"1." + overMaxText[1:], 77}, // one base unit too much
	} {
		_, err := ParseDecimal(c.in, c.decimals)
		require.Equal(t, CodeInvalidAmount, CodeOf(err), "%q at %d decimals", c.in, c.decimals)
	}
}

func TestParseBaseUnits(t *testing.T) {
	t.Parallel()
	for _, in := range []string{"0", "1", "25000000", maxAmountText} {
		got, err := ParseBaseUnits(in)
		require.NoError(t, err)
		require.Equal(t, in, got.String())
	}
	for _, in := range append(badDecimals(), "1.0", "0.0") {
		_, err := ParseBaseUnits(in)
		require.Equal(t, CodeInvalidAmount, CodeOf(err), "%.40q", in)
	}
}

func TestDecimalPrints(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		base     string
		decimals uint8
		want     string
	}{
		{"0", 0, "0"},
		{"0", 18, "0"},
		{"1", 6, "0.000001"},
		{"25000000", 6, "25"},
		{"25500000", 6, "25.5"},
		{"100", 0, "100"},
		{"100", 2, "1"},
		{"10", 2, "0.1"},
		{maxAmountText, 18, maxAmountText[:60] + "." + maxAmountText[60:]},
	} {
		a, err := ParseBaseUnits(c.base)
		require.NoError(t, err)
		require.Equal(t, c.want, a.Decimal(c.decimals))
	}
}

func TestAmountRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAmount().Draw(t, "a")
		decimals := rapid.Uint8().Draw(t, "decimals")

		back, err := ParseDecimal(a.Decimal(decimals), decimals)
		if err != nil || back != a {
			t.Fatalf("%s at %d decimals prints %s and reads %s, %v", a, decimals, a.Decimal(decimals), back, err)
		}
		if back, err = ParseBaseUnits(a.String()); err != nil || back != a {
			t.Fatalf("%s reads as %s, %v", a, back, err)
		}
		if back, err = AmountFromBig(a.Big()); err != nil || back != a {
			t.Fatalf("%s through big.Int is %s, %v", a, back, err)
		}
		word := a.Bytes32()
		if back, err = AmountFromBytes(word[:]); err != nil || back != a {
			t.Fatalf("%s through bytes is %s, %v", a, back, err)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if err := json.Unmarshal(text, &back); err != nil || back != a {
			t.Fatalf("%s through JSON is %s, %v", a, back, err)
		}
	})
}

func TestArithmeticAgreesWithBig(t *testing.T) {
	t.Parallel()
	limit := new(big.Int).Lsh(big.NewInt(1), 256)
	rapid.Check(t, func(t *rapid.T) {
		a, b := anyAmount().Draw(t, "a"), anyAmount().Draw(t, "b")
		aText, bText := a.String(), b.String()

		want := new(big.Int).Add(a.Big(), b.Big())
		sum, err := a.Add(b)
		if fits := want.Cmp(limit) < 0; fits != (err == nil) || fits && sum.Big().Cmp(want) != 0 {
			t.Fatalf("%s + %s = %s, %v", a, b, sum, err)
		}
		want.Sub(a.Big(), b.Big())
		difference, err := a.Sub(b)
		if fits := want.Sign() >= 0; fits != (err == nil) || fits && difference.Big().Cmp(want) != 0 {
			t.Fatalf("%s - %s = %s, %v", a, b, difference, err)
		}
		if a.SubFloor(b) != difference {
			t.Fatalf("floor of %s - %s = %s", a, b, a.SubFloor(b))
		}
		order := a.Big().Cmp(b.Big())
		if a.Cmp(b) != order || a.Less(b) != (order < 0) || (a == b) != (order == 0) {
			t.Fatalf("%s compared to %s", a, b)
		}
		if low, high := a.Min(b), a.Max(b); high.Less(low) || low != a && low != b || high != a && high != b {
			t.Fatalf("min and max of %s and %s", a, b)
		}
		if a.String() != aText || b.String() != bText {
			t.Fatal("an operation changed its operand")
		}
	})
}

func TestAmountBounds(t *testing.T) {
	t.Parallel()
	most, err := ParseBaseUnits(maxAmountText)
	require.NoError(t, err)
	_, err = most.Add(AmountFromUint64(1))
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = Amount{}.Sub(AmountFromUint64(1))
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = AmountFromBig(nil)
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = AmountFromBig(big.NewInt(-1))
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = AmountFromBig(new(big.Int).Add(most.Big(), big.NewInt(1)))
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = AmountFromBytes(make([]byte, 33))
	require.Equal(t, CodeInvalidAmount, CodeOf(err))

	_, fits := most.Uint64()
	require.False(t, fits)
	n, fits := AmountFromUint64(42).Uint64()
	require.True(t, fits)
	require.EqualValues(t, 42, n)

	require.True(t, Amount{}.IsZero())
	require.Equal(t, "0", Amount{}.String())
	require.False(t, most.IsZero())
}

func TestAmountBigIsACopy(t *testing.T) {
	t.Parallel()
	a := AmountFromUint64(5)
	a.Big().SetInt64(7)
	require.Equal(t, "5", a.String())
}

func TestAmountIsAMapKey(t *testing.T) {
	t.Parallel()
	one, err := ParseDecimal("1.0", 1)
	require.NoError(t, err)
	seen := map[Amount]bool{AmountFromUint64(10): true}
	require.True(t, seen[one])
}

func TestAmountJSON(t *testing.T) {
	t.Parallel()
	type body struct {
		Amount Amount `json:"amount"`
	}
	out, err := json.Marshal(body{AmountFromUint64(25_000_000)})
	require.NoError(t, err)
	require.JSONEq(t, `{"amount":"25000000"}`, string(out))

	var in body
	require.NoError(t, json.Unmarshal([]byte(`{"amount":"7"}`), &in))
	require.Equal(t, AmountFromUint64(7), in.Amount)

	for _, bad := range []string{`7`, `7.0`, `1e3`, `null`, `true`, `[]`, `{}`, `""`, `"-1"`, `"1.5"`, `"0x1"`, `" 1"`} {
		in = body{AmountFromUint64(7)}
		err := json.Unmarshal([]byte(`{"amount":`+bad+`}`), &in)
		require.Equal(t, CodeInvalidAmount, CodeOf(err), bad)
		require.Equal(t, AmountFromUint64(7), in.Amount, "a refused value leaves the old one")
	}
	require.Error(t, (&Amount{}).UnmarshalJSON([]byte(`"1`)))
	require.Error(t, (&Amount{}).UnmarshalJSON(nil))
}

func TestAmountAsJSONMapKey(t *testing.T) {
	t.Parallel()
	out, err := json.Marshal(map[Amount]string{AmountFromUint64(3): "x"})
	require.NoError(t, err)
	require.JSONEq(t, `{"3":"x"}`, string(out))
	var in map[Amount]string
	require.NoError(t, json.Unmarshal(out, &in))
	require.Equal(t, map[Amount]string{AmountFromUint64(3): "x"}, in)
}
