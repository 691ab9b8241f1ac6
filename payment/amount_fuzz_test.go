package payment

import (
	"math/big"
	"regexp"
	"strings"
	"testing"
	"unicode/utf8"
)

// oracle decides with rational numbers what ParseDecimal should answer, and
// shares no code with it.
func oracle(s string, decimals uint8) (*big.Int, bool) {
	if !regexp.MustCompile(`\A(0|[1-9][0-9]*)(\.[0-9]+)?\z`).MatchString(s) {
		return nil, false
	}
	if point := strings.IndexByte(s, '.'); point >= 0 && len(s)-point-1 > int(decimals) {
		return nil, false
	}
	value, ok := new(big.Rat).SetString(s)
	if !ok {
		return nil, false
	}
	scale := new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(decimals)), nil)
	value.Mul(value, new(big.Rat).SetInt(scale))
	if !value.IsInt() || value.Num().BitLen() > 256 {
		return nil, false
	}
	return value.Num(), true
}

func FuzzParseDecimal(f *testing.F) {
	for _, seed := range append(badDecimals(), "0", "25.00", "0.000001", "1.0000000", maxAmountText) {
		if len(seed) < 1000 {
			f.Add(seed, uint8(6))
		}
	}
	for _, decimals := range []uint8{0, 1, 18, 77, 78, 255} {
		f.Add("1", decimals)
		f.Add("0.1", decimals)
		f.Add(maxAmountText, decimals)
	}
	f.Fuzz(func(t *testing.T, s string, decimals uint8) {
		if len(s) > 2000 {
			t.Skip("the oracle is slow on long input")
		}
		got, err := ParseDecimal(s, decimals)
		want, ok := oracle(s, decimals)
		if ok != (err == nil) {
			t.Fatalf("ParseDecimal(%q, %d) = %s, %v; the oracle accepts: %t", s, decimals, got, err, ok)
		}
		if err != nil {
			if got != (Amount{}) || CodeOf(err) != CodeInvalidAmount || !utf8.ValidString(err.Error()) {
				t.Fatalf("ParseDecimal(%q, %d) refuses with %s, %v", s, decimals, got, err)
			}
			return
		}
		if got.Big().Cmp(want) != 0 {
			t.Fatalf("ParseDecimal(%q, %d) = %s, want %s", s, decimals, got, want)
		}
		printed := got.Decimal(decimals)
		if back, err := ParseDecimal(printed, decimals); err != nil || back != got {
			t.Fatalf("%q at %d decimals prints %q, which reads as %s, %v", s, decimals, printed, back, err)
		}
		if strings.Contains(printed, ".") && strings.HasSuffix(printed, "0") || len(printed) > len(s) {
			t.Fatalf("%q at %d decimals prints %q", s, decimals, printed)
		}
	})
}
