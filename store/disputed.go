package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Divide divides a round into the addresses whose balance is known and those that operators disagree about, which disputed says of
// each address of the round.
func (b BalanceRound) Divide(disputed []bool) (agreed, unclear BalanceRound) {
	agreed, unclear = BalanceRound{Block: b.Block, asset: b.asset}, BalanceRound{Block: b.Block, asset: b.asset}
	for i, address := range b.Addresses {
		part := &agreed
		if disputed[i] {
			part = &unclear
		}
		part.Addresses = append(part.Addresses, address)
		part.ids = append(part.ids, b.ids[i])
		part.since = append(part.since, b.since[i])
	}
	return agreed, unclear
}

// BalancesDisputed remembers that operators told different balances of a round's addresses, which says nothing about what they hold:
// others have their turn before these are asked for again. Error: ErrFenced.
func (r *Recorder) BalancesDisputed(ctx context.Context, s ScanSession, round BalanceRound) error {
	if len(round.ids) == 0 {
		return nil
	}
	ids := make([]string, len(round.ids))
	for i, id := range round.ids {
		ids[i] = string(id)
	}
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.turn(ctx, s); err != nil {
			return err
		}
		if err := t.q.BalancesDisputed(ctx, sqlc.BalancesDisputedParams{AssetID: round.asset.String(), Addresses: ids}); err != nil {
			return fmt.Errorf("remember disputed balances: %w", err)
		}
		return nil
	})
}
