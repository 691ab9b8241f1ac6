package seal

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
)

// Place is where a sealed value stands. It is authenticated and not stored: Open must be told the same.
type Place struct {
	Purpose string // what the value is, say "webhook_endpoint.secret"; a constant in the code
	RowID   string // the row it belongs to
}

// Sealed is what the database keeps.
type Sealed struct {
	KeyID string
	Bytes []byte // nonce, then ciphertext with its tag
}

// Seal encrypts under the current key. Sealing the same text twice gives different bytes.
func (r Keyring) Seal(plaintext []byte, at Place) Sealed {
	k := r.key(r.current)
	nonce := make([]byte, k.aead.NonceSize(), k.aead.NonceSize()+len(plaintext)+k.aead.Overhead())
	_, _ = rand.Read(nonce) // never fails; 96 random bits are good for 2^32 values under one key
	return Sealed{KeyID: k.id, Bytes: k.aead.Seal(nonce, nonce, plaintext, at.encode(k.id))}
}

// Open decrypts what Seal made for this place. Errors: ErrUnknownKey, ErrOpen.
func (r Keyring) Open(s Sealed, at Place) ([]byte, error) {
	k, err := r.find(s.KeyID)
	if err != nil {
		return nil, err
	}
	size := k.aead.NonceSize()
	if len(s.Bytes) < size+k.aead.Overhead() {
		return nil, fmt.Errorf("%w: too short (%s)", ErrOpen, at.Purpose)
	}
	plaintext, err := k.aead.Open(nil, s.Bytes[:size], s.Bytes[size:], at.encode(k.id))
	if err != nil {
		return nil, fmt.Errorf("%w (%s)", ErrOpen, at.Purpose)
	}
	return plaintext, nil
}

// encode makes the additional data: unambiguous, so that no two places share it.
func (p Place) encode(keyID string) []byte {
	return appendParts(nil, []byte("sluice/seal/v1"), []byte(keyID), []byte(p.Purpose), []byte(p.RowID))
}

// appendParts writes each part behind its length.
func appendParts(to []byte, parts ...[]byte) []byte {
	for _, part := range parts {
		to = binary.BigEndian.AppendUint64(to, uint64(len(part)))
		to = append(to, part...)
	}
	return to
}
