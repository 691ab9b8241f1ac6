package activities

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

var _ scan.BalanceRecorder = StoreRecorder{}

// BalancesDue implements scan.BalanceRecorder.
func (r StoreRecorder) BalancesDue(ctx context.Context, s scan.Session, limit int) (scan.Balances, error) {
	round, err := r.Store.BalancesDue(ctx, session(s), limit)
	return scan.Balances{Block: round.Block, Addresses: round.Addresses, Round: round}, translate(err)
}

// RecordBalances implements scan.BalanceRecorder.
func (r StoreRecorder) RecordBalances(ctx context.Context, s scan.Session, b scan.Balances, seen []payment.Amount, disputed []bool) error {
	round, ok := b.Round.(store.BalanceRound)
	if !ok || len(disputed) != len(b.Addresses) || len(seen) != len(b.Addresses) {
		return fmt.Errorf("%w: no round of the store's", chain.ErrInconsistent)
	}
	agreed, unclear := round.Divide(disputed)
	if err := r.Store.BalancesDisputed(ctx, session(s), unclear); err != nil {
		return translate(err)
	}
	var known []payment.Amount
	for i, amount := range seen {
		if !disputed[i] {
			known = append(known, amount)
		}
	}
	_, err := r.Store.RecordBalances(ctx, session(s), agreed, known)
	return translate(err)
}
