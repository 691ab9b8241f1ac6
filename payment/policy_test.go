package payment

import (
	"math/big"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestParseWords(t *testing.T) {
	t.Parallel()
	parsers := map[string]func(string) (string, error){
		"late policy":    func(s string) (string, error) { v, err := ParseLatePolicy(s); return string(v), err },
		"payment policy": func(s string) (string, error) { v, err := ParsePaymentPolicy(s); return string(v), err },
		"mode":           func(s string) (string, error) { v, err := ParseMode(s); return string(v), err },
		"state":          func(s string) (string, error) { v, err := ParseState(s); return string(v), err },
		"event type":     func(s string) (string, error) { v, err := ParseEventType(s); return string(v), err },
	}
	good := map[string][]string{
		"late policy":    {"fulfil", "credit_only", "hold"},
		"payment policy": {"available", "hold"},
		"mode":           {"test", "live"},
		"state":          words(States()),
		"event type":     words(EventTypes()),
	}
	for name, parse := range parsers {
		for _, word := range good[name] {
			got, err := parse(word)
			require.NoError(t, err, name)
			require.Equal(t, word, got, name)
		}
		for _, word := range []string{"", "FULFIL", "Test", " hold", "paid ", "order.*", "nothing"} {
			got, err := parse(word)
			require.Equal(t, CodeInvalidParameter, CodeOf(err), "%s %q", name, word)
			require.Empty(t, got)
		}
	}
}

func TestMatchOf(t *testing.T) {
	t.Parallel()
	asked := NativeAsset("dev")
	token := TokenAsset("dev", Address{FamilyEVM, "01234567890123456789"})
	one, ten := AmountFromUint64(1), AmountFromUint64(10)
	require.Equal(t, MatchOrder, MatchOf(asked, asked, one, Amount{}))
	require.Equal(t, MatchOrder, MatchOf(asked, asked, ten, ten))
	require.Equal(t, MatchDust, MatchOf(asked, asked, one, ten))
	require.Equal(t, MatchDust, MatchOf(asked, token, one, ten))
	require.Equal(t, MatchWrongAsset, MatchOf(asked, token, ten, one))
	require.Equal(t, MatchWrongNetwork, MatchOf(asked, NativeAsset("other"), ten, one))
}

func TestPlaceCredit(t *testing.T) {
	t.Parallel()
	expected := CreditFacts{
		PaymentPolicy: PaymentAvailable, LatePolicy: LateHold, OnTime: true, State: StateConfirming,
	}
	for name, c := range map[string]struct {
		change func(*CreditFacts)
		place  Place
		reason Reason
	}{
		"asked for":                   {func(*CreditFacts) {}, PlaceAvailable, ReasonAvailable},
		"payments are held":           {func(f *CreditFacts) { f.PaymentPolicy = PaymentHold }, PlaceHeld, ReasonHeldByPaymentPolicy},
		"no payment policy":           {func(f *CreditFacts) { f.PaymentPolicy = "" }, PlaceHeld, ReasonHeldByPaymentPolicy},
		"late, held":                  {func(f *CreditFacts) { f.OnTime = false }, PlaceHeld, ReasonHeldByLatePolicy},
		"late, credited":              {func(f *CreditFacts) { f.OnTime, f.LatePolicy = false, LateCreditOnly }, PlaceAvailable, ReasonAvailable},
		"late, fulfils":               {func(f *CreditFacts) { f.OnTime, f.LatePolicy = false, LateFulfil }, PlaceAvailable, ReasonAvailable},
		"late, no policy":             {func(f *CreditFacts) { f.OnTime, f.LatePolicy = false, "" }, PlaceHeld, ReasonHeldByLatePolicy},
		"wrong asset":                 {func(f *CreditFacts) { f.Match = MatchWrongAsset }, PlaceHeld, ReasonHeldByLatePolicy},
		"after cancel":                {func(f *CreditFacts) { f.State = StateCancelled }, PlaceHeld, ReasonHeldByLatePolicy},
		"in time, order expired":      {func(f *CreditFacts) { f.State = StateExpired }, PlaceAvailable, ReasonAvailable},
		"dust":                        {func(f *CreditFacts) { f.Match = MatchDust }, PlaceDust, ReasonDust},
		"dust, where payments wait":   {func(f *CreditFacts) { f.Match, f.PaymentPolicy = MatchDust, PaymentHold }, PlaceDust, ReasonDust},
		"late, where payments wait":   {func(f *CreditFacts) { f.OnTime, f.PaymentPolicy = false, PaymentHold }, PlaceHeld, ReasonHeldByPaymentPolicy},
		"wrong asset, policy credits": {func(f *CreditFacts) { f.Match, f.LatePolicy = MatchWrongAsset, LateCreditOnly }, PlaceAvailable, ReasonAvailable},
	} {
		facts := expected
		c.change(&facts)
		place, reason := PlaceCredit(facts)
		require.Equal(t, c.place, place, name)
		require.Equal(t, c.reason, reason, name)
	}
}

func TestConfirmationPolicyValidates(t *testing.T) {
	t.Parallel()
	require.NoError(t, ConfirmationPolicy{Confirmations: 1}.Validate())
	require.NoError(t, ConfirmationPolicy{Confirmations: MaxConfirmations, Tag: TagFinalized}.Validate())
	for _, bad := range []ConfirmationPolicy{
		{}, {Tag: TagFinalized}, {Confirmations: MaxConfirmations + 1}, {Confirmations: 1, Tag: "latest"},
	} {
		require.Equal(t, CodeInvalidParameter, CodeOf(bad.Validate()), "%+v", bad)
	}
}

func TestOrdersMayAskForMoreNeverFewer(t *testing.T) {
	t.Parallel()
	policy := ConfirmationPolicy{Confirmations: 12, Tag: TagSafe}
	for _, c := range []struct {
		wish, want ConfirmationPolicy
		code       Code
	}{
		{wish: ConfirmationPolicy{}, want: policy},
		{wish: ConfirmationPolicy{Confirmations: 12}, want: policy},
		{wish: ConfirmationPolicy{Confirmations: 13}, want: ConfirmationPolicy{13, TagSafe}},
		{wish: ConfirmationPolicy{Tag: TagFinalized}, want: ConfirmationPolicy{12, TagFinalized}},
		{wish: ConfirmationPolicy{Confirmations: 11}, code: CodeConfirmationsTooLow},
		{wish: ConfirmationPolicy{Confirmations: 1, Tag: TagFinalized}, code: CodeConfirmationsTooLow},
		{wish: ConfirmationPolicy{Confirmations: MaxConfirmations + 1}, code: CodeInvalidParameter},
		{wish: ConfirmationPolicy{Tag: "latest"}, code: CodeInvalidParameter},
	} {
		got, err := policy.Raise(c.wish)
		require.Equal(t, c.code, CodeOf(err), "%+v", c.wish)
		require.Equal(t, c.want, got, "%+v", c.wish)
	}
	final := ConfirmationPolicy{Confirmations: 1, Tag: TagFinalized}
	_, err := final.Raise(ConfirmationPolicy{Tag: TagSafe})
	require.Equal(t, CodeConfirmationsTooLow, CodeOf(err))
}

func TestConfirmationsAreCounted(t *testing.T) {
	t.Parallel()
	one, three := ConfirmationPolicy{Confirmations: 1}, ConfirmationPolicy{Confirmations: 3}
	at := func(latest uint64) Heads { return Heads{Latest: latest} }

	require.True(t, one.Met(100, at(100)), "a payment in the latest block has one confirmation")
	require.False(t, one.Met(100, at(99)), "a block that is not there has none")
	require.False(t, three.Met(100, at(101)))
	require.True(t, three.Met(100, at(102)))
	require.False(t, ConfirmationPolicy{}.Met(100, at(1000)), "no policy counts nothing")

	require.EqualValues(t, 2, three.Missing(100, at(100)))
	require.EqualValues(t, 1, three.Missing(100, at(101)))
	require.EqualValues(t, 0, three.Missing(100, at(102)))
	require.EqualValues(t, 0, three.Missing(100, at(5000)))
	require.EqualValues(t, 5, three.Missing(100, at(97)))
	require.EqualValues(t, 2, three.Missing(0, Heads{}), "the first block of a chain is its latest")
}

func TestTagsAreWaitedFor(t *testing.T) {
	t.Parallel()
	heads := Heads{Latest: 200, Safe: 150, Finalized: 100}
	for _, c := range []struct {
		tag   Tag
		block uint64
		met   bool
	}{
		{TagNone, 200, true},
		{TagSafe, 150, true},
		{TagSafe, 151, false},
		{TagFinalized, 100, true},
		{TagFinalized, 101, false},
		{"latest", 1, false},
	} {
		require.Equal(t, c.met, ConfirmationPolicy{1, c.tag}.Met(c.block, heads), "%+v", c)
	}
	require.False(t, ConfirmationPolicy{12, TagFinalized}.Met(95, Heads{Latest: 100, Finalized: 99}), "the count holds beside the tag")
	require.False(t, ConfirmationPolicy{1, TagFinalized}.Met(0, Heads{Latest: 5}), "a tag that the chain does not know is never reached")
	require.False(t, ConfirmationPolicy{1, TagSafe}.Met(0, Heads{Latest: 5}), "a tag that the chain does not know is never reached")
}

func TestMissingBlocksAreEnoughAndNoMore(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		policy := ConfirmationPolicy{Confirmations: rapid.Uint64Range(1, 50).Draw(t, "confirmations")}
		block := rapid.Uint64Range(0, 100).Draw(t, "block")
		heads := Heads{Latest: rapid.Uint64Range(0, 200).Draw(t, "latest")}
		missing := policy.Missing(block, heads)
		if policy.Met(block, heads) != (missing == 0) {
			t.Fatalf("%+v at %d of %+v misses %d", policy, block, heads, missing)
		}
		if !policy.Met(block, Heads{Latest: heads.Latest + missing}) {
			t.Fatalf("%d more blocks are not enough", missing)
		}
		if missing > 0 && policy.Met(block, Heads{Latest: heads.Latest + missing - 1}) {
			t.Fatalf("%d more blocks are too many", missing)
		}
	})
}

func TestFulfilAmount(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		due, absolute uint64
		bps           uint32
		want          uint64
	}{
		{25_000_000, 0, 0, 25_000_000},
		{25_000_000, 0, 50, 24_875_000},
		{25_000_000, 200_000, 50, 24_800_000},
		{25_000_000, 100_000, 50, 24_875_000},
		{199, 0, 100, 198}, // 1.99 rounds down to 1: in doubt the order asks for more
		{99, 0, 100, 99},
		{5, 0, 10_000, 3}, // at least half, rounded up, whatever is tolerated
		{5, 100, 0, 3},
		{100, 50, 0, 50},
		{100, 51, 0, 50},
		{1, 1, 0, 1},
		{2, 2, 10_000, 1},
		{1, 0, 0, 1},
	} {
		got, err := FulfilAmount(AmountFromUint64(c.due), AmountFromUint64(c.absolute), c.bps)
		require.NoError(t, err)
		require.Equal(t, AmountFromUint64(c.want), got, "%+v", c)
	}
	_, err := FulfilAmount(Amount{}, Amount{}, 0)
	require.Equal(t, CodeInvalidAmount, CodeOf(err))
	_, err = FulfilAmount(AmountFromUint64(1), Amount{}, 10_001)
	require.Equal(t, CodeInvalidParameter, CodeOf(err))
}

func TestFulfilAmountAgreesWithBig(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		due := anyAmount().Draw(t, "due").Max(AmountFromUint64(1))
		bps := rapid.Uint32Range(0, 10_000).Draw(t, "bps")
		got, err := FulfilAmount(due, Amount{}, bps)
		if err != nil {
			t.Fatal(err)
		}
		want := new(big.Int).Mul(due.Big(), big.NewInt(int64(min(bps, 5_000))))
		want.Sub(due.Big(), want.Quo(want, big.NewInt(10_000)))
		if got.Big().Cmp(want) != 0 {
			t.Fatalf("%s at %d basis points is %s, want %s", due, bps, got, want)
		}
	})
}
