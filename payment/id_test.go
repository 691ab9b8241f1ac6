package payment

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// idKind is one kind of id with its types erased.
type idKind struct {
	prefix string
	make   func() string
	parse  func(string) (string, error)
}

func kind[T ~string](prefix string, create func() T, parse func(string) (T, error)) idKind {
	return idKind{
		prefix: prefix,
		make:   func() string { return string(create()) },
		parse: func(s string) (string, error) {
			id, err := parse(s)
			return string(id), err
		},
	}
}

func idKinds() []idKind {
	return []idKind{
		kind("ord_", NewOrderID, ParseOrderID),
		kind("pay_", NewPaymentID, ParsePaymentID),
		kind("evt_", NewEventID, ParseEventID),
		kind("whk_", NewEndpointID, ParseEndpointID),
		kind("mer_", NewMerchantID, ParseMerchantID),
		kind("key_", NewKeyID, ParseKeyID),
		kind("cbk_", NewCallbackID, ParseCallbackID),
		kind("adr_", NewAddressID, ParseAddressID),
		kind("xpb_", NewXPubID, ParseXPubID),
		kind("rev_", NewReviewID, ParseReviewID),
		kind("aud_", NewAuditID, ParseAuditID),
	}
}

func TestIDsRoundTripAndDiffer(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for _, k := range idKinds() {
		for range 100 {
			id := k.make()
			require.Regexp(t, `\A`+k.prefix+`[a-z2-7]{25}[aeimquy4]\z`, id)
			back, err := k.parse(id)
			require.NoError(t, err)
			require.Equal(t, id, back)
			require.False(t, seen[id[4:]])
			seen[id[4:]] = true
		}
	}
}

func TestIDsOfOtherKindsAreRefused(t *testing.T) {
	t.Parallel()
	for _, made := range idKinds() {
		for _, read := range idKinds() {
			_, err := read.parse(made.make())
			if made.prefix == read.prefix {
				require.NoError(t, err)
			} else {
				require.Equal(t, CodeInvalidID, CodeOf(err))
			}
		}
	}
}

// Every random bit must be able to be set and to be clear.
func TestIDsUseAllTheirBits(t *testing.T) {
	t.Parallel()
	var or, and [idBytes]byte
	for i := range and {
		and[i] = 0xff
	}
	for range 200 {
		raw, err := idEncoding().DecodeString(strings.TrimPrefix(string(NewOrderID()), prefixOrder))
		require.NoError(t, err)
		require.Len(t, raw, idBytes)
		for i, b := range raw {
			or[i] |= b
			and[i] &= b
		}
	}
	for i := range or {
		require.Equal(t, byte(0xff), or[i])
		require.Equal(t, byte(0x00), and[i])
	}
}

func TestParseIDRefuses(t *testing.T) {
	t.Parallel()
	good := "ord_" + strings.Repeat("a", 26)
	_, err := ParseOrderID(good)
	require.NoError(t, err)
	for _, bad := range []string{
		"", "ord_", "ord", good[:29], good + "a", strings.ToUpper(good), "ORD_" + good[4:], " " + good, good + "\n",
		good[:29] + "b",              // spare bits set: a second spelling
		good[:29] + "=",              // padding
		good[:28] + "==",             // padding
		good[:29] + "0",              // not in the alphabet
		good[:29] + "1",              // not in the alphabet
		good[:10] + "\n" + good[11:], // encoding/base32 skips line breaks
		good[:10] + "\r\n" + good[10:],
		good[:28] + "\r\n",
		good[:29] + "é",
		"pay_" + good[4:],
		"ord-" + good[4:],
	} {
		_, err := ParseOrderID(bad)
		require.Equal(t, CodeInvalidID, CodeOf(err), "%q", bad)
	}
}

func FuzzParseOrderID(f *testing.F) {
	f.Add("")
	f.Add("ord_" + strings.Repeat("a", 26))
	f.Add("ord_" + strings.Repeat("b", 26))
	f.Add("ord_aaaaaaaaaaaaaaaaaaaaaaaa\r\n")
	f.Add(string(NewOrderID()))
	f.Fuzz(func(t *testing.T, s string) {
		id, err := ParseOrderID(s)
		if err != nil {
			if id != "" || CodeOf(err) != CodeInvalidID {
				t.Fatalf("%q refused with %q, %v", s, id, err)
			}
			return
		}
		if string(id) != s || len(s) != 30 || strings.ToLower(s) != s {
			t.Fatalf("%q read as %q", s, id)
		}
	})
}

func TestInclusionKey(t *testing.T) {
	t.Parallel()
	ref := InclusionRef{Payment: "pay_x", Inclusion: 2}
	require.Equal(t, "pay_x/2/credit", ref.Key("credit"))
	rapid.Check(t, func(t *rapid.T) {
		a := InclusionRef{NewPaymentID(), rapid.IntRange(1, 99).Draw(t, "a")}
		b := InclusionRef{a.Payment, rapid.IntRange(1, 99).Draw(t, "b")}
		if (a.Key("credit") == b.Key("credit")) != (a == b) || a.Key("credit") == a.Key("reversal") {
			t.Fatalf("%v and %v", a, b)
		}
	})
}
