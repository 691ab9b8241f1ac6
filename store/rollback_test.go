package store_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// credit confirms the payment's newest inclusion.
func (m *miner) credit(t *testing.T, transfer payment.Transfer, change ...func(*store.CreditInput)) store.CreditResult {
	t.Helper()
	in := m.creditInput(t, transfer)
	for _, f := range change {
		f(&in)
	}
	result, err := m.DB.Credit(t.Context(), in)
	require.NoError(t, err)
	return result
}

func (m *miner) creditInput(t *testing.T, transfer payment.Transfer) store.CreditInput {
	t.Helper()
	p := m.payment(t, transfer)
	hash := storetest.Value[[]byte](t, m.Bundle, `SELECT block_hash FROM inclusions WHERE payment_id = $1 AND n = $2`, p.ID, p.Inclusion)
	return store.CreditInput{PaymentID: p.ID, Inclusion: p.Inclusion, BlockHash: payment.Hash(hash), Amount: transfer.Amount}
}

// balance is credits less debits of all accounts of a kind.
func (m *miner) balance(t *testing.T, kind string) int {
	t.Helper()
	return m.count(t, `SELECT COALESCE(sum(balance), 0) FROM ledger_balances WHERE kind = $1`, kind)
}

func TestRollbackUndoesADetection(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.record(t).BlockRef
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.advance(t, 2)
	old := m.tip

	m.rollback(t, ancestor)
	p := m.payment(t, transfer)
	require.Equal(t, "dropped", p.Status)
	require.Equal(t, int64(old.Number+storetest.Confirmations), *p.Returns)
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM inclusions WHERE NOT canonical AND end_reason = 'reorg'`))
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID), "it usually comes back")
	require.Equal(t, []string{"1/seen", "1/dropped"}, m.wakeUps(t, p.ID))
	watch, err := m.rec.Watch(t.Context(), m.session)
	require.NoError(t, err)
	ancestor.TimeBasis = "" // the time is remembered, and not what it rests on
	require.Equal(t, ancestor, *watch.Cursor)
	holes, err := m.DB.CoverageHoles(t.Context(), m.Token.ID, store.Interval{First: 0, Last: old.Number})
	require.NoError(t, err)
	require.Equal(t, []store.Interval{{First: ancestor.Number + 1, Last: old.Number}}, holes)

	before := m.dump(t)
	m.rollback(t, ancestor)
	require.Equal(t, before, m.dump(t), "again is once")
}

// TestADroppedPaymentHoldsItsOrderForAWindow: not by a clock, but until the chain has passed it.
func TestADroppedPaymentHoldsItsOrderForAWindow(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.record(t).BlockRef
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.rollback(t, ancestor)
	until := *m.payment(t, transfer).Returns

	for m.tip.Number < uint64(until) {
		m.record(t)
		require.Equal(t, payment.StateConfirming, m.state(t, order.ID), "block %d", m.tip.Number)
	}
	m.record(t)
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	p := m.payment(t, transfer)
	require.Nil(t, p.Returns)
	require.Equal(t, []string{"1/seen", "1/dropped", "1/given_up"}, m.wakeUps(t, p.ID))
	m.record(t)
	require.Len(t, m.wakeUps(t, p.ID), 3, "once")

	m.record(t, transfer) // it comes after all
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	require.Equal(t, 2, m.payment(t, transfer).Inclusion)
}

func TestAPaymentThatReturnsInTheLastBlockOfItsWindow(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.tip
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.rollback(t, ancestor)
	until := *m.payment(t, transfer).Returns
	var blocks []store.SeenBlock
	for m.tip.Number < uint64(until) {
		blocks = append(blocks, m.block())
	}
	blocks = append(blocks, m.block(transfer))
	_, err := m.rec.Record(t.Context(), m.session, m.batch(blocks...))
	require.NoError(t, err)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	require.Equal(t, []string{"1/seen", "1/dropped", "2/seen"}, m.wakeUps(t, m.payment(t, transfer).ID))
}

func TestReinclusionKeepsTheFirstTimeAndTakesTheNewContent(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	first, second := m.Order(t), m.Order(t)
	ancestor := m.tip
	transfer := pay(t, first, 25_000_000)
	block := m.record(t, transfer)
	m.rollback(t, ancestor)

	m.step = time.Hour
	again := transfer
	again.Amount = payment.AmountFromUint64(20_000_000)
	again.To = pay(t, second, 1).To // a contract may route a payment elsewhere when it runs again
	m.record(t, again)
	p := m.payment(t, transfer)
	require.Equal(t, 2, p.Inclusion)
	require.Equal(t, "detected", p.Status)
	require.Equal(t, second.ID, *p.Order)
	require.True(t, block.Time.Equal(p.FirstAt), "on time is decided by the first canonical inclusion")
	require.Equal(t, payment.StateConfirming, m.state(t, second.ID))
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, first.ID), "what it waited for is another order's")
	require.Equal(t, []string{"1/seen", "1/dropped", "2/seen", "1/changed"}, m.wakeUps(t, p.ID))
	require.Equal(t, "20000000", storetest.Value[string](t, m.Bundle,
		`SELECT amount::text FROM inclusions WHERE payment_id = $1 AND canonical`, p.ID))
}

// A payment that returns as dust, or in another asset, is no longer what its order waits for.
func TestAReturnThatDoesNotCountEndsTheWait(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.tip
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.rollback(t, ancestor)
	require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	transfer.Amount = payment.AmountFromUint64(999)
	m.record(t, transfer)
	require.Equal(t, payment.StateAwaitingPayment, m.state(t, order.ID))
	require.Equal(t, "detected", m.payment(t, transfer).Status)
}

func TestRollbackReversesACredit(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t)
	ancestor := m.tip
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	require.Equal(t, payment.StatePaid, m.state(t, order.ID))
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))

	m.rollback(t, ancestor)
	p := m.payment(t, transfer)
	require.Equal(t, "dropped", p.Status)
	require.Nil(t, p.Credited)
	require.Zero(t, m.balance(t, "merchant:available"))
	require.Zero(t, m.balance(t, "custody"))
	require.Equal(t, payment.StatePaid, m.state(t, order.ID), "fulfilment is sticky")
	require.Contains(t, storetest.Value[[]string](t, m.Bundle, `SELECT labels FROM orders WHERE id = $1`, order.ID), "reversed")
	require.Equal(t, []string{"order.created", "order.payment_detected", "order.paid", "payment.reversed"}, m.events(t, order.ID))
	require.Equal(t, []string{"1/seen", "1/dropped", "1/review/reversal"}, m.wakeUps(t, p.ID))
	require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'reversal' AND status = 'open'`))
	before := m.dump(t)
	m.rollback(t, ancestor)
	require.Equal(t, before, m.dump(t))

	// It is mined again: credit, reversal, credit.
	m.record(t, transfer)
	require.Equal(t, store.CreditDone, m.credit(t, transfer).Outcome)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
	require.Equal(t, 3, m.count(t, `SELECT count(*) FROM ledger_postings`))
	require.NotContains(t, storetest.Value[[]string](t, m.Bundle, `SELECT labels FROM orders WHERE id = $1`, order.ID), "reversed")
	m.rollback(t, ancestor)
	require.Zero(t, m.balance(t, "merchant:available"))
	require.Equal(t, 2, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'reversal'`))
}

// TestRollbackOfReleasedMoney: it was held and released; the chain takes it back, so the merchant owes it.
func TestRollbackOfReleasedMoney(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t, func(n *store.NewMerchant) { n.PaymentPolicy = payment.PaymentHold }))
	order := m.Order(t)
	ancestor := m.tip
	transfer := pay(t, order, 25_000_000)
	m.record(t, transfer)
	m.credit(t, transfer)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:held"))
	_, err := m.DB.ResolveReview(t.Context(), process.ResolveReviewInput{
		Review: process.ReviewInput{PaymentID: m.payment(t, transfer).ID, Inclusion: 1, Cause: process.CauseHeld},
		By:     storetest.By(), RequestID: "release", Move: process.MoveRelease,
	})
	require.NoError(t, err)
	require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
	require.Zero(t, m.balance(t, "merchant:held"))

	m.rollback(t, ancestor)
	require.Zero(t, m.balance(t, "merchant:available"))
	require.Zero(t, m.balance(t, "merchant:held"))
	require.Zero(t, m.balance(t, "custody"))
}

func TestRollbackOfAnUnknownBlock(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	m.advance(t, 3)
	before := m.dump(t)
	forged := payment.BlockRef{Number: m.tip.Number - 1, Hash: storetest.Hash(), Time: m.tip.Time}
	require.ErrorIs(t, m.rec.Rollback(t.Context(), m.session, forged), store.ErrParentMismatch)
	above := payment.BlockRef{Number: m.tip.Number + 1, Hash: storetest.Hash(), Time: m.tip.Time}
	require.NoError(t, m.rec.Rollback(t.Context(), m.session, above), "the cursor is below it already")
	require.Equal(t, before, m.dump(t))
}

func TestRollbackOfOneChainLeavesTheOther(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m, other := mine(t, b), mineOn(t, b, storetest.Other)
	order := m.Order(t)
	ancestor := m.tip
	coin := func(x *payment.Transfer) { x.Native, x.Contract = true, payment.Address{} }
	here, there := pay(t, order, 5_000, coin), pay(t, order, 5_000, coin)
	m.record(t, here)
	other.record(t, there)
	m.rollback(t, ancestor)
	require.Equal(t, "dropped", m.payment(t, here).Status)
	require.Equal(t, "detected", other.payment(t, there).Status)
}

// TestCreditAndRollback: whichever comes first, the books agree with the chain.
func TestCreditAndRollback(t *testing.T) {
	t.Parallel()
	m := mine(t, storetest.New(t))
	order := m.Order(t, func(n *store.NewOrder) { n.Amount = payment.AmountFromUint64(1_000_000_000) })
	for range 12 {
		ancestor := m.tip
		transfer := pay(t, order, 25_000_000)
		m.record(t, transfer)
		input := m.creditInput(t, transfer)
		done := make(chan error, 3)
		ctx := context.WithoutCancel(t.Context())
		for range 2 {
			go func() {
				result, err := m.DB.Credit(ctx, input)
				if err == nil {
					require.Contains(t, []store.CreditOutcome{store.CreditDone, store.CreditAlready, store.CreditStale}, result.Outcome)
				}
				done <- err
			}()
		}
		go func() { done <- m.rec.Rollback(ctx, m.session, ancestor) }()
		for range 3 {
			require.NoError(t, <-done)
		}
		m.tip = ancestor
		require.Equal(t, "dropped", m.payment(t, transfer).Status)
		require.Zero(t, m.balance(t, "merchant:available"))
		require.Zero(t, m.balance(t, "custody"))
		require.Equal(t, store.CreditStale, m.credit(t, transfer).Outcome, "nothing is credited from a block that is gone")
	}
	credits := m.count(t, `SELECT count(*) FROM ledger_postings WHERE kind = 'credit'`)
	require.Equal(t, credits, m.count(t, `SELECT count(*) FROM ledger_postings WHERE kind = 'reversal'`))
	require.Equal(t, credits, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'reversal'`))
}

// TestContentThatChangesWithoutARollback ends the old inclusion before the new one begins: the chain cannot hold both. What was
// credited stays where it is, because that the new block holds it is what one node says.
func TestContentThatChangesWithoutARollback(t *testing.T) {
	t.Parallel()
	for name, credited := range map[string]bool{"credited": true, "not credited": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := mine(t, storetest.New(t))
			order := m.Order(t)
			transfer := pay(t, order, 25_000_000)
			old := m.record(t, transfer)
			if credited {
				m.credit(t, transfer)
			}
			moved := transfer
			moved.Amount = payment.AmountFromUint64(26_000_000)
			block := m.record(t, moved)
			require.Equal(t, []string{"canonical"}, m.reasons(t, transfer), "one word against another")
			require.Equal(t, 2, m.count(t, `SELECT count(*) FROM rescans WHERE cause = 'requested' AND finished_at IS NULL`))
			if credited {
				require.Equal(t, 25_000_000, m.balance(t, "merchant:available"))
				require.Equal(t, 1, m.count(t, `SELECT count(*) FROM reviews WHERE cause = 'disagreement' AND status = 'open'`))
				// That one node said so does not keep two from being heard.
				recorded := m.again(t, m.planned(t, old), m.heard(shown(old), shown(old)))
				require.Equal(t, store.Recorded{Doubted: 1}, recorded)
				require.Equal(t, 1, m.count(t, `SELECT count(*) FROM audit WHERE action = 'payment.refuted'`))
				return
			}
			require.Equal(t, store.Recorded{Matched: 1, New: 1, Refuted: 1}, m.again(t, m.planned(t, block), m.heard(block, block)))
			require.Equal(t, []string{"refuted", "canonical"}, m.reasons(t, transfer))
			require.Nil(t, m.payment(t, transfer).Returns)
			require.Equal(t, store.CreditDone, m.credit(t, moved).Outcome)
			require.Equal(t, 26_000_000, m.balance(t, "merchant:available"))
		})
	}
}
