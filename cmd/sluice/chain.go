package main

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
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
	Trace   chainTrace   `cmd:"" help:"Look for internal transfers, where a node can; that is how a network begins."`
	Untrace chainUntrace `cmd:"" help:"Look for no internal transfers on a network: traces may cost too much."`
}

type chainEnable struct {
	Name           string        `arg:"" help:"The name that orders use, such as ethereum."`
	Family         string        `enum:"evm" default:"evm" help:"How its addresses and transactions look (${enum})."`
	ChainID        uint64        `required:"" name:"chain-id" help:"The network's own number; the nodes are asked for it."`
	NativeSymbol   string        `required:"" help:"Code of the native coin, such as ETH."`
	NativeDecimals uint8         `default:"18" help:"Decimals of the native coin."`
	BlockTime      time.Duration `required:"" help:"Usual time between blocks."`
	Confirmations  uint64        `required:"" help:"Blocks that a payment must have, its own being the first."`
	RPC            []string      `name:"rpc" required:"" sep:"none" help:"URL of a node; may be given several times."`
	WS             []string      `name:"ws" sep:"none" help:"WebSocket URL beside each --rpc, in the same order."`
	Operator       []string      `required:"" help:"Who runs each node, in the same order; one name stands for all."`

	// What is left out keeps what is set; the first time, it takes the default.
	DisplayName *string        `help:"For people. Default: the name."`
	FinalityTag *string        `help:"Also wait for this tag (safe or finalized; empty for none). Default: none."`
	Horizon     *uint64        `help:"How many blocks deep a reorganisation is undone by itself. Default: 256."`
	MaxRange    *uint64        `help:"Most blocks in one request when catching up. Default: 500."`
	MaxLag      *time.Duration `help:"A watcher further behind than this counts as lagging. Default: 10m."`
	DustBelow   *string        `help:"Native amounts below this are dust (decimal). Default: 0."`
	StartBlock  *uint64        `help:"First block watched, taken the first time only. Default: when the oldest address was made, else now."`
	audited
}

// Run asks every node which chain it is before anything is written.
func (e chainEnable) Run(ctx context.Context, c console) error {
	if err := e.check(); err != nil {
		return err
	}
	genesis, head, err := e.askNodes(ctx)
	if err != nil {
		return err
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		settings, err := e.settings(ctx, a.db, head)
		if err != nil {
			return err
		}
		settings.Genesis = genesis
		native, err := e.native(ctx, a.db)
		if err != nil {
			return err
		}
		if err := a.db.EnableChain(ctx, settings, native, e.endpoints(a.keys), a.by); err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s is enabled: chain id %d, %d confirmations, watched from block %d, %d nodes; workers pick it up within a minute\n",
			e.Name, e.ChainID, e.Confirmations, settings.StartBlock, len(e.RPC))
		return nil
	})
}

const (
	defaultHorizon  = 256
	defaultMaxRange = 500
	defaultMaxLag   = 10 * time.Minute
)

// settings is the chain as it is to be: what was not given stays as it is set.
func (e chainEnable) settings(ctx context.Context, db *store.DB, head payment.BlockRef) (store.Chain, error) {
	settings, err := db.GetChain(ctx, e.Name)
	switch {
	case payment.CodeOf(err) == payment.CodeUnknownChain:
		settings = store.Chain{Name: e.Name, DisplayName: e.Name, Horizon: defaultHorizon, MaxRange: defaultMaxRange, MaxLag: defaultMaxLag}
		if settings.StartBlock, err = e.startBlock(ctx, db, head); err != nil {
			return store.Chain{}, err
		}
	case err != nil:
		return store.Chain{}, err
	}
	settings.Family, settings.ChainID, settings.BlockTime, settings.Enabled = payment.Family(e.Family), e.ChainID, e.BlockTime, true
	settings.Policy.Confirmations = e.Confirmations
	override(&settings.DisplayName, e.DisplayName)
	override(&settings.Horizon, e.Horizon)
	override(&settings.MaxRange, e.MaxRange)
	override(&settings.MaxLag, e.MaxLag)
	if e.FinalityTag != nil {
		settings.Policy.Tag = payment.Tag(*e.FinalityTag)
	}
	return settings, nil
}

// native is the native coin as it is to be.
func (e chainEnable) native(ctx context.Context, db *store.DB) (store.NewAsset, error) {
	native := store.NewAsset{ID: payment.NativeAsset(e.Name), Code: e.NativeSymbol, Decimals: e.NativeDecimals}
	if err := keepLimits(ctx, db, &native); err != nil {
		return store.NewAsset{}, err
	}
	return native, overrideAmount("--dust-below", &native.DustBelow, e.DustBelow, e.NativeDecimals)
}

// keepLimits takes over the limits of an asset that is configured already.
func keepLimits(ctx context.Context, db *store.DB, asset *store.NewAsset) error {
	assets, err := db.ListAssets(ctx, asset.ID.Chain)
	if err != nil {
		return err
	}
	for _, known := range assets {
		if known.ID == asset.ID {
			asset.DustBelow, asset.Tolerance = known.DustBelow, known.Tolerance
		}
	}
	return nil
}

func override[T any](setting, given *T) {
	if given != nil {
		*setting = *given
	}
}

func overrideAmount(flag string, setting *payment.Amount, given *string, decimals uint8) error {
	if given == nil {
		return nil
	}
	amount, err := payment.ParseDecimal(*given, decimals)
	if err != nil {
		return fmt.Errorf("%s: %w", flag, err)
	}
	*setting = amount
	return nil
}

func (e chainEnable) check() error {
	switch {
	case len(e.WS) > 0 && len(e.WS) != len(e.RPC):
		return errors.New("give one --ws for each --rpc, or none")
	case len(e.Operator) != 1 && len(e.Operator) != len(e.RPC):
		return errors.New("give one --operator for each --rpc, or one for all")
	case e.FinalityTag != nil && !slices.Contains([]string{"", string(payment.TagSafe), string(payment.TagFinalized)}, *e.FinalityTag):
		return &exitError{code: 2, message: "--finality-tag is safe, finalized or empty"}
	}
	return nil
}

// askNodes returns the genesis that all nodes agree on and the newest block. Errors name a node by its position: its URL may hold a
// key.
func (e chainEnable) askNodes(ctx context.Context) (genesis payment.Hash, head payment.BlockRef, err error) {
	for i, url := range e.RPC {
		source, err := evm.New(evm.Options{URL: url})
		if err != nil {
			return genesis, head, fmt.Errorf("--rpc number %d: %w", i+1, err)
		}
		identity, err := source.Identity(ctx)
		newest, headErr := source.Head(ctx, payment.TagNone)
		source.Close()
		switch {
		case err != nil || headErr != nil:
			return genesis, head, fmt.Errorf("--rpc number %d does not answer: %w", i+1, errors.Join(err, headErr))
		case identity.ChainID != e.ChainID:
			return genesis, head, fmt.Errorf("--rpc number %d is on chain id %d, not %d", i+1, identity.ChainID, e.ChainID)
		case i > 0 && identity.Genesis != genesis:
			return genesis, head, fmt.Errorf("--rpc number %d has another genesis block than the first", i+1)
		}
		genesis = identity.Genesis
		if newest.Number >= head.Number {
			head = newest
		}
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
	Add     tokenAdd     `cmd:"" help:"Enable a token, after asking its contract for its decimals."`
	Unknown tokenUnknown `cmd:"" help:"List tokens that were sent to addresses of ours and that nobody enabled."`
}

type tokenAdd struct {
	Chain    string `required:"" help:"On which chain."`
	Contract string `required:"" help:"Address of the contract."`
	Code     string `required:"" help:"The name that orders use, such as USDC; unique within the chain."`
	Decimals uint8  `required:"" help:"Decimals, pinned from now on; must be what the contract says."`
	// What is left out keeps what is set; the first time, it is 0.
	DustBelow *string `help:"Amounts below this are dust (decimal). Default: 0."`
	Tolerance *string `help:"This much less than due still fulfils an order (decimal). Default: 0."`
	audited
}

// Run enables the token if the contract agrees.
func (t tokenAdd) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, t.audited, func(a admin) error {
		settings, err := a.db.GetChain(ctx, t.Chain)
		if err != nil {
			return err
		}
		asset, err := t.asset(ctx, a.db, settings.Family)
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

func (t tokenAdd) asset(ctx context.Context, db *store.DB, family payment.Family) (store.NewAsset, error) {
	contract, err := payment.ParseAddress(family, t.Contract)
	if err != nil {
		return store.NewAsset{}, fmt.Errorf("--contract: %w", err)
	}
	asset := store.NewAsset{ID: payment.TokenAsset(t.Chain, contract), Code: t.Code, Decimals: t.Decimals}
	if err := keepLimits(ctx, db, &asset); err != nil {
		return store.NewAsset{}, err
	}
	return asset, errors.Join(overrideAmount("--dust-below", &asset.DustBelow, t.DustBelow, t.Decimals),
		overrideAmount("--tolerance", &asset.Tolerance, t.Tolerance, t.Decimals))
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
