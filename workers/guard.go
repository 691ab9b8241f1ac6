package workers

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"regexp"
	"runtime/debug"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/payment"
)

// guard stands between activities and Temporal, local activities included, and keeps secrets and addresses of servers out
// of histories. Activities name their failures themselves and return ids and codes; this is for the mistake that
// somebody makes one day.
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
	`\bpassword=|\bhost=\S+ user=|\buser=\S+ (?:database|host)=`

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
func (i *guardInbound) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			i.guard.log.ErrorContext(ctx, "activity panicked", "activity", activityName(ctx),
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result, err = nil, withheld("the activity panicked; the worker's log says where")
		}
	}()
	result, err = i.Next.ExecuteActivity(ctx, in)
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
	switch {
	case errors.Is(err, activity.ErrResultPending), temporal.IsCanceledError(err):
		return err
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	}
	app, ours := errors.AsType[*temporal.ApplicationError](err)
	if !ours {
		g.log.ErrorContext(ctx, "activity failed without a name", "activity", activityName(ctx), "error", err.Error())
		return withheld("something failed; the worker's log says what")
	}
	if errors.Unwrap(app) == nil && !app.HasDetails() && !g.leak.MatchString(app.Error()) {
		return app // without whatever was wrapped around it
	}
	g.report(ctx, "error")
	return temporal.NewApplicationErrorWithOptions("the text was withheld: it looked like a secret", app.Type(), temporal.ApplicationErrorOptions{
		NonRetryable: app.NonRetryable(), NextRetryDelay: app.NextRetryDelay(), Category: app.Category(),
	})
}

// withheld is retried: what is wrong is the code, and a mended worker goes on where this one failed.
func withheld(text string) error {
	return temporal.NewApplicationError(text, string(payment.CodeInternal))
}

// leaks looks at values as they would be written.
func (g *guard) leaks(values ...any) bool {
	for _, value := range values {
		text, err := json.Marshal(value)
		if err != nil || g.leak.Match(text) {
			return true
		}
	}
	return false
}

func (g *guard) report(ctx context.Context, what string) {
	g.log.ErrorContext(ctx, "what an activity returned looked like a secret and was withheld", "activity", activityName(ctx), "part", what)
}

func activityName(ctx context.Context) string {
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
