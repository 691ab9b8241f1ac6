package payment

import (
	"encoding/hex"
	"strings"

	"golang.org/x/crypto/sha3"
)

// Family is a group of chains that share one address format. An address of a
// family is the same account on every chain of it.
type Family string

// FamilyEVM holds the chains whose addresses are the last 20 bytes of a Keccak hash.
const FamilyEVM Family = "evm"

// evmAddressBytes is the length of an address of FamilyEVM.
const evmAddressBytes = 20

// Families lists the known families.
func Families() []Family { return []Family{FamilyEVM} }

// ParseFamily returns CodeInvalidParameter for a family nobody knows.
func ParseFamily(s string) (Family, error) {
	if Family(s) != FamilyEVM {
		return "", E(CodeInvalidParameter, "", "unknown address family")
	}
	return Family(s), nil
}

// Address is an account or contract: a family and the address's bytes. Two
// spellings of one address are equal here, so == and map keys are safe. The
// zero value is no address.
type Address struct {
	Family Family
	Raw    string // the bytes, in a string so that addresses compare
}

// AddressFromBytes makes an address. It returns CodeInvalidAddress when the
// family is unknown or the length is not the family's.
func AddressFromBytes(family Family, raw []byte) (Address, error) {
	if family != FamilyEVM || len(raw) != evmAddressBytes {
		return Address{}, E(CodeInvalidAddress, "", "address has the wrong length or family")
	}
	return Address{Family: family, Raw: string(raw)}, nil
}

// ParseAddress reads an address as people write it. For FamilyEVM that is 0x and
// 40 hex digits; when they mix cases the EIP-55 checksum must hold. It returns
// CodeInvalidAddress.
func ParseAddress(family Family, text string) (Address, error) {
	if family != FamilyEVM {
		return Address{}, E(CodeInvalidAddress, "", "unknown address family")
	}
	digits, ok := strings.CutPrefix(text, "0x")
	if !ok || len(digits) != 2*evmAddressBytes {
		return Address{}, E(CodeInvalidAddress, "", "address must be 0x and %d hex digits", 2*evmAddressBytes)
	}
	raw, err := hex.DecodeString(digits)
	if err != nil {
		return Address{}, E(CodeInvalidAddress, "", "address must be 0x and %d hex digits", 2*evmAddressBytes)
	}
	address := Address{Family: family, Raw: string(raw)}
	mixed := digits != strings.ToLower(digits) && digits != strings.ToUpper(digits)
	if mixed && address.Text() != text {
		return Address{}, E(CodeInvalidAddress, "", "address has a wrong checksum")
	}
	return address, nil
}

// Text prints the address as people write it: EIP-55 for FamilyEVM, "" for the
// zero value.
func (a Address) Text() string {
	if a.Raw == "" {
		return ""
	}
	return eip55(hex.EncodeToString([]byte(a.Raw)))
}

// String is Text.
func (a Address) String() string { return a.Text() }

// Lower prints 0x and lower-case hex: the spelling inside asset ids, and of
// JSON-RPC.
func (a Address) Lower() string {
	if a.Raw == "" {
		return ""
	}
	return "0x" + hex.EncodeToString([]byte(a.Raw))
}

// Bytes returns a copy of the address's bytes.
func (a Address) Bytes() []byte { return []byte(a.Raw) }

// IsZero tells whether a is no address at all. An address of twenty zero bytes
// is one.
func (a Address) IsZero() bool { return a.Raw == "" }

// eip55 writes a hex digit in upper case where the Keccak hash of the lower-case
// hex has a nibble of 8 or more.
func eip55(lower string) string {
	hasher := sha3.NewLegacyKeccak256()
	_, _ = hasher.Write([]byte(lower)) // a hash never fails to write
	sum := hasher.Sum(nil)
	out := []byte(lower)
	for i, c := range out {
		nibble := sum[i/2] >> 4
		if i%2 == 1 {
			nibble = sum[i/2] & 0x0f
		}
		if c >= 'a' && nibble >= 8 {
			out[i] = c - 'a' + 'A'
		}
	}
	return "0x" + string(out)
}

// MarshalText prints family and address, "evm:0x…", so that reading it back
// needs no context; the zero value is "".
func (a Address) MarshalText() ([]byte, error) {
	if a.IsZero() {
		return nil, nil
	}
	return []byte(string(a.Family) + ":" + a.Text()), nil
}

// UnmarshalText reads what MarshalText prints. It returns CodeInvalidAddress.
func (a *Address) UnmarshalText(text []byte) error {
	if len(text) == 0 {
		*a = Address{}
		return nil
	}
	family, rest, ok := strings.Cut(string(text), ":")
	if !ok {
		return E(CodeInvalidAddress, "", "address must be family:address")
	}
	parsed, err := ParseAddress(Family(family), rest)
	if err != nil {
		return err
	}
	*a = parsed
	return nil
}
