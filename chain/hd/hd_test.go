package hd

import (
	"bytes"
	"crypto/ecdsa"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"sync"
	"testing"

	"github.com/btcsuite/btcd/btcutil/hdkeychain"
	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"
	"github.com/tyler-smith/go-bip32"

	"github.com/sluicepay/sluice/payment"
)

// The mnemonic that every development chain funds.
const junk = "test test test test test test test test test test test junk"

func junkXPub(t testing.TB) ExtendedPublicKey {
	t.Helper()
	xpub, err := AccountXPub(junk, "")
	require.NoError(t, err)
	return xpub
}

func TestKnownAddresses(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		mnemonic  string
		addresses []string
	}{
		{junk, []string{
			"0xf39Fd6e51aad88F6F4ce6aB8827279cffFb92266", "0x70997970C51812dc3A010C7d01b50e0d17dc79C8",
			"0x3C44CdDdB6a900fa2b585dd299e03d12FA4293BC",
		}},
		{strings.Repeat("abandon ", 11) + "about", []string{"0x9858EfFD232B4033E47d90003D41EC34EcaEda94"}},
	} {
		xpub, err := AccountXPub(c.mnemonic, "")
		require.NoError(t, err)
		for i, want := range c.addresses {
			got, err := xpub.Derive(uint32(i))
			require.NoError(t, err)
			require.Equal(t, want, got.Text())
			require.Equal(t, payment.FamilyEVM, got.Family)
		}
	}
}

func TestBIP32Vectors(t *testing.T) {
	t.Parallel()
	for _, vector := range bip32Vectors() {
		seed, err := hex.DecodeString(vector.seed)
		require.NoError(t, err)
		private, err := bip32.NewMasterKey(seed)
		require.NoError(t, err)
		var before []byte
		for i, step := range vector.chain {
			raw, err := decodePublic(step.xpub)
			require.NoError(t, err, step.xpub)
			if i > 0 {
				index := step.index
				if step.hardened {
					index += bip32.FirstHardenedChild
				}
				private, err = private.NewChildKey(index)
				require.NoError(t, err)
			}
			require.Equal(t, step.xpub, private.PublicKey().B58Serialize(), "from the seed, by the private side")
			if i > 0 && !step.hardened {
				child, err := childOf(before, step.index)
				require.NoError(t, err)
				require.Equal(t, step.xpub, child.B58Serialize(), "from the parent, by the public side")
			}
			before = raw
		}
	}
}

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

func TestBIP39Vectors(t *testing.T) {
	t.Parallel()
	raw, err := os.ReadFile("testdata/bip39.json")
	require.NoError(t, err)
	var vectors []struct{ Entropy, Mnemonic, Seed string }
	require.NoError(t, json.Unmarshal(raw, &vectors))
	require.Len(t, vectors, 24)
	for _, v := range vectors {
		entropy, err := hex.DecodeString(v.Entropy)
		require.NoError(t, err)
		mnemonic, err := mnemonicOf(entropy)
		require.NoError(t, err)
		require.Equal(t, v.Mnemonic, mnemonic)
		seed, err := seedOf(v.Mnemonic, "TREZOR")
		require.NoError(t, err)
		require.Equal(t, v.Seed, hex.EncodeToString(seed))
	}
}

func TestMnemonicAndPassphraseAreNormalised(t *testing.T) {
	t.Parallel()
	want := junkXPub(t).Fingerprint()
	spaced, err := AccountXPub("  "+strings.ReplaceAll(strings.ToUpper(junk), " ", "\n\t")+"\n", "")
	require.NoError(t, err)
	require.Equal(t, want, spaced.Fingerprint())

	composed, err := AccountXPub(junk, "Caf\u00e9 \u212b")
	require.NoError(t, err)
	decomposed, err := AccountXPub(junk, "Cafe\u0301 A\u030a")
	require.NoError(t, err)
	require.Equal(t, composed.Fingerprint(), decomposed.Fingerprint())
	require.NotEqual(t, want, composed.Fingerprint())

	// Computed with another language's library.
	seed, err := seedOf(strings.Repeat("abandon ", 11)+"about", "Caf\u00e9 \u212b")
	require.NoError(t, err)
	require.Equal(t, "05f48e38789e0a5c6b124c84c865e4e3909bd9487024641ab0ab98d1a684b01ebd26ba3b00a86bbf137f6093804145f3bec2231e029a4bbb63d2e4a22eee1efb", hex.EncodeToString(seed))
}

func TestNewMnemonicMakesAWallet(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, words := range []int{12, 24, 12} {
		mnemonic, err := NewMnemonic(words)
		require.NoError(t, err)
		require.Len(t, strings.Fields(mnemonic), words)
		require.False(t, seen[mnemonic])
		seen[mnemonic] = true
		_, err = AccountXPub(mnemonic, "")
		require.NoError(t, err)
	}
	for _, words := range []int{-12, 0, 11, 15, 25} {
		_, err := NewMnemonic(words)
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	}
}

func TestBadMnemonicsAreRefusedWithoutRepeatingThem(t *testing.T) {
	t.Parallel()
	for _, mnemonic := range []string{
		"", "test", strings.TrimSuffix(junk, " junk"), strings.Replace(junk, "junk", "test", 1),
		strings.Replace(junk, "junk", "junkk", 1), junk + " junk", "\xff" + junk,
	} {
		_, err := AccountXPub(mnemonic, "")
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "%q", mnemonic)
		require.NotContains(t, err.Error(), "junk")
		require.NotContains(t, err.Error(), "test")
	}
}

func TestXPubSurvivesARoundTrip(t *testing.T) {
	t.Parallel()
	xpub := junkXPub(t)
	again, err := ParseXPub(xpub.Reveal())
	require.NoError(t, err)
	require.Equal(t, xpub.Fingerprint(), again.Fingerprint())
	require.Equal(t, xpub.Reveal(), again.Reveal())
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

func TestDeriveBounds(t *testing.T) {
	t.Parallel()
	xpub := junkXPub(t)
	last, err := xpub.Derive(MaxIndex)
	require.NoError(t, err)
	require.Equal(t, secondOpinion(t, xpub, MaxIndex), last)
	for _, index := range []uint32{MaxIndex + 1, 1<<32 - 1} {
		_, err := xpub.Derive(index)
		require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err))
	}
	_, err = ExtendedPublicKey{}.Derive(0)
	require.Equal(t, payment.CodeInvalidXPub, payment.CodeOf(err))
}

// opinion is the same account in another library.
type opinion struct{ external *hdkeychain.ExtendedKey }

func otherLibrary(t testing.TB, xpub ExtendedPublicKey) opinion {
	t.Helper()
	account, err := hdkeychain.NewKeyFromString(xpub.Reveal())
	require.NoError(t, err)
	external, err := account.Derive(0)
	require.NoError(t, err)
	return opinion{external}
}

func (o opinion) address(t testing.TB, index uint32) payment.Address {
	t.Helper()
	child, err := o.external.Derive(index)
	require.NoError(t, err)
	public, err := child.ECPubKey()
	require.NoError(t, err)
	point := public.ToECDSA()
	hash := crypto.PubkeyToAddress(ecdsa.PublicKey{Curve: crypto.S256(), X: point.X, Y: point.Y})
	address, err := payment.AddressFromBytes(payment.FamilyEVM, hash.Bytes())
	require.NoError(t, err)
	return address
}

func secondOpinion(t testing.TB, xpub ExtendedPublicKey, index uint32) payment.Address {
	t.Helper()
	return otherLibrary(t, xpub).address(t, index)
}

// One key, 16 goroutines, 10,000 addresses, each compared with a second implementation: a key with spare capacity in
// its slices gives some of them another index's address.
func TestDerivationIsSafeUnderConcurrency(t *testing.T) {
	t.Parallel()
	const addresses, goroutines = 10_000, 16
	xpub := junkXPub(t)
	got, errs := make([]payment.Address, addresses), make([]error, goroutines)
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Go(func() {
			for i := g; i < addresses && errs[g] == nil; i += goroutines {
				got[i], errs[g] = xpub.Derive(uint32(i))
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
	other, seen := otherLibrary(t, xpub), make(map[payment.Address]bool, addresses)
	for i, address := range got {
		require.Equal(t, other.address(t, uint32(i)).Text(), address.Text(), "index %d", i)
		require.False(t, seen[address], "index %d", i)
		seen[address] = true
	}
}

// The reason why the test above passes, without luck: nothing that derivation appends to has room to be written into.
func TestNoSliceHasSpareCapacity(t *testing.T) {
	t.Parallel()
	key := junkXPub(t).external
	for _, slice := range [][]byte{key.Key, key.ChainCode, key.Version, key.ChildNumber, key.FingerPrint} {
		require.NotEmpty(t, slice)
		require.Equal(t, len(slice), cap(slice))
	}
}

func TestXPubDoesNotPrint(t *testing.T) {
	t.Parallel()
	xpub := junkXPub(t)
	type holder struct {
		Key    ExtendedPublicKey
		hidden ExtendedPublicKey
	}
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%d"} {
		for _, value := range []any{xpub, &xpub, holder{xpub, xpub}, []ExtendedPublicKey{xpub}} {
			fmt.Fprintf(&out, verb, value)
		}
	}
	raw, err := json.Marshal(map[string]any{"xpub": xpub, "holder": holder{xpub, xpub}})
	require.NoError(t, err)
	out.Write(raw)
	slog.New(slog.NewJSONHandler(&out, nil)).Info("wallet", "xpub", xpub)
	require.NotContains(t, out.String(), xpub.Reveal()[:20])
	require.NotContains(t, out.String(), hex.EncodeToString([]byte(xpub.Reveal()[:20])))
	require.Contains(t, out.String(), xpub.String())
	require.Len(t, xpub.String(), len("xpub#")+8)
}

func BenchmarkDerive(b *testing.B) {
	xpub := junkXPub(b)
	for i := range b.N {
		if _, err := xpub.Derive(uint32(i)); err != nil {
			b.Fatal(err)
		}
	}
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
