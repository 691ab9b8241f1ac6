package scan

import (
	"context"
	"fmt"
	"slices"
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
	// RecordBalances records a round, idempotently: what each address was seen to hold, unless operators disputed it. Of those
	// it records only that they had their turn. It returns ErrFenced.
	RecordBalances(ctx context.Context, session Session, round Balances, seen []payment.Amount, disputed []bool) error
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
	seen, disputed, err := r.balances(ctx, source, round)
	if err != nil {
		return fmt.Errorf("read balances at block %d: %w", round.Block.Number, err)
	}
	if slices.Contains(disputed, true) {
		r.log.Error("operators disagree about balances: nothing is concluded from those", "block", round.Block.Number)
	}
	if err := recorder.RecordBalances(ctx, r.session, round, seen, disputed); err != nil {
		return fmt.Errorf("record balances at block %d: %w", round.Block.Number, err)
	}
	return nil
}

// balances reads a round's balances. Where there are several operators, what counts is what two of them say, and more than say
// anything else: nothing is concluded from the word of one while there is another one to ask. What is left is disputed.
func (r *run) balances(ctx context.Context, source chain.Balancer, round Balances) (seen []payment.Amount, disputed []bool, err error) {
	tellers := tellers(r.Source, source)
	least := min(enoughViews, len(tellers))
	var said [][]payment.Amount // by operator
	for _, teller := range tellers {
		balances, failed := teller.Balances(ctx, round.Block, payment.Address{}, round.Addresses)
		if failed == nil && len(balances) != len(round.Addresses) {
			failed = fmt.Errorf("%w: %d balances of %d addresses", chain.ErrInconsistent, len(balances), len(round.Addresses))
		}
		switch {
		case ctx.Err() != nil:
			return nil, nil, ctx.Err()
		case failed != nil:
			err = failed
			continue
		}
		if said = append(said, balances); len(said) < least {
			continue
		}
		if seen, disputed = mostSay(said); !slices.Contains(disputed, true) {
			break
		}
	}
	if len(said) < least {
		return nil, nil, err
	}
	return seen, disputed, nil
}

// tellers are those who can be asked for balances: each operator for itself, where they are known.
func tellers(source chain.Source, balancer chain.Balancer) []chain.Balancer {
	var list []chain.Balancer
	if pool, ok := source.(chain.Witnesser); ok {
		for _, witness := range pool.Witnesses() {
			if teller, ok := witness.Source.(chain.Balancer); ok {
				list = append(list, teller)
			}
		}
	}
	if len(list) == 0 {
		return []chain.Balancer{balancer}
	}
	return list
}

// mostSay returns of each address what more operators say than anything else, and whether there is none such: as many say
// something else. Of two operators or more, who is alone is outvoted or disputed.
func mostSay(said [][]payment.Amount) (seen []payment.Amount, disputed []bool) {
	seen, disputed = make([]payment.Amount, len(said[0])), make([]bool, len(said[0]))
	for i := range seen {
		votes := map[payment.Amount]int{}
		for _, balances := range said {
			votes[balances[i]]++
		}
		most, others := 0, 0
		for amount, count := range votes {
			if count > most {
				seen[i], most, others = amount, count, most
			} else {
				others = max(others, count)
			}
		}
		disputed[i] = most == others
	}
	return seen, disputed
}
