package seal

import (
	"crypto/subtle"
	"fmt"
	"log/slog"
)

const mask = "[hidden]"

// Secret is a string that prints as a mask, whichever way it is printed. Reveal is the only way to the value. The value
// is behind a pointer because fmt reads the unexported fields of a struct without asking their methods; so == compares
// nothing useful, Equal does.
type Secret struct{ value *string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: &value} }

// Reveal returns the value, "" for the zero Secret.
func (s Secret) Reveal() string {
	if s.value == nil {
		return ""
	}
	return *s.value
}

// IsZero reports whether there is no value, or an empty one.
func (s Secret) IsZero() bool { return s.Reveal() == "" }

// Equal compares in constant time for values of one length.
func (s Secret) Equal(other Secret) bool {
	return subtle.ConstantTimeCompare([]byte(s.Reveal()), []byte(other.Reveal())) == 1
}

// UnmarshalText takes the value from the environment or a file.
func (s *Secret) UnmarshalText(text []byte) error {
	*s = NewSecret(string(text))
	return nil
}

// MarshalText prints the mask; JSON uses it too.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }

// String prints the mask.
func (s Secret) String() string { return mask }

// Format prints the mask, whatever the verb.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// LogValue prints the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(mask) }
