package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// A token whose contract is not what was pinned is halted, until a person says that it may go on.
func TestATokenThatChangesIsHalted(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	pinned := store.TokenState{Decimals: 6, Code: storetest.Hash(), Implementation: storetest.Hash()}
	check := func(state store.TokenState) string {
		t.Helper()
		halted, err := b.DB.CheckToken(t.Context(), b.Token.ID, state)
		require.NoError(t, err)
		return halted
	}
	require.Empty(t, check(pinned), "what was never pinned is pinned")
	require.Empty(t, check(pinned))
	order := b.Order(t)
	p := b.Pay(t, order, 25_000_000)
	for reason, change := range map[string]func(*store.TokenState){
		store.TokenDecimalsChanged:       func(s *store.TokenState) { s.Decimals = 18 },
		store.TokenCodeChanged:           func(s *store.TokenState) { s.Code = storetest.Hash() },
		store.TokenImplementationChanged: func(s *store.TokenState) { s.Implementation = payment.Hash{} },
		store.TokenDeprecated:            func(s *store.TokenState) { s.Deprecated = true },
	} {
		changed := pinned
		change(&changed)
		require.Equal(t, reason, check(changed))
		require.Empty(t, check(pinned), "what is halted stays so by itself")
		require.Equal(t, reason, storetest.Value[string](t, b, `SELECT halted_reason FROM assets WHERE code = 'USDC'`))
		require.Equal(t, store.CreditHalted, b.Credit(t, p).Outcome)
		_, err := b.DB.LookupAsset(t.Context(), storetest.Chain, "USDC")
		require.Equal(t, payment.CodeAssetDisabled, payment.CodeOf(err), "and takes no orders")
		require.NoError(t, b.DB.ResumeToken(t.Context(), storetest.Chain, "USDC", pinned, storetest.By()))
		require.Empty(t, check(pinned))
	}
	accepted := pinned
	accepted.Deprecated, accepted.Code = true, storetest.Hash()
	require.Equal(t, store.TokenCodeChanged, check(accepted))
	require.NoError(t, b.DB.ResumeToken(t.Context(), storetest.Chain, "USDC", accepted, storetest.By()))
	require.Empty(t, check(accepted), "a person has looked at this")
	require.Equal(t, store.CreditDone, b.Credit(t, p).Outcome)

	accepted.Decimals = 7
	err := b.DB.ResumeToken(t.Context(), storetest.Chain, "USDC", accepted, storetest.By())
	require.Equal(t, payment.CodeInvalidParameter, payment.CodeOf(err), "every amount was written down by the old ones")
	err = b.DB.ResumeToken(t.Context(), storetest.Chain, "DOGE", accepted, storetest.By())
	require.Equal(t, payment.CodeUnknownAsset, payment.CodeOf(err))
	require.Equal(t, 5, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action = 'token.halt'`))
	require.Equal(t, 5, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action = 'token.resume'`))
}

// Tokens are looked at once a day, and before a large payment unless that was a moment ago.
func TestWhenATokenIsLookedAt(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	due := func() int {
		t.Helper()
		tokens, err := b.DB.TokensToCheck(t.Context(), storetest.Chain, payment.FamilyEVM, 24*time.Hour, 10)
		require.NoError(t, err)
		return len(tokens)
	}
	large := func(asset payment.AssetID, amount uint64) bool {
		t.Helper()
		large, err := b.DB.TokenRecheckDue(t.Context(), asset, payment.AmountFromUint64(amount))
		require.NoError(t, err)
		return large
	}
	require.Equal(t, 1, due(), "never")
	require.False(t, large(b.Token.ID, 1_000_000_000), "no amount is large")
	from := payment.AmountFromUint64(5_000)
	require.NoError(t, b.DB.SetTokenRecheck(t.Context(), storetest.Chain, "USDC", &from, storetest.By()))
	require.False(t, large(b.Token.ID, 4_999))
	require.True(t, large(b.Token.ID, 5_000))
	require.False(t, large(b.Native.ID, 5_000), "a coin has no contract")

	_, err := b.DB.CheckToken(t.Context(), b.Token.ID, store.TokenState{Decimals: 6, Code: storetest.Hash()})
	require.NoError(t, err)
	require.Zero(t, due())
	require.False(t, large(b.Token.ID, 5_000), "a moment ago")
	b.Exec(t, `UPDATE assets SET checked_at = now() - interval '25 hours' WHERE contract IS NOT NULL`)
	require.Equal(t, 1, due())
	require.True(t, large(b.Token.ID, 5_000))
	b.Exec(t, `UPDATE assets SET halted_at = now(), halted_reason = 'x'`)
	require.Zero(t, due(), "it waits for a person")
	require.NoError(t, b.DB.SetTokenRecheck(t.Context(), storetest.Chain, "USDC", nil, storetest.By()))
	require.False(t, large(b.Token.ID, 5_000))
}
