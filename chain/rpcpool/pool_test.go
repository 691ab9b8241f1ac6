package rpcpool_test

import (
	"context"
	"encoding/json"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/payment"
)

func everything(f *chaintest.Fake) chain.Filter {
	return chain.Filter{Native: true, Tokens: []payment.Address{f.Token()}}
}

// Header, block, receipts: whoever fails in between is left, and the parts still fit.
func TestFailoverInTheMiddleOfABlock(t *testing.T) {
	t.Parallel()
	for name, broken := range map[string]error{
		"gone": chain.ErrUnavailable, "hangs": chain.ErrTimeout, "nonsense": chain.ErrMalformed, "lies": chain.ErrInconsistent,
		"too often": chain.ErrRateLimited, "huge": chain.ErrTooLarge,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "alpha", "beta")
			mined := r.mine(chaintest.TokenTransfer{Token: r.fakes[0].Token(), To: chaintest.Account(1), Amount: 5})
			head, err := r.Head(t.Context(), payment.TagNone)
			require.NoError(t, err)
			require.Equal(t, mined.BlockRef, head)
			header, err := r.HeaderByNumber(t.Context(), mined.Number)
			require.NoError(t, err)
			first := r.primary()
			r.gates[first].fails(broken)
			block, err := r.BlockByHash(t.Context(), header.Hash, everything(r.fakes[0]))
			require.NoError(t, err)
			require.Len(t, block.Candidates, 1)
			require.Equal(t, 1, r.gates[1-first].count("block"))
			r.gates[first].fails(nil)
			r.gates[1-first].fails(broken)
			done, err := r.Resolve(t.Context(), block.BlockRef, block.Candidates)
			require.NoError(t, err)
			require.Equal(t, chain.Resolved, done[0].Resolution)
		})
	}
}

// The parts of a block come from an endpoint that has shown that it has it, even when the lot falls on another one.
func TestTheReadsOfABlockStayTogether(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta", "gamma")
	mined := r.mine(chaintest.TokenTransfer{Token: r.fakes[0].Token(), To: chaintest.Account(1), Amount: 5})
	r.draw = 250_000 // gamma
	header, err := r.HeaderByNumber(t.Context(), mined.Number)
	require.NoError(t, err)
	require.Equal(t, 2, r.primary())
	r.draw = 0
	r.pass(time.Hour) // the next plain question draws another primary
	_, err = r.HeaderByNumber(t.Context(), 0)
	require.NoError(t, err)
	require.Equal(t, 0, r.primary())
	block, err := r.BlockByHash(t.Context(), header.Hash, everything(r.fakes[0]))
	require.NoError(t, err)
	_, err = r.Resolve(t.Context(), block.BlockRef, block.Candidates)
	require.NoError(t, err)
	require.Equal(t, []int{0, 0, 1}, []int{r.gates[0].count("block"), r.gates[1].count("block"), r.gates[2].count("block")})
	require.Equal(t, []int{0, 0, 1}, []int{r.gates[0].count("resolve"), r.gates[1].count("resolve"), r.gates[2].count("resolve")})
}

func TestALaggingEndpointIsLeftForOneThatHasTheBlock(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	head := r.grow(5)
	r.fakes[0].SetFaults(chaintest.Faults{Lag: 2, EmptyAhead: true})
	require.EqualValues(t, 3, r.head())
	require.Equal(t, 0, r.primary())
	ref, err := r.HeaderByNumber(t.Context(), head.Number)
	require.NoError(t, err)
	require.Equal(t, head, ref)
	require.Equal(t, 1, r.primary(), "the one that has it stays in use")
	_, err = r.HeaderByHash(t.Context(), head.Hash)
	require.NoError(t, err)
	require.Zero(t, r.gates[0].count("number"), "it has said that it has no such block")
	_, err = r.HeaderByNumber(t.Context(), head.Number+1)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
}

// A node that answers "no logs" for blocks that it has not seen must not make a range look empty.
func TestAFalseEmptyRangeIsNotBelieved(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(3)
	require.EqualValues(t, 3, r.head())
	require.Equal(t, 0, r.primary())
	mined := r.mine(chaintest.TokenTransfer{Token: r.fakes[0].Token(), To: chaintest.Account(1), Amount: 5})
	liar := &hollow{gate: newGate(t, r.fakes[0].URL()), head: 3}
	r.Set(config(), []rpcpool.Member{
		{Endpoint: liar, Key: [32]byte{9}, ID: 9, Operator: "alpha", Weight: 100},
		{Key: [32]byte{1}, ID: 1, Operator: "beta", Weight: 100},
	})
	blocks, err := r.Range(t.Context(), 1, mined.Number, everything(r.fakes[0]))
	require.NoError(t, err)
	require.Len(t, blocks[3].Candidates, 1)
	require.Zero(t, liar.asked, "a range beyond its head is not even asked for")
}

// hollow has an old head and an empty answer for every range.
type hollow struct {
	*gate

	head  uint64
	asked int
}

func (h *hollow) Head(ctx context.Context, _ payment.Tag) (payment.BlockRef, error) {
	return h.gate.Source.HeaderByNumber(ctx, h.head)
}

func (h *hollow) Range(ctx context.Context, from, to uint64, _ chain.Filter) ([]chain.Block, error) {
	h.asked++
	return h.gate.Source.Range(ctx, from, to, chain.Filter{})
}

func TestRetryAfterIsHonouredAndTheOthersGoOn(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(1)
	require.EqualValues(t, 1, r.head())
	r.gates[0].fails(&chain.RetryError{After: 40 * time.Second, Err: chain.ErrRateLimited})
	_, err := r.HeaderByNumber(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, r.now().Add(40*time.Second), r.endpoint(0).Limited)
	require.Equal(t, rpcpool.BreakerClosed, r.endpoint(0).Breaker, "to ask for less is no failure")
	r.gates[0].fails(nil)
	asked := r.gates[0].count("head")
	for range 3 {
		r.pass(13 * time.Second)
		r.grow(1)
		r.head()
	}
	require.Equal(t, asked, r.gates[0].count("head"))
	r.pass(time.Second)
	r.head()
	require.Equal(t, asked+1, r.gates[0].count("head"))
	require.Positive(t, r.endpoint(0).Rate, "and it is asked less often from then on")

	r.gates[0].fails(&chain.RetryError{After: 30 * time.Second, Err: chain.ErrRateLimited})
	r.gates[1].fails(&chain.RetryError{After: 20 * time.Second, Err: chain.ErrRateLimited})
	_, err = r.HeaderByNumber(t.Context(), 1)
	require.ErrorIs(t, err, chain.ErrRateLimited)
	_, err = r.HeaderByNumber(t.Context(), 1)
	require.ErrorIs(t, err, chain.ErrRateLimited)
	require.Equal(t, 20*time.Second, chain.RetryAfter(err), "when the first of them may be asked again")
	require.Zero(t, r.waited)
	r.gates[1].fails(nil)
	r.pass(16 * time.Second)
	_, err = r.HeaderByNumber(t.Context(), 1)
	require.NoError(t, err)
	require.Equal(t, 4*time.Second, r.waited, "a short wait is waited")
}

func TestABreakerLetsOneTrialThrough(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(1)
	r.head()
	r.gates[0].fails(chain.ErrUnavailable)
	for range 2 {
		require.EqualValues(t, 1, r.head())
		require.Equal(t, rpcpool.BreakerClosed, r.endpoint(0).Breaker)
	}
	require.EqualValues(t, 1, r.head())
	require.Equal(t, rpcpool.BreakerOpen, r.endpoint(0).Breaker)
	require.Contains(t, r.log.String(), "left alone")
	require.EqualValues(t, 3, r.endpoint(0).Errors["unavailable"])
	asked := func() int { return r.gates[0].count("identity") }
	before := asked()
	r.head()
	require.Equal(t, before, asked())
	pause := time.Second
	for range 6 { // each trial that fails doubles the pause, up to its bound
		r.pass(pause - 1)
		r.head()
		require.Equal(t, before, asked())
		r.pass(1)
		require.Equal(t, rpcpool.BreakerHalfOpen, r.endpoint(0).Breaker)
		r.head()
		before++
		require.Equal(t, before, asked())
		require.Equal(t, rpcpool.BreakerOpen, r.endpoint(0).Breaker)
		pause = min(2*pause, 15*time.Second)
	}
	r.gates[0].fails(nil)
	r.pass(15 * time.Second)
	r.head()
	require.Equal(t, rpcpool.BreakerClosed, r.endpoint(0).Breaker)
	require.Contains(t, r.log.String(), "answers again")
}

// While one trial is on its way, nobody else asks.
func TestATrialIsAlone(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha")
	r.grow(1)
	r.gates[0].fails(chain.ErrUnavailable)
	for range 3 {
		_, err := r.HeaderByNumber(t.Context(), 1)
		require.ErrorIs(t, err, chain.ErrUnavailable)
	}
	_, err := r.HeaderByNumber(t.Context(), 1)
	require.ErrorIs(t, err, chain.ErrUnavailable)
	require.Equal(t, time.Second, chain.RetryAfter(err))
	r.pass(time.Second)
	entered, leave := make(chan struct{}), make(chan struct{})
	r.gates[0].mu.Lock()
	r.gates[0].fail = func(method string) error {
		if method == "identity" {
			close(entered)
			r.gates[0].mu.Unlock()
			<-leave
			r.gates[0].mu.Lock()
		}
		return nil
	}
	r.gates[0].mu.Unlock()
	trial := make(chan error, 1)
	go func() {
		_, err := r.HeaderByNumber(t.Context(), 1)
		trial <- err
	}()
	<-entered
	_, err = r.HeaderByNumber(t.Context(), 1)
	require.ErrorIs(t, err, chain.ErrUnavailable)
	close(leave)
	require.NoError(t, <-trial)
	_, err = r.HeaderByNumber(t.Context(), 1)
	require.NoError(t, err)
}

func TestAnEndpointOfAnotherChainIsNeverUsed(t *testing.T) {
	t.Parallel()
	for name, other := range map[string]func(*chaintest.Answer){
		"chain id": func(a *chaintest.Answer) {
			if a.Method == "eth_chainId" {
				a.Result = "0x1"
			}
		},
		"genesis": func(a *chaintest.Answer) {
			if block, ok := a.Result.(map[string]any); ok && a.Method == "eth_getBlockByNumber" && block["number"] == "0x0" {
				block["hash"] = payment.Hash{6}
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newRig(t, "alpha", "beta")
			genesis := r.fakes[0].Head()
			r.Set(rpcpool.Config{Identity: chain.Identity{ChainID: 1337, Genesis: genesis.Hash}, BlockTime: blockTime},
				[]rpcpool.Member{{Key: [32]byte{0}, Operator: "alpha"}, {Key: [32]byte{1}, Operator: "beta"}})
			r.fakes[0].MineBlocks(9)
			r.fakes[1].MineBlocks(2)
			r.fakes[0].SetFaults(chaintest.Faults{Answer: other})
			require.EqualValues(t, 2, r.head())
			for range 10 {
				_, err := r.HeaderByNumber(t.Context(), 1)
				require.NoError(t, err)
			}
			require.True(t, r.endpoint(0).Foreign)
			require.Zero(t, r.gates[0].count("number")+r.gates[0].count("head"))
			require.Equal(t, 1, r.gates[0].count("identity"), "it is left alone for a while")
			r.gates[1].fails(chain.ErrUnavailable)
			_, err := r.HeaderByNumber(t.Context(), 1)
			require.ErrorIs(t, err, chain.ErrUnavailable)
			r.pass(time.Minute)
			_, err = r.HeaderByNumber(t.Context(), 1)
			require.ErrorIs(t, err, chain.ErrUnavailable, "that one is on another chain says nothing about the other")
			r.fakes[0].SetFaults(chaintest.Faults{})
			r.pass(time.Minute)
			_, err = r.HeaderByNumber(t.Context(), 1)
			require.NoError(t, err)
			require.False(t, r.endpoint(0).Foreign)
		})
	}
}

func TestOnlyWrongChainsAreSaidToBeWrong(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.Set(rpcpool.Config{Identity: chain.Identity{ChainID: 5}}, []rpcpool.Member{{Key: [32]byte{0}}, {Key: [32]byte{1}}})
	_, err := r.HeaderByNumber(t.Context(), 0)
	require.ErrorIs(t, err, chain.ErrWrongChain)
}

// After a failure it is asked again which chain it is on: somebody else may answer at the same place.
func TestAnEndpointThatFailedIsIdentifiedAgain(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha")
	_, err := r.HeaderByNumber(t.Context(), 0)
	require.NoError(t, err)
	r.gates[0].fails(chain.ErrUnavailable, "number")
	_, err = r.HeaderByNumber(t.Context(), 0)
	require.ErrorIs(t, err, chain.ErrUnavailable)
	r.gates[0].fails(nil)
	r.fakes[0].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_chainId" {
			a.Result = "0x1"
		}
	}})
	_, err = r.HeaderByNumber(t.Context(), 0)
	require.ErrorIs(t, err, chain.ErrWrongChain)
}

func TestALargerRangeIsAskedFromWhoAcceptsIt(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(20)
	r.head()
	r.fakes[0].SetFaults(chaintest.Faults{MaxRange: 5, RangeMessage: "query exceeds max block range 5"})
	filter := chain.Filter{Tokens: []payment.Address{r.fakes[0].Token()}}
	for range 3 {
		blocks, err := r.Range(t.Context(), 1, 10, filter)
		require.NoError(t, err)
		require.Len(t, blocks, 10)
	}
	require.Equal(t, 1, r.gates[0].count("range"), "what it refused once is not asked again")
	require.EqualValues(t, 10, r.endpoint(1).LargestRange)
	require.Equal(t, rpcpool.BreakerClosed, r.endpoint(0).Breaker)
	r.fakes[1].SetFaults(chaintest.Faults{MaxRange: 7, RangeMessage: "too many blocks"})
	_, err := r.Range(t.Context(), 1, 10, filter)
	require.ErrorIs(t, err, chain.ErrRangeTooLarge)
}

// A node that tells of a parent that it does not have has made one of the two up.
func TestAnEndpointWithAnImpossibleParentIsLeft(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(3)
	r.head()
	r.fakes[0].SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if block, ok := a.Result.(map[string]any); ok && block["number"] == "0x3" {
			block["parentHash"] = payment.Hash{7}
		}
	}})
	ref, err := r.HeaderByNumber(t.Context(), 3)
	require.NoError(t, err)
	require.Equal(t, payment.Hash{7}, ref.Parent)
	_, err = r.HeaderByHash(t.Context(), ref.Parent)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	r.draw = 150_000
	ref, err = r.HeaderByNumber(t.Context(), 3)
	require.NoError(t, err)
	require.NotEqual(t, payment.Hash{7}, ref.Parent)
	require.EqualValues(t, 1, r.endpoint(0).Errors["block_unknown"])
}

func TestWorkIsSharedByWeight(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta", "gamma")
	r.Set(config(), []rpcpool.Member{
		{Key: [32]byte{0}, Operator: "alpha", Weight: 100}, {Key: [32]byte{1}, Operator: "beta", Weight: 300}, {Key: [32]byte{2}, Operator: "gamma"},
	})
	r.head()
	drawn := map[int]int{}
	for i := range int64(40) {
		r.draw = i * 10_000
		r.pass(10 * time.Minute)
		_, err := r.HeaderByNumber(t.Context(), 0)
		require.NoError(t, err)
		drawn[r.primary()]++
	}
	require.InDelta(t, 10, drawn[0], 4, "%v", drawn)
	require.Zero(t, drawn[2], "one without weight is for when there is nobody else")
	r.gates[0].fails(chain.ErrUnavailable)
	r.gates[1].fails(chain.ErrUnavailable)
	_, err := r.HeaderByNumber(t.Context(), 0)
	require.NoError(t, err)
	require.Positive(t, r.gates[2].count("number"))
}

// What an operator is heard about is said by nobody else, also when it cannot answer.
func TestWitnessesAnswerForThemselves(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "alpha", "beta", "gamma")
	head := r.grow(5)
	r.head()
	filter := chain.Filter{Tokens: []payment.Address{r.fakes[0].Token()}}
	_, err := r.Range(t.Context(), 1, 5, filter)
	require.NoError(t, err)
	require.Equal(t, 0, r.primary())
	var names []string
	for _, witness := range r.Witnesses() {
		names = append(names, witness.Operator)
	}
	require.Equal(t, []string{"beta", "gamma", "alpha"}, names, "who answered before comes last")

	alpha := r.Witnesses()[2]
	r.gates[0].fails(chain.ErrUnavailable)
	_, err = alpha.Range(t.Context(), 1, 5, filter)
	require.NoError(t, err, "another endpoint of the same operator")
	r.gates[1].fails(chain.ErrUnavailable)
	for range 5 {
		_, err = alpha.Range(t.Context(), 1, 5, filter)
		require.ErrorIs(t, err, chain.ErrUnavailable)
		_, err = alpha.BlockByHash(t.Context(), head.Hash, filter)
		require.ErrorIs(t, err, chain.ErrUnavailable)
	}
	require.Zero(t, r.gates[2].count("range")+r.gates[3].count("range"))
	require.Equal(t, "alpha", r.Witnesses()[2].Operator, "and who does not answer is asked last")
}

func TestCapabilitiesAreFoundOutAndKept(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	for i, fake := range r.fakes {
		r.gates[i] = newGate(t, fake.URL())
	}
	able := chain.Capabilities{Safe: true, Finalized: true, Traces: true, BlockReceipts: true}
	r.Set(config(), []rpcpool.Member{
		{Endpoint: &prober{gate: r.gates[0], caps: chain.Capabilities{Safe: true}}, Key: [32]byte{8}, Operator: "alpha", Weight: 100},
		{Endpoint: &prober{gate: r.gates[1], caps: able}, Key: [32]byte{9}, Operator: "beta", Weight: 100},
	})
	r.gates[0].trace = func(b *chain.Block) { b.Traced = false }
	r.gates[1].trace = func(b *chain.Block) { b.Traced = true }
	r.Probe(t.Context())
	r.Probe(t.Context())
	require.Equal(t, []int{1, 1}, []int{r.gates[0].count("probe"), r.gates[1].count("probe")})
	require.Equal(t, able, r.endpoint(1).Capabilities)
	require.Equal(t, r.now(), r.endpoint(1).Probed)
	r.head()
	require.Equal(t, 0, r.primary())
	block, err := r.BlockByHash(t.Context(), mined.Hash, chain.Filter{Native: true, Traces: true})
	require.NoError(t, err)
	require.True(t, block.Traced)
	require.Zero(t, r.gates[0].count("block"), "who cannot trace is not asked for it")
	_, err = r.Head(t.Context(), payment.TagFinalized)
	require.NoError(t, err)
	require.Equal(t, 1, r.gates[0].count("head"), "who does not know the tag is not asked for it")
	r.pass(30 * time.Minute)
	r.gates[0].fails(chain.ErrUnavailable, "probe")
	r.Probe(t.Context())
	r.Probe(t.Context())
	require.Equal(t, []int{2, 2}, []int{r.gates[0].count("probe"), r.gates[1].count("probe")}, "what endpoints can do changes")
	require.True(t, r.endpoint(0).Capabilities.Safe, "and is not forgotten because of a failure")
	r.pass(time.Minute)
	r.Probe(t.Context())
	require.Equal(t, []int{3, 2}, []int{r.gates[0].count("probe"), r.gates[1].count("probe")})
}

// What was not probed is learnt from the answers.
func TestTracesAreLookedForWhereTheyMayBe(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	mined := r.mine(chaintest.Native{To: chaintest.Account(1), Amount: 5})
	for _, g := range r.gates {
		g.trace = func(b *chain.Block) { b.Traced = false }
	}
	r.head()
	filter := chain.Filter{Native: true, Traces: true}
	block, err := r.BlockByHash(t.Context(), mined.Hash, filter)
	require.NoError(t, err, "a block without traces is better than none")
	require.False(t, block.Traced)
	require.Len(t, block.Candidates, 1)
	require.Equal(t, 2, r.gates[0].count("block")+r.gates[1].count("block"))
	_, err = r.BlockByHash(t.Context(), mined.Hash, filter)
	require.NoError(t, err)
	require.Equal(t, 3, r.gates[0].count("block")+r.gates[1].count("block"), "nobody can: one is asked")
}

const canary = "s3cr3tk3y0123456789"

// What a provider says may quote the URL with its key.
func TestSecretsInURLsDoNotLeak(t *testing.T) {
	t.Parallel()
	fake := chaintest.NewFake(t, nil)
	r := newRig(t)
	source, err := evm.New(evm.Options{URL: fake.URL() + "/v3/" + canary})
	require.NoError(t, err)
	dead, err := evm.New(evm.Options{URL: "http://user:" + canary + "@127.0.0.1:1/" + canary, Timeout: time.Second})
	require.NoError(t, err)
	r.Set(config(), []rpcpool.Member{
		{Endpoint: source, Key: [32]byte{1}, ID: 1, Operator: "alpha"}, {Endpoint: dead, Key: [32]byte{2}, ID: 2, Operator: "beta"},
	})
	fake.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, request *http.Request, _ []byte) bool {
		w.WriteHeader(http.StatusForbidden)
		_, _ = w.Write([]byte(`{"error":{"code":-1,"message":"no access to ` + request.URL.Path + `"}}`))
		return true
	}})
	for range 5 {
		_, err := r.Head(t.Context(), payment.TagNone)
		require.ErrorIs(t, err, chain.ErrUnavailable)
		require.NotContains(t, err.Error(), canary)
		_, err = r.HeaderByNumber(t.Context(), 1)
		require.NotContains(t, err.Error(), canary)
	}
	require.Contains(t, r.log.String(), "left alone")
	require.NotContains(t, r.log.String(), canary)
	told, err := json.Marshal(r.Stats())
	require.NoError(t, err)
	require.NotContains(t, string(told), canary)
	require.NotContains(t, string(told), "127.0.0.1")
}

func TestMembersComeAndGo(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.grow(2)
	r.head()
	require.Equal(t, 2, r.Size())
	require.True(t, r.Has([32]byte{1}))
	r.Set(config(), []rpcpool.Member{{Key: [32]byte{1}, ID: 1, Operator: "beta", Weight: 1}})
	require.False(t, r.Has([32]byte{0}))
	_, err := r.gates[0].Source.Head(t.Context(), payment.TagNone)
	require.ErrorIs(t, err, chain.ErrUnavailable, "who is gone is closed")
	require.EqualValues(t, 2, r.endpoint(0).Head, "who stays keeps what was learnt")
	require.EqualValues(t, 2, r.head())
	r.Close()
	_, err = r.Head(t.Context(), payment.TagNone)
	require.ErrorIs(t, err, chain.ErrUnavailable)
}

func TestTheCallersTimeIsNobodysFault(t *testing.T) {
	t.Parallel()
	r := newRig(t, "alpha", "beta")
	r.head()
	ctx, cancel := context.WithCancel(t.Context())
	r.gates[0].fails(nil)
	r.gates[0].mu.Lock()
	r.gates[0].fail = func(string) error { cancel(); return context.Canceled }
	r.gates[0].mu.Unlock()
	_, err := r.HeaderByNumber(ctx, 0)
	require.ErrorIs(t, err, context.Canceled)
	require.Empty(t, r.endpoint(0).Errors)
	require.Zero(t, r.gates[1].count("number"))
}
