package store_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// demand asks for evidence of the bundle's token from so many base units on.
func demand(t *testing.T, b *storetest.Bundle, from uint64, evidence payment.Evidence) {
	t.Helper()
	key := store.TierKey{Chain: storetest.Chain, Asset: &b.Token.ID, From: payment.AmountFromUint64(from)}
	require.NoError(t, b.DB.SetEvidenceTier(t.Context(), key, evidence, storetest.By()))
}

func limit(t *testing.T, b *storetest.Bundle, amount uint64) {
	t.Helper()
	require.NoError(t, b.DB.SetSingleSourceLimit(t.Context(), b.Token.ID, payment.AmountFromUint64(amount), storetest.By()))
}

func resting(on payment.Evidence) func(*store.CreditInput) {
	return func(in *store.CreditInput) { in.Evidence = on }
}

func TestACreditRestsOnTheEvidenceThatItsAmountAsksFor(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 10_000_000, payment.EvidenceAgreed)
	demand(t, b, 30_000_000, payment.EvidenceProven)
	order := b.Order(t)
	p := b.Pay(t, order, 1_000_000)
	s, err := b.DB.LoadSettlement(t.Context(), p.ID)
	require.NoError(t, err)
	require.Equal(t, payment.EvidenceAgreed, s.Evidence, "the order is due more than this piece")
	for _, weak := range []payment.Evidence{payment.EvidenceNone, payment.EvidenceSingle, payment.EvidenceSelfConsistent} {
		require.Equal(t, store.CreditUnproven, b.Credit(t, p, resting(weak)).Outcome, "%q", weak)
	}
	require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))
	require.Equal(t, store.CreditDone, b.Credit(t, p, resting(payment.EvidenceAgreed)).Outcome)
	list, err := b.DB.ListPayments(t.Context(), b.Principal, order.ID, "", 10)
	require.NoError(t, err)
	require.Equal(t, payment.EvidenceAgreed, list.Items[0].Evidence)

	more := b.Pay(t, order, 29_000_000)
	require.Equal(t, store.CreditUnproven, b.Credit(t, more, resting(payment.EvidenceAgreed)).Outcome, "what was paid sums up")
	require.Equal(t, store.CreditDone, b.Credit(t, more, resting(payment.EvidenceProven)).Outcome)

	small := b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(9_999_999) })
	require.Equal(t, store.CreditDone, b.Credit(t, b.Pay(t, small, 9_999_999), resting(payment.EvidenceSingle)).Outcome)
	b.CheckBooks(t)
}

// With one operator left, little money goes on being credited: cumulative, per asset and hour.
func TestTheSingleSourceLimitIsCumulative(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 5_000_000, payment.EvidenceAgreed)
	limit(t, b, 60_000_000)
	order := func() storetest.Payment { return b.Pay(t, b.Order(t), 25_000_000) }
	single := resting(payment.EvidenceSingle)
	require.Equal(t, store.CreditDone, b.Credit(t, order(), single).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, order(), resting(payment.EvidenceAgreed)).Outcome, "uses nothing up")
	require.Equal(t, store.CreditDone, b.Credit(t, order(), resting(payment.EvidenceSelfConsistent)).Outcome)
	last := order()
	require.Equal(t, store.CreditUnproven, b.Credit(t, last, single).Outcome)
	tiny := b.Pay(t, b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(10_000_000) }), 10_000_000)
	require.Equal(t, store.CreditDone, b.Credit(t, tiny, single).Outcome, "exactly what is left")
	small := b.Pay(t, b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(4_000_000) }), 4_000_000)
	require.Equal(t, store.CreditDone, b.Credit(t, small, single).Outcome, "nothing more is asked of so little")
	require.Equal(t, store.CreditUnproven, b.Credit(t, last, single).Outcome)

	// An hour later there is room again.
	_, err := b.PG.Owner.Exec(t.Context(), `ALTER TABLE ledger_postings DISABLE TRIGGER USER`)
	require.NoError(t, err)
	_, err = b.PG.Owner.Exec(t.Context(), `UPDATE ledger_postings SET created_at = created_at - interval '61 minutes'`)
	require.NoError(t, err)
	_, err = b.PG.Owner.Exec(t.Context(), `ALTER TABLE ledger_postings ENABLE TRIGGER USER`)
	require.NoError(t, err)
	require.Equal(t, store.CreditDone, b.Credit(t, last, single).Outcome)
	limit(t, b, 0)
	require.Equal(t, store.CreditUnproven, b.Credit(t, order(), single).Outcome)
	b.CheckBooks(t)
}

// Credits at the same moment share the limit; none takes what another one took.
func TestCreditsAtOnceShareTheSingleSourceLimit(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 1, payment.EvidenceProven)
	limit(t, b, 80_000_000)
	parts := make([]storetest.Payment, 8)
	for i := range parts {
		parts[i] = b.Pay(t, b.Order(t), 25_000_000)
	}
	outcomes := concurrently(len(parts), func(i int) store.CreditOutcome {
		p := parts[i]
		result, err := b.DB.Credit(t.Context(), store.CreditInput{
			PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount, Evidence: payment.EvidenceSingle,
		})
		if err != nil {
			t.Errorf("credit: %v", err)
		}
		return result.Outcome
	})
	require.Equal(t, map[store.CreditOutcome]int{store.CreditDone: 3, store.CreditUnproven: 5}, count(outcomes))
	require.Equal(t, [2]string{"75000000", "0"}, balances(t, b, b.Token.ID))
	b.CheckBooks(t)
}
