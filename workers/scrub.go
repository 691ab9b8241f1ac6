package workers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"

	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/payment"
)

// scrubber stands between activities and Temporal. Activities name their failures themselves; this is for what slips past
// them: the text of a foreign error or a panic may hold a URL with a key in it, and histories are read by many.
type scrubber struct {
	interceptor.WorkerInterceptorBase
	log *slog.Logger
}

// InterceptActivity wraps every activity, local ones too.
func (s *scrubber) InterceptActivity(ctx context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &scrubbedActivity{ActivityInboundInterceptorBase: interceptor.ActivityInboundInterceptorBase{Next: next}, log: s.log}
}

type scrubbedActivity struct {
	interceptor.ActivityInboundInterceptorBase
	log *slog.Logger
}

// ExecuteActivity runs the activity and lets only errors out whose text is ours.
func (a *scrubbedActivity) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (result any, err error) {
	defer func() {
		if p := recover(); p != nil {
			a.log.ErrorContext(ctx, "activity panicked", "activity", activity.GetInfo(ctx).ActivityType.Name,
				"panic", fmt.Sprint(p), "stack", string(debug.Stack()))
			result, err = nil, unnamed("the activity panicked; the worker's log says where")
		}
	}()
	result, err = a.Next.ExecuteActivity(ctx, in)
	return result, a.scrub(ctx, err)
}

func (a *scrubbedActivity) scrub(ctx context.Context, err error) error {
	var (
		application *temporal.ApplicationError
		canceled    *temporal.CanceledError
	)
	switch {
	case err == nil, errors.Is(err, activity.ErrResultPending), errors.As(err, &canceled):
		return err
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded):
		return context.DeadlineExceeded
	case errors.As(err, &application) && errors.Unwrap(application) == nil:
		return application // without whatever was wrapped around it
	}
	a.log.WarnContext(ctx, "activity failed without a name", "activity", activity.GetInfo(ctx).ActivityType.Name, "error", err)
	return unnamed("something failed; the worker's log says what")
}

func unnamed(message string) error {
	return temporal.NewApplicationError(message, string(payment.CodeInternal))
}
