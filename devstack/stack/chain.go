package stack

import (
	"context"
	"fmt"
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
