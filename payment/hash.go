package payment

import "encoding/hex"

// Hash is a transaction or block hash of 32 bytes. Its one spelling is 0x and
// lower-case hex.
type Hash [32]byte

// ParseHash reads 0x and 64 hex digits of either case. It returns CodeInvalidHash.
func ParseHash(s string) (Hash, error) {
	var h Hash
	if len(s) != 2+2*len(h) || s[:2] != "0x" {
		return Hash{}, E(CodeInvalidHash, "", "hash must be 0x and %d hex digits", 2*len(h))
	}
	if _, err := hex.Decode(h[:], []byte(s[2:])); err != nil {
		return Hash{}, E(CodeInvalidHash, "", "hash must be 0x and %d hex digits", 2*len(h))
	}
	return h, nil
}

// String prints 0x and lower-case hex.
func (h Hash) String() string { return "0x" + hex.EncodeToString(h[:]) }

// IsZero tells whether all bytes are zero, which no real hash is.
func (h Hash) IsZero() bool { return h == Hash{} }

// MarshalText is String.
func (h Hash) MarshalText() ([]byte, error) { return []byte(h.String()), nil }

// UnmarshalText is ParseHash.
func (h *Hash) UnmarshalText(text []byte) error {
	parsed, err := ParseHash(string(text))
	if err != nil {
		return err
	}
	*h = parsed
	return nil
}
