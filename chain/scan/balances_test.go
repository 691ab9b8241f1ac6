package scan_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
)

// bank is a source that knows balances, and a recorder that wants them.
type bank struct {
	failing atomic.Bool
	asked   atomic.Int32
	seen    chan []payment.Amount

	disputed chan []bool
}

type bankSource struct {
	chain.Source
	*bank
}

func (b bankSource) Balances(_ context.Context, _ payment.BlockRef, contract payment.Address, list []payment.Address) ([]payment.Amount, error) {
	b.asked.Add(1)
	if b.failing.Load() {
		return nil, errors.New("the state is gone")
	}
	if !contract.IsZero() {
		return nil, errors.New("the chain's own coin only")
	}
	return make([]payment.Amount, len(list)), nil
}

type bankRecorder struct {
	*memory
	*bank
}

func (b bankRecorder) BalancesDue(_ context.Context, _ scan.Session, limit int) (scan.Balances, error) {
	return scan.Balances{Addresses: []payment.Address{chaintest.Account(1), chaintest.Account(2)}[:limit]}, nil
}

func (b bankRecorder) RecordBalances(_ context.Context, _ scan.Session, _ scan.Balances, seen []payment.Amount, disputed []bool) error {
	select {
	case b.seen <- seen:
		select {
		case b.disputed <- disputed:
		default:
		}
	default:
	}
	return nil
}

// A comparison that cannot be had holds up nothing, and a round asks for no more than its budget.
func TestComparingBalancesDelaysNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	ours := chaintest.Account(1)
	b.memory.issue(ours)
	b.options.Policy.BalanceEvery, b.options.Policy.BalanceBudget = time.Millisecond, 2
	m := &bank{seen: make(chan []payment.Amount, 1), disputed: make(chan []bool, 100)}
	m.failing.Store(true)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	scanner := &scan.Scanner{
		Chain: "dev", Source: bankSource{Source: b.source, bank: m}, Recorder: bankRecorder{memory: b.memory, bank: m}, Options: b.options,
	}
	go func() { ended <- scanner.Run(ctx) }()
	for i := range uint64(5) {
		b.recorded(b.pay(ours, 10+i).BlockRef)
	}
	await.Until(t, func() bool { return m.asked.Load() > 1 })
	require.Empty(t, m.seen)
	m.failing.Store(false)
	require.Len(t, <-m.seen, 2)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}

// teller is an operator that says what addresses hold, or nothing.
type teller struct {
	chain.Source
	holds []uint64
}

func (o teller) Balances(context.Context, payment.BlockRef, payment.Address, []payment.Address) ([]payment.Amount, error) {
	if o.holds == nil {
		return nil, chain.ErrUnavailable
	}
	var list []payment.Amount
	for _, amount := range o.holds {
		list = append(list, payment.AmountFromUint64(amount))
	}
	return list, nil
}

// tellers is a pool of them.
type tellers struct {
	teller
	witnesses []chain.Witness
}

func (o tellers) Witnesses() []chain.Witness { return o.witnesses }

// TestABalanceIsWhatTwoOperatorsSay, where there are two: nothing is concluded from what one says alone, and what is disputed keeps
// no other balance from being compared.
func TestABalanceIsWhatTwoOperatorsSay(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		say     [][]uint64 // by operator
		seen    []uint64   // 0: disputed
		nothing bool
	}{
		"one operator":                         {say: [][]uint64{{1, 2}}, seen: []uint64{1, 2}},
		"two who agree":                        {say: [][]uint64{{1, 2}, {1, 2}}, seen: []uint64{1, 2}},
		"two who differ about one":             {say: [][]uint64{{1, 9}, {1, 2}}, seen: []uint64{1, 0}},
		"one of three lies":                    {say: [][]uint64{{1, 9}, {1, 2}, {1, 2}}, seen: []uint64{1, 2}},
		"one of three does not answer":         {say: [][]uint64{nil, {1, 2}, {1, 2}}, seen: []uint64{1, 2}},
		"each of three says something else":    {say: [][]uint64{{1, 9}, {1, 2}, {1, 3}}, seen: []uint64{1, 0}},
		"two against two":                      {say: [][]uint64{{1, 9}, {8, 2}, {1, 3}, {8, 4}}, seen: []uint64{0, 0}},
		"the other does not answer":            {say: [][]uint64{{1, 2}, nil}, nothing: true},
		"one tells of fewer than it was asked": {say: [][]uint64{{1, 2}, {1}}, nothing: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.options.Policy.BalanceEvery, b.options.Policy.BalanceBudget = time.Millisecond, 2
			m := &bank{seen: make(chan []payment.Amount, 1), disputed: make(chan []bool, 1)}
			var warned atomic.Bool
			b.options.Logger = slog.New(noticing{Handler: slog.DiscardHandler, warned: &warned})
			pool := tellers{teller: teller{Source: b.source, holds: test.say[0]}}
			for i, holds := range test.say {
				pool.witnesses = append(pool.witnesses, chain.Witness{Operator: string(rune('a' + i)), Source: teller{Source: b.source, holds: holds}})
			}
			b.memory.issue(chaintest.Account(1))
			scanner := &scan.Scanner{Chain: "dev", Source: pool, Recorder: bankRecorder{memory: b.memory, bank: m}, Options: b.options}
			ctx, cancel := await.Context(t.Context())
			defer cancel()
			ended := make(chan error, 1)
			go func() { ended <- scanner.Run(ctx) }()
			if test.nothing {
				await.Until(t, warned.Load)
				cancel()
				require.ErrorIs(t, <-ended, context.Canceled)
				require.Empty(t, m.seen)
				return
			}
			seen, disputed := <-m.seen, <-m.disputed
			cancel()
			require.ErrorIs(t, <-ended, context.Canceled)
			for i, want := range test.seen {
				require.Equal(t, want == 0, disputed[i])
				if want > 0 {
					require.Equal(t, payment.AmountFromUint64(want), seen[i])
				}
			}
		})
	}
}

// noticing notices that balances cannot be compared.
type noticing struct {
	slog.Handler
	warned *atomic.Bool
}

func (noticing) Enabled(context.Context, slog.Level) bool { return true }

func (n noticing) WithAttrs([]slog.Attr) slog.Handler { return n }

func (n noticing) Handle(_ context.Context, record slog.Record) error {
	if strings.Contains(record.Message, "balances cannot be compared") {
		n.warned.Store(true)
	}
	return nil
}
