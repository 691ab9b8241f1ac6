package workers

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// TokenStore is what the upkeep of tokens needs of the store.
type TokenStore interface {
	GetChain(ctx context.Context, name string) (store.Chain, error)
	TokensToCheck(ctx context.Context, chain string, family payment.Family, age time.Duration, limit int) ([]store.TokenToCheck, error)
	NextTokenSweep(ctx context.Context, chain string) (store.TokenSweep, bool, error)
	IssuedAddresses(ctx context.Context, sweep store.TokenSweep, after string, limit int) ([]payment.Address, string, error)
	RecordTokenSweep(ctx context.Context, sweep store.TokenSweep, found []store.SweptTransfer) error
	StrangeCounts(ctx context.Context) ([]store.StrangeCounts, error)
}

const (
	tokensEvery = 10 * time.Minute
	// tokenAge is how long a look at a token's contract is good for.
	tokenAge   = 24 * time.Hour
	tokenBatch = 100
	// sweepPage is how many addresses one question names: as many as nodes take.
	sweepPage = 1000
	// sweepBudget bounds the questions of one round. A piece that is begun is brought to its end.
	sweepBudget = 100
)

// tokenKeeper looks at the contracts of tokens once a day, and looks for tokens that nobody enabled where the watcher did not. It
// may run in several processes at once.
type tokenKeeper struct {
	store   TokenStore
	tokens  *activities.Tokens
	chains  func() []string
	metrics *Metrics
	log     *slog.Logger
}

// Run does the rounds until ctx ends.
func (k tokenKeeper) Run(ctx context.Context) error {
	for {
		for _, name := range k.chains() {
			k.check(ctx, name)
			k.sweep(ctx, name)
		}
		k.count(ctx)
		if pause(ctx, tokensEvery) != nil {
			return nil //nolint:nilerr // the end of ctx is how this ends
		}
	}
}

// check looks at the tokens of a chain that nobody looked at today. What cannot be asked about is asked about in the next round.
func (k tokenKeeper) check(ctx context.Context, chain string) {
	settings, err := k.store.GetChain(ctx, chain)
	if err != nil {
		k.failed(ctx, "read a chain", chain, err)
		return
	}
	due, err := k.store.TokensToCheck(ctx, chain, settings.Family, tokenAge, tokenBatch)
	if err != nil {
		k.failed(ctx, "list tokens", chain, err)
		return
	}
	for _, token := range due {
		if _, err := k.tokens.Check(ctx, token.Asset); err != nil {
			k.failed(ctx, "look at token "+token.Code, chain, err)
		}
	}
}

// sweep looks through final blocks in which transfers of all contracts were not looked for.
func (k tokenKeeper) sweep(ctx context.Context, name string) {
	for asked := 0; asked < sweepBudget; {
		piece, ok, err := k.store.NextTokenSweep(ctx, name)
		if err == nil && !ok {
			return
		}
		var n int
		if err == nil {
			n, err = k.sweepPiece(ctx, piece)
		}
		for errors.Is(err, chain.ErrRangeTooLarge) && piece.Last > piece.First && ctx.Err() == nil {
			piece.Last = piece.First + (piece.Last-piece.First)/2 // every refusal halves it
			n, err = k.sweepPiece(ctx, piece)
		}
		if err != nil {
			k.failed(ctx, "look for unknown tokens", name, err)
			return
		}
		asked += n
	}
}

// sweepPiece asks for one piece, a page of addresses at a time, and returns how often it asked; at least 1.
func (k tokenKeeper) sweepPiece(ctx context.Context, piece store.TokenSweep) (asked int, err error) {
	var found []store.SweptTransfer
	for after := ""; ; {
		var page []payment.Address
		if page, after, err = k.store.IssuedAddresses(ctx, piece, after, sweepPage); err != nil {
			return asked, err
		}
		asked++
		if len(page) > 0 {
			err := k.tokens.Do(ctx, piece.Chain, func(node activities.TokenNode) error {
				transfers, err := node.TransfersTo(ctx, piece.First, piece.Last, page)
				for _, t := range transfers {
					found = append(found, store.SweptTransfer{
						Transfer: t.Transfer, Block: payment.BlockRef{Number: t.BlockNumber, Hash: t.BlockHash},
					})
				}
				return err
			})
			if err != nil {
				return asked, err
			}
		}
		if after == "" {
			return asked, k.store.RecordTokenSweep(ctx, piece, found)
		}
	}
}

// count shows what came and is no money.
func (k tokenKeeper) count(ctx context.Context) {
	counts, err := k.store.StrangeCounts(ctx)
	if err != nil {
		k.failed(ctx, "count what is no money", "", err)
		return
	}
	for _, c := range counts {
		k.metrics.strange(c)
	}
}

func (k tokenKeeper) failed(ctx context.Context, what, chain string, err error) {
	if ctx.Err() == nil {
		k.log.WarnContext(ctx, "upkeep of tokens failed, the next round tries again", "task", what, "chain", chain, "error", err)
	}
}
