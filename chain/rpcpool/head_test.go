package rpcpool_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
)

func TestTheTrustedHeadIsTheLowest(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta", "gamma")
	r.grow(10)
	r.fakes[1].MineBlocks(1)
	r.fakes[2].MineBlocks(2)
	require.EqualValues(t, 10, r.head())
	stats := r.Stats()
	require.Equal(t, []string{"alpha", "beta", "gamma"}, stats.Trusted.Operators)
	require.False(t, stats.Alone())
	require.EqualValues(t, 12, stats.Endpoints[2].Head)
}

// Who is far ahead is not right because of that, however long that goes on.
func TestAHeadFarAheadIsNotBelieved(t *testing.T) {
	t.Parallel()
	for name, operators := range map[string][]string{"one honest": {"honest", "liar"}, "two honest": {"honest", "liar", "other"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, operators...)
			mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
			r.fakes[1].MineBlocks(1000)
			for range 100 {
				r.grow(1)
				r.pass(blockTime)
				require.Equal(t, r.fakes[0].Head().Number, r.head())
			}
			require.NotEqual(t, 1, r.primary(), "nor is it who blocks are read from")
			// Neither for a payment's confirmations, although the liar is asked first.
			check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), chain.Demand{})
			require.NoError(t, err)
			require.Equal(t, chain.Included, check.Outcome)
			require.EqualValues(t, 101, check.Depth)
		})
	}
}

// While the liar was alone, its head was all there was; that makes nobody a laggard who comes back.
func TestAnOperatorThatWasAloneIsNoReference(t *testing.T) {
	t.Parallel()
	r := newRig(t, "honest", "liar")
	r.grow(3)
	r.fakes[1].MineBlocks(1000)
	require.EqualValues(t, 3, r.head())
	r.gates[0].fails(chain.ErrUnavailable)
	require.EqualValues(t, 1003, r.head())
	require.True(t, r.Stats().Alone())
	r.gates[0].fails(nil)
	require.EqualValues(t, 3, r.head())
	require.False(t, r.Stats().Alone())
}

// An operator that lags beyond the limit holds nobody up; one that comes back counts again.
func TestAnOperatorThatLagsDoesNotCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta", "gamma")
	r.grow(100)
	require.EqualValues(t, 100, r.head())
	r.gates[0].fails(chain.ErrUnavailable)
	r.head()
	r.gates[0].fails(nil)
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 30})
	require.EqualValues(t, 70, r.head(), "the limit's own distance is within it")
	r.grow(1) // what two stood by stays where it was, so that it does not run away from who lags
	require.EqualValues(t, 71, r.head())
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 99})
	require.EqualValues(t, 101, r.head())
	require.Equal(t, []string{"beta", "gamma"}, r.Stats().Trusted.Operators)
	require.EqualValues(t, 99, r.endpoint(0).Lag)
	require.NotEqual(t, 0, r.primary())
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 5})
	require.EqualValues(t, 96, r.head())
}

func TestAnOperatorThatStandsStillDoesNotCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, "frozen", "alive")
	r.grow(3)
	for range 29 {
		r.fakes[1].MineBlocks(1)
		require.EqualValues(t, 3, r.head())
		r.pass(time.Second)
	}
	r.pass(time.Second)
	r.fakes[1].MineBlocks(1)
	require.EqualValues(t, 33, r.head())
	require.True(t, r.Stats().Alone())
	require.Equal(t, 1, primaryAfterRead(r))
	r.fakes[0].MineBlocks(1)
	require.EqualValues(t, 4, r.head(), "it moves again")
}

func primaryAfterRead(r *rig) int {
	_, err := r.HeaderByNumber(r.Context(), 1)
	require.NoError(r, err)
	return r.primary()
}

func TestWhenAllStandStillAllCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(3)
	r.fakes[1].MineBlocks(1)
	for range 5 {
		require.EqualValues(t, 3, r.head())
		r.pass(time.Hour)
	}
}

// A node that is still reading the past says so by the age of its newest block.
func TestAnOperatorWithAnOldBlockDoesNotCount(t *testing.T) {
	t.Parallel()
	r := newRig(t, "syncing", "synced")
	r.fakes[0].MineBlocks(100)
	r.fakes[1].MineBlocks(5_000)
	r.pass(r.fakes[1].Head().Time.Sub(r.now()))
	require.EqualValues(t, 5_000, r.head())
	require.True(t, r.Stats().Alone())
}

// Endpoints of one operator are one voice, and its best one speaks.
func TestAnOperatorSpeaksWithItsBestEndpoint(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "alpha", "beta")
	r.grow(5)
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 3})
	require.EqualValues(t, 5, r.head())
	require.Equal(t, []string{"alpha", "beta"}, r.Stats().Trusted.Operators)
}

// The head's block is the primary's, so that it fits the blocks read before it.
func TestTheTrustedBlockIsThePrimarys(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(5)
	r.head()
	require.Equal(t, 0, primaryAfterRead(r))
	r.fakes[0].Reorg(t, 1, 2, chaintest.DropTxs) // alpha has another block 5, and a 6
	ref, err := r.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	own, err := r.gates[0].Source.HeaderByNumber(t.Context(), 5)
	require.NoError(t, err)
	require.Equal(t, own, ref)
	require.NotEqual(t, r.fakes[1].Head(), ref)
}

func TestTagsAreTheLowestOfThoseWhoKnowThem(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta", "gamma")
	r.grow(70)
	r.head()
	r.fakes[1].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) { // finalized and safe are rewritten
		if a.Method == "eth_getBlockByNumber" && (string(a.Params[0]) == `"finalized"`) {
			if block, ok := a.Result.(map[string]any); ok {
				block["number"], block["hash"] = "0x45", payment.Hash{5}
			}
		}
	}})
	r.fakes[2].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getBlockByNumber" && string(a.Params[0]) == `"finalized"` {
			a.Result, a.Error = nil, &chaintest.RPCError{Code: -32601, Message: "method not found"}
		}
	}})
	for range 2 {
		ref, err := r.Head(t.Context(), payment.TagFinalized)
		require.NoError(t, err)
		require.EqualValues(t, 64, ref.Number)
	}
	require.Equal(t, 2, r.gates[2].count("head"), "who does not know the tag is not asked for it again")
	r.gates[0].fails(chain.ErrUnsupported)
	r.gates[1].fails(chain.ErrUnsupported)
	_, err := r.Head(t.Context(), payment.TagFinalized)
	require.ErrorIs(t, err, chain.ErrUnsupported)
}

// An endpoint that hangs holds the others up for a moment only.
func TestAnEndpointThatHangsIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	fakes := []*chaintest.Fake{chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)}
	pool := rpcpool.New(rpcpool.Options{Chain: "dev", Grace: time.Millisecond})
	t.Cleanup(pool.Close)
	pool.Set(config(), []rpcpool.Member{
		{Endpoint: &hanging{gate: newGate(t, fakes[0].URL())}, Key: [32]byte{0}, Operator: "alpha"},
		{Endpoint: newGate(t, fakes[1].URL()), Key: [32]byte{1}, Operator: "beta"},
	})
	for range 4 {
		ref, err := pool.Head(t.Context(), payment.TagNone)
		require.NoError(t, err)
		require.Zero(t, ref.Number)
	}
	slow := pool.Stats().Endpoints[0]
	require.Equal(t, rpcpool.BreakerOpen, slow.Breaker)
	require.EqualValues(t, 3, slow.Errors["timeout"])
}

type hanging struct{ *gate }

func (h *hanging) Head(ctx context.Context, _ payment.Tag) (payment.BlockRef, error) {
	<-ctx.Done()
	return payment.BlockRef{}, ctx.Err()
}

func TestNobodyAnswers(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	for _, g := range r.gates {
		g.fails(chain.ErrUnavailable)
	}
	for range 5 {
		_, err := r.Head(t.Context(), payment.TagNone)
		require.ErrorIs(t, err, chain.ErrUnavailable)
	}
	_, err := r.Head(t.Context(), payment.TagNone)
	require.Positive(t, chain.RetryAfter(err))
	for _, g := range r.gates {
		g.fails(nil)
	}
	r.pass(time.Minute)
	require.Zero(t, r.head(), "and then somebody does")
}
