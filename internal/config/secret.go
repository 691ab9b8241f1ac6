package config

import (
	"fmt"
	"log/slog"
)

const mask = "********"

// Secret is a value that prints as a mask, whichever way it is printed. Reveal is the only way to it.
type Secret struct{ value string }

// NewSecret wraps a value.
func NewSecret(value string) Secret { return Secret{value: value} }

// Reveal returns the value itself.
func (s Secret) Reveal() string { return s.value }

// UnmarshalText takes the value from the environment.
func (s *Secret) UnmarshalText(text []byte) error {
	s.value = string(text)
	return nil
}

// Format masks the value under every verb, %#v and %q included.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// LogValue masks the value in logs.
func (s Secret) LogValue() slog.Value { return slog.StringValue(mask) }

// MarshalText masks the value in JSON and anything else built on text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(mask), nil }
