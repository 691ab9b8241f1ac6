package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Swept says what a sweep found.
type Swept struct {
	Payments int // on their way, and told again
	Reviews  int // open, and told again
}

// SweepUnsettled writes new wake-ups for payments that are neither settled nor dropped, and for open reviews, of which
// nobody was told for a while: a workflow that was reset, terminated or lost with Temporal's own data has forgotten them.
// At most limit of each. Sweeps may run at once; each wake-up has a key of its own, so it is not taken for a repetition.
func (db *DB) SweepUnsettled(ctx context.Context, chain string, silent time.Duration, limit int) (Swept, error) {
	payments, err := db.q.SweepPayments(ctx, sqlc.SweepPaymentsParams{
		Chain: chain, OlderMs: silent.Milliseconds(), MaxRows: int32(limit),
	})
	if err != nil {
		return Swept{}, fmt.Errorf("sweep payments of chain %s: %w", chain, classify(err))
	}
	reviews, err := db.q.SweepReviews(ctx, sqlc.SweepReviewsParams{
		Chain: chain, OlderMs: silent.Milliseconds(), MaxRows: int32(limit),
	})
	if err != nil {
		return Swept{}, fmt.Errorf("sweep reviews of chain %s: %w", chain, classify(err))
	}
	return Swept{Payments: int(payments), Reviews: int(reviews)}, nil
}
