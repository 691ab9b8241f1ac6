package seal

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"fmt"
)

// MAC authenticates the parts of a row. Sum has 32 bytes.
type MAC struct {
	KeyID string
	Sum   []byte
}

// MAC signs parts under the current key. Each purpose has a key of its own; the order and the boundaries of the parts
// count. The same parts give the same sum until the current key changes.
func (r Keyring) MAC(purpose string, parts ...[]byte) MAC {
	return MAC{KeyID: r.current, Sum: r.key(r.current).sum(purpose, parts)}
}

// Verify returns nil when mac is MAC(purpose, parts…) under the key it names. It takes the same time whichever byte
// differs. Errors: ErrUnknownKey, ErrMAC.
func (r Keyring) Verify(mac MAC, purpose string, parts ...[]byte) error {
	k, err := r.find(mac.KeyID)
	if err != nil {
		return err
	}
	if !hmac.Equal(mac.Sum, k.sum(purpose, parts)) {
		return fmt.Errorf("%w (%s)", ErrMAC, purpose)
	}
	return nil
}

func (k *key) sum(purpose string, parts [][]byte) []byte {
	macKey, err := hkdf.Key(sha256.New, k.macMaster, nil, "purpose/"+purpose, sha256.Size)
	if err != nil {
		panic("HKDF gives 32 bytes: " + err.Error()) // fails only for lengths above 8,160
	}
	h := hmac.New(sha256.New, macKey)
	h.Write(appendParts(nil, parts...))
	return h.Sum(nil)
}
