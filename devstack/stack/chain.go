package stack

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/ethclient"
	"golang.org/x/sync/errgroup"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
)

// Chain is one of the development chains.
type Chain struct {
	Name string
	ID   uint64
	// Decimals are the test token's.
	Decimals uint8
	Node     *gethnode.Node

	token *string // in the stack's state
}

// Token is the test token's contract as 0x text, empty before SetUpChains.
func (c *Chain) Token() string { return *c.token }

// Chains are the development chains, the first one first.
func (s *Stack) Chains() []*Chain { return []*Chain{s.Dev, s.Dev2} }

// StartNodes starts the development chains' nodes.
func (s *Stack) StartNodes(context.Context) error {
	ports := s.state.Ports
	if err := s.startNode(s.Dev, "chain", ports.ChainHTTP, ports.ChainWS); err != nil {
		return err
	}
	return s.startNode(s.Dev2, "chain2", ports.Chain2HTTP, ports.Chain2WS)
}

// startNode keeps the chain's blocks in a folder of its own.
func (s *Stack) startNode(c *Chain, folder string, http, ws int) error {
	return s.step("chain "+c.Name, "", func() (string, error) {
		node, err := gethnode.Start(gethnode.Options{
			ChainID:   c.ID,
			BlockTime: max(s.cfg.BlockTime, 0),
			HTTPPort:  http,
			WSPort:    ws,
			DataDir:   s.folder.path(folder),
		})
		if err != nil {
			return "", err
		}
		c.Node = node
		return node.HTTPURL(), nil
	})
}

// SetUpChains gives Sluice a wallet, the development chains and their test tokens. It may run again, also after it was
// interrupted half way; addresses of nodes are brought up to date.
func (s *Stack) SetUpChains(ctx context.Context) error {
	err := s.step("tokens", "", func() (string, error) {
		if err := s.deployTokens(ctx); err != nil {
			return "", err
		}
		return TokenCode + " " + s.Dev.Token() + ", " + s.Dev2.Token(), nil
	})
	if err != nil {
		return err
	}
	return s.step("wallet", "", func() (string, error) {
		if err := s.importWallet(ctx); err != nil {
			return "", err
		}
		for _, c := range s.Chains() {
			if err := s.enableChain(ctx, c); err != nil {
				return "", err
			}
		}
		return fmt.Sprintf("chains %s and %s, %d confirmations", ChainName, SecondName, s.cfg.Confirmations), nil
	})
}

// chainsTimeout is how long a start waits for the chains. One that cannot be read by then is no reason not to start.
const chainsTimeout = 2 * time.Minute

// awaitChains waits until orders are taken on every chain: until the worker has recorded the first block, or what was
// mined while the stack was away, an order would be refused.
func (s *Stack) awaitChains(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, chainsTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for !s.chainsRead(ctx) {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// chainsRead asks the API whether no chain lags.
func (s *Stack) chainsRead(ctx context.Context) bool {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.APIURL()+"/readyz", nil)
	if err != nil {
		return true // never: the address is the stack's own
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return false
	}
	defer func() { _ = response.Body.Close() }()
	var health struct{ Chains map[string]string }
	_ = json.NewDecoder(response.Body).Decode(&health) // an answer that tells of no chains leaves nothing to wait for
	return !slices.Contains(slices.Collect(maps.Values(health.Chains)), "lagging")
}

func (s *Stack) importWallet(ctx context.Context) error {
	if s.state.Wallet {
		return nil
	}
	var wallet struct{ Mnemonic, XPub string }
	if err := s.SluiceJSON(ctx, &wallet, "wallet", "new", "--json"); err != nil {
		return err
	}
	s.secrets.Mnemonic = wallet.Mnemonic
	if err := s.folder.save(secretsFile, s.secrets); err != nil {
		return err
	}
	if _, err := s.Sluice(ctx, strings.NewReader(wallet.XPub+"\n"), "wallet", "import", "--family", "evm"); err != nil {
		return err
	}
	s.state.Wallet = true
	return s.saveState()
}

func (s *Stack) enableChain(ctx context.Context, c *Chain) error {
	args := []string{
		"chain", "enable", c.Name,
		"--family", "evm",
		"--mode", "test",
		"--chain-id", strconv.FormatUint(c.ID, 10),
		"--native-symbol", NativeSymbol,
		"--block-time", s.blockTime().String(),
		"--confirmations", strconv.Itoa(s.cfg.Confirmations),
	}
	var nodes strings.Builder
	for _, e := range s.endpoints(c) {
		fmt.Fprintln(&nodes, e.RPC, e.WS, "operator="+e.Operator)
	}
	if _, err := s.Sluice(ctx, strings.NewReader(nodes.String()), append(args, "--rpc-file", "-")...); err != nil {
		return err
	}
	_, err := s.Sluice(ctx, nil, "token", "add",
		"--chain", c.Name,
		"--contract", c.Token(),
		"--code", TokenCode,
		"--decimals", strconv.Itoa(int(c.Decimals)),
		"--outside-catalog", "made for the local stack")
	return err
}

// endpoints are where Sluice is told to reach a chain.
func (s *Stack) endpoints(c *Chain) []Endpoint {
	if s.cfg.Endpoints != nil {
		if other := s.cfg.Endpoints(c.Name, c.Node.HTTPURL(), c.Node.WSURL()); len(other) > 0 {
			return other
		}
	}
	return []Endpoint{{RPC: c.Node.HTTPURL(), WS: c.Node.WSURL(), Operator: "local"}}
}

// deployTokens creates the chains' test tokens at the same time: each takes a block.
func (s *Stack) deployTokens(ctx context.Context) error {
	group, ctx := errgroup.WithContext(ctx)
	for _, c := range s.Chains() {
		group.Go(func() error { return s.deployToken(ctx, c) })
	}
	if err := group.Wait(); err != nil {
		return err
	}
	return s.saveState()
}

// deployToken creates the test token unless the chain has it already.
func (s *Stack) deployToken(ctx context.Context, c *Chain) error {
	client := ethclient.NewClient(c.Node.RPC())
	if c.Token() != "" {
		code, err := client.CodeAt(ctx, common.HexToAddress(c.Token()), nil)
		if err != nil {
			return fmt.Errorf("look for the token: %w", err)
		}
		if len(code) > 0 {
			return nil
		}
	}
	payer, err := c.Node.Payer(ctx)
	if err != nil {
		return err
	}
	token, tx, err := payer.DeployToken(ctx, gethnode.TokenOptions{Symbol: TokenCode, Decimals: c.Decimals})
	if err != nil {
		return err
	}
	if s.cfg.BlockTime < 0 {
		if _, err := c.Node.Mine(1); err != nil {
			return err
		}
	}
	if _, err := payer.Wait(ctx, tx); err != nil {
		return fmt.Errorf("create the token: %w", err)
	}
	*c.token = token.Hex()
	return nil
}

// blockTime is what Sluice is told: blocks that come when a test wants them are second by second as well.
func (s *Stack) blockTime() time.Duration {
	if s.cfg.BlockTime < 0 {
		return time.Second
	}
	return s.cfg.BlockTime
}
