package payment

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

// eip55Vectors are the addresses of the EIP-55 specification.
func eip55Vectors() []string {
	return []string{
		// all capitals
		"0x52908400098527886E0F7030069857D2E4169EE7",
		"0x8617E340B3D01FA5F11F306F4090FD50E238070D",
		// all lower case
		"0xde709f2102306220921060314715629080e2fb77",
		"0x27b1fdb04752bbc536007a920d24acb045561c26",
		// mixed
		"0x5aAeb6053F3E94C9b9A09f33669435E7Ef1BeAed",
		"0xfB6916095ca1df60bB79Ce92cE3Ea74c37c5d359",
		"0xdbF03B407c01E7cD3CBea99509d93f8DDDC8C6FB",
		"0xD1220A0cf47c7B9Be7A2E6BA89F429762e7b9aDb",
	}
}

func TestEIP55Vectors(t *testing.T) {
	t.Parallel()
	for _, vector := range eip55Vectors() {
		for _, spelling := range []string{vector, strings.ToLower(vector), "0x" + strings.ToUpper(vector[2:])} {
			a, err := ParseAddress(FamilyEVM, spelling)
			require.NoError(t, err, spelling)
			require.Equal(t, vector, a.Text())
			require.Equal(t, vector, a.String())
			require.Equal(t, strings.ToLower(vector), a.Lower())
		}
	}
}

func TestOneWrongCaseIsRefused(t *testing.T) {
	t.Parallel()
	for _, vector := range eip55Vectors() {
		for i := 2; i < len(vector); i++ {
			c := vector[i]
			if c < 'A' {
				continue
			}
			wrong := vector[:i] + string(c^0x20) + vector[i+1:]
			_, err := ParseAddress(FamilyEVM, wrong)
			require.Equal(t, CodeInvalidAddress, CodeOf(err), wrong)
		}
	}
}

func TestParseAddressRefuses(t *testing.T) {
	t.Parallel()
	good := strings.ToLower(eip55Vectors()[0])
	for _, bad := range []string{
		"", "0x", good[2:], good[:41], good + "0", "0X" + good[2:], " " + good, good + "\n",
		good[:41] + "g", good[:41] + " ", good[:40] + "é", "TR7NHqjeKQxGTCi8q8ZY4pL8otSzgjLj6t",
	} {
		a, err := ParseAddress(FamilyEVM, bad)
		require.Equal(t, CodeInvalidAddress, CodeOf(err), "%q", bad)
		require.True(t, a.IsZero())
	}
	_, err := ParseAddress("tron", good)
	require.Equal(t, CodeInvalidAddress, CodeOf(err))
	_, err = AddressFromBytes(FamilyEVM, make([]byte, 19))
	require.Equal(t, CodeInvalidAddress, CodeOf(err))
	_, err = AddressFromBytes("aptos", make([]byte, 20))
	require.Equal(t, CodeInvalidAddress, CodeOf(err))
	_, err = ParseFamily("EVM")
	require.Equal(t, CodeInvalidParameter, CodeOf(err))
	for _, family := range Families() {
		got, err := ParseFamily(string(family))
		require.NoError(t, err)
		require.Equal(t, family, got)
	}
}

func anyAddress() *rapid.Generator[Address] {
	return rapid.Custom(func(t *rapid.T) Address {
		a, err := AddressFromBytes(FamilyEVM, rapid.SliceOfN(rapid.Byte(), 20, 20).Draw(t, "raw"))
		if err != nil {
			t.Fatal(err)
		}
		return a
	})
}

func TestAddressRoundTrips(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		a := anyAddress().Draw(t, "a")
		back, err := ParseAddress(FamilyEVM, a.Text())
		if err != nil || back != a {
			t.Fatalf("%s reads as %s, %v", a, back, err)
		}
		if back, err = AddressFromBytes(FamilyEVM, a.Bytes()); err != nil || back != a {
			t.Fatalf("%s through bytes is %s, %v", a, back, err)
		}
		text, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		back = Address{}
		if err := json.Unmarshal(text, &back); err != nil || back != a {
			t.Fatalf("%s through JSON is %s, %v", a, back, err)
		}
	})
}

func TestZeroAddress(t *testing.T) {
	t.Parallel()
	var none Address
	require.True(t, none.IsZero())
	require.Empty(t, none.Text())
	require.Empty(t, none.Lower())
	out, err := json.Marshal(none)
	require.NoError(t, err)
	require.Equal(t, `""`, string(out))
	back := Address{Family: FamilyEVM, Raw: "x"}
	require.NoError(t, json.Unmarshal(out, &back))
	require.Equal(t, none, back)

	burn, err := AddressFromBytes(FamilyEVM, make([]byte, 20))
	require.NoError(t, err)
	require.False(t, burn.IsZero())
	for _, bad := range []string{"evm", "evm:", "0xde709f2102306220921060314715629080e2fb77", "btc:x"} {
		require.Equal(t, CodeInvalidAddress, CodeOf(back.UnmarshalText([]byte(bad))), bad)
	}
}

func TestHash(t *testing.T) {
	t.Parallel()
	text := "0x" + strings.Repeat("0aF", 21) + "1"
	h, err := ParseHash(text)
	require.NoError(t, err)
	require.Equal(t, strings.ToLower(text), h.String())
	require.False(t, h.IsZero())
	require.True(t, Hash{}.IsZero())

	out, err := json.Marshal(h)
	require.NoError(t, err)
	require.Equal(t, `"`+strings.ToLower(text)+`"`, string(out))
	var back Hash
	require.NoError(t, json.Unmarshal(out, &back))
	require.Equal(t, h, back)

	for _, bad := range []string{"", "0x", text[2:], text[:65], text + "0", "0X" + text[2:], text[:65] + "g", text[:64] + "é"} {
		_, err := ParseHash(bad)
		require.Equal(t, CodeInvalidHash, CodeOf(err), "%q", bad)
		require.Equal(t, CodeInvalidHash, CodeOf(back.UnmarshalText([]byte(bad))), "%q", bad)
	}
	require.Equal(t, h, back, "a refused value leaves the old one")
}

func FuzzParseAddress(f *testing.F) {
	for _, vector := range eip55Vectors() {
		f.Add(vector)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAddress(FamilyEVM, s)
		if err != nil {
			return
		}
		if !strings.EqualFold(a.Text(), s) || len(a.Bytes()) != evmAddressBytes {
			t.Fatalf("%q read as %q", s, a.Text())
		}
	})
}
