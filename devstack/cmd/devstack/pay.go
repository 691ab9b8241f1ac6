package main

import (
	"context"
	"fmt"
	"math/big"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"

	"github.com/sluicepay/sluice/chain/chaintest/gethnode"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/term"
	"github.com/sluicepay/sluice/payment"
)

// payTimeout is far more than a few blocks of a second each.
const payTimeout = 5 * time.Minute

type payCmd struct {
	URI    string `arg:"" name:"payment-uri" help:"What to pay: the payment_uri of an order."`
	Amount string `help:"Pay this instead of what the order asks for, in base units." placeholder:"N"`
}

// Run pays an order of the running stack from the faucet's wallet, as a payer's wallet would, and waits for the block.
func (p *payCmd) Run(ctx context.Context, c *cli, out *term.Printer) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	running, err := stack.Find(cfg.Dir)
	if err != nil {
		return err
	}
	if running == nil {
		return fmt.Errorf("no stack runs in %s; start one with: make up", short(cfg.Dir))
	}
	asked, err := parsePayment(p.URI)
	if err != nil {
		return err
	}
	if p.Amount != "" {
		if asked.amount, err = baseUnits(p.Amount); err != nil {
			return fmt.Errorf("--amount: %w", err)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, payTimeout)
	defer cancel()
	for _, chain := range running.Chains {
		client, err := rpc.DialContext(ctx, chain.HTTP)
		if err != nil {
			return fmt.Errorf("reach chain %s: %w", chain.Name, err)
		}
		defer client.Close()
		var id hexutil.Uint64
		if err := client.CallContext(ctx, &id, "eth_chainId"); err != nil {
			return fmt.Errorf("ask chain %s for its id: %w", chain.Name, err)
		}
		if uint64(id) == asked.chainID {
			hash, err := asked.send(ctx, client)
			if err != nil {
				return fmt.Errorf("pay on chain %s: %w", chain.Name, err)
			}
			out.Row("paid", asked.amount.String()+" base units to "+asked.to.Hex(), "")
			out.Row("transaction", hash.Hex(), "chain "+chain.Name)
			return nil
		}
	}
	return fmt.Errorf("no chain of this stack has the id %d", asked.chainID)
}

// paymentAsked is what a payment URI asks for.
type paymentAsked struct {
	chainID uint64
	token   *common.Address // nil: the chain's own coin
	to      common.Address
	amount  *big.Int
}

// paymentURI is the part of EIP-681 that an order's payment_uri is written in: a transfer of the coin to an address, or a
// call of a token's transfer.
var paymentURI = regexp.MustCompile(`^ethereum:(0x[0-9a-fA-F]{40})@([0-9]{1,19})(/transfer)?\?(.*)$`)

func parsePayment(uri string) (paymentAsked, error) {
	// Copied out of a JSON text by hand, its & may still be escaped.
	parts := paymentURI.FindStringSubmatch(strings.ReplaceAll(strings.TrimSpace(uri), `\u0026`, "&"))
	if parts == nil {
		return paymentAsked{}, fmt.Errorf("%q is not the payment_uri of an order", uri)
	}
	id, err := strconv.ParseUint(parts[2], 10, 64)
	if err != nil {
		return paymentAsked{}, fmt.Errorf("chain id %s: %w", parts[2], err)
	}
	values, err := url.ParseQuery(parts[4])
	if err != nil {
		return paymentAsked{}, fmt.Errorf("what %q asks for: %w", uri, err)
	}
	target := common.HexToAddress(parts[1])
	asked, amount := paymentAsked{chainID: id, to: target}, values.Get("value")
	if parts[3] != "" {
		if !common.IsHexAddress(values.Get("address")) {
			return paymentAsked{}, fmt.Errorf("%q names no recipient", uri)
		}
		asked.token, asked.to, amount = &target, common.HexToAddress(values.Get("address")), values.Get("uint256")
	}
	if asked.amount, err = baseUnits(amount); err != nil {
		return paymentAsked{}, fmt.Errorf("the amount of %q: %w", uri, err)
	}
	return asked, nil
}

func baseUnits(text string) (*big.Int, error) {
	amount, err := payment.ParseBaseUnits(text)
	if err != nil {
		return nil, err
	}
	return amount.Big(), nil
}

// send pays from the faucet's wallet, which makes itself the tokens, and waits until that is in a block.
func (a paymentAsked) send(ctx context.Context, client *rpc.Client) (common.Hash, error) {
	faucet, err := gethnode.NewPayer(ctx, client, gethnode.FaucetKey())
	if err != nil {
		return common.Hash{}, err
	}
	var hash common.Hash
	if a.token == nil {
		hash, err = faucet.SendNative(ctx, a.to, a.amount)
	} else {
		var minted common.Hash
		if minted, err = faucet.Mint(ctx, *a.token, faucet.Address(), a.amount); err == nil {
			_, err = faucet.Wait(ctx, minted)
		}
		if err == nil {
			hash, err = faucet.Transfer(ctx, *a.token, a.to, a.amount)
		}
	}
	if err != nil {
		return common.Hash{}, err
	}
	_, err = faucet.Wait(ctx, hash)
	return hash, err
}
