package rpcpool_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
)

// known are the blocks of a chain that were recorded, as a store remembers them.
func known(blocks ...payment.BlockRef) rpcpool.Config {
	c := config()
	c.Known = blocks
	return c
}

// A node without block 0 is told to be on the chain by any block that was recorded.
func TestANodeWithoutBlock0IsRecognized(t *testing.T) {
	t.Parallel()
	for name, refusal := range map[string]*chaintest.RPCError{
		"null": nil, "pruned": {Code: 4444, Message: "pruned history unavailable"}, "any error": {Code: -32000, Message: "no such luck"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "alpha")
			r.grow(5)
			old, recent := block(t, r.fakes[0], 2), block(t, r.fakes[0], 4)
			genesis := block(t, r.fakes[0], 0)
			r.fakes[0].Prune(3, refusal)
			c := known(old, recent)
			c.Identity.Genesis = genesis.Hash // known since the chain was enabled, when the node still had it
			r.Set(c, r.members())
			require.EqualValues(t, 5, r.head())
			r.pass(31 * time.Minute) // it is asked again
			r.grow(1)
			require.EqualValues(t, 6, r.head())
			require.False(t, r.endpoint(0).Foreign)
			require.GreaterOrEqual(t, r.gates[0].count("identity"), 2)

			recent.Hash[0]++
			r.Set(known(recent), r.members())
			r.pass(31 * time.Minute)
			_, err := r.Head(t.Context(), payment.TagNone)
			require.ErrorIs(t, err, chain.ErrWrongChain, "another chain with this chain id is told by its blocks")
			require.True(t, r.endpoint(0).Foreign)
			r.pass(2 * time.Minute)
			r.Set(known(old), r.members())
			_, err = r.Head(t.Context(), payment.TagNone)
			require.ErrorIs(t, err, chain.ErrUnavailable, "it shows nothing to be recognized by")
		})
	}
}

// Where nothing is recorded yet, a node without block 0 is used, and looked at again as soon as something is.
func TestANodeThatNothingIsKnownAboutIsLookedAtAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(3)
	r.fakes[0].Prune(1, nil)
	require.EqualValues(t, 3, r.head())
	other := block(t, r.fakes[0], 2)
	other.Hash[0]++
	r.Set(known(other), r.members())
	r.pass(2 * time.Minute)
	r.grow(1)
	require.EqualValues(t, 4, r.head(), "the one with block 0 goes on")
	require.True(t, r.endpoint(0).Foreign)
	require.False(t, r.endpoint(1).Foreign)
}

// Who lacks something is not asked for it while somebody else is there, and the log says so once.
func TestANodeIsNotAskedForWhatItDoesNotSend(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	all := chain.Capabilities{Blocks: true, Logs: true, RangeLogs: true, Receipts: true}
	for i := range r.gates {
		r.gates[i] = newGate(t, r.fakes[i].URL()) // the pool closes those that it had
	}
	lacking := &prober{gate: r.gates[0], caps: chain.Capabilities{Blocks: true}}
	r.Set(config(), []rpcpool.Member{
		{Endpoint: lacking, Key: [32]byte{8}, Operator: "alpha", Weight: 100},
		{Endpoint: &prober{gate: r.gates[1], caps: all}, Key: [32]byte{9}, Operator: "beta", Weight: 1},
	})
	mined := r.mine(chaintest.TokenTransfer{Token: r.fakes[0].Token(), To: chaintest.Account(1), Amount: 5})
	r.head()
	r.Probe(t.Context())
	require.Equal(t, "the logs of a block, the logs of a range of blocks, receipts", r.endpoint(0).Lacks)
	require.Empty(t, r.endpoint(1).Lacks)
	filter := chain.Filter{Tokens: []payment.Address{r.fakes[0].Token()}}
	read := func() chain.Block {
		block, err := r.BlockByHash(t.Context(), mined.Hash, filter)
		require.NoError(t, err)
		_, err = r.Range(t.Context(), 1, mined.Number, filter)
		require.NoError(t, err)
		_, err = r.Resolve(t.Context(), block.BlockRef, block.Candidates)
		require.NoError(t, err)
		return block
	}
	for range 5 {
		require.Len(t, read().Candidates, 1)
	}
	require.Zero(t, r.gates[0].count("block")+r.gates[0].count("range")+r.gates[0].count("resolve"))
	require.Contains(t, r.log.String(), `lacks="the logs of a block, the logs of a range of blocks, receipts" no_node_sends=[]`)

	r.gates[1].fails(chain.ErrUnavailable)
	require.Len(t, read().Candidates, 1, "when nobody else answers it is asked all the same")
	lacking.caps = all
	r.pass(6 * time.Minute)
	r.Probe(t.Context())
	require.Empty(t, r.endpoint(0).Lacks, "it is looked at again sooner than others")
	require.Contains(t, r.log.String(), "a node sends all that watching needs")
}

// An endpoint that answers with more than may be is put aside for what is large, and altogether when it is a header.
func TestANodeThatAnswersTooMuchIsPutAside(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	mined := r.mine()
	r.head()
	read := func() {
		_, err := r.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true})
		require.NoError(t, err)
	}
	read()
	bad := r.primary()
	r.gates[bad].fails(chain.ErrTooLarge, "block")
	for range 20 {
		r.head()
		read()
	}
	require.LessOrEqual(t, r.gates[bad].count("block"), 2)
	r.gates[bad].fails(chain.ErrTooLarge, "head")
	for range 5 {
		r.head()
	}
	require.Equal(t, rpcpool.BreakerOpen, r.endpoint(bad).Breaker)
}

func block(t *testing.T, fake *chaintest.Fake, number uint64) payment.BlockRef {
	t.Helper()
	ref, err := newGate(t, fake.URL()).HeaderByNumber(t.Context(), number)
	require.NoError(t, err)
	return ref
}
