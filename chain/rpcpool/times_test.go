package rpcpool_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/payment"
)

// tellsTime makes a node tell another time of its blocks.
func tellsTime(fake *chaintest.Fake, by time.Duration) {
	fake.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		block, ok := a.Result.(map[string]any)
		if at, is := block["timestamp"].(string); ok && is {
			var seconds int64
			_, _ = fmt.Sscanf(at, "0x%x", &seconds)
			block["timestamp"] = fmt.Sprintf("0x%x", seconds+int64(by.Seconds()))
		}
	}})
}

func TestWhatOperatorsSayOfATime(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		off   []time.Duration // of each operator's clock, of the first one's node first
		asked time.Duration   // of whose word is asked about
		basis payment.TimeBasis
		want  time.Duration
	}{
		"one operator":                {off: []time.Duration{time.Hour}, asked: time.Hour, basis: payment.TimeClaimed, want: time.Hour},
		"two that agree":              {off: []time.Duration{0, 0}, basis: payment.TimeAgreed},
		"two that do not":             {off: []time.Duration{time.Hour, 0}, asked: time.Hour, basis: payment.TimeDisputed, want: time.Hour},
		"one liar among three":        {off: []time.Duration{time.Hour, 0, 0}, asked: time.Hour, basis: payment.TimeAgreed},
		"three that say three things": {off: []time.Duration{time.Hour, 2 * time.Hour, 0}, asked: time.Hour, basis: payment.TimeDisputed, want: time.Hour},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			operators := []string{"a", "b", "c"}[:len(tc.off)]
			r := newRig(t, operators...)
			block := r.grow(3)
			truth := block.Time
			for i, off := range tc.off {
				tellsTime(r.fakes[i], off)
			}
			block.Time = truth.Add(tc.asked)
			agreed := r.AgreeOnTime(t.Context(), block)
			require.Equal(t, tc.basis, agreed.TimeBasis)
			require.Equal(t, truth.Add(tc.want), agreed.Time)
			require.Equal(t, block.Hash, agreed.Hash)
			proven := block
			proven.TimeBasis = payment.TimeProven
			require.Equal(t, proven, r.AgreeOnTime(t.Context(), proven))
		})
	}
}

// Who is asked about a block's time has not read the block: whether its payments count is still asked of him first.
func TestWhoTellsTheTimeIsAskedFirstAboutPayments(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	r.grow(2) // every operator shows the newest block
	block, err := r.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
	require.NoError(t, err)
	asked := func() []string {
		check, err := r.CheckInclusion(t.Context(), nativeInclusion(mined, 5), chain.Demand{})
		require.NoError(t, err)
		return check.Operators
	}
	before := asked()
	require.Len(t, before, 1)
	require.Equal(t, payment.TimeAgreed, r.AgreeOnTime(t.Context(), block.BlockRef).TimeBasis)
	require.Equal(t, before, asked())
}

// An operator that does not answer keeps nobody waiting.
func TestATimeIsNotWaitedFor(t *testing.T) {
	t.Parallel()
	r := newRig(t, "a", "b")
	block := r.grow(1)
	r.fakes[1].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		a.Result, a.Error = nil, &chaintest.RPCError{Code: -32005, Message: "rate limit exceeded"}
	}})
	for range 5 {
		require.Equal(t, block.Time, r.AgreeOnTime(t.Context(), block).Time)
	}
	require.Zero(t, r.waited)
}
