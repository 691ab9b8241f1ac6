package scan_test

import (
	"bytes"
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// withoutReceipt makes the node answer null for a transaction's receipt, for ever.
func withoutReceipt(tx payment.Hash) chaintest.Faults {
	return chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getTransactionReceipt" && strings.Contains(string(a.Params[0]), tx.String()) {
			a.Result = nil
		}
	}}
}

func TestABlockThatCannotBeReadDoesNotEndTheChain(t *testing.T) {
	t.Parallel()
	for name, more := range map[string]int{"near the head": 2, "while catching up": 60} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			var out bytes.Buffer
			b.options.Logger = slog.New(slog.NewTextHandler(&out, &slog.HandlerOptions{Level: slog.LevelError}))
			b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, time.Millisecond
			given := 0
			b.options.OnProgress = func(p scan.Progress) { given = p.Quarantined }
			ours := chaintest.Account(1)
			b.memory.issue(ours)
			b.pay(ours, 1)
			bad := b.pay(ours, 2)
			b.pay(ours, 3)
			b.fake.MineBlocks(more)
			b.fake.SetFaults(withoutReceipt(bad.Txs[0]))
			stop := b.start()
			b.recorded(b.fake.Head())
			require.ErrorIs(t, stop(), context.Canceled)
			require.Equal(t, map[uint64]uint64{1: 1, 3: 3}, b.amounts())
			require.Equal(t, map[uint64]string{2: "receipt_missing"}, b.memory.given)
			require.NotContains(t, b.memory.covered, uint64(2), "a hole that everybody can see")
			require.Len(t, b.memory.covered, 2+more)
			require.Equal(t, 1, given)
			require.Equal(t, 1, strings.Count(out.String(), "is quarantined"))

			b.fake.SetFaults(chaintest.Faults{})
			b.start()
			require.True(t, b.memory.until(t.Context(), func() bool { return len(b.memory.given) == 0 }), "the rescan read it")
			require.Equal(t, map[uint64]uint64{1: 1, 2: 2, 3: 3}, b.amounts())
		})
	}
}

// A node that does not answer, or not yet long enough, says nothing about the block.
func TestABlockIsNotGivenUpLightly(t *testing.T) {
	t.Parallel()
	ours := chaintest.Account(1)
	away := func(w http.ResponseWriter, _ *http.Request, answer []byte) bool {
		if !bytes.Contains(answer, []byte("logs")) {
			return false
		}
		w.WriteHeader(http.StatusBadGateway)
		return true
	}
	for name, try := range map[string]struct {
		after  time.Duration
		faults func(payment.Hash) chaintest.Faults
	}{
		"too early":       {after: time.Hour, faults: withoutReceipt},
		"does not answer": {after: time.Nanosecond, faults: func(payment.Hash) chaintest.Faults { return chaintest.Faults{HTTP: away} }},
	} {
		b := setup(t)
		b.memory.issue(ours)
		b.options.Policy.QuarantineFailures, b.options.Policy.QuarantineAfter = 3, try.after
		failed := make(chan int, 1000)
		b.options.OnProgress = func(p scan.Progress) {
			select {
			case failed <- p.Failures:
			default:
			}
		}
		bad := b.pay(ours, 2)
		b.fake.SetFaults(try.faults(bad.Txs[0]))
		stop := b.start()
		for <-failed < 10 {
		}
		require.Empty(t, b.memory.given, name)
		b.fake.SetFaults(chaintest.Faults{})
		b.recorded(bad.BlockRef)
		require.Error(t, stop())
		require.Equal(t, map[uint64]uint64{2: 1}, b.amounts(), name)
	}
}

// A rescan that fails waits by itself; those behind it in the list go on.
func TestARescanThatFailsHoldsUpNoOther(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	for i := range uint64(6) {
		b.pay(ours, 100+i)
	}
	bad := b.pay(ours, 200)
	for i := range uint64(3) {
		b.pay(ours, 300+i)
	}
	reported := make(chan string, 1000)
	b.options.OnProgress = func(p scan.Progress) {
		select {
		case reported <- p.RescanFailure:
		default:
		}
	}
	stop := b.start()
	b.recorded(b.fake.Head())
	b.fake.SetFaults(withoutReceipt(bad.Txs[0]))
	b.memory.issue(ours)
	b.memory.change(func() {
		b.memory.rescans = []scan.Rescan{{ID: 1, From: 5, To: 9, Next: 5}, {ID: 2, From: 1, To: 4, Next: 1}, {ID: 3, From: 10, To: 10, Next: 10}}
	})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[1].Next == 5 && b.memory.rescans[2].Next == 11 }))
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 7 }), "up to the block that cannot be read")
	for <-reported != "receipt_missing" {
	}
	b.fake.SetFaults(chaintest.Faults{})
	require.True(t, b.memory.until(t.Context(), func() bool { return b.memory.rescans[0].Next == 10 }))
	require.Len(t, b.amounts(), 10)
	require.Error(t, stop())
}
