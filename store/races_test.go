package store_test

import (
	"context"
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// deadlineAt sets an order's deadline.
func deadlineAt(t *testing.T, b *storetest.Bundle, id payment.OrderID, at time.Time) {
	t.Helper()
	b.Exec(t, `UPDATE orders SET expires_at = $2, late_until = $2::timestamptz + interval '1 day' WHERE id = $1`, id, at)
}

// meanwhile runs f again and again until done is closed, and once more afterwards.
func meanwhile(t *testing.T, f func(ctx context.Context) error) (stop func()) {
	t.Helper()
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			if err := f(t.Context()); err != nil {
				t.Errorf("meanwhile: %v", err)
				return
			}
			select {
			case <-done:
				return
			default:
			}
		}
	}()
	return func() { close(done); <-ended }
}

// The payment's block and one past the deadline are recorded together, while somebody tries to close the order: whatever
// the moment, an order that was paid in time never expires.
func TestRecordingBeatsExpiry(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	for range 12 {
		order := b.Order(t)
		deadlineAt(t, b, order.ID, m.tip.Time.Add(m.step+m.step/2))
		stop := meanwhile(t, func(ctx context.Context) error {
			_, _, err := b.DB.ExpireOrder(ctx, order.ID)
			return err
		})
		blocks := m.batch(m.block(pay(t, order, 25_000_000)), m.block())
		_, err := m.rec.Record(t.Context(), m.session, blocks)
		stop()
		require.NoError(t, err)
		require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
	}
}

// A payment is recorded while the merchant cancels. Either the cancellation was first and the money is for a person, or
// the payment was and the order goes on; never both, never neither.
func TestRecordingAgainstCancelling(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	won := map[payment.State]int{}
	for i := range 16 {
		order := b.Order(t)
		transfer := pay(t, order, 25_000_000)
		batch := m.batch(m.block(transfer))
		outcomes := concurrently(2, func(who int) payment.Code {
			if who == i%2 {
				_, err := m.rec.Record(t.Context(), m.session, batch)
				if err != nil {
					t.Errorf("record: %v", err)
				}
				return ""
			}
			_, err := b.DB.CancelOrder(t.Context(), cancel(order.ID))
			return payment.CodeOf(err)
		})
		state := m.state(t, order.ID)
		won[state]++
		switch outcomes[1-i%2] {
		case "":
			require.Equal(t, payment.StateCancelled, state)
		case payment.CodePaymentLive:
			require.Equal(t, payment.StateConfirming, state)
		default:
			t.Fatalf("cancelling ended with %q", outcomes[1-i%2])
		}
		p := m.payment(t, transfer)
		result, err := b.DB.Credit(t.Context(), store.CreditInput{
			PaymentID: p.ID, Inclusion: 1, BlockHash: m.tip.Hash, Amount: transfer.Amount,
		})
		require.NoError(t, err)
		require.Equal(t, store.CreditDone, result.Outcome)
		if state == payment.StateConfirming {
			require.Equal(t, payment.StatePaid, result.Order.State)
		} else {
			require.Equal(t, payment.StateCancelled, result.Order.State)
		}
	}
	t.Logf("who won: %v", won)
	b.CheckBooks(t)
}

// Everybody wants to close the order while its payment is credited: the money wins.
func TestCreditAgainstClosing(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	for range 12 {
		order := b.Order(t)
		p := b.Pay(t, order, 25_000_000, func(p *storetest.Payment) { p.Block.Time = p.Block.Time.Add(-5 * time.Minute) })
		overdue(t, b, order.ID, time.Minute)
		b.ReadTo(t, storetest.Chain, 110, time.Now())
		concurrently(6, func(i int) error {
			var err error
			switch i % 3 {
			case 0:
				_, err = b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: p.Block.Hash, Amount: p.Amount})
			case 1:
				_, _, err = b.DB.ExpireOrder(t.Context(), order.ID)
			default:
				if _, refused := b.DB.CancelOrder(t.Context(), cancel(order.ID)); payment.ReasonOf(refused) == "" {
					err = refused
				}
			}
			if err != nil {
				t.Errorf("racer %d: %v", i, err)
			}
			return err
		})
		view, err := b.DB.ReadOrder(t.Context(), order.ID)
		require.NoError(t, err)
		require.Equal(t, payment.StatePaid, view.State)
		require.Equal(t, []string{"order.created", "order.paid"}, events(t, b, order.ID))
	}
	b.CheckBooks(t)
}

// A block is rolled back while its payment is credited. Either the credit was first and is reversed, or it is stale.
func TestCreditAgainstRollback(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	m := mine(t, b)
	ended := map[string]int{}
	for range 12 {
		order := b.Order(t)
		ancestor := m.tip
		transfer := pay(t, order, 25_000_000)
		m.record(t, transfer)
		p := m.payment(t, transfer)
		in := store.CreditInput{PaymentID: p.ID, Inclusion: 1, BlockHash: m.tip.Hash, Amount: transfer.Amount}
		var result store.CreditResult
		concurrently(2, func(who int) error {
			var err error
			if who == 0 {
				result, err = b.DB.Credit(t.Context(), in)
			} else {
				err = m.rec.Rollback(t.Context(), m.session, ancestor)
			}
			if err != nil {
				t.Errorf("racer %d: %v", who, err)
			}
			return err
		})
		m.tip = ancestor
		ended[string(result.Outcome)]++
		require.Equal(t, "dropped", m.payment(t, transfer).Status)
		require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))
		b.CheckBooks(t)
		switch result.Outcome {
		case store.CreditDone:
			require.Equal(t, payment.StatePaid, m.state(t, order.ID), "fulfilment stays")
			require.Equal(t, []string{"order.created", "order.payment_detected", "order.paid", "payment.reversed"}, events(t, b, order.ID))
		case store.CreditStale:
			require.Equal(t, payment.StateConfirming, m.state(t, order.ID))
		default:
			t.Fatalf("credit ended %s", result.Outcome)
		}
	}
	t.Logf("how credits ended: %v", ended)
}

// Credit, reversal and credit again: each inclusion counts once, and the books remember all of it. Money that was released
// is taken back from where it went.
func TestCreditReversalCredit(t *testing.T) {
	t.Parallel()
	b := storetest.New(t, func(m *store.NewMerchant) { m.PaymentPolicy = payment.PaymentHold })
	m := mine(t, b)
	order := b.Order(t)
	transfer := pay(t, order, 25_000_000)
	ancestor := m.tip
	credit := func(n int) store.CreditResult {
		p := m.payment(t, transfer)
		require.Equal(t, n, p.Inclusion)
		result, err := b.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: n, BlockHash: m.tip.Hash, Amount: transfer.Amount})
		require.NoError(t, err)
		require.Equal(t, store.CreditDone, result.Outcome)
		return result
	}
	m.record(t, transfer)
	require.Equal(t, payment.StatePaid, credit(1).Order.State)
	p := m.payment(t, transfer)
	_, err := b.DB.ResolveReview(t.Context(), process.ResolveReviewInput{
		Review: process.ReviewInput{PaymentID: p.ID, Inclusion: 1, Cause: process.CauseHeld},
		By:     storetest.By(), RequestID: "release", Move: process.MoveRelease,
	})
	require.NoError(t, err)
	require.Equal(t, [2]string{"25000000", "0"}, balances(t, b, b.Token.ID))

	m.rollback(t, ancestor)
	require.Equal(t, [2]string{"0", "0"}, balances(t, b, b.Token.ID))
	view, err := b.DB.ReadOrder(t.Context(), order.ID)
	require.NoError(t, err)
	require.Equal(t, payment.StatePaid, view.State)
	require.Equal(t, []payment.Label{payment.LabelReversed}, view.Labels)
	page, err := b.DB.ListPayments(t.Context(), b.Principal, order.ID, "", 10)
	require.NoError(t, err)
	require.Equal(t, payment.PaymentReversed, page.Items[0].State)

	m.record(t, transfer)
	result := credit(2)
	require.Equal(t, payment.StatePaid, result.Order.State)
	require.Empty(t, result.Order.Labels, "the sum is whole again")
	require.Equal(t, [2]string{"0", "25000000"}, balances(t, b, b.Token.ID))
	require.Equal(t, []string{"credit", "hold", "release", "reversal", "credit"}, storetest.Value[[]string](t, b,
		`SELECT array_agg(kind ORDER BY inclusion, kind) FROM ledger_postings`))
	b.CheckBooks(t)
}

// A hundred random steps of payers, chain, merchant and engine. After each the books are right and the order's state
// agrees with its money; in the end every payment on chain is in the ledger.
func TestRandomLives(t *testing.T) {
	t.Parallel()
	for range lives() {
		seed := rand.Uint64()
		t.Run("", func(t *testing.T) {
			t.Parallel()
			b := storetest.New(t, func(m *store.NewMerchant) { m.LatePolicy = payment.LateFulfil })
			life := &life{miner: mine(t, b), rng: rand.New(rand.NewPCG(seed, 0))}
			defer func() {
				if t.Failed() {
					t.Logf("seed %d, steps: %v", seed, life.steps)
				}
			}()
			life.order = b.Order(t)
			deadlineAt(t, b, life.order.ID, life.tip.Time.Add(8*life.step))
			for range 60 {
				life.live(t)
			}
			life.settle(t)
			t.Logf("ended %s", life.state(t, life.order.ID))
		})
	}
}

// lives is how many random orders live; SLUICE_TEST_LIVES asks for more.
func lives() int {
	if n, err := strconv.Atoi(os.Getenv("SLUICE_TEST_LIVES")); err == nil {
		return n
	}
	return 3
}

// life is one order and everything that happens to it.
type life struct {
	*miner
	rng       *rand.Rand
	order     process.OrderView
	transfers []payment.Transfer
	history   []payment.BlockRef // the blocks of the chain as it is now
	steps     []string
}

func (l *life) live(t *testing.T) {
	t.Helper()
	step := []string{"pay", "pay", "block", "block", "rollback", "credit", "credit", "credit", "expire", "cancel", "extend", "again"}[l.rng.IntN(12)]
	l.steps = append(l.steps, step)
	switch step {
	case "pay":
		transfer := pay(t, l.order, uint64(l.rng.IntN(15_000_000)+500))
		l.transfers = append(l.transfers, transfer)
		l.mineBlock(t, transfer)
	case "again":
		l.mineBlock(t, l.homeless(t)...)
	case "block":
		l.mineBlock(t)
	case "rollback":
		if depth := l.rng.IntN(4); len(l.history) > depth {
			l.rollback(t, l.history[len(l.history)-1-depth])
			l.history = l.history[:len(l.history)-depth]
		}
	case "credit":
		if len(l.transfers) > 0 {
			l.credit(t, l.transfers[l.rng.IntN(len(l.transfers))])
		}
	case "expire":
		_, _, err := l.DB.ExpireOrder(t.Context(), l.order.ID)
		require.NoError(t, err)
	case "cancel":
		if l.rng.IntN(8) == 0 {
			_, err := l.DB.CancelOrder(t.Context(), cancel(l.order.ID))
			require.True(t, err == nil || payment.ReasonOf(err) != "", "%v", err)
		}
	case "extend":
		if l.rng.IntN(4) > 0 {
			return
		}
		_, err := l.DB.ExtendOrder(t.Context(), extend(l.order.ID, 1))
		require.True(t, err == nil || payment.ReasonOf(err) != "", "%v", err)
	}
	l.check(t)
}

func (l *life) mineBlock(t *testing.T, transfers ...payment.Transfer) {
	t.Helper()
	l.record(t, transfers...)
	l.history = append(l.history, l.tip)
}

// homeless are the transfers that no block of the chain holds.
func (l *life) homeless(t *testing.T) []payment.Transfer {
	t.Helper()
	var transfers []payment.Transfer
	for _, transfer := range l.transfers {
		if l.payment(t, transfer).Status == string(payment.StatusDropped) {
			transfers = append(transfers, transfer)
		}
	}
	return transfers
}

func (l *life) credit(t *testing.T, transfer payment.Transfer) {
	t.Helper()
	p := l.payment(t, transfer)
	s, err := l.DB.LoadSettlement(t.Context(), p.ID)
	require.NoError(t, err)
	result, err := l.DB.Credit(t.Context(), store.CreditInput{PaymentID: p.ID, Inclusion: s.Inclusion, BlockHash: s.Block.Hash, Amount: s.Amount})
	require.NoError(t, err)
	if s.Status == payment.StatusDetected {
		require.Equal(t, store.CreditDone, result.Outcome)
	}
}

func (l *life) check(t *testing.T) {
	t.Helper()
	l.CheckBooks(t)
	snapshot, err := l.DB.GetOrder(t.Context(), l.Principal, l.order.ID)
	require.NoError(t, err)
	live := l.count(t, `SELECT count(*) FROM payments p JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion
		WHERE i.amount >= 1000 AND (p.status = 'detected' OR (p.status = 'dropped' AND p.returns_by_block IS NOT NULL))`)
	covered := !snapshot.AmountReceivedBaseUnits.Less(snapshot.AmountBaseUnits)
	switch snapshot.State {
	case payment.StateConfirming:
		require.Positive(t, live)
	case payment.StateAwaitingPayment:
		require.Zero(t, live)
		require.False(t, covered)
	case payment.StatePaid:
		require.Equal(t, !covered, snapshot.Labels.Has(payment.LabelReversed))
	case payment.StateExpired:
		require.False(t, covered, "late money fulfils here")
	case payment.StateCancelled, payment.StateOpening:
	}
}

// settle mines what is missing and credits everything: then all the money of the chain is in the books.
func (l *life) settle(t *testing.T) {
	t.Helper()
	l.mineBlock(t, l.homeless(t)...)
	sum := payment.Amount{}
	for _, transfer := range l.transfers {
		l.credit(t, transfer)
		var err error
		sum, err = sum.Add(transfer.Amount)
		require.NoError(t, err)
	}
	l.check(t)
	require.Equal(t, sum.String(), storetest.Value[string](t, l.Bundle, `SELECT COALESCE(-sum(balance), 0)::text FROM ledger_balances WHERE kind = 'custody'`))
	require.Equal(t, len(l.transfers), l.count(t, `SELECT count(*) FROM payments WHERE status = 'credited'`))
}
