package seal

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
)

var (
	// ErrKeyring says that a list of master keys cannot be used.
	ErrKeyring = errors.New("the master keys cannot be used")
	// ErrUnknownKey says that a value names a key that the keyring does not hold.
	ErrUnknownKey = errors.New("sealed with a master key that is not configured")
	// ErrOpen says that a sealed value was altered or belongs to another place.
	ErrOpen = errors.New("a sealed value does not open")
	// ErrMAC says that an authenticated row was altered.
	ErrMAC = errors.New("a message authentication code does not match")
)

const (
	masterKeyBytes = 32
	maxKeyIDLength = 32
)

// Keyring seals, opens, signs and verifies. It is immutable and safe for concurrent use.
type Keyring struct {
	current string
	// key is a function and no map, because fmt follows maps and pointers inside other values without asking methods.
	key func(id string) *key
}

// key is one master key's derived parts.
type key struct {
	id   string
	aead cipher.AEAD
	// macMaster is what the MAC keys of the single purposes are derived from.
	macMaster []byte
}

// ParseKeyring reads "id:base64(32 bytes)[,id:base64…]", the first key being the one that seals. Ids are up to 32
// letters, digits, '.', '_' and '-'. Error: ErrKeyring, which tells the position of the fault and never the text.
func ParseKeyring(text string) (*Keyring, error) {
	byID, masters, current := map[string]*key{}, map[string]bool{}, ""
	for i, entry := range strings.Split(text, ",") {
		fault := func(what string) error { return fmt.Errorf("%w: key %d: %s", ErrKeyring, i+1, what) }
		id, encoded, ok := strings.Cut(strings.TrimSpace(entry), ":")
		if !ok {
			return nil, fault("want id:base64")
		}
		if !validKeyID(id) {
			return nil, fault("an id is 1 to 32 letters, digits, '.', '_' or '-'")
		}
		master, err := base64.StdEncoding.Strict().DecodeString(encoded)
		if err != nil || len(master) != masterKeyBytes {
			return nil, fault("want 32 bytes in standard base64") // err would quote the key
		}
		if bytes.Count(master, master[:1]) == masterKeyBytes {
			return nil, fault("all bytes are the same: this is a placeholder")
		}
		if byID[id] != nil || masters[string(master)] {
			return nil, fault("this id or this key is there twice")
		}
		masters[string(master)] = true
		k, err := newKey(id, master)
		if err != nil {
			return nil, fault("the key cannot be derived")
		}
		byID[id] = k
		if current == "" {
			current = id
		}
	}
	return &Keyring{current: current, key: func(id string) *key { return byID[id] }}, nil
}

// NewRandomKeyring is a keyring of one fresh key, for tests and throw-away stacks. The text is what ParseKeyring takes.
func NewRandomKeyring() (*Keyring, Secret) {
	master := make([]byte, masterKeyBytes)
	_, _ = rand.Read(master) // never fails
	text := "k1:" + base64.StdEncoding.EncodeToString(master)
	ring, err := ParseKeyring(text)
	if err != nil {
		panic("a fresh keyring is valid: " + err.Error())
	}
	return ring, NewSecret(text)
}

func validKeyID(id string) bool {
	const alphabet = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
	return id != "" && len(id) <= maxKeyIDLength && strings.Trim(id, alphabet) == ""
}

func newKey(id string, master []byte) (*key, error) {
	sealKey, err := hkdf.Key(sha256.New, master, nil, "sluice/seal/v1", masterKeyBytes)
	if err != nil {
		return nil, err
	}
	macMaster, err := hkdf.Key(sha256.New, master, nil, "sluice/mac/v1", masterKeyBytes)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(sealKey)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		return nil, err
	}
	return &key{id: id, aead: aead, macMaster: macMaster}, nil
}

// Current is the id of the key that seals and signs. A row under another id wants to be written again.
func (r Keyring) Current() string { return r.current }

// CurrentOnly is a keyring of the current key alone: what opens with it needs none of the others.
func (r Keyring) CurrentOnly() Keyring {
	only := r.key(r.current)
	return Keyring{current: r.current, key: func(id string) *key {
		if id == only.id {
			return only
		}
		return nil
	}}
}

// Has tells whether the keyring holds a key of this id.
func (r Keyring) Has(id string) bool { return r.key(id) != nil }

// find returns ErrUnknownKey with the id, which is no secret.
func (r Keyring) find(id string) (*key, error) {
	if k := r.key(id); k != nil {
		return k, nil
	}
	if !validKeyID(id) {
		return nil, ErrUnknownKey
	}
	return nil, fmt.Errorf("%w: %s", ErrUnknownKey, id)
}

// Format prints the mask, whatever the verb.
func (r Keyring) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(mask)) }

// LogValue prints the mask.
func (r Keyring) LogValue() slog.Value { return slog.StringValue(mask) }
