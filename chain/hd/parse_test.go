package hd

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip32"

	"github.com/sluicepay/sluice/payment"
)

func TestBIP32InvalidKeysAreRefused(t *testing.T) {
	t.Parallel()
	require.Len(t, invalidKeys(), 16)
	for _, key := range invalidKeys() {
		_, err := decodePublic(key.text)
		require.ErrorContains(t, err, key.why, key.text)
		_, errParse := ParseXPub(key.text)
		require.Equal(t, err, errParse)
		code := payment.CodeInvalidXPub
		if key.why == "private" {
			code = payment.CodePrivateKeyMaterial
		}
		require.Equal(t, code, payment.CodeOf(err), key.text)
		require.NotContains(t, err.Error(), key.text[4:12])
	}
}

// reencode changes the payload of the junk account's xpub and puts a right checksum on it.
func reencode(t *testing.T, change func(raw []byte) []byte) string {
	t.Helper()
	raw, err := bip32.BitcoinBase58Encoding.DecodeString(junkXPub(t).Reveal())
	require.NoError(t, err)
	raw = change(raw[:78])
	key := &bip32.Key{Version: raw[:4], Depth: raw[4], FingerPrint: raw[5:9], ChildNumber: raw[9:13], ChainCode: raw[13:45], Key: raw[45:]}
	return key.B58Serialize()
}

func TestOnlyCanonicalAccountKeysAreTaken(t *testing.T) {
	t.Parallel()
	good := junkXPub(t).Reveal()
	set := func(at int, bytes ...byte) func([]byte) []byte {
		return func(raw []byte) []byte { copy(raw[at:], bytes); return raw }
	}
	require.Equal(t, good, reencode(t, func(raw []byte) []byte { return raw }))
	for name, text := range map[string]string{
		"empty":              "",
		"leading one":        "1" + good, // the same number in base58
		"leading space":      " " + good,
		"trailing newline":   good + "\n",
		"lower case":         strings.ToLower(good),
		"cut":                good[:110],
		"a zero for an o":    strings.Replace(good, good[60:61], "0", 1),
		"one letter off":     good[:50] + swap(good[50:51]) + good[51:],
		"not ASCII":          good[:109] + "é",
		"very long":          strings.Repeat(good, 10_000),
		"testnet (tpub)":     reencode(t, set(0, 0x04, 0x35, 0x87, 0xcf)),
		"segwit (zpub)":      reencode(t, set(0, 0x04, 0xb2, 0x47, 0x46)),
		"a byte too many":    reencode(t, func(raw []byte) []byte { return append(raw, 0) }),
		"a byte too few":     reencode(t, func(raw []byte) []byte { return raw[:77] }),
		"master":             reencode(t, set(4, 0, 0, 0, 0, 0, 0, 0, 0, 0)),
		"deeper":             reencode(t, set(4, 4)),
		"not hardened":       reencode(t, set(9, 0, 0, 0, 0)),
		"uncompressed":       reencode(t, set(45, 4)),
		"x above the field":  reencode(t, set(45, append([]byte{2}, bytes.Repeat([]byte{0xff}, 32)...)...)),
		"x without a point":  reencode(t, set(45, append([]byte{2}, append(make([]byte, 31), 7)...)...)),
		"an address":         "0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266",
		"a public key":       "02" + strings.Repeat("ab", 32),
		"an ordinary phrase": "please take my money and keep it well",
	} {
		_, err := ParseXPub(text)
		require.Equal(t, payment.CodeInvalidXPub, payment.CodeOf(err), name)
		if text != "" {
			require.NotContains(t, err.Error(), text, name)
		}
	}
}

func swap(letter string) string {
	if letter == "A" {
		return "B"
	}
	return "A"
}

func TestPrivateMaterialIsNamedAndNotRepeated(t *testing.T) {
	t.Parallel()
	seed, err := seedOf(junk, "")
	require.NoError(t, err)
	master, err := bip32.NewMasterKey(seed)
	require.NoError(t, err)
	xprv, private := master.B58Serialize(), hex.EncodeToString(master.Key)
	for name, text := range map[string]string{
		"xprv":               xprv,
		"xprv, cut":          xprv[:60],
		"xprv, mistyped":     xprv[:60] + swap(xprv[60:61]) + xprv[61:],
		"xprv, in an origin": "[d34db33f/44h/60h/0h]" + xprv,
		"xprv, with a space": " " + xprv + "\n",
		"private as xpub":    reencode(t, func(raw []byte) []byte { raw[45] = 0; return raw }),
		"mnemonic":           junk,
		"mnemonic, mistyped": strings.Replace(junk, "junk", "jukn", 1),
		"mnemonic, in part":  "abandon ability able about",
		"mnemonic, capitals": strings.ToUpper(junk),
		"mnemonic, commas":   strings.ReplaceAll(junk, " ", ", "),
		"hex":                private,
		"hex with 0x":        "0x" + private,
		"hex, capitals":      strings.ToUpper(private),
		"seed in hex":        hex.EncodeToString(seed),
		"WIF":                "KwDiBf89QgGbjEhKnhXJuH7LrciVrZi3qYjgd9M7rFU73sVHnoWn",
		"key file":           `{"crypto":{"ciphertext":"00"}}`,
		"PEM":                "-----BEGIN EC PRIVATE KEY-----\n" + base64.StdEncoding.EncodeToString(master.Key),
		"public and private": junkXPub(t).Reveal() + " " + xprv,
		"ypriv of a hot one": "yprv" + xprv[4:],
	} {
		_, err := ParseXPub(text)
		require.Equal(t, payment.CodePrivateKeyMaterial, payment.CodeOf(err), name)
		require.ErrorContains(t, err, "only ever takes an extended public key", name)
		for _, part := range strings.Fields(text) {
			if len(part) > 6 {
				require.NotContains(t, err.Error(), part, name)
			}
		}
	}
}

// A valid key is never mistaken for a private one, whatever letters it happens to hold: one in a thousand holds "xprv"
// or something like it.
func TestEveryValidXPubIsTaken(t *testing.T) {
	t.Parallel()
	point := crypto.CompressPubkey(mustKey(t))
	chainCode := make([]byte, 32)
	for i := range uint32(2_000) {
		binary.BigEndian.PutUint32(chainCode[i%28:], i)
		key := &bip32.Key{
			Version: bip32.PublicWalletVersion, Depth: accountDepth, FingerPrint: chainCode[:4],
			ChildNumber: []byte{0x80, 0, 0, 0}, ChainCode: chainCode, Key: point,
		}
		text := key.B58Serialize()
		_, err := decodePublic(text)
		require.NoError(t, err, text)
	}
}

func mustKey(t *testing.T) *ecdsa.PublicKey {
	t.Helper()
	key, err := crypto.ToECDSA(bytes.Repeat([]byte{7}, 32))
	require.NoError(t, err)
	return &key.PublicKey
}

func FuzzParseXPub(f *testing.F) {
	for _, key := range invalidKeys() {
		f.Add(key.text)
	}
	f.Add(junkXPub(f).Reveal())
	f.Add(junk)
	f.Fuzz(func(t *testing.T, text string) {
		key, err := ParseXPub(text)
		if err != nil {
			code := payment.CodeOf(err)
			require.True(t, code == payment.CodeInvalidXPub || code == payment.CodePrivateKeyMaterial)
			return
		}
		require.Equal(t, text, key.Reveal(), "one spelling")
	})
}
