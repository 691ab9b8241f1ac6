package seal_test

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/internal/seal"
)

func entry(id string, fill byte) string {
	master := make([]byte, 32)
	for i := range master {
		master[i] = fill + byte(i)
	}
	return id + ":" + base64.StdEncoding.EncodeToString(master)
}

func ring(t *testing.T, entries ...string) *seal.Keyring {
	t.Helper()
	r, err := seal.ParseKeyring(strings.Join(entries, ","))
	require.NoError(t, err)
	return r
}

var place = seal.Place{Purpose: "webhook_endpoint.secret", RowID: "whk_1"}

func TestSealOpens(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	rapid.Check(t, func(t *rapid.T) {
		plain := rapid.SliceOf(rapid.Byte()).Draw(t, "plain")
		at := seal.Place{Purpose: rapid.String().Draw(t, "purpose"), RowID: rapid.String().Draw(t, "row")}
		sealed := r.Seal(plain, at)
		require.Equal(t, r.Current(), sealed.KeyID)
		require.Len(t, sealed.Bytes, 12+len(plain)+16)
		opened, err := r.Open(sealed, at)
		require.NoError(t, err)
		require.True(t, bytes.Equal(plain, opened))
	})
}

func TestSealingTwiceDiffers(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	first, second := r.Seal([]byte("same"), place), r.Seal([]byte("same"), place)
	require.NotEqual(t, first, second)
}

func TestEveryAlteredBitIsRefused(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	sealed := r.Seal([]byte("a secret"), place)
	for bit := range 8 * len(sealed.Bytes) {
		altered := bytes.Clone(sealed.Bytes)
		altered[bit/8] ^= 1 << (bit % 8)
		_, err := r.Open(seal.Sealed{KeyID: sealed.KeyID, Bytes: altered}, place)
		require.ErrorIs(t, err, seal.ErrOpen, "bit %d", bit)
	}
	for size := range sealed.Bytes {
		_, err := r.Open(seal.Sealed{KeyID: sealed.KeyID, Bytes: sealed.Bytes[:size]}, place)
		require.ErrorIs(t, err, seal.ErrOpen, "%d bytes", size)
	}
}

func TestASealedValueStaysInItsPlace(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	sealed := r.Seal([]byte("a secret"), place)
	for _, elsewhere := range []seal.Place{
		{Purpose: place.Purpose, RowID: "whk_2"},
		{Purpose: "merchant.callback_secret", RowID: place.RowID},
		{Purpose: place.Purpose + "w", RowID: place.RowID[1:]}, // the boundary moved
		{},
	} {
		_, err := r.Open(sealed, elsewhere)
		require.ErrorIs(t, err, seal.ErrOpen)
	}
}

func TestRotation(t *testing.T) {
	t.Parallel()
	old := ring(t, entry("2025", 1))
	both := ring(t, entry("2026", 77), entry("2025", 1))
	onlyNew := ring(t, entry("2026", 77))

	sealed, mac := old.Seal([]byte("a secret"), place), old.MAC("xpub", []byte("row"))
	opened, err := both.Open(sealed, place)
	require.NoError(t, err)
	require.Equal(t, "a secret", string(opened))
	require.NoError(t, both.Verify(mac, "xpub", []byte("row")))

	require.Equal(t, "2026", both.Current())
	require.Equal(t, "2026", both.Seal(opened, place).KeyID)
	require.Equal(t, "2026", both.MAC("xpub").KeyID)

	_, err = onlyNew.Open(sealed, place)
	require.ErrorIs(t, err, seal.ErrUnknownKey)
	require.ErrorContains(t, err, "2025")
	require.ErrorIs(t, onlyNew.Verify(mac, "xpub", []byte("row")), seal.ErrUnknownKey)

	// Naming another key does not help, also when that key is known.
	sealed.KeyID, mac.KeyID = "2026", "2026"
	_, err = both.Open(sealed, place)
	require.ErrorIs(t, err, seal.ErrOpen)
	require.ErrorIs(t, both.Verify(mac, "xpub", []byte("row")), seal.ErrMAC)
}

func TestMACCoversPurposePartsAndBoundaries(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	mac := r.MAC("xpub", []byte("ab"), []byte("c"))
	require.Len(t, mac.Sum, 32)
	require.Equal(t, mac, r.MAC("xpub", []byte("ab"), []byte("c")), "deterministic")
	require.NoError(t, r.Verify(mac, "xpub", []byte("ab"), []byte("c")))
	for name, err := range map[string]error{
		"purpose":  r.Verify(mac, "xpubs", []byte("ab"), []byte("c")),
		"boundary": r.Verify(mac, "xpub", []byte("a"), []byte("bc")),
		"order":    r.Verify(mac, "xpub", []byte("c"), []byte("ab")),
		"fewer":    r.Verify(mac, "xpub", []byte("ab")),
		"more":     r.Verify(mac, "xpub", []byte("ab"), []byte("c"), nil),
		"no sum":   r.Verify(seal.MAC{KeyID: mac.KeyID}, "xpub", []byte("ab"), []byte("c")),
		"short":    r.Verify(seal.MAC{KeyID: mac.KeyID, Sum: mac.Sum[:31]}, "xpub", []byte("ab"), []byte("c")),
	} {
		require.ErrorIs(t, err, seal.ErrMAC, name)
	}
}

// Pinned values: a change of the derivation would lock everybody out of their data.
func TestTheFormatIsPinned(t *testing.T) {
	t.Parallel()
	r := ring(t, entry("k1", 1))
	mac := r.MAC("xpub", []byte("ab"), []byte("c"))
	require.Equal(t, pinnedMAC, hex.EncodeToString(mac.Sum))
	sealed, err := hex.DecodeString(pinnedSealed)
	require.NoError(t, err)
	opened, err := r.Open(seal.Sealed{KeyID: "k1", Bytes: sealed}, place)
	require.NoError(t, err)
	require.Equal(t, "a secret", string(opened))
}

func TestBadKeyringsAreRefusedWithoutQuotingThem(t *testing.T) {
	t.Parallel()
	good := entry("k1", 1)
	key := strings.TrimPrefix(good, "k1:")
	for name, text := range map[string]string{
		"empty":           "",
		"no id":           key,
		"empty id":        ":" + key,
		"id with a space": "k 1:" + key,
		"id with a brace": "k{:" + key,
		"long id":         strings.Repeat("k", 33) + ":" + key,
		"not base64":      "k1:" + key[:40] + "!!!=",
		"16 bytes":        "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 16)),
		"33 bytes":        "k1:" + base64.StdEncoding.EncodeToString(bytes.Repeat([]byte("ab"), 17)[:33]),
		"no padding":      "k1:" + strings.TrimRight(key, "="),
		"placeholder":     "k1:" + base64.StdEncoding.EncodeToString(make([]byte, 32)),
		"same id twice":   good + "," + entry("k1", 9),
		"same key twice":  good + ",k2:" + key,
		"trailing comma":  good + ",",
	} {
		_, err := seal.ParseKeyring(text)
		require.ErrorIs(t, err, seal.ErrKeyring, name)
		require.NotContains(t, err.Error(), key[:8], name)
	}
	_, err := seal.ParseKeyring(" " + good + " , " + entry("k2", 9) + "\n")
	require.NoError(t, err, "spaces around entries are fine")
}

func TestNothingPrintsASecret(t *testing.T) {
	t.Parallel()
	const canary = "canary-7d1f"
	type inside struct {
		Open   seal.Secret
		hidden seal.Secret
		Ptr    *seal.Secret
		Map    map[string]seal.Secret
	}
	s := seal.NewSecret(canary)
	r := ring(t, "k:"+base64.StdEncoding.EncodeToString([]byte(canary+strings.Repeat("x", 32-len(canary)))))
	type holder struct{ ring *seal.Keyring }
	var out bytes.Buffer
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%t"} {
		for _, value := range []any{
			s, &s, inside{s, s, &s, map[string]seal.Secret{"k": s}}, []seal.Secret{s}, fmt.Errorf("wrapped: %v", s), r, *r, holder{r}, &holder{r},
		} {
			fmt.Fprintf(&out, verb, value)
		}
	}
	raw, err := json.Marshal(inside{s, s, &s, map[string]seal.Secret{"k": s}})
	require.NoError(t, err)
	out.Write(raw)
	for _, handler := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
		slog.New(handler).Info(s.String(), "secret", s, "pointer", &s, "inside", inside{s, s, &s, nil}, "ring", r)
	}
	for _, form := range []string{canary, hex.EncodeToString([]byte(canary)), strings.ToUpper(hex.EncodeToString([]byte(canary)))} {
		require.NotContains(t, out.String(), form)
	}
	require.Contains(t, out.String(), "[hidden]")
	require.NotRegexp(t, `\d+ \d+ \d+ \d+ \d+ \d+ \d+ \d+`, out.String(), "no derived key as a list of bytes")
	require.Equal(t, canary, s.Reveal())
}

func TestSecretReadsText(t *testing.T) {
	t.Parallel()
	var s seal.Secret
	require.True(t, s.IsZero())
	require.Empty(t, s.Reveal())
	require.NoError(t, s.UnmarshalText([]byte("value")))
	require.Equal(t, "value", s.Reveal())
	require.True(t, s.Equal(seal.NewSecret("value")))
	require.False(t, s.Equal(seal.NewSecret("valuf")))
	require.False(t, s.Equal(seal.Secret{}))
}

func TestKeyringIsSafeForConcurrentUse(t *testing.T) {
	t.Parallel()
	r, _ := seal.NewRandomKeyring()
	errs := make([]error, 8)
	var wg sync.WaitGroup
	for i := range errs {
		wg.Go(func() {
			for range 50 {
				if _, errs[i] = r.Open(r.Seal([]byte("x"), place), place); errs[i] != nil {
					return
				}
				if errs[i] = r.Verify(r.MAC("p", []byte("x")), "p", []byte("x")); errs[i] != nil {
					return
				}
			}
		})
	}
	wg.Wait()
	for _, err := range errs {
		require.NoError(t, err)
	}
}

func TestRandomKeyringTextGivesTheSameKeyring(t *testing.T) {
	t.Parallel()
	r, text := seal.NewRandomKeyring()
	again, err := seal.ParseKeyring(text.Reveal())
	require.NoError(t, err)
	opened, err := again.Open(r.Seal([]byte("x"), place), place)
	require.NoError(t, err)
	require.Equal(t, "x", string(opened))
}
