package hd

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"log/slog"
	"slices"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/tyler-smith/go-bip32"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const (
	// MaxIndex is the highest index that Derive takes; the ones above are hardened and need the private key.
	MaxIndex = 1<<31 - 1

	externalChain = 0 // BIP-44: addresses that are shown to others
	accountDepth  = 3 // m / purpose' / coin' / account'

	// A serialised key: version, depth, parent's fingerprint, child number, chain code, key, checksum.
	keyLength      = 82
	xpubTextLength = 111
	maxInput       = 8192 // what is worth looking at before it is refused
)

// ExtendedPublicKey is the account-level public half of a wallet. Values are immutable, and equal in behaviour when their
// fingerprints are equal. The zero value derives nothing.
type ExtendedPublicKey struct {
	// text is a function because fmt prints the unexported fields of a struct without asking their methods.
	text        func() string
	fingerprint [32]byte
	external    *bip32.Key // the key at …/0, every slice clipped
}

var _ chain.AddressDeriver = ExtendedPublicKey{}

// ParseXPub reads an extended public key of an account (xpub…, depth 3). It demands the canonical base58 spelling, a
// right checksum, the version of Bitcoin's main net (which EVM wallets use), and a point on the curve.
//
// Errors: private_key_material for anything that looks private, invalid_xpub for the rest. Neither repeats the input.
func ParseXPub(text string) (ExtendedPublicKey, error) {
	raw, err := decodePublic(text)
	if err != nil {
		return ExtendedPublicKey{}, err
	}
	child := binary.BigEndian.Uint32(raw[9:13])
	if raw[4] != accountDepth || child < bip32.FirstHardenedChild {
		return ExtendedPublicKey{}, invalid("this key is not that of an account: export the one at m/44'/60'/0'")
	}
	external, err := childOf(raw, externalChain)
	if err != nil {
		return ExtendedPublicKey{}, err
	}
	return ExtendedPublicKey{
		text:        func() string { return text },
		fingerprint: fingerprintOf(raw),
		external:    external,
	}, nil
}

func invalid(message string) error {
	return payment.E(payment.CodeInvalidXPub, "xpub", "%s", message)
}

// decodePublic returns the 82 bytes of a valid extended public key of any depth, or says what is wrong with it.
func decodePublic(text string) ([]byte, error) {
	raw, err := decodeStrictly(text)
	if err != nil && len(text) <= maxInput && looksPrivate(text) {
		return nil, errPrivate()
	}
	return raw, err
}

// decodeStrictly stands before the library's own parser, which accepts most invalid keys, among them private keys under
// a public version.
func decodeStrictly(text string) ([]byte, error) {
	if len(text) != xpubTextLength {
		return nil, invalid(fmt.Sprintf("an extended public key has %d characters", xpubTextLength))
	}
	raw, err := bip32.BitcoinBase58Encoding.DecodeString(text)
	// The decoder takes leading ones for nothing, so that a key has many spellings but for the second test.
	if err != nil || len(raw) != keyLength || bip32.BitcoinBase58Encoding.EncodeToString(raw) != text {
		return nil, invalid("this is not base58")
	}
	once := sha256.Sum256(raw[:keyLength-4])
	twice := sha256.Sum256(once[:])
	version, depth, parent, child, key := raw[:4], raw[4], raw[5:9], raw[9:13], raw[45:78]
	zero := make([]byte, 4)
	switch {
	case bytes.Equal(version, bip32.PrivateWalletVersion), key[0] == 0:
		return nil, errPrivate()
	case !bytes.Equal(twice[:4], raw[keyLength-4:]):
		return nil, invalid("the checksum is wrong: the key was mistyped or cut")
	case !bytes.Equal(version, bip32.PublicWalletVersion):
		return nil, invalid("the version is not that of an xpub")
	case depth == 0 && !bytes.Equal(parent, zero):
		return nil, invalid("a master key has no parent, but this one names one")
	case depth == 0 && !bytes.Equal(child, zero):
		return nil, invalid("a master key has no child number, but this one names one")
	case key[0] != 2 && key[0] != 3:
		return nil, invalid("the public key is not a compressed one")
	}
	if _, err := crypto.DecompressPubkey(key); err != nil {
		return nil, invalid("the public key is not on the curve")
	}
	return raw, nil
}

// childOf derives a child of a decoded key.
//
// The library appends to the parent's Key in place. Where that slice has spare capacity, as it has after the library's
// own Deserialize, goroutines that derive from one key overwrite each other's index and get each other's addresses. So
// no key is ever used here but a clipped one.
func childOf(raw []byte, index uint32) (*bip32.Key, error) {
	parent, err := bip32.Deserialize(slices.Clone(raw))
	if err != nil {
		return nil, invalid("the key cannot be read")
	}
	child, err := clipped(parent).NewChildKey(index)
	if err != nil { // one key in 2^127
		return nil, invalid("this key has no external chain")
	}
	return clipped(child), nil
}

func clipped(key *bip32.Key) *bip32.Key {
	return &bip32.Key{
		Key:         slices.Clip(slices.Clone(key.Key)),
		Version:     slices.Clip(slices.Clone(key.Version)),
		ChildNumber: slices.Clip(slices.Clone(key.ChildNumber)),
		FingerPrint: slices.Clip(slices.Clone(key.FingerPrint)),
		ChainCode:   slices.Clip(slices.Clone(key.ChainCode)),
		Depth:       key.Depth,
		IsPrivate:   key.IsPrivate,
	}
}

// Derive returns the address at <account>/0/index. Errors: invalid_parameter above MaxIndex, invalid_xpub for the zero
// value.
func (k ExtendedPublicKey) Derive(index uint32) (payment.Address, error) {
	if k.external == nil {
		return payment.Address{}, invalid("there is no key to derive from")
	}
	if index > MaxIndex {
		return payment.Address{}, payment.E(payment.CodeInvalidParameter, "index", "an index is at most %d", MaxIndex)
	}
	child, err := k.external.NewChildKey(index)
	if err != nil {
		return payment.Address{}, payment.Wrap(err, payment.CodeInternal, "index", "this index has no address")
	}
	point, err := crypto.DecompressPubkey(child.Key)
	if err != nil {
		return payment.Address{}, payment.Wrap(err, payment.CodeInternal, "index", "this index has no address")
	}
	return payment.AddressFromBytes(payment.FamilyEVM, crypto.PubkeyToAddress(*point).Bytes())
}

// Fingerprint identifies the wallet: the SHA-256 of chain code and public key. Two spellings that derive the same
// addresses have the same one. It tells nothing about the addresses.
func (k ExtendedPublicKey) Fingerprint() [32]byte { return k.fingerprint }

// fingerprintOf leaves depth, parent and child number out: they say where the key came from, not what it derives.
func fingerprintOf(raw []byte) [32]byte {
	return sha256.Sum256(slices.Concat([]byte("sluice/xpub/v1"), raw[13:78]))
}

// Reveal returns the xpub's text, for the database and for the operator who made it. It goes into no log, no payload and
// no answer of the API.
func (k ExtendedPublicKey) Reveal() string {
	if k.text == nil {
		return ""
	}
	return k.text()
}

// String prints the beginning of the fingerprint.
func (k ExtendedPublicKey) String() string { return "xpub#" + hex.EncodeToString(k.fingerprint[:4]) }

// Format prints String, whatever the verb.
func (k ExtendedPublicKey) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(k.String())) }

// LogValue prints String.
func (k ExtendedPublicKey) LogValue() slog.Value { return slog.StringValue(k.String()) }

// MarshalText prints String; JSON uses it too.
func (k ExtendedPublicKey) MarshalText() ([]byte, error) { return []byte(k.String()), nil }
