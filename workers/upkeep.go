package workers

import (
	"context"
	"log/slog"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// Sweeper is what the upkeep needs of the store.
type Sweeper interface {
	SweepOrders(ctx context.Context, silent time.Duration, limit int) ([]store.StalledOrder, error)
	SweepDeposits(ctx context.Context, silent time.Duration, limit int) ([]payment.PaymentID, error)
	SweepUnsettled(ctx context.Context, chain string, silent time.Duration, limit int) (store.Swept, error)
	OpenStuck(ctx context.Context, chain string, now time.Time, limit int) ([]store.StuckPayment, error)
	PruneSent(ctx context.Context, age time.Duration, limit int) (int, error)
	PruneClaims(ctx context.Context, age time.Duration, limit int) (int, error)
	TakeSnapshot(ctx context.Context) (int64, error)
}

// Starter starts workflows that may be missing; one that runs is left alone.
type Starter interface {
	StartOrder(ctx context.Context, id payment.OrderID) error
	StartCallbacks(ctx context.Context, of process.Stream) error
}

const (
	upkeepEvery = time.Minute
	upkeepBatch = 500
	// pruneFor bounds how long one round forgets, so that it holds up nothing else for long.
	pruneFor = 10 * time.Second
	// snapshotRounds keeps the tail of postings behind a balance to what an hour brings.
	snapshotRounds = 60
	// sweepSilent is how long nothing was said about an unsettled payment before its process is told again. Receipt checks
	// run by themselves; this is for processes that were reset, terminated or lost.
	sweepSilent = 15 * time.Minute
	// outboxAge is longer than anybody looks into why a signal was sent.
	outboxAge = 7 * 24 * time.Hour
	// claimAge is how long an idempotency key is kept.
	claimAge = 30 * 24 * time.Hour
)

// upkeep wakes what was forgotten and forgets what is over. It may run in several processes at once.
type upkeep struct {
	store  Sweeper
	to     Starter
	chains func() []string
	log    *slog.Logger
}

// Run does the rounds until ctx ends.
func (u upkeep) Run(ctx context.Context) error {
	for n := 1; ; n++ {
		u.round(ctx)
		if n%snapshotRounds == 0 {
			through, err := u.store.TakeSnapshot(ctx)
			u.report(ctx, "take a snapshot of the ledger", err, "through", through)
		}
		if pause(ctx, upkeepEvery) != nil {
			return nil //nolint:nilerr // the end of ctx is how this ends
		}
	}
}

func (u upkeep) round(ctx context.Context) {
	for _, chain := range u.chains() {
		swept, err := u.store.SweepUnsettled(ctx, chain, sweepSilent, upkeepBatch)
		u.report(ctx, "sweep", err, "chain", chain, "payments", swept.Payments, "reviews", swept.Reviews)
		u.openStuck(ctx, chain)
	}
	u.startStalled(ctx)
	u.startDeposits(ctx)
	n, err := prune(ctx, outboxAge, u.store.PruneSent)
	u.report(ctx, "prune the outbox", err, "rows", n)
	n, err = prune(ctx, claimAge, u.store.PruneClaims)
	u.report(ctx, "prune idempotency keys", err, "rows", n)
}

// openStuck asks people to look at payments that do not confirm.
func (u upkeep) openStuck(ctx context.Context, chain string) {
	stuck, err := u.store.OpenStuck(ctx, chain, time.Now(), upkeepBatch)
	for _, p := range stuck {
		u.log.WarnContext(ctx, "a payment is not confirmed by its deadline", "chain", chain, "payment", p.ID, "deadline", p.Deadline)
	}
	u.report(ctx, "review payments that do not confirm", err, "chain", chain, "payments", len(stuck))
}

// prune forgets batch after batch until nothing is left that is old enough, the time is up, or ctx ends. One batch for
// each round would be outrun by a busy database.
func prune(ctx context.Context, age time.Duration, batch func(context.Context, time.Duration, int) (int, error)) (int, error) {
	end := time.Now().Add(pruneFor)
	for total := 0; ; {
		n, err := batch(ctx, age, upkeepBatch)
		total += n
		if err != nil || n < upkeepBatch || !time.Now().Before(end) {
			return total, err
		}
	}
}

func (u upkeep) report(ctx context.Context, what string, err error, about ...any) {
	switch {
	case ctx.Err() != nil:
	case err != nil:
		u.log.WarnContext(ctx, "upkeep failed, the next round tries again", "task", what, "error", err)
	default:
		u.log.DebugContext(ctx, "upkeep", append([]any{"task", what}, about...)...)
	}
}

// startStalled starts the workflows of orders that should have moved long ago. Payments have wake-ups of their own; an expiry or
// a callback has none when its workflow was terminated.
func (u upkeep) startStalled(ctx context.Context) {
	stalled, err := u.store.SweepOrders(ctx, sweepSilent, upkeepBatch)
	for _, order := range stalled {
		start := func() error { return u.to.StartCallbacks(ctx, process.OrderStream(order.ID)) }
		if order.TakesPayments {
			start = func() error { return u.to.StartOrder(ctx, order.ID) }
		}
		if startErr := start(); startErr != nil {
			err = startErr // the next sweep finds it again
		}
	}
	u.report(ctx, "start stalled orders", err, "orders", len(stalled))
}

// startDeposits does the same for callbacks of payments that are for no order.
func (u upkeep) startDeposits(ctx context.Context) {
	deposits, err := u.store.SweepDeposits(ctx, sweepSilent, upkeepBatch)
	for _, id := range deposits {
		if startErr := u.to.StartCallbacks(ctx, process.PaymentStream(id)); startErr != nil {
			err = startErr // the next sweep finds it again
		}
	}
	u.report(ctx, "start callbacks of deposits", err, "payments", len(deposits))
}
