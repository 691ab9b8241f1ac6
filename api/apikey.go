package api

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

const (
	testKeyPrefix = "sk_test_"
	liveKeyPrefix = "sk_live_"

	apiKeyBytes = 32
	// shownOfKey is how much of the random part people see beside a key's name: enough to tell two keys apart.
	shownOfKey = 6
)

// NewAPIKey makes an API key of 256 random bits. It returns the key, to be shown once and never again; the beginning that
// may be shown for ever; and the hash by which the key is found. There is nothing to guess in a random key, so a plain
// SHA-256 is enough.
func NewAPIKey(mode payment.Mode) (key, prefix string, hash [sha256.Size]byte) {
	var random [apiKeyBytes]byte
	_, _ = rand.Read(random[:]) // never fails: without randomness the program ends
	key = keyPrefix(mode) + base64.RawURLEncoding.EncodeToString(random[:])
	return key, key[:len(keyPrefix(mode))+shownOfKey], HashAPIKey(key)
}

// HashAPIKey is what is kept of a key.
func HashAPIKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

func keyPrefix(mode payment.Mode) string {
	if mode == payment.ModeLive {
		return liveKeyPrefix
	}
	return testKeyPrefix
}

// parseAPIKey tells the mode of a key in its one spelling. It returns CodeUnauthorized for everything else, so that only
// what can be a key is looked up.
func parseAPIKey(text string) (payment.Mode, error) {
	mode := payment.ModeLive
	random, ok := strings.CutPrefix(text, liveKeyPrefix)
	if !ok {
		mode = payment.ModeTest
		random, ok = strings.CutPrefix(text, testKeyPrefix)
	}
	if !ok || len(random) != base64.RawURLEncoding.EncodedLen(apiKeyBytes) {
		return "", errMalformedKey()
	}
	if _, err := base64.RawURLEncoding.Strict().DecodeString(random); err != nil {
		return "", errMalformedKey()
	}
	return mode, nil
}

func errMalformedKey() error {
	return payment.E(payment.CodeUnauthorized, headerAuthorization, "this is not an API key")
}
