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

// later lets more than an hour pass.
func later(t *testing.T, b *storetest.Bundle) {
	t.Helper()
	for _, sql := range []string{
		`ALTER TABLE ledger_postings DISABLE TRIGGER USER`,
		`UPDATE ledger_postings SET created_at = created_at - interval '61 minutes'`,
		`ALTER TABLE ledger_postings ENABLE TRIGGER USER`,
		`UPDATE weak_credits SET created_at = created_at - interval '61 minutes'`,
	} {
		_, err := b.PG.Owner.Exec(t.Context(), sql)
		require.NoError(t, err)
	}
}

// paid is a payment of so much to an order of so much.
func paid(t *testing.T, b *storetest.Bundle, amount uint64) storetest.Payment {
	t.Helper()
	return b.Pay(t, b.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(amount) }), amount)
}

// paidNative is a payment of the chain's coin to an order in it.
func paidNative(t *testing.T, b *storetest.Bundle, amount uint64) storetest.Payment {
	t.Helper()
	return b.Pay(t, b.Order(t, func(n *store.NewOrder) { n.Asset, n.Amount = b.Native.Symbol, payment.AmountFromUint64(amount) }), amount)
}

// settles checks a payment as often as it takes, with so many operators, and tells what it came to and on what it rests.
func settles(t *testing.T, b *storetest.Bundle, p storetest.Payment, operators int) (store.CreditOutcome, payment.Evidence) {
	t.Helper()
	for range 3 {
		s, err := b.DB.LoadSettlement(t.Context(), p.ID)
		require.NoError(t, err)
		shown := payment.EvidenceSingle
		if s.Evidence.AtLeast(payment.EvidenceAgreed) && operators > 1 {
			shown = payment.EvidenceAgreed
		}
		outcome := b.Credit(t, p, func(in *store.CreditInput) { in.Evidence, in.Demanded = shown, s.Evidence }).Outcome
		if outcome != store.CreditStale {
			return outcome, shown
		}
	}
	return store.CreditStale, ""
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

// With one operator left, little money goes on being credited: cumulative, per chain and hour.
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
	require.Equal(t, store.CreditUnproven, b.Credit(t, last, single).Outcome)

	// An hour later there is room again.
	later(t, b)
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

// What one operator says is worth so much an hour, whatever it says it of: each asset uses up its share of the whole.
func TestAssetsShareTheSingleSourceLimitOfTheirChain(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 1, payment.EvidenceAgreed)
	key := store.TierKey{Chain: storetest.Chain, Asset: &b.Native.ID, From: payment.AmountFromUint64(1)}
	require.NoError(t, b.DB.SetEvidenceTier(t.Context(), key, payment.EvidenceAgreed, storetest.By()))
	const third = 100_000_000_000_000_000 // of 0.3 coins
	limit(t, b, 30_000_000)
	require.NoError(t, b.DB.SetSingleSourceLimit(t.Context(), b.Native.ID, payment.AmountFromUint64(3*third), storetest.By()))
	single := resting(payment.EvidenceSingle)
	require.Equal(t, store.CreditDone, b.Credit(t, paid(t, b, 10_000_000), single).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, paidNative(t, b, third), single).Outcome)
	require.Equal(t, store.CreditUnproven, b.Credit(t, paidNative(t, b, third+1), single).Outcome, "a unit too much, exactly")
	require.Equal(t, store.CreditUnproven, b.Credit(t, paid(t, b, 10_000_001), single).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, paid(t, b, 10_000_000), single).Outcome, "three thirds are all of it")
	require.Equal(t, store.CreditUnproven, b.Credit(t, paidNative(t, b, 1000), single).Outcome)

	// Without a limit of its own an asset has no share, and may not be credited on less than is asked for.
	require.NoError(t, b.DB.SetSingleSourceLimit(t.Context(), b.Native.ID, payment.Amount{}, storetest.By()))
	require.Equal(t, store.CreditUnproven, b.Credit(t, paidNative(t, b, 1000), single).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, paid(t, b, 10_000_000), single).Outcome, "what was credited of it takes nothing away either")
	b.CheckBooks(t)
}

// Small payments have their share too: many of them are much money. When it is used up, they need what the lowest tier asks for.
func TestBelowTheTiersTheLimitCounts(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 20_000_000, payment.EvidenceProven)
	demand(t, b, 10_000_000, payment.EvidenceAgreed)
	require.NoError(t, b.DB.SetSingleSourceLimit(t.Context(), b.Token.ID, payment.AmountFromUint64(12_000_000), storetest.By()))
	for range 2 {
		outcome, on := settles(t, b, paid(t, b, 5_000_000), 2)
		require.Equal(t, store.CreditDone, outcome)
		require.Equal(t, payment.EvidenceSingle, on, "nobody else is asked for little money")
	}
	last, next := paid(t, b, 5_000_000), paid(t, b, 5_000_000)
	outcome, _ := settles(t, b, last, 1)
	require.Equal(t, store.CreditUnproven, outcome, "with one operator it waits")
	require.Equal(t, store.CreditStale, b.Credit(t, last, resting(payment.EvidenceSingle)).Outcome, "a check that was not asked for more is made again")
	outcome, on := settles(t, b, last, 2)
	require.Equal(t, store.CreditDone, outcome)
	require.Equal(t, payment.EvidenceAgreed, on, "with two operators it is agreed")
	outcome, _ = settles(t, b, paid(t, b, 2_000_000), 1)
	require.Equal(t, store.CreditDone, outcome, "what two agreed about took nothing away")
	outcome, _ = settles(t, b, next, 1)
	require.Equal(t, store.CreditUnproven, outcome)
	later(t, b)
	outcome, _ = settles(t, b, next, 1)
	require.Equal(t, store.CreditDone, outcome, "an hour later there is room again")

	// Without a limit, one operator's word is enough for as much of it as comes.
	limit(t, b, 0)
	for range 4 {
		outcome, on = settles(t, b, paid(t, b, 9_000_000), 2)
		require.Equal(t, store.CreditDone, outcome)
		require.Equal(t, payment.EvidenceSingle, on)
	}
	b.CheckBooks(t)
}

// A limit without any tier is one: beyond it, two have to agree.
func TestALimitWithoutTiers(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	limit(t, b, 30_000_000)
	outcome, _ := settles(t, b, paid(t, b, 25_000_000), 1)
	require.Equal(t, store.CreditDone, outcome)
	outcome, _ = settles(t, b, paid(t, b, 25_000_000), 1)
	require.Equal(t, store.CreditUnproven, outcome)
	outcome, on := settles(t, b, paid(t, b, 25_000_000), 2)
	require.Equal(t, store.CreditDone, outcome)
	require.Equal(t, payment.EvidenceAgreed, on)
	b.CheckBooks(t)
}

// Credits at the same moment share the limit also across assets, and below the tiers.
func TestCreditsAtOnceOfTwoAssetsShareTheLimit(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 100_000_000, payment.EvidenceAgreed)
	limit(t, b, 80_000_000)
	require.NoError(t, b.DB.SetSingleSourceLimit(t.Context(), b.Native.ID, payment.AmountFromUint64(8_000), storetest.By()))
	parts := make([]storetest.Payment, 8)
	for i := range parts {
		if parts[i] = paid(t, b, 20_000_000); i%2 == 0 {
			parts[i] = paidNative(t, b, 2_000)
		}
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
	require.Equal(t, map[store.CreditOutcome]int{store.CreditDone: 4, store.CreditStale: 4}, count(outcomes))
	b.CheckBooks(t)
}

// TestWhatTwoAgreedAboutUsesTheLimitUpWhereProofIsAskedFor: whatever is credited on less than is asked for has its share, and what was
// credited anew had it the first time.
func TestWhatTwoAgreedAboutUsesTheLimitUpWhereProofIsAskedFor(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 1, payment.EvidenceProven)
	limit(t, b, 60_000_000)
	agreed := resting(payment.EvidenceAgreed)
	for range 2 {
		require.Equal(t, store.CreditDone, b.Credit(t, b.Pay(t, b.Order(t), 25_000_000), agreed).Outcome)
	}
	last := b.Pay(t, b.Order(t), 25_000_000)
	require.Equal(t, store.CreditUnproven, b.Credit(t, last, agreed).Outcome, "75 of 60")
	require.Equal(t, store.CreditDone, b.Credit(t, last, resting(payment.EvidenceProven)).Outcome)
	require.Equal(t, store.CreditDone, b.Credit(t, paid(t, b, 10_000_000), agreed).Outcome, "what was proven took nothing away")
	b.CheckBooks(t)
}

// TestATierOfOneOperatorsWordLiftsNoLimit: it says that this word is enough, not for how much money.
func TestATierOfOneOperatorsWordLiftsNoLimit(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	demand(t, b, 0, payment.EvidenceSingle)
	demand(t, b, 100_000_000, payment.EvidenceAgreed)
	limit(t, b, 60_000_000)
	for range 2 {
		outcome, on := settles(t, b, paid(t, b, 25_000_000), 2)
		require.Equal(t, store.CreditDone, outcome)
		require.Equal(t, payment.EvidenceSingle, on)
	}
	outcome, _ := settles(t, b, paid(t, b, 25_000_000), 1)
	require.Equal(t, store.CreditUnproven, outcome, "75 of 60")
	outcome, on := settles(t, b, paid(t, b, 25_000_000), 2)
	require.Equal(t, store.CreditDone, outcome)
	require.Equal(t, payment.EvidenceAgreed, on)
	b.CheckBooks(t)
}

// TestTheLimitReadsTheLastHourAlone: it is asked for with every check of a small payment.
func TestTheLimitReadsTheLastHourAlone(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	limit(t, b, 60_000_000)
	_, p := b.Paid(t)
	_, err := b.PG.Owner.Exec(t.Context(), `
		INSERT INTO inclusions (payment_id, n, chain, block_number, block_hash, block_time, tx_index, asset_id, amount, sender, recipient, canonical, ended_at, end_reason)
		SELECT payment_id, 10 + g, chain, block_number, block_hash, block_time, tx_index, asset_id, amount, sender, recipient, false, now(), 'reorg'
		  FROM inclusions, generate_series(1, 5000) g WHERE payment_id = $1`, p.ID)
	require.NoError(t, err)
	_, err = b.PG.Owner.Exec(t.Context(), `
		INSERT INTO weak_credits SELECT payment_id, n, chain, asset_id, amount, now() - n * interval '5 minutes' FROM inclusions WHERE n > 10`)
	require.NoError(t, err)
	_, err = b.PG.Owner.Exec(t.Context(), `ANALYZE weak_credits`)
	require.NoError(t, err)
	var plan string
	require.NoError(t, b.PG.Owner.QueryRow(t.Context(), `EXPLAIN (FORMAT JSON) SELECT asset_id, sum(amount) FROM weak_credits
		WHERE chain = $1 AND created_at > now() - interval '1 hour' GROUP BY asset_id`, storetest.Chain).Scan(&plan))
	require.Contains(t, plan, `"weak_credits_recent"`)
	require.NotContains(t, plan, "Seq Scan")
}
