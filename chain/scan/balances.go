package scan

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Balances is a round of balances to compare: what the addresses hold of the chain's own coin after a block.
type Balances struct {
	Block     payment.BlockRef
	Addresses []payment.Address
	// Round is the recorder's own.
	Round any
}

// BalanceRecorder is a Recorder that compares what addresses hold with what it has recorded. It is asked where the source is
// a chain.Balancer.
type BalanceRecorder interface {
	// BalancesDue picks at most limit addresses, those that were compared longest ago: of those for whom internal transfers
	// were not looked for in some block since, or about which something is open.
	BalancesDue(ctx context.Context, session Session, limit int) (Balances, error)
	// RecordBalances records a round, idempotently and in one transaction. It returns ErrFenced.
	RecordBalances(ctx context.Context, session Session, round Balances, seen []payment.Amount) error
}

// compareBalances does one round when it is time. Its failures are logged and not returned, unless they end the run: what
// it is for is no transfer that anybody waits for.
func (r *run) compareBalances(ctx context.Context) error {
	recorder, can := r.Recorder.(BalanceRecorder)
	source, balancer := r.Source.(chain.Balancer)
	if !can || !balancer || time.Since(r.second.comparedAt) < r.policy.BalanceEvery {
		return nil
	}
	r.second.comparedAt = time.Now()
	err := r.compareRound(ctx, recorder, source)
	switch {
	case err == nil:
		r.second.uncompared = 0
		return nil
	case isFinal(err) || ctx.Err() != nil:
		return err
	}
	r.second.uncompared++
	if r.second.uncompared == 1 {
		r.log.Warn("balances cannot be compared, trying again", "failure", failure(err), "err", err)
	}
	return nil
}

func (r *run) compareRound(ctx context.Context, recorder BalanceRecorder, source chain.Balancer) error {
	round, err := recorder.BalancesDue(ctx, r.session, r.policy.BalanceBudget)
	if err != nil {
		return fmt.Errorf("pick balances to compare: %w", err)
	}
	if len(round.Addresses) == 0 {
		return nil
	}
	seen, err := source.Balances(ctx, round.Block, payment.Address{}, round.Addresses)
	if err != nil {
		return fmt.Errorf("read balances at block %d: %w", round.Block.Number, err)
	}
	if len(seen) != len(round.Addresses) {
		return fmt.Errorf("%w: %d balances of %d addresses", chain.ErrInconsistent, len(seen), len(round.Addresses))
	}
	if err := recorder.RecordBalances(ctx, r.session, round, seen); err != nil {
		return fmt.Errorf("record balances at block %d: %w", round.Block.Number, err)
	}
	return nil
}
