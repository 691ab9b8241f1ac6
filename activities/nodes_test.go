package activities_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"log/slog"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// directory is where nodes are configured.
type directory struct {
	mu        sync.Mutex
	keys      *seal.Keyring
	settings  store.Chain
	endpoints []store.RPCEndpoint
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
	e := store.RPCEndpoint{ID: int64(len(d.endpoints)), Operator: "someone", Fingerprint: sha256.Sum256([]byte(url))}
	e.URL = d.keys.Seal([]byte(url), e.URLPlace("dev"))
	d.endpoints = append(d.endpoints, e)
}

func (d *directory) GetChain(context.Context, string) (store.Chain, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.settings, d.err
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
	head, err := s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	require.Equal(t, uint64(3), head.Number)
	cut(first)
	head, err = s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	require.Equal(t, uint64(7), head.Number)
	first.SetFaults(chaintest.Faults{})
	head, err = s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	require.Equal(t, uint64(7), head.Number, "whoever answered last is asked again")
	cut(first)
	cut(second)
	_, err = s.Head(t.Context(), payment.TagNone)
	require.ErrorIs(t, err, chain.ErrUnavailable)
}

// Two chains behind one name would look like a reorganisation without end.
func TestANodeOfAnotherChainIsNeverUsed(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	second.SetFaults(chaintest.Faults{Answer: func(a *chaintest.Answer) {
		if a.Method == "eth_chainId" {
			a.Result = "0x1"
		}
	}})
	s := source(t, newDirectory(first.URL(), second.URL()), discard())
	_, err := s.Head(t.Context(), payment.TagNone)
	require.NoError(t, err)
	cut(first)
	_, err = s.Head(t.Context(), payment.TagNone)
	require.ErrorIs(t, err, chain.ErrWrongChain)
}

// What a node truly answers, such as that it has no such block, is not its fault.
func TestAnAnswerIsNotAFault(t *testing.T) {
	t.Parallel()
	first, second := chaintest.NewFake(t, nil), chaintest.NewFake(t, nil)
	s := source(t, newDirectory(first.URL(), second.URL()), discard())
	_, err := s.HeaderByNumber(t.Context(), 99)
	require.ErrorIs(t, err, chain.ErrBlockUnknown)
	require.Zero(t, second.Calls("eth_getBlockByNumber"))
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
