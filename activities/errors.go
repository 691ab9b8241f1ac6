package activities

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// TypeWaiting is the type of the error that means "not yet".
const TypeWaiting = "waiting"

// passing are the codes of refusals that time heals; all others are final.
func passing() []payment.Code {
	return []payment.Code{
		payment.CodeUnavailable, payment.CodeInternal, payment.CodeStale, payment.CodeChainLagging, payment.CodeRateLimited,
		payment.CodeIdempotencyInFlight,
	}
}

// Final tells whether no repetition would change a refusal with this code.
func Final(code payment.Code) bool { return code != "" && !slices.Contains(passing(), code) }

// failure is what goes to Temporal instead of err. The text of err goes to the log, once per attempt.
func failure(ctx context.Context, log *slog.Logger, err error) error {
	var app *temporal.ApplicationError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &app):
		return err
	case ctx.Err() != nil:
		return ctx.Err() // the attempt was ended from outside; whatever failed did so for that reason
	}
	if refused, ok := errors.AsType[*payment.Error](err); ok && Final(refused.Code) {
		return temporal.NewNonRetryableApplicationError(message(refused), string(refused.Code), nil)
	}
	log.WarnContext(ctx, "activity attempt failed", append(about(ctx), slog.String("error", err.Error()))...)
	if refused, ok := errors.AsType[*payment.Error](err); ok {
		return temporal.NewApplicationError(message(refused), string(refused.Code))
	}
	if reason, ok := errors.AsType[chain.ReasonError](err); ok {
		return temporal.NewApplicationErrorWithOptions("the node could not answer: "+string(reason), "chain_"+string(reason),
			temporal.ApplicationErrorOptions{NextRetryDelay: min(chain.RetryAfter(err), longestWait)})
	}
	return temporal.NewApplicationError("something failed; the worker's log says what", string(payment.CodeInternal))
}

// message is the sentence of a refusal, without its cause.
func message(e *payment.Error) string {
	if e.Message == "" {
		return string(e.Code)
	}
	return e.Message
}

// about names the attempt in logs.
func about(ctx context.Context) []any {
	if !activity.IsActivity(ctx) {
		return nil
	}
	info := activity.GetInfo(ctx)
	return []any{
		slog.String("activity", info.ActivityType.Name), slog.String("workflow", info.WorkflowExecution.ID),
		slog.Int("attempt", int(info.Attempt)),
	}
}

// Bounds of what an activity asks the server to wait.
const (
	longestWait  = 30 * time.Second
	shortestWait = 50 * time.Millisecond
)

// waiting asks the server to try again after a delay. reason is for support to read.
func waiting(delay time.Duration, format string, args ...any) error {
	return temporal.NewApplicationErrorWithOptions(fmt.Sprintf(format, args...), TypeWaiting, temporal.ApplicationErrorOptions{
		NextRetryDelay: max(delay, shortestWait), Category: temporal.ApplicationErrorCategoryBenign,
	})
}
