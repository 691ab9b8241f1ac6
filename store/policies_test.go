package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestPoliciesAreSetListedAndRemoved(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ctx, by := t.Context(), storetest.By()
	token := store.TierKey{Chain: storetest.Chain, Asset: &b.Token.ID, From: payment.AmountFromUint64(2_500_000)}
	anyAsset := store.TierKey{Chain: storetest.Chain, From: payment.AmountFromUint64(5)}
	asked := payment.ConfirmationPolicy{Confirmations: 12, Tag: payment.TagSafe}
	for range 2 { // the second time changes nothing
		require.NoError(t, b.DB.SetConfirmationTier(ctx, token, asked, by))
		require.NoError(t, b.DB.SetConfirmationTier(ctx, anyAsset, payment.ConfirmationPolicy{Confirmations: 5}, by))
		require.NoError(t, b.DB.SetEvidenceTier(ctx, anyAsset, payment.EvidenceAgreed, by))
		limit(t, b, 1_000_000)
	}
	policies, err := b.DB.ListPolicies(ctx, storetest.Chain)
	require.NoError(t, err)
	require.Equal(t, store.Policies{
		Base: payment.ConfirmationPolicy{Confirmations: storetest.Confirmations},
		Confirmations: []store.ConfirmationTier{
			{From: "5", Policy: payment.ConfirmationPolicy{Confirmations: 5}}, {AssetCode: "USDC", From: "2.5", Policy: asked},
		},
		Evidence:     []store.EvidenceTier{{From: "5", Evidence: payment.EvidenceAgreed}},
		SingleSource: []store.SingleSourceLimit{{AssetCode: "USDC", Amount: "1"}},
	}, policies)
	require.Equal(t, []string{"chain.evidence.limit", "chain.evidence.set", "chain.tier.set", "chain.tier.set"},
		storetest.Value[[]string](t, b, `SELECT array_agg(action ORDER BY action) FROM audit WHERE action LIKE 'chain.tier%' OR action LIKE 'chain.evidence%'`))

	require.NoError(t, b.DB.SetConfirmationTier(ctx, token, payment.ConfirmationPolicy{Confirmations: 20}, by))
	require.NoError(t, b.DB.RemoveConfirmationTier(ctx, anyAsset, by))
	require.NoError(t, b.DB.RemoveEvidenceTier(ctx, anyAsset, by))
	limit(t, b, 0)
	policies, err = b.DB.ListPolicies(ctx, storetest.Chain)
	require.NoError(t, err)
	require.Len(t, policies.Confirmations, 1)
	require.Equal(t, payment.ConfirmationPolicy{Confirmations: 20}, policies.Confirmations[0].Policy)
	require.Empty(t, policies.Evidence)
	require.Empty(t, policies.SingleSource)
}

func TestPoliciesThatAreRefused(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	ctx, by := t.Context(), storetest.By()
	three := payment.ConfirmationPolicy{Confirmations: 3}
	for name, c := range map[string]struct {
		err  error
		code payment.Code
	}{
		"no chain":              {b.DB.SetConfirmationTier(ctx, store.TierKey{Chain: "nowhere"}, three, by), payment.CodeUnknownChain},
		"no confirmations":      {b.DB.SetConfirmationTier(ctx, store.TierKey{Chain: storetest.Chain}, payment.ConfirmationPolicy{}, by), payment.CodeInvalidParameter},
		"an asset of elsewhere": {b.DB.SetConfirmationTier(ctx, store.TierKey{Chain: storetest.Other, Asset: &b.Token.ID}, three, by), payment.CodeUnknownAsset},
		"no evidence":           {b.DB.SetEvidenceTier(ctx, store.TierKey{Chain: storetest.Chain}, payment.EvidenceNone, by), payment.CodeInvalidParameter},
		"a word":                {b.DB.SetEvidenceTier(ctx, store.TierKey{Chain: storetest.Chain}, "certain", by), payment.CodeInvalidParameter},
		"no such tier":          {b.DB.RemoveConfirmationTier(ctx, store.TierKey{Chain: storetest.Chain}, by), payment.CodeNotFound},
		"no such evidence":      {b.DB.RemoveEvidenceTier(ctx, store.TierKey{Chain: storetest.Chain}, by), payment.CodeNotFound},
	} {
		require.Equal(t, c.code, payment.CodeOf(c.err), name)
	}
	require.Zero(t, storetest.Value[int](t, b, `SELECT count(*) FROM audit WHERE action LIKE 'chain.tier%' OR action LIKE 'chain.evidence%'`))
}
