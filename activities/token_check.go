package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// TokenStore is what looking at tokens needs of the store.
type TokenStore interface {
	NodeStore
	TokenRecheckDue(ctx context.Context, asset payment.AssetID, amount payment.Amount) (bool, error)
	CheckToken(ctx context.Context, asset payment.AssetID, now store.TokenState) (halted string, err error)
}

// TokenNode is one node, asked about tokens.
type TokenNode interface {
	chain.TokenReader
	chain.TokenSweeper
	Close()
}

// Tokens looks at what tokens' contracts are, and halts an asset whose contract is not what it was when it was enabled: who can
// change the code of a token can change what its transfers say.
type Tokens struct {
	Store TokenStore
	Keys  Opener
	Log   *slog.Logger
	// Open opens one node. The zero value is for production.
	Open func(evm.Options) (TokenNode, error)
}

// Do runs a question against the chain's nodes, one after the other, until one answers. It is asked seldom, so nothing is kept open.
// Error: chain.ErrUnavailable when there is no node; otherwise the last node's.
func (t *Tokens) Do(ctx context.Context, name string, ask func(TokenNode) error) error {
	endpoints, err := t.Store.ListRPCEndpoints(ctx, name)
	if err != nil {
		return err
	}
	failure := fmt.Errorf("chain %s has no node that can be asked: %w", name, chain.ErrUnavailable)
	for _, endpoint := range endpoints {
		url, err := t.Keys.Open(endpoint.URL, endpoint.URLPlace(name))
		if err == nil {
			err = t.with(string(url), ask)
		}
		if err == nil {
			return nil
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if !errors.Is(failure, chain.ErrRangeTooLarge) { // which the caller can do something about
			failure = fmt.Errorf("operator %s: %w", endpoint.Operator, err)
		}
	}
	return failure
}

func (t *Tokens) with(url string, ask func(TokenNode) error) error {
	open := t.Open
	if open == nil {
		open = func(opts evm.Options) (TokenNode, error) { return evm.New(opts) }
	}
	node, err := open(evm.Options{URL: url})
	if err != nil {
		return err
	}
	defer node.Close()
	return ask(node)
}

// Check looks at a token's contract and halts the asset when it has changed, with an alarm. That there is no contract any more
// is a change too. Every node that answers has to say the same: one that is not synchronised must not halt an asset. It returns
// why the asset is halted now, or "". Error: chain.ErrDisagreement.
func (t *Tokens) Check(ctx context.Context, asset payment.AssetID) (string, error) {
	var said []store.TokenState
	err := t.Do(ctx, asset.Chain, func(node TokenNode) error {
		meta, err := node.TokenMeta(ctx, asset.Contract)
		switch {
		case errors.Is(err, chain.ErrNoToken):
			said = append(said, store.TokenState{}) // the code of nothing is no hash that was pinned
		case err != nil:
			return err
		default:
			said = append(said, StateOf(meta))
		}
		return errNext
	})
	switch {
	case len(said) == 0:
		return "", fmt.Errorf("look at token %s: %w", asset, err)
	case slices.ContainsFunc(said, func(s store.TokenState) bool { return s != said[0] }):
		return "", fmt.Errorf("look at token %s: %w", asset, chain.ErrDisagreement)
	}
	now := said[0]
	halted, err := t.Store.CheckToken(ctx, asset, now)
	if err == nil && halted != "" {
		t.Log.ErrorContext(ctx, "a token is not what it was when it was enabled: nothing of it is credited until a person has looked",
			"asset", asset.String(), "reason", halted)
	}
	return halted, err
}

// errNext makes Do ask the next node although this one answered.
var errNext = errors.New("ask the next node")

// StateOf is what is pinned of what a contract says.
func StateOf(meta chain.TokenMeta) store.TokenState {
	return store.TokenState{
		Decimals: meta.Decimals, Code: meta.CodeHash, Implementation: meta.Implementation, Deprecated: meta.Deprecated,
	}
}

// tokenUnchanged looks at the token before a large payment in it is credited. What has changed halts the asset, and the credit
// finds that. An error means that nobody could look: the credit waits.
func (c *Chain) tokenUnchanged(ctx context.Context, s store.Settlement) error {
	if c.Tokens == nil || s.Native || s.Dust {
		return nil
	}
	due, err := c.Tokens.Store.TokenRecheckDue(ctx, s.Asset.ID, s.Amount)
	if err != nil || !due {
		return err
	}
	_, err = c.Tokens.Check(ctx, s.Asset.ID)
	return err
}
