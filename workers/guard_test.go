package workers

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"
	"go.temporal.io/sdk/worker"

	"github.com/sluicepay/sluice/payment"
)

type answer struct {
	Text string `json:"text"`
}

// guarded runs an activity behind the guard, as a regular or a local one, and returns what was logged too.
func guarded(t *testing.T, local bool, fn func(context.Context) (answer, error)) (answer, error, string) { //nolint:staticcheck // the log is an afterthought
	t.Helper()
	var out bytes.Buffer
	suite := &testsuite.WorkflowTestSuite{}
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{newGuard(slog.New(slog.NewTextHandler(&out, nil)))}})
	env.RegisterActivityWithOptions(fn, activity.RegisterOptions{Name: "Guarded"})
	execute := env.ExecuteActivity
	if local {
		execute = env.ExecuteLocalActivity
	}
	value, err := execute(fn)
	var result answer
	if err == nil {
		require.NoError(t, value.Get(&result))
	}
	return result, err, out.String()
}

func secrets() []string {
	return []string{
		"https://rpc.example/v3/canary", "postgres://u:canary@db/x", "wss://canary.example", "host=db user=canary",
		"xpub6D4BDPcP2GT577Vvch3R8wDkScZWzQzMMUm3PWbmWvVJrZwQY4VUNgqFJPMM3No2dFDFGTsxxpG5uJh7n7epu4trkrX7x7DogT5Uv6fcLW5",
		"whsec_canarycanarycanarycanary", "sk_live_canary", "password=canary",
	}
}

func TestCleanResultsPass(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{false, true} {
		for _, text := range []string{
			"", "ord_aaaaaaaaaaaaaaaaaaaaaaaaaa", "0x52908400098527886E0F7030069857D2E4169EE7", "dev/native", "2 of 12 confirmations", "25.00 USDC",
		} {
			result, err, _ := guarded(t, local, func(context.Context) (answer, error) { return answer{text}, nil })
			require.NoError(t, err)
			require.Equal(t, text, result.Text)
		}
	}
}

func TestWhatLooksLikeASecretStaysHere(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{false, true} {
		for _, secret := range secrets() {
			_, err, _ := guarded(t, local, func(context.Context) (answer, error) { return answer{"it is " + secret}, nil })
			require.ErrorContains(t, err, "withheld")
			require.NotContains(t, err.Error(), secret)

			_, err, log := guarded(t, local, func(context.Context) (answer, error) {
				return answer{}, temporal.NewApplicationErrorWithOptions("failed at "+secret, string(payment.CodeOrderState),
					temporal.ApplicationErrorOptions{NonRetryable: true, NextRetryDelay: time.Minute})
			})
			var app *temporal.ApplicationError
			require.ErrorAs(t, err, &app)
			require.NotContains(t, err.Error(), secret)
			require.Equal(t, "order_state", app.Type(), "what it means is kept")
			require.True(t, app.NonRetryable())
			require.Contains(t, log, "Guarded")
		}
	}
}

func TestForeignErrorsAreReplaced(t *testing.T) {
	t.Parallel()
	foreign := &url.Error{Op: "Post", URL: "https://rpc.example/canary-key", Err: errors.New("connection refused")}
	for _, err := range []error{
		foreign,
		fmt.Errorf("settle: %w", foreign),
		temporal.NewApplicationErrorWithCause("ours", "internal", foreign),
		temporal.NewApplicationError("ours", "internal", "https://rpc.example/canary-key"),
	} {
		_, got, _ := guarded(t, false, func(context.Context) (answer, error) { return answer{}, err })
		require.Error(t, got)
		require.NotContains(t, fmt.Sprintf("%+v", got), "canary")
	}
}

func TestOurErrorsPass(t *testing.T) {
	t.Parallel()
	waiting := temporal.NewApplicationErrorWithOptions("2 of 12 confirmations", "waiting", temporal.ApplicationErrorOptions{
		NextRetryDelay: 4 * time.Second, Category: temporal.ApplicationErrorCategoryBenign,
	})
	_, err, _ := guarded(t, false, func(context.Context) (answer, error) { return answer{}, fmt.Errorf("wrapped: %w", waiting) })
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, "2 of 12 confirmations", app.Message())
	require.Equal(t, 4*time.Second, app.NextRetryDelay())
	_, err, _ = guarded(t, false, func(context.Context) (answer, error) { return answer{}, context.DeadlineExceeded })
	require.Error(t, err)
}

func TestAPanicIsNotQuoted(t *testing.T) {
	t.Parallel()
	for _, local := range []bool{false, true} {
		_, err, log := guarded(t, local, func(context.Context) (answer, error) { panic("at https://rpc.example/canary") })
		require.ErrorContains(t, err, "panicked")
		require.NotContains(t, err.Error(), "canary")
		require.Contains(t, log, "stack")
	}
}

func TestHeartbeatsAreLookedAtToo(t *testing.T) {
	t.Parallel()
	suite := &testsuite.WorkflowTestSuite{}
	env := suite.NewTestActivityEnvironment()
	env.SetWorkerOptions(worker.Options{Interceptors: []interceptor.WorkerInterceptor{newGuard(discard())}})
	var beats []string
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var a answer
		if details.HasValues() {
			_ = details.Get(&a)
		}
		beats = append(beats, a.Text)
	})
	fn := func(ctx context.Context) error {
		activity.RecordHeartbeat(ctx, answer{"https://rpc.example/canary"})
		return nil
	}
	env.RegisterActivity(fn)
	_, err := env.ExecuteActivity(fn)
	require.NoError(t, err)
	require.Equal(t, []string{""}, beats)
}
