package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// PauseChain makes the chain's watcher read and write nothing until it is told to go on, and crediting wait with it. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) PauseChain(ctx context.Context, chain string, by process.By, requestID string) error {
	return db.control(ctx, chain, deed{By: by, Action: "chain.pause", RequestID: requestID}, (*sqlc.Queries).PauseChain)
}

// UnpauseChain lets a paused chain go on where it stopped. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) UnpauseChain(ctx context.Context, chain string, by process.By, requestID string) error {
	return db.control(ctx, chain, deed{By: by, Action: "chain.unpause", RequestID: requestID}, (*sqlc.Queries).UnpauseChain)
}

// ResumeChain ends a halt: payments of the chain are credited again. Whatever waits for that, or gave up because of the halt, is
// woken at once. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) ResumeChain(ctx context.Context, chain string, by process.By, requestID string) error {
	return db.control(ctx, chain, deed{By: by, Action: "chain.resume", RequestID: requestID},
		func(q *sqlc.Queries, ctx context.Context, chain string) (int64, error) {
			changed, err := q.ResumeChain(ctx, chain)
			if err != nil || changed == 0 {
				return 0, err
			}
			return changed, wakeHalted(ctx, q, chain, nil)
		})
}

// wakeHalted writes the wake-ups after a halt of a chain, or of one asset of it, each under a key of its own like the sweep's.
func wakeHalted(ctx context.Context, q *sqlc.Queries, chain string, asset *string) error {
	if _, err := q.WakeHaltedPayments(ctx, sqlc.WakeHaltedPaymentsParams{Chain: chain, AssetID: asset}); err != nil {
		return fmt.Errorf("wake payments: %w", err)
	}
	if _, err := q.WakeHaltedReviews(ctx, sqlc.WakeHaltedReviewsParams{Chain: chain, AssetID: asset}); err != nil {
		return fmt.Errorf("wake reviews: %w", err)
	}
	return nil
}

// LookForAnyToken has transfers of every token to addresses of ours looked for, which is how a chain begins, or only those of enabled
// ones. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) LookForAnyToken(ctx context.Context, chain string, on bool, by process.By, requestID string) error {
	action := "chain.any_token.off"
	if on {
		action = "chain.any_token.on"
	}
	return db.control(ctx, chain, deed{By: by, Action: action, RequestID: requestID},
		func(q *sqlc.Queries, ctx context.Context, chain string) (int64, error) {
			return q.SetAnyToken(ctx, sqlc.SetAnyTokenParams{Name: chain, AnyToken: on})
		})
}

// IgnoreBlooms has the bloom filters of a chain's blocks not looked at, which is for networks where they are wrong, or looked at again.
// Workers follow within a minute. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) IgnoreBlooms(ctx context.Context, chain string, ignore bool, by process.By, requestID string) error {
	action := "chain.bloom.on"
	if ignore {
		action = "chain.bloom.off"
	}
	return db.control(ctx, chain, deed{By: by, Action: action, RequestID: requestID},
		func(q *sqlc.Queries, ctx context.Context, chain string) (int64, error) {
			return q.SetIgnoreBloom(ctx, sqlc.SetIgnoreBloomParams{Name: chain, IgnoreBloom: ignore})
		})
}

// control changes a chain's row, and audits it when that changed something.
func (db *DB) control(
	ctx context.Context, chain string, d deed, change func(*sqlc.Queries, context.Context, string) (int64, error),
) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.q.ScanChain(ctx, chain); err != nil {
			return unknownChain(err)
		}
		changed, err := change(t.q, ctx, chain)
		return t.auditChange(ctx, d, chain, changed, err)
	})
}

// ChainProgress is how far a chain was read.
type ChainProgress struct {
	Name    string
	Mode    payment.Mode
	Enabled bool
	Paused  bool
	// HaltedReason is set when nothing is credited on this chain.
	HaltedReason string
	// Block is the last block that was recorded, Head the newest that any node showed; nil before the first.
	Block, Head *uint64
	// Untraced counts the blocks that no node traced since the first one that was traced. TracesGivenUp are those among them that
	// are not asked for any more.
	Untraced, TracesGivenUp int64
	// Quarantined counts the blocks that could not be read and were not since; FirstQuarantined is the lowest of them.
	Quarantined      int64
	FirstQuarantined uint64
	// AcceptedHoles are those among them that hold nothing up any more.
	AcceptedHoles int64
	// IgnoresBlooms: the bloom filters of its blocks are not looked at.
	IgnoresBlooms bool
	// KnownTokensOnly: transfers of tokens that nobody enabled are not looked for.
	KnownTokensOnly bool
}

// ListProgress tells of every chain, by name, how far it was read. Disabled chains are among them.
func (db *DB) ListProgress(ctx context.Context) ([]ChainProgress, error) {
	rows, err := db.q.ChainProgress(ctx)
	if err != nil {
		return nil, classify(err)
	}
	untraced, err := db.untraced(ctx)
	if err != nil {
		return nil, err
	}
	chains := make([]ChainProgress, len(rows))
	for i, row := range rows {
		chains[i] = ChainProgress{
			Name: row.Name, Mode: payment.Mode(row.Mode), Enabled: row.Enabled, Paused: row.Paused, HaltedReason: row.HaltedReason,
			Block: unsigned(row.BlockNumber), Head: unsigned(row.HeadNumber),
			Untraced: untraced[row.Name].Untraced, TracesGivenUp: untraced[row.Name].GivenUp,
			Quarantined: row.Quarantined, FirstQuarantined: uint64(row.FirstQuarantined), KnownTokensOnly: !row.AnyToken,
			AcceptedHoles: row.AcceptedHoles, IgnoresBlooms: row.IgnoreBloom,
		}
	}
	return chains, nil
}

func unsigned(n *int64) *uint64 {
	if n == nil {
		return nil
	}
	u := uint64(*n)
	return &u
}

// unknownChain turns "no row" into CodeUnknownChain and classifies the rest.
func unknownChain(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	}
	return classify(err)
}
