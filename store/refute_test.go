package store_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// shown is a block as it was, with other transfers in it.
func shown(block store.SeenBlock, transfers ...payment.Transfer) store.SeenBlock {
	block.Sightings = nil
	for _, transfer := range transfers {
		block.Sightings = append(block.Sightings, store.Sighting{Transfer: transfer, Receipt: store.ReceiptRead})
	}
	return block
}

// heard is a block as two operators show it.
func (m *miner) heard(alpha, beta store.SeenBlock) store.Batch {
	batch := m.batch(alpha)
	batch.Views = []store.View{{Operator: "alpha", Blocks: []store.SeenBlock{alpha}}, {Operator: "beta", Blocks: []store.SeenBlock{beta}}}
	return batch
}

func (m *miner) again(t *testing.T, rescan store.OpenRescan, batch store.Batch) store.Recorded {
	t.Helper()
	recorded, err := m.rec.RecordRescan(t.Context(), m.session, rescan, batch)
	require.NoError(t, err)
	return recorded
}

func (m *miner) reasons(t *testing.T, transfer payment.Transfer) []string {
	t.Helper()
	return storetest.Value[[]string](t, m.Bundle, `SELECT array_agg(COALESCE(end_reason, 'canonical') ORDER BY n) FROM inclusions WHERE payment_id = $1`,
		m.payment(t, transfer).ID)
}

// TestWhatTwoOperatorsDoNotShowEnds: a transfer that one node made up does not hold its order for ever.
func TestWhatTwoOperatorsDoNotShowEnds(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	invented, truly := pay(t, order, 25_000_000), pay(t, m.Order(t), 25_000_000)
	block := m.record(t, invented, truly)
	truly = block.Sightings[1].Transfer
	m.advance(t, 2)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))

	rescan := m.rescan(t, block.Number, block.Number, "r")
	truth := shown(block, truly)
	persistent := m.heard(block, truth) // one of three still shows it, so it is in what is to be recorded
	persistent.Views = append(persistent.Views, store.View{Operator: "gamma", Blocks: []store.SeenBlock{truth}})
	require.Equal(t, store.Recorded{Matched: 2, Refuted: 1}, m.again(t, rescan, persistent))
	require.Equal(t, []string{"refuted"}, m.reasons(t, invented))
	require.Equal(t, []string{"canonical"}, m.reasons(t, truly))
	require.Equal(t, "dropped", m.payment(t, invented).Status)
	require.Equal(t, []string{"1/seen", "1/dropped"}, m.wakeUps(t, m.payment(t, invented).ID))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'payment.refuted' AND subject = $1`, m.payment(t, invented).ID))
	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, alarms[0].Refuted)

	// The same again, when nobody knows whether that was written down.
	before := m.dump(t)
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.heard(truth, truth)))
	require.Equal(t, before, m.dump(t))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'payment.refuted'`))

	// After the window in which a payment may return, nothing is live and the order is as if nothing had been seen.
	m.advance(t, storetest.Confirmations+1)
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	require.Equal(t, store.CreditStale, m.credit(t, invented).Outcome)
	m.step = 24 * time.Hour
	m.advance(t, 1)
	_, err = m.PG.Owner.Exec(t.Context(), `UPDATE orders SET expires_at = now() - interval '1 second' WHERE id = $1`, order.ID)
	require.NoError(t, err)
	_, _, err = m.DB.ExpireOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StateExpired, m.state(t, order.ID), "a lie keeps no order from expiring")
}

// TestTheTruthTakesThePlaceOfALie and counts like any payment.
func TestTheTruthTakesThePlaceOfALie(t *testing.T) {
	t.Parallel()
	for name, lie := range map[string]func(*payment.Transfer){
		"another amount":    func(x *payment.Transfer) { x.Amount = payment.AmountFromUint64(99_000_000) },
		"another sender":    func(x *payment.Transfer) { x.From = storetest.Address() },
		"another place":     func(x *payment.Transfer) { x.Position = 5 },
		"another recipient": nil,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			order := m.Order(t)
			truth := pay(t, order, 25_000_000)
			told := truth
			if lie == nil {
				told.To = pay(t, m.Order(t), 1).To
			} else {
				lie(&told)
			}
			block := m.record(t, told)
			m.advance(t, storetest.Confirmations)

			recorded := m.again(t, m.rescan(t, block.Number, block.Number, "r"), m.heard(shown(block, truth), shown(block, truth)))
			require.Equal(t, store.Recorded{Matched: 1, New: 1, Refuted: 1}, recorded)
			require.Equal(t, "detected", m.payment(t, truth).Status)
			require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
			require.Equal(t, store.CreditDone, m.credit(t, truth).Outcome)
			require.Equal(t, payment.StatePaid, m.state(t, order.ID))
			require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
			report, err := m.DB.LedgerCheck(t.Context())
			require.NoError(t, err)
			require.True(t, report.OK(), "%v", report.Findings)
		})
	}
}

// TestWhatNobodyLookedForIsNotRefuted, nor what too few contradict.
func TestWhatNobodyLookedForIsNotRefuted(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	token := pay(t, order, 25_000_000)
	inside := pay(t, order, 1_000_000_000_000_000_000, func(x *payment.Transfer) { x.Native, x.Contract, x.Position = true, payment.Address{}, 3 })
	block := m.record(t, token, inside)
	token, inside = block.Sightings[0].Transfer, block.Sightings[1].Transfer
	block.Traced = true
	m.advance(t, horizon+1) // the block's hash is not remembered but with its payments
	rescan := m.rescan(t, block.Number, block.Number, "r")
	m.Exec(t, `UPDATE rescans SET cause = 'backfill'`)
	none, all := shown(block), shown(block, token, inside)
	untraced, onlyToken := shown(block, token), shown(block, inside)
	untraced.Traced = false
	anyToken, elsewhere := none, none
	anyToken.AnyToken, elsewhere.Hash = true, storetest.Hash()
	same := m.heard(none, none)
	same.Views[1].Operator = same.Views[0].Operator
	topics := m.heard(anyToken, anyToken)
	topics.Tokens, topics.Native = nil, false
	single := m.batch(none)
	single.Views, single.Alone = m.heard(none, none).Views[:1], true
	nobody := m.batch(none)
	nobody.Alone = true
	tie := m.heard(none, none)
	for _, operator := range []string{"gamma", "delta"} {
		tie.Views = append(tie.Views, store.View{Operator: operator, Blocks: []store.SeenBlock{all}})
	}
	for name, batch := range map[string]store.Batch{
		"nobody says so": nobody, "one operator": single, "one operator twice": same, "one of two": m.heard(none, all),
		"two of four": tie, "another block": m.heard(elsewhere, elsewhere), "topics only": topics,
		"traced by one": m.heard(untraced, func() store.SeenBlock { b := untraced; b.Traced = true; return b }()),
	} {
		recorded := m.again(t, store.OpenRescan{Second: true}, batch)
		require.Zero(t, recorded.Refuted, name)
		recorded = m.again(t, rescan, batch)
		require.Zero(t, recorded.Refuted, name)
	}
	require.Equal(t, 2, m.count(t, `SELECT count(*) FROM inclusions WHERE canonical AND refuted_at IS NULL`))
	require.Equal(t, 1, m.again(t, rescan, m.heard(onlyToken, onlyToken)).Refuted)
	require.Equal(t, 1, m.again(t, rescan, m.heard(none, none)).Refuted)
}

// TestAPersonMayHaveTheOnlyOperatorRefute: whoever asks has looked, and there is nobody else to ask.
func TestAPersonMayHaveTheOnlyOperatorRefute(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	invented := pay(t, order, 25_000_000)
	block := m.record(t, invented)
	rescan := m.rescan(t, block.Number, block.Number, "r")
	require.Equal(t, []store.OpenRescan{{ID: rescan.ID, From: block.Number, To: block.Number, Next: block.Number, Requested: true}}, m.look(t).Rescans)
	batch := m.batch(shown(block))
	batch.Views = []store.View{{Operator: "alpha", Blocks: batch.Blocks}}
	require.Zero(t, m.again(t, rescan, batch).Refuted, "others are configured as far as the reader knows")
	batch.Alone = true
	_, err := m.PG.Owner.Exec(t.Context(), `INSERT INTO rpc_endpoints (chain, operator, url, url_key, url_fingerprint)
		SELECT $1, o, '\x00', 'k', decode(repeat(n, 32), 'hex') FROM (VALUES ('alpha', 'aa'), ('beta', 'bb')) AS v(o, n)`, m.session.Chain)
	require.NoError(t, err)
	require.Zero(t, m.again(t, rescan, batch).Refuted, "another operator is configured")
	_, err = m.PG.Owner.Exec(t.Context(), `UPDATE rpc_endpoints SET enabled = false WHERE operator = 'beta'`)
	require.NoError(t, err)
	require.Equal(t, 1, m.again(t, rescan, batch).Refuted)
	require.Equal(t, "dropped", m.payment(t, invented).Status)
}

// TestWhatWasCreditedIsNotTakenBack by what operators say: a person decides.
func TestWhatWasCreditedIsNotTakenBack(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.record(t, transfer)
	m.advance(t, storetest.Confirmations)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	rescan := m.rescan(t, block.Number, block.Number, "r")
	smaller := transfer
	smaller.Amount = payment.AmountFromUint64(1_000_000)
	for _, again := range []int{1, 0} {
		require.Equal(t, store.Recorded{Matched: 1, Doubted: again}, m.again(t, rescan, m.heard(shown(block, smaller), shown(block, smaller))))
		require.Equal(t, "credited", m.payment(t, transfer).Status)
		require.Equal(t, payment.StatePaid, m.state(t, order.ID))
		require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
		require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'disagreement' AND status = 'open'`))
		require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'payment.refuted' AND (detail->>'credited')::boolean`))
	}
	alarms, err := m.DB.ListChainAlarms(t.Context())
	require.NoError(t, err)
	require.EqualValues(t, 1, alarms[0].RefutedCredits)
	p := m.payment(t, transfer)
	review := process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseDisagreement}
	_, err = m.DB.ResolveReview(t.Context(), process.ResolveReviewInput{Review: review, Move: process.MoveClose, By: storetest.By(), RequestID: "seen"})
	require.NoError(t, err)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
}

// TestATransferThatWasMovedReturns: operators say that a transfer is in a newer block than the one that holds it, and take it back.
func TestATransferThatWasMovedReturns(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	transfer := pay(t, order, 25_000_000)
	block := m.record(t, transfer)
	newer := m.record(t, transfer)
	require.Equal(t, store.Recorded{Matched: 1, New: 1, Refuted: 1}, m.again(t, m.planned(t, newer), m.heard(newer, newer)))
	require.Equal(t, []string{"refuted", "canonical"}, m.reasons(t, transfer))
	m.advance(t, storetest.Confirmations)
	rescan := m.rescan(t, block.Number, block.Number, "r")
	empty := shown(block)
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.batch(block)), "nobody knows who says so")
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.heard(block, empty)), "one of two")
	require.Equal(t, store.Recorded{Matched: 1, New: 1, Refuted: 1}, m.again(t, rescan, m.heard(block, block)))
	require.Equal(t, []string{"refuted", "refuted", "canonical"}, m.reasons(t, transfer))
	require.Equal(t, store.Recorded{Matched: 1}, m.again(t, rescan, m.heard(block, block)))
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))

	p := m.payment(t, transfer)
	result, err := m.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 3, BlockHash: block.Hash, Amount: transfer.Amount})
	require.NoError(t, err)
	require.Equal(t, store.CreditDone, result.Outcome)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
}
