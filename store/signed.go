package store

import (
	"math/big"
	"strings"
)

// Signed is an exact sum of base units that may be negative: a balance. It is immutable.
type Signed struct{ v big.Int }

func signedOf(v *big.Int) Signed {
	var s Signed
	s.v.Set(v)
	return s
}

// SignedFromBig makes a Signed of a copy of v.
func SignedFromBig(v *big.Int) Signed { return signedOf(v) }

// String prints base units: "-25000000".
func (s Signed) String() string { return s.v.String() }

// Big returns the base units as a new big.Int.
func (s Signed) Big() *big.Int { return new(big.Int).Set(&s.v) }

// Sign is -1, 0 or +1.
func (s Signed) Sign() int { return s.v.Sign() }

// Decimal prints whole units of an asset with the given decimals, exactly, without trailing zeros: "-25".
func (s Signed) Decimal(decimals uint8) string {
	digits, places := new(big.Int).Abs(&s.v).String(), int(decimals)
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	text := digits[:len(digits)-places]
	if fraction := strings.TrimRight(digits[len(digits)-places:], "0"); fraction != "" {
		text += "." + fraction
	}
	if s.v.Sign() < 0 {
		text = "-" + text
	}
	return text
}
