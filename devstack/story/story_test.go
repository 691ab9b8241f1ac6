package story_test

import (
	"bytes"
	"context"
	"io"
	"math/big"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/crypto"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/devstack/loopback"
	"github.com/sluicepay/sluice/devstack/story"
	"github.com/sluicepay/sluice/devstack/term"
)

func gethnodeAddress(name string) string {
	return crypto.PubkeyToAddress(gethnode.Key(name).PublicKey).Hex()
}

// newChain starts a chain whose blocks come quickly, with a token.
func newChain(t *testing.T, id uint64, decimals uint8) *simChain {
	t.Helper()
	node, err := gethnode.Start(gethnode.Options{ChainID: id, BlockTime: 100 * time.Millisecond})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, node.Close()) })
	faucet, err := node.Payer(t.Context())
	require.NoError(t, err)
	token, tx, err := faucet.DeployToken(t.Context(), gethnode.TokenOptions{Symbol: "USDC", Decimals: decimals})
	require.NoError(t, err)
	_, err = faucet.Wait(t.Context(), tx)
	require.NoError(t, err)
	return &simChain{
		node: node, token: token, decimals: map[string]int{"USDC": int(decimals), "ETH": 18},
		credit: map[string]*big.Int{"USDC": new(big.Int), "ETH": new(big.Int)},
	}
}

func (c *simChain) told(name string) story.Chain {
	return story.Chain{
		Name: name, RPC: c.node.HTTPURL(), Native: "ETH",
		TokenCode: "USDC", Token: c.token.Hex(), Decimals: uint8(c.decimals["USDC"]),
	}
}

// setup puts a simulated engine with a fault on two chains of its own.
func setup(t *testing.T, fault string) (story.World, *bytes.Buffer) {
	t.Helper()
	s := &simulation{
		t: t, fault: fault,
		chains: map[string]*simChain{"dev": newChain(t, 31337, 6), "dev2": newChain(t, 31338, 18)},
	}
	ports, err := loopback.FreePorts(1)
	require.NoError(t, err)
	return story.World{
		API: s.start(t), UI: "http://ui", Namespace: "sluice", First: s.chains["dev"].told("dev"), Second: s.chains["dev2"].told("dev2"),
		Receiver: ports[0], Memory: filepath.Join(t.TempDir(), "demo.json"), Sluice: s.sluice,
	}, new(bytes.Buffer)
}

func play(ctx context.Context, w story.World, output io.Writer) error {
	return story.Play(ctx, w, term.Plain(output))
}

// listener is an output that does something as soon as a text was printed.
type listener struct {
	bytes.Buffer
	text string
	then func()
}

func (l *listener) Write(p []byte) (int, error) {
	n, err := l.Buffer.Write(p)
	if strings.Contains(l.String(), l.text) {
		l.then()
	}
	return n, err
}

func TestStoryIsToldInOrder(t *testing.T) {
	t.Parallel()
	w, output := setup(t, "")
	require.NoError(t, play(t.Context(), w, output))
	rest := output.String()
	for _, line := range []string{
		"A merchant opens", "sk_test_0123…",
		"First order", "1.00 USDC on dev", "http://ui/namespaces/sluice/workflows/order%2Ford_1", "callback order.created",
		"Second order", "posted ord_2", "the payer sends 25.00 USDC",
		"payment detected: 25.00 USDC", "callback order.payment_detected",
		"confirmation 2 of 3", "confirmation 3 of 3", "credited: 25.00 USDC", "order is now paid", "callback order.paid",
		"Third order", "0.01 ETH on dev2", "posted ord_3", "credited: 0.01 ETH", "callback order.paid",
		"First order again", "order is now expired", "callback order.expired",
		"The ledger", "USDC on dev ", "25.000000 available", "ETH on dev2", "0.010000000000000000 available", "the books agree",
	} {
		_, after, found := strings.Cut(rest, line)
		require.True(t, found, "%q is missing or too early in:\n%s", line, output)
		rest = after
	}
	require.NotContains(t, output.String(), simKey)
	require.NotContains(t, output.String(), simSecret)
}

func TestStoryNoticesWhatIsWrong(t *testing.T) {
	t.Parallel()
	for fault, says := range map[string]string{
		"signature": "no matching signature",
		"chatter":   "callbacks came as",
		"balance":   "has 0 USDC on dev and its orders received 25",
		"books":     "do not balance",
	} {
		t.Run(fault, func(t *testing.T) {
			t.Parallel()
			w, output := setup(t, fault)
			require.ErrorContains(t, play(t.Context(), w, output), says)
		})
	}
}

func TestStoryEndsWhenToldTo(t *testing.T) {
	t.Parallel()
	w, _ := setup(t, "silence")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	require.ErrorIs(t, play(ctx, w, &listener{text: "order is now paid", then: cancel}), context.Canceled)
}

func TestMerchantComesBack(t *testing.T) {
	t.Parallel()
	w, first := setup(t, "")
	require.NoError(t, play(t.Context(), w, first))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	second := &listener{text: "25.00 USDC, paid", then: cancel}
	require.Error(t, play(ctx, w, second), "an interrupted play is no success")

	// The simulation tells its fourth order nothing new, so only the beginning of the second play is looked at.
	ctx, second.then = context.WithCancel(t.Context())
	defer second.then()
	require.Error(t, play(ctx, w, second))
	require.Contains(t, second.String(), "The merchant is back")
	require.Contains(t, second.String(), "ord_2")
}
