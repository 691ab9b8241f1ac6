package hd

import (
	"bytes"
	"crypto/ecdsa"
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
	//nolint:staticcheck // the second implementation hands out its point this way
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
