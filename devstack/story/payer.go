package story

import (
	"context"
	"fmt"
	"math/big"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/payment"
)

// payer is somebody with a wallet on the chain.
type payer struct {
	chain  Chain
	rpc    *rpc.Client
	wallet *gethnode.Payer
	token  common.Address
}

// fund opens the payer's wallet and lets the faucet fill it: coins for fees and an order, and exactly tokens (decimal)
// of the test token.
func (c Chain) fund(ctx context.Context, tokens string) (*payer, error) {
	client, err := rpc.DialContext(ctx, c.RPC)
	if err != nil {
		return nil, fmt.Errorf("reach the chain: %w", err)
	}
	p := &payer{chain: c, rpc: client, token: common.HexToAddress(c.Token)}
	if err := p.fill(ctx, tokens); err != nil {
		client.Close()
		return nil, fmt.Errorf("fund the payer: %w", err)
	}
	return p, nil
}

func (p *payer) fill(ctx context.Context, tokens string) error {
	faucet, err := gethnode.NewPayer(ctx, p.rpc, gethnode.FaucetKey())
	if err != nil {
		return err
	}
	if p.wallet, err = gethnode.NewPayer(ctx, p.rpc, gethnode.Key("payer of the demo")); err != nil {
		return err
	}
	coins, err := baseUnits("1", nativeDecimals)
	if err != nil {
		return err
	}
	amount, err := baseUnits(tokens, p.chain.Decimals)
	if err != nil {
		return err
	}
	if _, err := faucet.SendNative(ctx, p.wallet.Address(), coins); err != nil {
		return err
	}
	minted, err := faucet.Mint(ctx, p.token, p.wallet.Address(), amount)
	if err != nil {
		return err
	}
	_, err = faucet.Wait(ctx, minted) // sent second, mined not before the first
	return err
}

// pay sends an order what it asks for and returns the transaction's hash. It does not wait for a block.
func (p *payer) pay(ctx context.Context, o order) (string, error) {
	amount, err := baseUnits(o.Amount, p.chain.decimals(o.Asset))
	if err != nil {
		return "", err
	}
	to := common.HexToAddress(o.Address)
	var hash common.Hash
	if o.Asset == p.chain.Native {
		hash, err = p.wallet.SendNative(ctx, to, amount)
	} else {
		hash, err = p.wallet.Transfer(ctx, p.token, to, amount)
	}
	if err != nil {
		return "", fmt.Errorf("pay order %s: %w", o.ID, err)
	}
	return hash.Hex(), nil
}

func (p *payer) close() { p.rpc.Close() }

func baseUnits(decimal string, decimals uint8) (*big.Int, error) {
	amount, err := payment.ParseDecimal(decimal, decimals)
	if err != nil {
		return nil, err
	}
	return amount.Big(), nil
}
