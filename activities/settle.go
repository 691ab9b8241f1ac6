package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"go.temporal.io/sdk/activity"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// SettleStore is what settling needs of the store.
type SettleStore interface {
	LoadSettlement(ctx context.Context, id payment.PaymentID) (store.Settlement, error)
	Credit(ctx context.Context, in store.CreditInput) (store.CreditResult, error)
	ReadOrder(ctx context.Context, id payment.OrderID) (process.OrderView, error)
	// OpenReview asks a person to look at an inclusion; asking again changes nothing.
	OpenReview(ctx context.Context, in process.ReviewInput) error
}

// Sources gives access to a chain's nodes.
type Sources interface {
	// Source returns a source of the chain that this process may use as long as it runs.
	Source(ctx context.Context, chain string) (Source, error)
}

// Source is a chain's nodes, as recording and settling use them.
type Source interface {
	chain.Source
	chain.Verifier
}

// Chain are the activities that talk to nodes.
type Chain struct {
	Settle  SettleStore
	Sources Sources
	// Tokens looks at a token before a large payment in it is credited; nil looks at none.
	Tokens   *Tokens
	Log      *slog.Logger
	Patience Patience
	// Alarm counts what an operator must see at once; nil counts nothing.
	Alarm func(chain, cause string)
	// WatchOptions change how a chain is watched. The zero value is for production.
	WatchOptions WatchOptions
}

// Patience bounds how long settling goes on by itself when something is wrong. The zero value is for production.
type Patience struct {
	// Mismatch is how long the nodes may contradict what was recorded; ten minutes when zero. Most contradictions are a
	// reorganisation that the watcher is about to record, or a node that lags.
	Mismatch time.Duration
	// Halted is how long a chain or asset may be halted; an hour when zero.
	Halted time.Duration
	// Disagreement is how long operators may contradict each other, or too few of them answer for the amount; an hour when zero.
	Disagreement time.Duration
}

func (p Patience) mismatch() time.Duration { return orDefault(p.Mismatch, 10*time.Minute) }

func (p Patience) halted() time.Duration { return orDefault(p.Halted, time.Hour) }

func (p Patience) disagreement() time.Duration { return orDefault(p.Disagreement, time.Hour) }

func orDefault[T comparable](value, standard T) T {
	var zero T
	if value == zero {
		return standard
	}
	return value
}

// SettlePayment confirms a payment and credits it, in one attempt: between a check that is satisfied and the credit there
// is nothing to lose or to wait for. Until then each attempt makes one check and says when to make the next. The credit's
// transaction checks again that inclusion, block and amount are what the receipt showed. Refusal: not_found.
func (c *Chain) SettlePayment(ctx context.Context, in process.SettleInput) (process.SettleResult, error) {
	result, err := c.settle(ctx, in)
	return result, failure(ctx, c.Log, err)
}

func (c *Chain) settle(ctx context.Context, in process.SettleInput) (process.SettleResult, error) {
	s, err := c.Settle.LoadSettlement(ctx, in.PaymentID)
	if err != nil {
		return process.SettleResult{}, err
	}
	switch {
	case s.Credited:
		return c.over(ctx, in, s, process.SettleAlready)
	case s.Status == payment.StatusIgnored:
		return c.over(ctx, in, s, process.SettleIgnored)
	case s.Status == payment.StatusDropped || !s.Canonical:
		return c.over(ctx, in, s, process.SettleDropped)
	case s.Halted != "":
		return c.suspend(ctx, in, s, process.SettleHalted, string(s.Halted), c.Patience.halted(), longestWait)
	}
	if s.Paused {
		return process.SettleResult{}, paused()
	}
	check, err := c.check(ctx, s)
	if errors.Is(err, chain.ErrDisagreement) {
		return c.disagreed(ctx, in, s, chain.Check{}, causeDisagree)
	}
	if err != nil {
		return process.SettleResult{}, err
	}
	switch check.Outcome {
	case chain.Included:
	case chain.NodeBehind:
		return process.SettleResult{}, waiting(pace(s, 1), "the node has not reached block %d", s.Block.Number)
	default:
		return c.suspend(ctx, in, s, process.SettleMismatch, string(check.Outcome), c.Patience.mismatch(), pace(s, 2))
	}
	if !s.Policy.Met(s.Block.Number, check.Heads) {
		if err := calm(ctx); err != nil {
			return process.SettleResult{}, err
		}
		return process.SettleResult{}, notYet(s, check)
	}
	if err := c.tokenUnchanged(ctx, s); err != nil {
		return process.SettleResult{}, err
	}
	return c.credit(ctx, in, s, check)
}

// check asks a node whether the chain holds exactly what was recorded.
func (c *Chain) check(ctx context.Context, s store.Settlement) (chain.Check, error) {
	source, err := c.Sources.Source(ctx, s.Chain)
	if err != nil {
		return chain.Check{}, err
	}
	inclusion := chain.Inclusion{
		BlockNumber: s.Block.Number, BlockHash: s.Block.Hash, TxHash: s.TxHash, Native: s.Native, Position: s.Position,
		From: s.From, To: s.To, Amount: s.Amount,
	}
	if !s.Native {
		inclusion.Contract = s.Asset.ID.Contract
	}
	return source.CheckInclusion(ctx, inclusion, chain.Demand{Tag: s.Policy.Tag, Evidence: demanded(s.Evidence)})
}

// paused waits for whoever paused the chain, however long that takes.
func paused() error { return waiting(longestWait, "the chain is paused") }

// notYet waits for what is missing: the remaining blocks, or the tag, which moves in leaps that nobody can foresee.
func notYet(s store.Settlement, check chain.Check) error {
	missing := s.Policy.Missing(s.Block.Number, check.Heads)
	if missing == 0 {
		return waiting(longestWait, "%d of %d confirmations, waiting for %s", check.Depth, s.Policy.Confirmations, s.Policy.Tag)
	}
	return waiting(pace(s, missing), "%d of %d confirmations", check.Depth, s.Policy.Confirmations)
}

// pace is the time that so many blocks take, between one block and the longest wait.
func pace(s store.Settlement, blocks uint64) time.Duration {
	block := max(s.BlockTime, shortestWait)
	if blocks > uint64(longestWait/block) {
		return max(block, longestWait)
	}
	return block * time.Duration(blocks) //nolint:gosec // bounded by the line above
}

// credit posts what the check saw.
func (c *Chain) credit(ctx context.Context, in process.SettleInput, s store.Settlement, check chain.Check) (process.SettleResult, error) {
	credited, err := c.Settle.Credit(ctx, store.CreditInput{
		PaymentID: s.PaymentID, Inclusion: s.Inclusion, BlockHash: s.Block.Hash, Amount: s.Amount, Review: in.Review,
		Policy: s.Policy, Evidence: check.Evidence, Demanded: demanded(s.Evidence),
	})
	if err != nil {
		return process.SettleResult{}, err
	}
	result := process.SettleResult{Inclusion: s.Inclusion, Order: credited.Order}
	if in.Review != "" {
		result.Order = nil // a review has a view of its own
	}
	switch credited.Outcome {
	case store.CreditDone:
		result.Outcome = process.SettleCredited
	case store.CreditAlready:
		result.Outcome = process.SettleAlready
	case store.CreditIgnored:
		result.Outcome = process.SettleIgnored
	case store.CreditHalted:
		return c.suspend(ctx, in, s, process.SettleHalted, string(credited.Reason), c.Patience.halted(), longestWait)
	case store.CreditUnproven:
		return c.disagreed(ctx, in, s, check, causeEvidence)
	case store.CreditPaused:
		return process.SettleResult{}, paused()
	case store.CreditStale:
		if err := calm(ctx); err != nil {
			return process.SettleResult{}, err
		}
		return process.SettleResult{}, waiting(pace(s, 1), "what is recorded has changed, looking again")
	default:
		return process.SettleResult{}, fmt.Errorf("unknown outcome of a credit: %s", credited.Outcome)
	}
	return result, nil
}

// over is the end of settling without a credit, with the order as it is now.
func (c *Chain) over(ctx context.Context, in process.SettleInput, s store.Settlement, outcome process.SettleOutcome) (process.SettleResult, error) {
	result := process.SettleResult{Outcome: outcome, Inclusion: s.Inclusion}
	if s.OrderID == "" || in.Review != "" {
		return result, nil
	}
	view, err := c.Settle.ReadOrder(ctx, s.OrderID)
	result.Order = &view
	return result, err
}

// trouble is what an attempt leaves for the next one: since when the same thing has been wrong.
type trouble struct {
	Cause string    `json:"cause,omitempty"`
	Since time.Time `json:"since,omitzero"`
}

// suspend waits for a trouble to pass, until patience is over; then a person has to look.
func (c *Chain) suspend(
	ctx context.Context, in process.SettleInput, s store.Settlement, outcome process.SettleOutcome, cause string,
	patience, delay time.Duration,
) (process.SettleResult, error) {
	t := lastTrouble(ctx)
	now := time.Now()
	if t.Cause != cause {
		t = trouble{Cause: cause, Since: now}
		activity.RecordHeartbeat(ctx, t)
	}
	if now.Sub(t.Since) < patience {
		return process.SettleResult{}, waiting(delay, "%s: %s since %s", outcome, cause, t.Since.UTC().Format(time.TimeOnly))
	}
	return c.over(ctx, in, s, outcome)
}

// calm forgets a trouble that has passed, so that the next one of its kind is a new one.
func calm(ctx context.Context) error {
	if lastTrouble(ctx) != (trouble{}) {
		activity.RecordHeartbeat(ctx, trouble{})
	}
	return ctx.Err()
}

func lastTrouble(ctx context.Context) trouble {
	var t trouble
	if activity.HasHeartbeatDetails(ctx) {
		// Details that cannot be read are of another version: the trouble begins anew.
		_ = activity.GetHeartbeatDetails(ctx, &t)
	}
	return t
}
