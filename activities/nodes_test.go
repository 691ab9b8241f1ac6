package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// directory is where nodes are configured.
type directory struct {
	mu        sync.Mutex
	keys      *seal.Keyring
	settings  store.Chain
	endpoints []store.RPCEndpoint
	known     []payment.BlockRef
	err       error
	reads     int
}

func newDirectory(urls ...string) *directory {
	keys, _ := seal.NewRandomKeyring()
	d := &directory{keys: keys, settings: store.Chain{Name: "dev", Family: payment.FamilyEVM, ChainID: 1337, Enabled: true}}
	for _, url := range urls {
		d.add(url)
	}
	return d
}

func (d *directory) add(url string) {
	e := store.RPCEndpoint{ID: int64(len(d.endpoints)), Operator: fmt.Sprintf("operator %d", len(d.endpoints)), Fingerprint: sha256.Sum256([]byte(url))}
	e.URL = d.keys.Seal([]byte(url), e.URLPlace("dev"))
	d.endpoints = append(d.endpoints, e)
}

func (d *directory) GetChain(context.Context, string) (store.Chain, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings, d.err
}

func (d *directory) KnownBlocks(context.Context, string) ([]payment.BlockRef, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.known, nil
}

func (d *directory) ListRPCEndpoints(context.Context, string) ([]store.RPCEndpoint, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.reads++
	return d.endpoints, nil
}

func source(t *testing.T, d *directory, log *slog.Logger) activities.Source {
	t.Helper()
	nodes := activities.NewNodes(d, d.keys, log)
	t.Cleanup(nodes.Close)
	s, err := nodes.Source(t.Context(), "dev")
	require.NoError(t, err)
	return s
}

// cut makes a node answer nothing but an error.
func cut(f *chaintest.Fake) {
	f.SetFaults(chaintest.Faults{HTTP: func(w http.ResponseWriter, _ *http.Request, _ []byte) bool {
		w.WriteHeader(http.StatusBadGateway)
		return true
	}})
}

func TestTheNextNodeAnswersWhenOneFails(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.MineBlocks(3)
	second.MineBlocks(7)
	s := source(t, newDirectory(first.URL(), second.URL()), discard())
	require.EqualValues(t, 3, head(t, s), "the lowest head of two operators")
	cut(first)
	require.EqualValues(t, 7, head(t, s))
	first.SetFaults(chaintest.Faults{})
	require.EqualValues(t, 3, head(t, s))
	cut(first)
	cut(second)
	_, err := s.Head(t.Context(), payment.TagNone)
	require.ErrorIs(t, err, chain.ErrUnavailable)
}

// Two chains behind one name would look like a reorganisation without end.
func TestANodeOfAnotherChainIsNeverUsed(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.MineBlocks(5)
	second.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_chainId" {
			a.Result = "0x1"
		}
	}})
	s := source(t, newDirectory(first.URL(), second.URL()), discard())
	require.EqualValues(t, 5, head(t, s))
	cut(first)
	_, err := s.Head(t.Context(), payment.TagNone)
	require.Error(t, err)
	require.Equal(t, 1, second.Calls("eth_getBlockByNumber"), "for its genesis block")
}

// The list of nodes may change while the source is in use, and its database may be away.
func TestTheListOfNodesIsReadAgain(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.MineBlocks(3)
	second.MineBlocks(2)
	d := newDirectory(first.URL())
	nodes := activities.NewNodes(d, d.keys, discard())
	t.Cleanup(nodes.Close)
	nodes.SetFresh(0)
	again := func() activities.Source {
		s, err := nodes.Source(t.Context(), "dev")
		require.NoError(t, err)
		return s
	}
	s := again()
	require.EqualValues(t, 3, head(t, s))
	d.add(second.URL())
	require.Same(t, s, again())
	require.EqualValues(t, 2, head(t, s))
	stats := nodes.Stats()
	require.Len(t, stats, 1)
	require.Equal(t, "dev", stats[0].Chain)
	require.Equal(t, []string{"operator 0", "operator 1"}, stats[0].Trusted.Operators)

	d.err = payment.E(payment.CodeUnavailable, "", "the database is away")
	require.EqualValues(t, 2, head(t, again()))
	d.err = nil
	d.endpoints = d.endpoints[:1]
	require.EqualValues(t, 3, head(t, again()))
}

func TestNodesThatCannotBeOpenedAreLeftOut(t *testing.T) {
	t.Parallel()
	good := chaintest.NewFake(t, nil)
	d := newDirectory("ftp://user:canary@rpc.example/", good.URL())
	moved := d.endpoints[1]
	moved.Fingerprint[0]++ // its seal is bound to another row
	d.endpoints = append(d.endpoints, moved)
	var out bytes.Buffer
	s := source(t, d, slog.New(slog.NewTextHandler(&out, nil)))
	_, err := s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	require.Contains(t, out.String(), "cannot be used")
	require.NotContains(t, out.String(), "canary")
}

func TestWithoutNodesThereIsNoSource(t *testing.T) {
	t.Parallel()
	d := newDirectory()
	nodes := activities.NewNodes(d, d.keys, discard())
	_, err := nodes.Source(t.Context(), "dev")
	require.ErrorIs(t, err, chain.ErrUnavailable)
	d.err = payment.E(payment.CodeUnknownChain, "", "no such chain")
	_, err = nodes.Source(t.Context(), "other")
	require.Equal(t, payment.CodeUnknownChain, payment.CodeOf(err))
}

func TestTheListOfNodesIsNotReadForEveryCall(t *testing.T) {
	t.Parallel()
	f := chaintest.NewFake(t, nil)
	d := newDirectory(f.URL())
	nodes := activities.NewNodes(d, d.keys, discard())
	t.Cleanup(nodes.Close)
	for range 10 {
		_, err := nodes.Source(t.Context(), "dev")
		require.NoError(t, err)
	}
	require.Equal(t, 1, d.reads)
}

// slowly is the nodes' source and the clock by which they are judged.
func slowly(t *testing.T, blockTime time.Duration, urls ...string) (s activities.Source, pass func(time.Duration)) {
	t.Helper()
	d := newDirectory(urls...)
	d.settings.BlockTime = blockTime
	nodes := activities.NewNodes(d, d.keys, discard())
	t.Cleanup(nodes.Close)
	start := time.Now()
	var passed atomic.Int64 // the nodes ask in the background, too
	nodes.SetClock(func() time.Time { return start.Add(time.Duration(passed.Load())) })
	s, err := nodes.Source(t.Context(), "dev")
	require.NoError(t, err)
	return s, func(d time.Duration) { passed.Add(int64(d)) }
}

func head(t *testing.T, s activities.Source) uint64 {
	t.Helper()
	ref, err := s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	return ref.Number
}

// A node that lost its peers answers everything, for ever, about the chain as it was.
func TestANodeThatStandsStillIsLeft(t *testing.T) {
	t.Parallel()
	frozen, alive := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	frozen.MineBlocks(3)
	alive.MineBlocks(7)
	s, pass := slowly(t, 6*time.Second, frozen.URL(), alive.URL())
	require.EqualValues(t, 3, head(t, s))
	pass(59 * time.Second)
	require.EqualValues(t, 3, head(t, s), "blocks may be late")
	frozen.MineBlocks(1)
	require.EqualValues(t, 4, head(t, s))
	pass(59 * time.Second)
	alive.MineBlocks(1)
	require.EqualValues(t, 4, head(t, s))
	pass(time.Second)
	require.EqualValues(t, 8, head(t, s), "ten block times are enough")
	require.EqualValues(t, 8, head(t, s), "and the other one stays in use")
}

func TestNodesThatAllStandStillAreStillUsed(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.MineBlocks(3)
	second.MineBlocks(3)
	s, pass := slowly(t, time.Millisecond, first.URL(), second.URL())
	for range 5 {
		require.EqualValues(t, 3, head(t, s))
		pass(30 * time.Second)
	}
	cut(first)
	require.EqualValues(t, 3, head(t, s))

	alone, pass := slowly(t, time.Millisecond, second.URL())
	require.EqualValues(t, 3, head(t, alone))
	pass(time.Hour)
	require.EqualValues(t, 3, head(t, alone))
	require.Less(t, second.Calls("eth_chainId"), 10)
}

func TestANodeThatLacksTheBlockOfAPaymentIsLeft(t *testing.T) {
	t.Parallel()
	behind, ahead := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	behind.MineBlocks(3)
	ours := chaintest.Account(1)
	ahead.MineBlocks(4)
	mined := ahead.Mine(t, chaintest.Native{To: ours, Amount: 5})
	inclusion := chain.Inclusion{
		BlockNumber: mined.Number, BlockHash: mined.Hash, TxHash: mined.Txs[0], Native: true, To: ours, Amount: payment.AmountFromUint64(5),
	}
	s := source(t, newDirectory(behind.URL(), ahead.URL()), discard())
	check, err := s.CheckInclusion(t.Context(), inclusion, chain.Demand{})
	require.NoError(t, err)
	require.NotEqual(t, chain.NodeBehind, check.Outcome)
	require.EqualValues(t, 3, head(t, s))
	cut(ahead)
	check, err = s.CheckInclusion(t.Context(), inclusion, chain.Demand{})
	require.NoError(t, err)
	require.Equal(t, chain.NodeBehind, check.Outcome)
}

// A receipt that one node lacks may be at the next one.
func TestAReceiptIsLookedForOnEveryNode(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_getTransactionReceipt" {
			a.Result = nil
		}
	}})
	s := source(t, newDirectory(first.URL(), second.URL()), discard())
	candidate := chain.Candidate{Transfer: payment.Transfer{TxHash: payment.Hash{1}, Native: true}}
	_, err := s.Resolve(t.Context(), payment.BlockRef{}, []chain.Candidate{candidate})
	require.ErrorIs(t, err, chain.ErrReceiptMissing)
	require.Equal(t, 1, second.Calls("eth_getTransactionReceipt"))
}

// TestTheBloomSwitchReachesTheNodes: a block whose filter its logs do not give is not asked about again once the switch is off, and the
// nodes that are open are opened again.
func TestTheBloomSwitchReachesTheNodes(t *testing.T) {
	t.Parallel()
	fake := chaintest.NewFake(t, nil)
	mined := fake.MineBlock(func(b *chaintest.FakeBlock) { b.Bloom = bytes.Repeat([]byte{0xfe, 0xff}, 128) })
	d := newDirectory(fake.URL())
	nodes := activities.NewNodes(d, d.keys, slog.New(slog.DiscardHandler))
	nodes.SetFresh(0)
	t.Cleanup(nodes.Close)
	filter := chain.Filter{AnyToken: true, Tokens: []payment.Address{fake.Token()}}
	read := func() int {
		before := fake.Calls("eth_getLogs")
		s, err := nodes.Source(t.Context(), "dev")
		require.NoError(t, err)
		_, err = s.BlockByHash(t.Context(), mined.Hash, filter)
		require.NoError(t, err)
		return fake.Calls("eth_getLogs") - before
	}
	require.Equal(t, 2, read(), "the filter admits something, so all logs are asked for")
	d.mu.Lock()
	d.settings.IgnoreBloom = true
	d.mu.Unlock()
	require.Equal(t, 1, read())
}

// Workers ask a node that an operator has taken out nothing more; the source that watchers hold stays the same.
func TestARemovedNodeIsAskedNothingMore(t *testing.T) {
	t.Parallel()
	b := storetest.New(t)
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	first.MineBlocks(3)
	second.MineBlocks(7)
	settings, err := b.DB.GetChain(t.Context(), storetest.Chain)
	require.NoError(t, err)
	settings.Genesis = payment.Hash{}
	var endpoints []store.RPCEndpoint
	for i, node := range []*chaintest.Fake{first, second} {
		e := store.RPCEndpoint{Operator: fmt.Sprintf("operator %d", i), Fingerprint: sha256.Sum256([]byte(node.URL()))}
		e.URL = b.Keys.Seal([]byte(node.URL()), e.URLPlace(storetest.Chain))
		endpoints = append(endpoints, e)
	}
	require.NoError(t, b.DB.EnableChain(t.Context(), settings, store.NewAsset{ID: b.Native.ID, Code: "ETH", Decimals: 18}, endpoints, storetest.By()))
	nodes := activities.NewNodes(b.DB, b.Keys, discard())
	t.Cleanup(nodes.Close)
	nodes.SetFresh(0)
	s, err := nodes.Source(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.EqualValues(t, 3, head(t, s), "the lowest head of two operators")

	list, err := b.DB.ListRPCEndpoints(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.NoError(t, b.DB.RemoveRPCEndpoint(t.Context(), storetest.Chain, list[0].ID, true, storetest.By()))
	again, err := nodes.Source(t.Context(), storetest.Chain)
	require.NoError(t, err)
	require.Same(t, s, again)
	asked := first.Calls("eth_getBlockByNumber")
	require.EqualValues(t, 7, head(t, s))
	require.Equal(t, asked, first.Calls("eth_getBlockByNumber"))
	require.Equal(t, []string{"operator 1"}, nodes.Stats()[0].Trusted.Operators)
}
