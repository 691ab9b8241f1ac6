package scan_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
)

// bank is a source that knows balances, and a recorder that wants them.
type bank struct {
	failing atomic.Bool
	asked   atomic.Int32
	seen    chan []payment.Amount
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

func (b bankRecorder) RecordBalances(_ context.Context, _ scan.Session, _ scan.Balances, seen []payment.Amount) error {
	select {
	case b.seen <- seen:
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
	m := &bank{seen: make(chan []payment.Amount, 1)}
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
	require.Eventually(t, func() bool { return m.asked.Load() > 1 }, 20*time.Second, time.Millisecond)
	require.Empty(t, m.seen)
	m.failing.Store(false)
	require.Len(t, <-m.seen, 2)
	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
}
