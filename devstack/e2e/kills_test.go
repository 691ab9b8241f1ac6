package e2e_test

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
)

// How often the worker is killed, and how many payments are under way meanwhile.
const (
	kills        = 50
	killedOrders = 200
	// killsWithin bounds the whole test.
	killsWithin = 3 * await.Broken
)

// TestWorkerIsKilledAgainAndAgain ends the worker with SIGKILL at random moments while orders are opened, paid, confirmed and
// told of on two chains. In the end each was paid once: the ledger, the orders and the events are as if nothing had happened,
// and the receiver has had every event, some of them twice.
func TestWorkerIsKilledAgainAndAgain(t *testing.T) {
	if testing.Short() {
		t.Skip("takes minutes")
	}
	t.Parallel()
	w := private(t, options{blockTime: time.Second})
	m := w.merchant(t, merchantOptions{create: []string{"--orders-per-minute", "10000"}})
	var killing sync.WaitGroup
	killing.Go(func() { killAgainAndAgain(t, w) })
	orders := payWhileKilled(t, w, m)
	killing.Wait()

	require.NoError(t, w.Worker.AwaitReady(t.Context()))
	deadline := time.Now().Add(killsWithin)
	for _, o := range orders {
		w.await(t, o.ID+" is paid and told of", func() (bool, any, <-chan struct{}) {
			if time.Now().After(deadline) {
				t.Fatalf("not every order was over %s after the last kill", killsWithin)
			}
			got, pending := m.left(t, o.ID)
			return pending == "" && got.state == "paid" && got.closed, fmt.Sprintf("%+v pending [%s]", got, pending), nil
		})
		m.requirePaidOnce(t, o)
	}
	m.inbox.requireClean(t)
	m.requireBalances(t)
	w.requireBooks(t)
	require.NoError(t, w.replay(t.Context()))
	require.NoError(t, w.compare(t.Context()))
}

// killAgainAndAgain kills the worker at random moments: also while it starts.
func killAgainAndAgain(t *testing.T, w *world) {
	seed := rand.Uint64()
	t.Logf("moments are drawn from seed %d", seed)
	moments := rand.New(rand.NewPCG(seed, 0))
	for range kills {
		alive := time.NewTimer(time.Duration(moments.Int64N(int64(5 * time.Second))))
		select {
		case <-alive.C:
		case <-t.Context().Done():
			alive.Stop()
			return
		}
		w.Worker.Kill()
		if _, err := w.Worker.Launch(); err != nil {
			t.Errorf("start the worker again: %v", err)
			return
		}
	}
}

// payWhileKilled opens orders on both chains, repeating what is put off, and pays each at once.
func payWhileKilled(t *testing.T, w *world, m *merchant) []order {
	t.Helper()
	orders := make([]order, killedOrders)
	for i := range orders {
		r := request{Chain: []string{dev, dev2}[i%2], Asset: []string{token, native}[i/2%2], Amount: "0.5", ExpiresIn: 3600}
		m.repeat(t, fmt.Sprintf("killed-%d", i), r).into(t, 201, &orders[i])
		if r.Chain == dev {
			w.pay(t, orders[i], r.Amount)
		} else {
			w.second.pay(t, orders[i], r.Asset, r.Amount)
		}
	}
	return orders
}

// requirePaidOnce compares what an order left behind with what it should be. Only the wire may hold more: a callback that was
// under way when the worker died is sent again, under the same id.
func (m *merchant) requirePaidOnce(t *testing.T, o order) {
	t.Helper()
	got, _ := m.left(t, o.ID)
	require.Equal(t, "0.5", got.received)
	require.Empty(t, got.labels)
	require.Empty(t, got.reviews)
	require.Equal(t, paidEvents, got.events)
	require.Len(t, got.payments, 1)
	require.True(t, strings.HasPrefix(got.payments[0], "0.5 credited"), got.payments[0])
	require.Len(t, got.postings, 1)
	require.True(t, strings.HasPrefix(got.postings[0], "credit merchant:available 5"), got.postings[0])
	requests, _ := m.inbox.of(o.ID)
	var ids, types []string
	for _, d := range requests {
		if d.answered/100 == 2 && !slices.Contains(ids, d.ID) {
			ids, types = append(ids, d.ID), append(types, d.Type)
		}
	}
	require.Equal(t, paidEvents, types, "in order, each under one id")
}
