package workers

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"regexp"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/payment"
)

// guard keeps secrets and addresses of servers out of histories. Activities are written so that it never has anything to
// do; it is the second lock, for the mistake that somebody makes one day.
type guard struct {
	interceptor.WorkerInterceptorBase

	log  *slog.Logger
	leak *regexp.Regexp
}

// leaks match what never belongs in a payload: URLs (they hold keys, in their path, query or user part), extended and
// private keys, signing secrets, API keys, and the texts in which database drivers describe connections.
const leaks = `(?i)[a-z][a-z0-9+.-]*://|` +
	`\b[xyzt](?:pub|prv)[1-9A-HJ-NP-Za-km-z]{40,}|` +
	`\bwhsec_|\bsk_(?:test|live)_|` +
	`\bpassword=|\buser=\S+ (?:database|host)=|\bhost=\S+ user=`

func newGuard(log *slog.Logger) *guard {
	return &guard{log: log, leak: regexp.MustCompile(leaks)}
}

// InterceptActivity implements interceptor.WorkerInterceptor.
func (g *guard) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	i := &guardInbound{guard: g}
	i.Next = next
	return i
}

type guardInbound struct {
	interceptor.ActivityInboundInterceptorBase

	guard *guard
}

// Init puts the guard around heartbeats.
func (i *guardInbound) Init(outbound interceptor.ActivityOutboundInterceptor) error {
	o := &guardOutbound{guard: i.guard}
	o.Next = outbound
	return i.Next.Init(o)
}

// ExecuteActivity implements interceptor.ActivityInboundInterceptor.
func (i *guardInbound) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	result, err := i.Next.ExecuteActivity(ctx, in)
	if err != nil {
		return nil, i.guard.clean(ctx, err)
	}
	if i.guard.leaks(result) {
		i.guard.report(ctx, "result")
		return nil, withheld("the result was withheld: it looked like a secret")
	}
	return result, nil
}

// clean lets errors of ours pass when their text is clean. Everything else, foreign errors first of all, is replaced.
func (g *guard) clean(ctx context.Context, err error) error {
	var app *temporal.ApplicationError
	if ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return ctx.Err()
	}
	if errors.Is(err, activity.ErrResultPending) || temporal.IsCanceledError(err) {
		return err
	}
	if !errors.As(err, &app) {
		g.log.ErrorContext(ctx, "an activity returned an error that is not made for histories", "activity", name(ctx), "error", err.Error())
		return withheld("something failed; the worker's log says what")
	}
	if errors.Unwrap(app) != nil || app.HasDetails() || g.leak.MatchString(app.Error()) {
		g.report(ctx, "error")
		return temporal.NewApplicationErrorWithOptions("the text was withheld; the worker's log says what failed", app.Type(), temporal.ApplicationErrorOptions{
			NonRetryable: app.NonRetryable(), NextRetryDelay: app.NextRetryDelay(), Category: app.Category(),
		})
	}
	return app
}

// withheld is retried: what is wrong is the code, and a mended worker goes on where this one failed.
func withheld(text string) error {
	return temporal.NewApplicationError(text, string(payment.CodeInternal))
}

// leaks looks at a value as it would be written.
func (g *guard) leaks(values ...any) bool {
	for _, value := range values {
		if value == nil {
			continue
		}
		text, err := json.Marshal(value)
		if err != nil || g.leak.Match(text) {
			return true
		}
	}
	return false
}

func (g *guard) report(ctx context.Context, what string) {
	g.log.ErrorContext(ctx, "an activity's "+what+" looked like a secret and was withheld", "activity", name(ctx))
}

func name(ctx context.Context) string {
	if !activity.IsActivity(ctx) {
		return ""
	}
	return activity.GetInfo(ctx).ActivityType.Name
}

type guardOutbound struct {
	interceptor.ActivityOutboundInterceptorBase

	guard *guard
}

// RecordHeartbeat implements interceptor.ActivityOutboundInterceptor. A heartbeat without details is still a heartbeat.
func (o *guardOutbound) RecordHeartbeat(ctx context.Context, details ...any) {
	if o.guard.leaks(details...) {
		o.guard.report(ctx, "heartbeat")
		details = nil
	}
	o.Next.RecordHeartbeat(ctx, details...)
}

