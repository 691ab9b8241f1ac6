package activities

import (
	"context"
	"log/slog"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// Why a payment is not credited although it is deep enough. They are the labels of the alarms.
const (
	// causeDisagree: operators contradict each other about the block or the transfer.
	causeDisagree = "operators_disagree"
	// causeEvidence: too few operators vouch for so much money, and the single-source limit is used up.
	causeEvidence = "evidence"
)

// disagreed waits until operators agree, or until enough of them answer. It is an alarm at once. After the patience for it,
// settling ends and a person is asked; recording goes on all the while, and so does the settling of everything else.
func (c *Chain) disagreed(
	ctx context.Context, in process.SettleInput, s store.Settlement, check chain.Check, cause string,
) (process.SettleResult, error) {
	if lastTrouble(ctx).Cause != cause {
		c.alarm(ctx, s, check, cause)
	}
	result, err := c.suspend(ctx, in, s, process.SettleDisagreement, cause, c.Patience.disagreement(), longestWait)
	if err != nil || in.Review == process.CauseDisagreement {
		return result, err
	}
	return result, c.Settle.OpenReview(ctx, process.ReviewInput{
		PaymentID: s.PaymentID, Inclusion: s.Inclusion, Cause: process.CauseDisagreement,
	})
}

func (c *Chain) alarm(ctx context.Context, s store.Settlement, check chain.Check, cause string) {
	c.Log.ErrorContext(ctx, "a payment is not credited until operators agree about it", append(about(ctx),
		slog.String("cause", cause), slog.String("chain", s.Chain), slog.String("payment", string(s.PaymentID)),
		slog.String("demanded", string(demanded(s.Evidence))), slog.String("evidence", string(check.Evidence)),
		slog.Any("operators", check.Operators))...)
	if c.Alarm != nil {
		c.Alarm(s.Chain, cause)
	}
}

// demanded names what is asked for: one operator's word at least.
func demanded(e payment.Evidence) payment.Evidence { return orDefault(e, payment.EvidenceSingle) }
