package crashtest_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// maxStatements stops a test that would never end.
const maxStatements = 200

// everyStatement runs round with a victim that dies before its first statement, its second, and so on, until one lives to
// the end; then once for every point of the scanner. round tells whether its victim finished. The short tests leave out
// all but every stride-th statement.
func everyStatement(t *testing.T, stride int, round func(o orders) (finished bool)) {
	t.Helper()
	if !testing.Short() {
		stride = 1
	}
	n := 1
	for ; !round(orders{Statement: n}); n += stride {
		require.Less(t, n, maxStatements)
	}
	require.Greater(t, n, 15, "the victim did next to nothing")
	for _, point := range scan.Points() {
		round(orders{Point: point})
	}
	for i := range 6 { // while the COMMIT is on its way: it may have arrived or not
		round(orders{Commits: 2, InCommit: time.Duration(i) * 60 * time.Microsecond})
	}
}

// TestKilledWhileRecordingABlock: three transfers of one block, one of them to an address whose transaction is committed
// only after the scanner has asked which recipients are known, and before it records.
func TestKilledWhileRecordingABlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	everyStatement(t, 1, func(o orders) bool {
		quick := b.order(t)
		slow, commit := b.slowOrder(t)
		block := b.fake.Mine(t,
			chaintest.Multi{b.transfer(t, quick, 10_000_000), b.transfer(t, slow, 25_000_000)},
			chaintest.Native{To: to(t, quick), Amount: 5_000})
		o.Pause = scan.PointMatched
		victim := b.start(t, o)
		paused := victim.paused()
		commit()
		if paused {
			victim.goOn(t)
		}
		finished := victim.endsWell(t)
		b.ended(t)

		payments := func() []paid {
			t.Helper()
			return []paid{b.paid(t, quick.ID, false), b.paid(t, quick.ID, true), b.paid(t, slow.ID, false)}
		}
		seen := paid{Status: "detected", Inclusions: 1, Canonical: 1, Detections: 1, WakeUps: []string{"1/seen"}}
		other := seen
		other.Detections = 0 // the coin is not what the order asked for
		want := []paid{seen, other, seen}
		if b.cursor(t) == block.Number {
			require.Equal(t, want, payments(), "%+v: the block is recorded, all of it", o)
		} else {
			require.Equal(t, block.Number-1, b.cursor(t))
			require.Equal(t, []paid{{}, {}, {}}, payments(), "%+v: the block is not recorded, nothing of it", o)
		}
		b.scan(t)
		require.Equal(t, want, payments(), "%+v: after the crash", o)
		b.settled(t)
		for _, id := range []payment.OrderID{quick.ID, slow.ID} {
			require.Equal(t, "confirming", value[string](t, b, `SELECT state FROM orders WHERE id = $1`, id))
		}
		return finished
	})
}

// TestKilledWhileUndoingABlock: a reorganisation takes two payments, one of them credited, and mines them again.
func TestKilledWhileUndoingABlock(t *testing.T) {
	t.Parallel()
	b := setup(t)
	held := 0
	everyStatement(t, 5, func(o orders) bool {
		credited, seen := b.order(t), b.order(t)
		b.fake.Mine(t, b.transfer(t, credited, 25_000_000))
		tip := b.fake.Mine(t, b.transfer(t, seen, 25_000_000))
		b.scan(t)
		b.credit(t, credited.ID)
		held += 25_000_000
		require.Equal(t, held, b.available(t))
		b.fake.Reorg(t, 2, 3, chaintest.KeepTxs)

		finished := b.start(t, o).endsWell(t)
		b.ended(t)
		before := []paid{
			{Status: "credited", Inclusions: 1, Canonical: 1, Detections: 1, WakeUps: []string{"1/seen"}},
			{Status: "detected", Inclusions: 1, Canonical: 1, Detections: 1, WakeUps: []string{"1/seen"}},
		}
		undone := []paid{
			{Status: "dropped", Inclusions: 1, Detections: 1, WakeUps: []string{"1/seen", "1/dropped", "1/review/reversal"}},
			{Status: "dropped", Inclusions: 1, Detections: 1, WakeUps: []string{"1/seen", "1/dropped"}},
		}
		again := []paid{
			{Status: "detected", Inclusions: 2, Canonical: 1, Detections: 2, WakeUps: []string{"1/seen", "1/dropped", "1/review/reversal", "2/seen"}},
			{Status: "detected", Inclusions: 2, Canonical: 1, Detections: 2, WakeUps: []string{"1/seen", "1/dropped", "2/seen"}},
		}
		payments := func() []paid { t.Helper(); return []paid{b.paid(t, credited.ID, false), b.paid(t, seen.ID, false)} }
		hash := payment.Hash(value[[]byte](t, b, `SELECT block_hash FROM cursors WHERE chain = $1`, storetest.Chain))
		switch {
		case hash == tip.Hash:
			require.Equal(t, before, payments(), "%+v", o)
			require.Equal(t, held, b.available(t))
		case b.cursor(t) == tip.Number-2:
			require.Equal(t, undone, payments(), "%+v", o)
			require.Equal(t, held-25_000_000, b.available(t))
		default:
			require.Equal(t, again, payments(), "%+v", o)
		}
		b.scan(t)
		require.Equal(t, again, payments(), "%+v: after the crash", o)
		b.settled(t)
		require.Equal(t, held-25_000_000, b.available(t), "%+v: reversed once", o)
		b.credit(t, credited.ID)
		require.Equal(t, held, b.available(t), "%+v: and credited once more", o)
		return finished
	})
	require.Equal(t, held, -value[int](t, b, `SELECT sum(balance) FROM ledger_balances WHERE kind = 'custody'`))
}

// TestKilledWhileReadingAgain: a payment was missed, because its address was issued after its block was recorded.
func TestKilledWhileReadingAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	round := 0
	everyStatement(t, 2, func(o orders) bool {
		round++
		order, commit := b.slowOrder(t)
		block := b.fake.Mine(t, b.transfer(t, order, 25_000_000))
		b.scan(t)
		commit()
		require.Equal(t, paid{}, b.paid(t, order.ID, false))
		rescan, err := b.DB.RequestRescan(t.Context(), storetest.Chain, store.Interval{First: block.Number, Last: block.Number},
			process.By{Actor: "tester"}, fmt.Sprint("rescan", round))
		require.NoError(t, err)

		finished := b.start(t, o).endsWell(t)
		b.ended(t)
		want := paid{Status: "detected", Inclusions: 1, Canonical: 1, Detections: 1, WakeUps: []string{"1/seen"}}
		if value[bool](t, b, `SELECT finished_at IS NOT NULL FROM rescans WHERE id = $1`, rescan.ID) {
			require.Equal(t, want, b.paid(t, order.ID, false), "%+v", o)
		} else {
			require.Equal(t, paid{}, b.paid(t, order.ID, false), "%+v", o)
		}
		b.scan(t)
		require.Equal(t, want, b.paid(t, order.ID, false), "%+v: after the crash", o)
		b.settled(t)
		return finished
	})
}

// TestASecondRunnerFencesTheFirst: the first one has fetched a block and is stopped, as by a long pause of its machine. The
// second one takes over, and has recorded that block or not yet. The first one comes back and writes nothing.
func TestASecondRunnerFencesTheFirst(t *testing.T) {
	t.Parallel()
	b := setup(t)
	recorder := store.NewRecorder(b.DB)
	seen := paid{Status: "detected", Inclusions: 1, Canonical: 1, Detections: 1, WakeUps: []string{"1/seen"}}
	for _, point := range []scan.Point{scan.PointWatched, scan.PointHeadObserved, scan.PointFetched, scan.PointMatched, scan.PointResolved} {
		for _, recorded := range []bool{true, false} {
			order := b.order(t)
			b.fake.Mine(t, b.transfer(t, order, 25_000_000))
			first := b.start(t, orders{Pause: point})
			require.True(t, first.paused())
			want := paid{}
			if recorded {
				b.scan(t)
				want = seen
			} else {
				_, err := recorder.Begin(t.Context(), storetest.Chain)
				require.NoError(t, err)
			}
			before := b.dump(t)
			first.goOn(t)
			killed, code := first.end(t)
			require.False(t, killed)
			require.Equal(t, endFenced, code)
			require.Equal(t, before, b.dump(t), "stopped at %s", point)
			require.Equal(t, want, b.paid(t, order.ID, false))
			b.scan(t)
			require.Equal(t, seen, b.paid(t, order.ID, false))
		}
	}
}

func (b *bundle) credit(t *testing.T, order payment.OrderID) {
	t.Helper()
	var in store.CreditInput
	var hash []byte
	var amount string
	err := b.PG.Owner.QueryRow(t.Context(), `SELECT p.id, p.inclusion, i.block_hash, i.amount::text FROM payments p
		JOIN inclusions i ON i.payment_id = p.id AND i.n = p.inclusion WHERE p.order_id = $1`, order).
		Scan(&in.PaymentID, &in.Inclusion, &hash, &amount)
	require.NoError(t, err)
	in.BlockHash = payment.Hash(hash)
	in.Amount, err = payment.ParseBaseUnits(amount)
	require.NoError(t, err)
	result, err := b.DB.Credit(t.Context(), in)
	require.NoError(t, err)
	require.Equal(t, store.CreditDone, result.Outcome)
}

func (b *bundle) available(t *testing.T) int {
	t.Helper()
	return value[int](t, b, `SELECT COALESCE(sum(balance), 0) FROM ledger_balances WHERE kind = 'merchant:available'`)
}

// dump is everything that scanning writes.
func (b *bundle) dump(t *testing.T) string {
	t.Helper()
	return value[string](t, b, `SELECT concat_ws(E'\n',
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain) FROM cursors c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain, c.number) FROM chain_blocks c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.chain, c.method, c.contract) FROM coverage c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM payments c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.payment_id, c.n) FROM inclusions c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM orders c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM outbox c),
		(SELECT string_agg(c::text, E'\n' ORDER BY c.id) FROM events c))`)
}
