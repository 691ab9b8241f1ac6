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

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
)

// SetUpChain gives Sluice a wallet, the development chain and its test token. It may run again, also after it was
// interrupted half way; addresses of nodes are brought up to date.
func (s *Stack) SetUpChain(ctx context.Context) error {
	err := s.step("token", "", func() (string, error) {
		if err := s.deployToken(ctx); err != nil {
			return "", err
		}
		return TokenCode + " " + s.state.Token, nil
	})
	if err != nil {
		return err
	}
	return s.step("wallet", "", func() (string, error) {
		if err := s.importWallet(ctx); err != nil {
			return "", err
		}
		if err := s.enableChain(ctx); err != nil {
			return "", err
		}
		return "chain " + ChainName + ", " + strconv.Itoa(s.cfg.Confirmations) + " confirmations", nil
	})
}

// chainsTimeout is how long a start waits for the chains. One that cannot be read by then is no reason not to start.
const chainsTimeout = 20 * time.Second

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

func (s *Stack) enableChain(ctx context.Context) error {
	rpc := s.Node.HTTPURL()
	if s.cfg.RPC != nil {
		rpc = s.cfg.RPC(rpc)
	}
	_, err := s.Sluice(ctx, nil, "chain", "enable", ChainName,
		"--family", "evm",
		"--chain-id", strconv.Itoa(ChainID),
		"--native-symbol", NativeSymbol,
		"--block-time", s.blockTime().String(),
		"--confirmations", strconv.Itoa(s.cfg.Confirmations),
		"--rpc", rpc,
		"--ws", s.Node.WSURL(),
		"--operator", "local")
	if err != nil {
		return err
	}
	_, err = s.Sluice(ctx, nil, "token", "add",
		"--chain", ChainName,
		"--contract", s.state.Token,
		"--code", TokenCode,
		"--decimals", strconv.Itoa(TokenDecimals))
	return err
}

// deployToken creates the test token unless the chain has it already.
func (s *Stack) deployToken(ctx context.Context) error {
	client := ethclient.NewClient(s.Node.RPC())
	if s.state.Token != "" {
		code, err := client.CodeAt(ctx, common.HexToAddress(s.state.Token), nil)
		if err != nil {
			return fmt.Errorf("look for the token: %w", err)
		}
		if len(code) > 0 {
			return nil
		}
	}
	payer, err := s.Node.Payer(ctx)
	if err != nil {
		return err
	}
	token, tx, err := payer.DeployToken(ctx, gethnode.TokenOptions{Symbol: TokenCode, Decimals: TokenDecimals})
	if err != nil {
		return err
	}
	if s.cfg.BlockTime < 0 {
		if _, err := s.Node.Mine(1); err != nil {
			return err
		}
	}
	if _, err := payer.Wait(ctx, tx); err != nil {
		return fmt.Errorf("create the token: %w", err)
	}
	s.state.Token = token.Hex()
	return s.saveState()
}

// blockTime is what Sluice is told: blocks that come when a test wants them are second by second as well.
func (s *Stack) blockTime() time.Duration {
	if s.cfg.BlockTime < 0 {
		return time.Second
	}
	return s.cfg.BlockTime
}
