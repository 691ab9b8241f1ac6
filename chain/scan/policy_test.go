package scan

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

func TestPoll(t *testing.T) {
	t.Parallel()
	p := Policy{}.withDefaults()
	require.Equal(t, 12*time.Second, p.poll(12*time.Second))
	require.Equal(t, 250*time.Millisecond, p.poll(10*time.Millisecond))
	require.Equal(t, 15*time.Second, p.poll(time.Hour))
}

func TestBackoff(t *testing.T) {
	t.Parallel()
	p := Policy{MinBackoff: time.Second, MaxBackoff: 10 * time.Second, MaxRetryAfter: time.Minute}.withDefaults()
	for n, want := range map[int]time.Duration{1: time.Second, 2: 2 * time.Second, 4: 8 * time.Second, 5: 10 * time.Second, 1 << 40: 10 * time.Second} {
		require.Equal(t, want, p.backoff(n, 0), n)
	}
	require.Equal(t, 40*time.Second, p.backoff(1, 40*time.Second), "the node asks for more")
	require.Equal(t, time.Minute, p.backoff(1, time.Hour), "but not for ever")
	require.Equal(t, 8*time.Second, p.backoff(4, time.Second), "or for less")
}

// Whatever a node accepts, the size gets there and stays near.
func TestSizer(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.Uint64Range(1, 10_000).Draw(rt, "most")
		limit := rapid.Uint64Range(1, 10_000).Draw(rt, "limit")
		s := newSizer(most)
		refusals := 0
		for range 400 {
			if s.size < 1 || s.size > most {
				rt.Fatalf("size %d of %d", s.size, most)
			}
			if s.size > limit {
				refusals++
				s.refused(s.size)
			} else {
				s.accepted()
			}
		}
		if refusals > 150 {
			rt.Fatalf("%d refusals", refusals)
		}
		if best := min(most, limit); s.size < best/4 {
			rt.Fatalf("size %d where %d is possible", s.size, best)
		}
	})
}

func TestSplit(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		sizes := rapid.SliceOfN(rapid.IntRange(0, 12), 1, 40).Draw(rt, "candidates")
		blocks := make([]chain.Block, len(sizes))
		for i, size := range sizes {
			blocks[i] = chain.Block{BlockRef: payment.BlockRef{Number: uint64(i)}, Candidates: make([]chain.Candidate, size)}
		}
		next := uint64(0)
		for _, part := range split(blocks, 10) {
			total := 0
			for _, block := range part {
				if block.Number != next {
					rt.Fatalf("block %d instead of %d", block.Number, next)
				}
				next++
				total += len(block.Candidates)
			}
			if len(part) == 0 || total > 10 && len(part) > 1 {
				rt.Fatalf("a part of %d blocks with %d candidates", len(part), total)
			}
		}
		if next != uint64(len(blocks)) {
			rt.Fatal("blocks got lost")
		}
	})
}

func TestLag(t *testing.T) {
	t.Parallel()
	require.EqualValues(t, 9, Progress{Head: 9}.Lag())
	require.EqualValues(t, 4, Progress{Head: 9, Cursor: &payment.BlockRef{Number: 5}}.Lag())
	require.Zero(t, Progress{Head: 3, Cursor: &payment.BlockRef{Number: 5}}.Lag())
}
