package payment

import (
	"encoding/json"
	"math/big"
	"strings"

	"github.com/holiman/uint256"
)

// maxDigits is the number of decimal digits of 2^256-1.
const maxDigits = 78

// Amount is a quantity of one asset in base units (cents of a cent: whatever
// the asset's smallest unit is), from 0 to 2^256-1.
//
// It is an immutable value: operations return new amounts, == compares, it can
// be a map key, and the zero value is zero. It does not know its asset; adding
// amounts of different assets is a mistake the caller must not make.
type Amount struct{ v uint256.Int }

// AmountFromUint64 makes an amount of n base units.
func AmountFromUint64(n uint64) Amount {
	return Amount{v: *uint256.NewInt(n)}
}

// AmountFromBig makes an amount of b base units. It returns CodeInvalidAmount
// when b is nil, negative or above 2^256-1.
func AmountFromBig(b *big.Int) (Amount, error) {
	if b == nil {
		return Amount{}, E(CodeInvalidAmount, "", "amount is missing")
	}
	if b.Sign() < 0 {
		return Amount{}, E(CodeInvalidAmount, "", "amount is negative")
	}
	v, overflow := uint256.FromBig(b)
	if overflow {
		return Amount{}, errTooLarge()
	}
	return Amount{v: *v}, nil
}

// AmountFromBytes makes an amount of a big-endian unsigned integer, as chains
// encode it. It returns CodeInvalidAmount above 32 bytes.
func AmountFromBytes(b []byte) (Amount, error) {
	if len(b) > 32 {
		return Amount{}, errTooLarge()
	}
	var a Amount
	a.v.SetBytes(b)
	return a, nil
}

// ParseBaseUnits reads a whole number of base units: ASCII digits alone, without
// sign, leading zeros, spaces or separators. It returns CodeInvalidAmount.
func ParseBaseUnits(s string) (Amount, error) {
	if err := checkInteger(s); err != nil {
		return Amount{}, err
	}
	return fromDigits(s)
}

// ParseDecimal reads a decimal number of whole units of an asset that has the
// given number of decimals: "25.00" at 6 decimals is 25,000,000 base units.
//
// There is one way to write the whole part and no rounding. Accepted are ASCII
// digits with at most one point and at least one digit on each side of it. A
// leading zero stands only alone before the point ("0.5", not "00.5" or "07"),
// because others read it as octal; trailing zeros are fine as long as there are
// no more places than decimals. Zero is accepted: whether it makes sense is the
// caller's rule. It returns CodeInvalidAmount.
func ParseDecimal(s string, decimals uint8) (Amount, error) {
	whole, fraction, hasPoint := strings.Cut(s, ".")
	if err := checkInteger(whole); err != nil {
		return Amount{}, err
	}
	if hasPoint && (fraction == "" || !allDigits(fraction)) {
		return Amount{}, E(CodeInvalidAmount, "", "amount must have digits after its point, and nothing else")
	}
	if len(fraction) > int(decimals) {
		return Amount{}, E(CodeInvalidAmount, "", "amount has more than %d decimals", decimals)
	}
	return fromDigits(whole + fraction + strings.Repeat("0", int(decimals)-len(fraction)))
}

// checkInteger accepts "0" and digits that do not begin with zero.
func checkInteger(s string) error {
	switch {
	case s == "":
		return E(CodeInvalidAmount, "", "amount must begin with a digit")
	case !allDigits(s):
		return E(CodeInvalidAmount, "", "amount must be plain decimal digits, without sign, exponent or separators")
	case len(s) > 1 && s[0] == '0':
		return E(CodeInvalidAmount, "", "amount has leading zeros")
	case len(s) > maxDigits:
		return errTooLarge()
	}
	return nil
}

func allDigits(s string) bool {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return false
		}
	}
	return true
}

// fromDigits turns ASCII digits, leading zeros allowed, into an amount.
func fromDigits(digits string) (Amount, error) {
	digits = strings.TrimLeft(digits, "0")
	if digits == "" {
		return Amount{}, nil
	}
	var a Amount
	if len(digits) > maxDigits || a.v.SetFromDecimal(digits) != nil {
		return Amount{}, errTooLarge()
	}
	return a, nil
}

func errTooLarge() *Error {
	return E(CodeInvalidAmount, "", "amount is above 2^256-1 base units")
}

// String prints the base units: "25000000".
func (a Amount) String() string { return a.v.Dec() }

// Decimal prints whole units of an asset with the given decimals, exactly,
// without trailing zeros: 25,500,000 base units at 6 decimals is "25.5".
// ParseDecimal with the same decimals reads it back.
func (a Amount) Decimal(decimals uint8) string {
	digits := a.v.Dec()
	places := int(decimals)
	if missing := places + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	whole, fraction := digits[:len(digits)-places], strings.TrimRight(digits[len(digits)-places:], "0")
	if fraction == "" {
		return whole
	}
	return whole + "." + fraction
}

// Big returns the base units as a new big.Int.
func (a Amount) Big() *big.Int { return a.v.ToBig() }

// Bytes32 returns the base units as a big-endian word.
func (a Amount) Bytes32() [32]byte { return a.v.Bytes32() }

// Uint64 returns the base units and true, or false when they do not fit.
func (a Amount) Uint64() (uint64, bool) { return a.v.Uint64(), a.v.IsUint64() }

// Cmp is -1, 0 or +1 as a is less than, equal to or greater than b.
func (a Amount) Cmp(b Amount) int { return a.v.Cmp(&b.v) }

// Less tells whether a < b.
func (a Amount) Less(b Amount) bool { return a.v.Lt(&b.v) }

// IsZero tells whether a is zero.
func (a Amount) IsZero() bool { return a.v.IsZero() }

// Add returns a+b, or CodeInvalidAmount when the sum is above 2^256-1.
func (a Amount) Add(b Amount) (Amount, error) {
	var sum Amount
	if _, overflow := sum.v.AddOverflow(&a.v, &b.v); overflow {
		return Amount{}, errTooLarge()
	}
	return sum, nil
}

// Sub returns a-b, or CodeInvalidAmount when b is greater than a.
func (a Amount) Sub(b Amount) (Amount, error) {
	var difference Amount
	if _, underflow := difference.v.SubOverflow(&a.v, &b.v); underflow {
		return Amount{}, E(CodeInvalidAmount, "", "amount would be negative")
	}
	return difference, nil
}

// SubFloor returns a-b, or zero when b is greater than a.
func (a Amount) SubFloor(b Amount) Amount {
	if a.Less(b) {
		return Amount{}
	}
	var difference Amount
	difference.v.Sub(&a.v, &b.v)
	return difference
}

// mulDiv returns a*numerator/denominator rounded down. The product may be wider
// than 256 bits; numerator must not exceed denominator, so the result is not.
func (a Amount) mulDiv(numerator, denominator uint64) Amount {
	var result Amount
	result.v.MulDivOverflow(&a.v, uint256.NewInt(numerator), uint256.NewInt(denominator))
	return result
}

// Min returns the smaller of a and b.
func (a Amount) Min(b Amount) Amount {
	if b.Less(a) {
		return b
	}
	return a
}

// Max returns the greater of a and b.
func (a Amount) Max(b Amount) Amount {
	if a.Less(b) {
		return b
	}
	return a
}

// MarshalText prints the base units.
func (a Amount) MarshalText() ([]byte, error) { return []byte(a.String()), nil }

// UnmarshalText is ParseBaseUnits.
func (a *Amount) UnmarshalText(text []byte) error {
	parsed, err := ParseBaseUnits(string(text))
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}

// MarshalJSON prints the base units as a string: JSON numbers lose digits in
// most readers.
func (a Amount) MarshalJSON() ([]byte, error) { return []byte(`"` + a.String() + `"`), nil }

// UnmarshalJSON reads a string of base units. Numbers and null are refused with
// CodeInvalidAmount.
func (a *Amount) UnmarshalJSON(data []byte) error {
	if len(data) == 0 || data[0] != '"' {
		return E(CodeInvalidAmount, "", "amount must be a string")
	}
	var text string
	if err := json.Unmarshal(data, &text); err != nil {
		return Wrap(err, CodeInvalidAmount, "", "amount must be a string")
	}
	return a.UnmarshalText([]byte(text))
}
