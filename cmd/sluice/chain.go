package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/seal"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

type chainCommands struct {
	Enable  chainEnable  `cmd:"" help:"Add a network with its nodes and its native coin, or change its settings."`
	List    chainList    `cmd:"" help:"List networks, and how far each was read."`
	Pause   chainPause   `cmd:"" help:"Read and credit nothing more on a network until it is unpaused."`
	Unpause chainUnpause `cmd:"" help:"Go on where a paused network stopped."`
	Resume  chainResume  `cmd:"" help:"End a halt: credit a network's payments again."`
}

type chainEnable struct {
	Name           string        `arg:"" help:"The name that orders use, such as ethereum."`
	Family         string        `enum:"evm" default:"evm" help:"How its addresses and transactions look (${enum})."`
	ChainID        uint64        `required:"" name:"chain-id" help:"The network's own number; the nodes are asked for it."`
	DisplayName    string        `help:"For people. Default: the name."`
	NativeSymbol   string        `required:"" help:"Code of the native coin, such as ETH."`
	NativeDecimals uint8         `default:"18" help:"Decimals of the native coin."`
	BlockTime      time.Duration `required:"" help:"Usual time between blocks."`
	Confirmations  uint64        `required:"" help:"Blocks that a payment must have, its own being the first."`
	FinalityTag    string        `enum:",safe,finalized" default:"" help:"Also wait for this tag (safe or finalized)."`
	Horizon        uint64        `default:"256" help:"How many blocks deep a reorganisation is undone by itself."`
	StartBlock     uint64        `help:"First block that is watched. Taken the first time only; default: the newest now."`
	MaxRange       uint64        `default:"500" help:"Most blocks in one request when catching up."`
	MaxLag         time.Duration `default:"10m" help:"A watcher further behind than this counts as lagging."`
	RPC            []string      `name:"rpc" required:"" sep:"none" help:"URL of a node; may be given several times."`
	WS             []string      `name:"ws" sep:"none" help:"WebSocket URL beside each --rpc, in the same order."`
	Operator       []string      `required:"" help:"Who runs each node, in the same order; one name stands for all."`
	DustBelow      string        `default:"0" help:"Native amounts below this are dust (decimal)."`
	audited
}

// Run asks every node which chain it is before anything is written.
func (e chainEnable) Run(ctx context.Context, c console) error {
	if err := e.check(); err != nil {
		return err
	}
	dust, err := payment.ParseDecimal(e.DustBelow, e.NativeDecimals)
	if err != nil {
		return fmt.Errorf("--dust-below: %w", err)
	}
	genesis, head, err := e.askNodes(ctx)
	if err != nil {
		return err
	}
	settings := store.Chain{
		Name: e.Name, Family: payment.Family(e.Family), ChainID: e.ChainID, Genesis: genesis, DisplayName: e.DisplayName,
		BlockTime: e.BlockTime, Policy: payment.ConfirmationPolicy{Confirmations: e.Confirmations, Tag: payment.Tag(e.FinalityTag)},
		Horizon: e.Horizon, StartBlock: e.StartBlock, MaxRange: e.MaxRange, MaxLag: e.MaxLag, Enabled: true,
	}
	if settings.DisplayName == "" {
		settings.DisplayName = e.Name
	}
	if settings.StartBlock == 0 {
		settings.StartBlock = head
	}
	native := store.NewAsset{
		ID: payment.NativeAsset(e.Name), Code: e.NativeSymbol, Decimals: e.NativeDecimals, DustBelow: dust,
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		if err := a.db.EnableChain(ctx, settings, native, e.endpoints(a.keys), a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is enabled: chain id %d, %d confirmations, %d nodes; workers pick it up within a minute\n",
			e.Name, e.ChainID, e.Confirmations, len(e.RPC))
		return nil
	})
}

func (e chainEnable) check() error {
	switch {
	case len(e.WS) > 0 && len(e.WS) != len(e.RPC):
		return errors.New("give one --ws for each --rpc, or none")
	case len(e.Operator) != 1 && len(e.Operator) != len(e.RPC):
		return errors.New("give one --operator for each --rpc, or one for all")
	}
	return nil
}

// askNodes returns the genesis that all nodes agree on and the newest block. Errors name a node by its position: its URL may hold a
// key.
func (e chainEnable) askNodes(ctx context.Context) (genesis payment.Hash, head uint64, err error) {
	for i, url := range e.RPC {
		source, err := evm.New(evm.Options{URL: url})
		if err != nil {
			return genesis, 0, fmt.Errorf("--rpc number %d: %w", i+1, err)
		}
		identity, err := source.Identity(ctx)
		newest, headErr := source.Head(ctx, payment.TagNone)
		source.Close()
		switch {
		case err != nil || headErr != nil:
			return genesis, 0, fmt.Errorf("--rpc number %d does not answer: %w", i+1, errors.Join(err, headErr))
		case identity.ChainID != e.ChainID:
			return genesis, 0, fmt.Errorf("--rpc number %d is on chain id %d, not %d", i+1, identity.ChainID, e.ChainID)
		case i > 0 && identity.Genesis != genesis:
			return genesis, 0, fmt.Errorf("--rpc number %d has another genesis block than the first", i+1)
		}
		genesis, head = identity.Genesis, max(head, newest.Number)
	}
	return genesis, head, nil
}

func (e chainEnable) endpoints(keys *seal.Keyring) []store.RPCEndpoint {
	endpoints := make([]store.RPCEndpoint, len(e.RPC))
	for i, url := range e.RPC {
		endpoint := store.RPCEndpoint{Operator: e.Operator[min(i, len(e.Operator)-1)], Fingerprint: sha256.Sum256([]byte(url))}
		endpoint.URL = keys.Seal([]byte(url), endpoint.URLPlace(e.Name))
		if i < len(e.WS) {
			ws := keys.Seal([]byte(e.WS[i]), endpoint.WSURLPlace(e.Name))
			endpoint.WSURL = &ws
		}
		endpoints[i] = endpoint
	}
	return endpoints
}

type tokenCommands struct {
	Add tokenAdd `cmd:"" help:"Enable a token, after asking its contract for its decimals."`
}

type tokenAdd struct {
	Chain     string `required:"" help:"On which chain."`
	Contract  string `required:"" help:"Address of the contract."`
	Code      string `required:"" help:"The name that orders use, such as USDC; unique within the chain."`
	Decimals  uint8  `required:"" help:"Decimals, pinned from now on; must be what the contract says."`
	DustBelow string `default:"0" help:"Amounts below this are dust (decimal)."`
	Tolerance string `default:"0" help:"This much less than due still fulfils an order (decimal)."`
	audited
}

// Run enables the token if the contract agrees.
func (t tokenAdd) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, t.audited, func(a admin) error {
		settings, err := a.db.GetChain(ctx, t.Chain)
		if err != nil {
			return err
		}
		asset, err := t.asset(settings.Family)
		if err != nil {
			return err
		}
		symbol, err := t.ask(ctx, a, &asset)
		if err != nil {
			return err
		}
		if err := a.db.AddToken(ctx, asset, a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s on %s is enabled as %s (%d decimals; the contract calls itself %q)\n",
			asset.ID.Contract.Text(), t.Chain, t.Code, t.Decimals, symbol)
		return nil
	})
}

func (t tokenAdd) asset(family payment.Family) (store.NewAsset, error) {
	contract, err := payment.ParseAddress(family, t.Contract)
	if err != nil {
		return store.NewAsset{}, fmt.Errorf("--contract: %w", err)
	}
	dust, err := payment.ParseDecimal(t.DustBelow, t.Decimals)
	if err != nil {
		return store.NewAsset{}, fmt.Errorf("--dust-below: %w", err)
	}
	tolerance, err := payment.ParseDecimal(t.Tolerance, t.Decimals)
	if err != nil {
		return store.NewAsset{}, fmt.Errorf("--tolerance: %w", err)
	}
	return store.NewAsset{
		ID: payment.TokenAsset(t.Chain, contract), Code: t.Code, Decimals: t.Decimals, DustBelow: dust, Tolerance: tolerance,
	}, nil
}

// ask compares the pinned decimals with the contract's own and pins its code.
func (t tokenAdd) ask(ctx context.Context, a admin, asset *store.NewAsset) (symbol string, err error) {
	endpoints, err := a.db.ListRPCEndpoints(ctx, t.Chain)
	if err != nil {
		return "", err
	}
	var failures []error
	for _, endpoint := range endpoints {
		url, err := a.keys.Open(endpoint.URL, endpoint.URLPlace(t.Chain))
		if err != nil {
			return "", err
		}
		source, err := evm.New(evm.Options{URL: string(url)})
		if err != nil {
			return "", err
		}
		meta, err := source.TokenMeta(ctx, asset.ID.Contract)
		source.Close()
		if err != nil {
			failures = append(failures, fmt.Errorf("node of %s: %w", endpoint.Operator, err))
			continue
		}
		if meta.Decimals != t.Decimals {
			return "", fmt.Errorf("the contract has %d decimals, not %d", meta.Decimals, t.Decimals)
		}
		asset.CodeHash = &meta.CodeHash
		return meta.Symbol, nil
	}
	return "", fmt.Errorf("no node could be asked about the contract: %w", errors.Join(failures...))
}
