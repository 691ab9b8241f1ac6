package workers

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type checkStore = activities.TokenStore

// tokenWorld is a store and a node in one: what a keeper asks, and what it was told to write down.
type tokenWorld struct {
	TokenStore
	checkStore

	pieces    []store.TokenSweep
	addresses int
	refuse    error
	most      uint64 // blocks that a node answers for at once; 0 for any number

	asked   [][2]uint64 // recipients in each question, and its first block
	covered []store.Interval
	swept   []int // transfers in each piece that was written down
	state   []store.TokenState

	decimals []uint8 // what each of two nodes says; empty for one node
}

func (w *tokenWorld) GetChain(context.Context, string) (store.Chain, error) {
	return store.Chain{Name: "dev", Family: payment.FamilyEVM}, nil
}

func (w *tokenWorld) ListRPCEndpoints(context.Context, string) ([]store.RPCEndpoint, error) {
	return []store.RPCEndpoint{{Operator: "one"}, {Operator: "two"}}[:max(1, len(w.decimals))], nil
}

func (w *tokenWorld) Open(seal.Sealed, seal.Place) ([]byte, error) {
	return []byte("http://127.0.0.1"), nil
}

func (w *tokenWorld) NextTokenSweep(context.Context, string) (store.TokenSweep, bool, error) {
	if len(w.pieces) == 0 {
		return store.TokenSweep{}, false, nil
	}
	return w.pieces[0], true, nil
}

func (w *tokenWorld) IssuedAddresses(_ context.Context, _ store.TokenSweep, after string, limit int) ([]payment.Address, string, error) {
	from := len(after)
	n := min(limit, w.addresses-from)
	page := make([]payment.Address, n)
	if n < limit {
		return page, "", nil
	}
	return page, string(make([]byte, from+n)), nil
}

func (w *tokenWorld) RecordTokenSweep(_ context.Context, piece store.TokenSweep, found []store.SweptTransfer) error {
	w.covered = append(w.covered, piece.Interval)
	w.pieces = w.pieces[1:]
	w.swept = append(w.swept, len(found))
	return nil
}

func (w *tokenWorld) TokensToCheck(context.Context, string, payment.Family, time.Duration, int) ([]store.TokenToCheck, error) {
	return []store.TokenToCheck{{Asset: payment.TokenAsset("dev", payment.Address{Family: payment.FamilyEVM, Raw: string(make([]byte, 20))})}}, nil
}

func (w *tokenWorld) CheckToken(_ context.Context, _ payment.AssetID, now store.TokenState) (string, error) {
	w.state = append(w.state, now)
	return "", nil
}

// tokenNode is the world as a node.
type tokenNode struct{ *tokenWorld }

func (n tokenNode) TransfersTo(_ context.Context, from, to uint64, recipients []payment.Address) ([]chain.FoundTransfer, error) {
	if n.most > 0 && to-from+1 > n.most {
		return nil, chain.ErrRangeTooLarge
	}
	n.asked = append(n.asked, [2]uint64{uint64(len(recipients)), from})
	return make([]chain.FoundTransfer, 1), n.refuse
}

func (n tokenNode) TokenMeta(context.Context, payment.Address) (chain.TokenMeta, error) {
	if len(n.decimals) > 0 {
		said := n.decimals[0]
		n.decimals = append(n.decimals[1:], said) // the next node is asked next
		return chain.TokenMeta{Decimals: said}, n.refuse
	}
	return chain.TokenMeta{Decimals: 6}, n.refuse
}

func (tokenNode) Close() {}

func keeperOf(w *tokenWorld) tokenKeeper {
	tokens := &activities.Tokens{
		Store: w, Keys: w, Log: slog.New(slog.DiscardHandler),
		Open: func(evm.Options) (activities.TokenNode, error) { return tokenNode{w}, nil },
	}
	return tokenKeeper{store: w, tokens: tokens, chains: func() []string { return []string{"dev"} }, log: slog.New(slog.DiscardHandler)}
}

// A piece is asked for a page of addresses at a time and written down as a whole; a round asks no more than its budget, beyond
// the piece that it is at.
func TestASweepAsksPageByPage(t *testing.T) {
	t.Parallel()
	w := &tokenWorld{addresses: 2_500}
	for i := range 50 {
		w.pieces = append(w.pieces, store.TokenSweep{Chain: "dev", Interval: store.Interval{First: uint64(i)}})
	}
	k := keeperOf(w)
	k.sweep(t.Context(), "dev")
	require.Equal(t, [][2]uint64{{1000, 0}, {1000, 0}, {500, 0}, {1000, 1}}, w.asked[:4])
	require.Equal(t, []int{3, 3}, w.swept[:2])
	require.Len(t, w.swept, sweepBudget/3+1)
	k.sweep(t.Context(), "dev")
	require.Empty(t, w.pieces)
}

// What no node answers is not written down as looked through.
func TestASweepThatNobodyAnswers(t *testing.T) {
	t.Parallel()
	w := &tokenWorld{addresses: 1, pieces: make([]store.TokenSweep, 2), refuse: errors.New("no")}
	k := keeperOf(w)
	k.sweep(t.Context(), "dev")
	require.Len(t, w.asked, 1)
	require.Empty(t, w.swept)
	k.check(t.Context(), "dev")
	require.Empty(t, w.state, "nor is a token that nobody could look at")
	w.refuse = nil
	k.check(t.Context(), "dev")
	require.Equal(t, []store.TokenState{{Decimals: 6}}, w.state)
}

// A node that refuses a range is asked for half of it, until it answers.
func TestASweepHalvesWhatIsRefused(t *testing.T) {
	t.Parallel()
	w := &tokenWorld{addresses: 1, most: 3, pieces: []store.TokenSweep{{Chain: "dev", Interval: store.Interval{First: 10, Last: 20}}}}
	keeperOf(w).sweep(t.Context(), "dev")
	require.Equal(t, []store.Interval{{First: 10, Last: 12}}, w.covered)
}

// A node that is not synchronised says that there is no such contract: that alone halts nothing.
func TestATokenThatNodesDisagreeAbout(t *testing.T) {
	t.Parallel()
	w := &tokenWorld{decimals: []uint8{0, 6}}
	k := keeperOf(w)
	k.check(t.Context(), "dev")
	require.Empty(t, w.state)
	w.decimals = []uint8{7, 7}
	k.check(t.Context(), "dev")
	require.Equal(t, []store.TokenState{{Decimals: 7}}, w.state)
}
