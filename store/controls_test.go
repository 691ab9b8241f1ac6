package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

func TestPauseAndResume(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	for range 2 {
		require.NoError(t, m.DB.PauseChain(t.Context(), storetest.Chain, storetest.By(), "pause"))
	}
	require.True(t, m.look(t).Paused)
	require.NoError(t, m.DB.UnpauseChain(t.Context(), storetest.Chain, storetest.By(), "unpause"))
	require.False(t, m.look(t).Paused)

	transfer := pay(t, m.Order(t), 25_000_000)
	m.record(t, transfer)
	require.NoError(t, m.rec.Halt(t.Context(), m.session, "reorg_below_horizon"))
	require.Equal(t, store.CreditHalted, m.credit(t, transfer).Outcome)
	require.NoError(t, m.DB.ResumeChain(t.Context(), storetest.Chain, storetest.By(), "resume"))
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	require.Equal(t, []string{"chain.pause", "chain.unpause", "chain.resume"}, storetest.Value[[]string](t, m.Bundle,
		`SELECT array_agg(action ORDER BY id) FROM audit WHERE subject = 'dev' AND action <> 'chain.enable'`))
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(m.DB.PauseChain(t.Context(), "nowhere", storetest.By(), "x")))
}

func TestNothingIsCreditedWhilePaused(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	p := b.Pay(t, b.Order(t), 25_000_000)
	require.NoError(t, b.DB.PauseChain(t.Context(), storetest.Chain, storetest.By(), "pause"))
	s, err := b.DB.LoadSettlement(t.Context(), p.ID)
	require.NoError(t, err)
	require.True(t, s.Paused)
	require.Equal(t, store.CreditPaused, b.Credit(t, p).Outcome)
	require.Zero(t, b.CheckBooks(t).Postings)
	require.NoError(t, b.DB.UnpauseChain(t.Context(), storetest.Chain, storetest.By(), "unpause"))
	require.Equal(t, store.CreditDone, b.Credit(t, p).Outcome)
}
