package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Lag is how far a chain is recorded.
type Lag struct {
	Chain string
	// Recorded is the last block recorded and RecordedAt its time; zero before the first.
	Recorded   uint64
	RecordedAt time.Time
	// Head is the newest block that was seen.
	Head uint64
	// Blocks is how many blocks were seen and not recorded; Behind is the time that the chain takes to make as many.
	Blocks uint64
	Behind time.Duration
	// Silent is how long ago the watcher last recorded a block or told of the head.
	Silent time.Duration
	// Excessive: nothing is recorded yet, or Behind or Silent is longer than the chain's limit.
	Excessive    bool
	Paused       bool
	Disabled     bool   // an operator lets it take no orders; it is read all the same
	HaltedReason string // set when nothing is credited
	// RetryAfter is when it is worth looking again; zero when the chain takes orders.
	RetryAfter time.Duration
}

// TakesOrders tells whether an order's payment would be found and credited in time.
func (l Lag) TakesOrders() bool {
	return !l.Excessive && !l.Paused && !l.Disabled && l.HaltedReason == ""
}

// Bounds of Lag.RetryAfter.
const (
	shortestRetry = 5 * time.Second
	longestRetry  = 5 * time.Minute
	// handRetry is for what waits for a person.
	handRetry = time.Minute
	// startRetry is for a chain whose first block is about to be recorded.
	startRetry = 10 * time.Second
)

// ChainLag reads how far a chain is recorded. Error: CodeUnknownChain.
func (db *DB) ChainLag(ctx context.Context, chain string) (Lag, error) {
	lag, err := chainLag(ctx, db.q, chain)
	return lag, classify(err)
}

// ChainLags reads how far every chain is recorded, by name.
func (db *DB) ChainLags(ctx context.Context) ([]Lag, error) {
	rows, err := db.q.ChainLags(ctx, nil)
	if err != nil {
		return nil, fmt.Errorf("read how far the chains are recorded: %w", classify(err))
	}
	lags := make([]Lag, len(rows))
	for i, row := range rows {
		lags[i] = lagOf(row)
	}
	return lags, nil
}

func chainLag(ctx context.Context, q *sqlc.Queries, chain string) (Lag, error) {
	rows, err := q.ChainLags(ctx, &chain)
	switch {
	case err != nil:
		return Lag{}, fmt.Errorf("read how far chain %s is recorded: %w", chain, err)
	case len(rows) == 0:
		return Lag{}, payment.E(payment.CodeUnknownChain, "chain", "no such chain")
	default:
		return lagOf(rows[0]), nil
	}
}

// upToDate refuses a chain on which a payment would not be found or credited in time: whoever pays there would wait in
// vain, and the order might seem unpaid. Error: CodeChainLagging, with RetryAfterOf.
func (t txn) upToDate(ctx context.Context, chain string) error {
	lag, err := chainLag(ctx, t.q, chain)
	if err != nil || lag.TakesOrders() {
		return err
	}
	why := "this chain is not read far enough to see payments in time"
	switch {
	case lag.HaltedReason != "":
		why = "nothing is credited on this chain at the moment"
	case lag.Paused:
		why = "this chain is paused"
	}
	return payment.Wrap(retryAfterError(lag.RetryAfter), payment.CodeChainLagging, "chain", "%s; repeat the same request later", why)
}

func lagOf(row sqlc.ChainLagsRow) Lag {
	lag := Lag{
		Chain: row.Name, Recorded: uint64(deref(row.BlockNumber)), Head: uint64(deref(row.HeadNumber)),
		Paused: row.Paused, Disabled: row.Disabled, HaltedReason: deref(row.HaltedReason), Silent: time.Duration(row.SilentMs) * time.Millisecond,
	}
	if row.BlockTime != nil {
		lag.RecordedAt = row.BlockTime.UTC()
	}
	if lag.Head > lag.Recorded {
		lag.Blocks = lag.Head - lag.Recorded
	}
	blockTime, limit := milliseconds(row.BlockTimeMs), time.Duration(row.MaxLagSeconds)*time.Second
	lag.Behind = times(lag.Blocks, blockTime)
	lag.Excessive = row.BlockNumber == nil || lag.Behind > limit || lag.Silent > limit
	switch {
	case lag.Paused, lag.HaltedReason != "":
		lag.RetryAfter = handRetry
	case !lag.Excessive:
	case row.BlockNumber == nil:
		lag.RetryAfter = startRetry
	case lag.Behind <= limit: // silent: it speaks again when it is back, whenever that is
		lag.RetryAfter = handRetry
	default:
		lag.RetryAfter = catchUp(lag.Behind-limit, blockTime, deref(row.BlocksPerMinute))
	}
	return lag
}

// catchUp estimates how long it takes to record the blocks of the excess at the speed of late, while the chain goes on.
func catchUp(excess, blockTime time.Duration, perMinute int64) time.Duration {
	gained := perMinute - int64(time.Minute/blockTime)
	if gained <= 0 {
		return longestRetry // it falls back, or stands still
	}
	blocks := int64(excess/blockTime) + 1
	if blocks > gained*int64(longestRetry/time.Minute) {
		return longestRetry
	}
	return max(shortestRetry, time.Duration(blocks)*time.Minute/time.Duration(gained))
}

// times is n periods, at most the longest duration there is.
func times(n uint64, period time.Duration) time.Duration {
	const longest = time.Duration(1<<63 - 1)
	if n > uint64(longest/period) {
		return longest
	}
	return time.Duration(n) * period // bounded by the line above
}
