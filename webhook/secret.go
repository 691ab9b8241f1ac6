package webhook

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

// The bounds that Standard Webhooks sets on the length of a signing key, and the
// length that NewSecret uses.
const (
	minSecretBytes = 24
	maxSecretBytes = 64
	newSecretBytes = 32
)

const (
	secretPrefix = "whsec_"
	secretMask   = secretPrefix + "***"
)

// ErrSecret is returned for text that is no signing secret. It never carries the
// text.
var ErrSecret = errors.New("webhook: not a signing secret: want whsec_ and the base64 of 24 to 64 bytes")

// Secret is the signing secret of a merchant's endpoint. However it is printed,
// logged or marshalled it shows a mask; only [Secret.Reveal] gives the text. The
// zero value is no secret and is refused by [NewSigner].
type Secret struct {
	// A pointer, because fmt prints the unexported fields of a struct around a
	// Secret without asking its String method; it then prints an address.
	text *string
}

// NewSecret makes a signing secret of 256 random bits.
func NewSecret() Secret {
	key := make([]byte, newSecretBytes)
	_, _ = rand.Read(key) // never fails: crypto/rand ends the process instead
	text := secretPrefix + base64.StdEncoding.EncodeToString(key)
	return Secret{text: &text}
}

// ParseSecret reads a secret as it was stored or handed out. The only error is
// ErrSecret.
func ParseSecret(text string) (Secret, error) {
	encoded, ok := strings.CutPrefix(text, secretPrefix)
	if !ok || strings.ContainsAny(encoded, "\r\n") { // the decoder would skip line ends
		return Secret{}, ErrSecret
	}
	key, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil || len(key) < minSecretBytes || len(key) > maxSecretBytes {
		return Secret{}, ErrSecret
	}
	return Secret{text: &text}, nil
}

// Reveal returns the secret itself. It is for signing, for sealing before
// storage, and for showing it once to the merchant who owns it.
func (s Secret) Reveal() string {
	if s.text == nil {
		return ""
	}
	return *s.text
}

// IsZero tells whether s holds no secret.
func (s Secret) IsZero() bool { return s.text == nil }

// String returns a mask.
func (s Secret) String() string { return secretMask }

// Format prints the mask for every verb and flag.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(secretMask)) }

// LogValue logs the mask.
func (s Secret) LogValue() slog.Value { return slog.StringValue(secretMask) }

// MarshalText marshals the mask, so that a secret cannot leave inside a payload.
func (s Secret) MarshalText() ([]byte, error) { return []byte(secretMask), nil }
