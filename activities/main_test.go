package activities_test

import (
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/pgtest"
	"github.com/sluicepay/sluice/payment"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// run executes one attempt of an activity, with heartbeat details of an earlier one if there are any.
func run[R any](t *testing.T, fn, input any, details ...any) (R, error) {
	t.Helper()
	env := environment(fn)
	if len(details) > 0 {
		env.SetHeartbeatDetails(details[0])
	}
	return execute[R](t, env, fn, input)
}

func environment(fn any) *testsuite.TestActivityEnvironment {
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(quiet{})
	env := suite.NewTestActivityEnvironment()
	env.SetTestTimeout(await.Broken)
	env.RegisterActivity(fn)
	return env
}

func execute[R any](t *testing.T, env *testsuite.TestActivityEnvironment, fn, input any) (R, error) {
	t.Helper()
	var result R
	value, err := env.ExecuteActivity(fn, input)
	if err == nil && value != nil && value.HasValue() {
		require.NoError(t, value.Get(&result))
	}
	return result, err
}

// heartbeats collects what an activity reports.
func heartbeats[D any](t *testing.T, env *testsuite.TestActivityEnvironment) *[]D {
	t.Helper()
	var all []D
	env.SetOnActivityHeartbeatListener(func(_ *activity.Info, details converter.EncodedValues) {
		var d D
		if details.HasValues() && details.Get(&d) == nil {
			all = append(all, d)
		}
	})
	return &all
}

// requireWaiting demands that the error asks the server to come again after about so long.
func requireWaiting(t *testing.T, err error, atLeast, atMost time.Duration, text string) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.Equal(t, "waiting", app.Type())
	require.Equal(t, temporal.ApplicationErrorCategoryBenign, app.Category())
	require.False(t, app.NonRetryable())
	require.GreaterOrEqual(t, app.NextRetryDelay(), atLeast)
	require.LessOrEqual(t, app.NextRetryDelay(), atMost)
	require.Contains(t, app.Message(), text)
}

// requireRefused demands that the error is final and has this code.
func requireRefused(t *testing.T, err error, code payment.Code) {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.True(t, app.NonRetryable())
	require.Equal(t, string(code), app.Type())
}

// requireRetried demands that the server tries again, and returns the error's type.
func requireRetried(t *testing.T, err error) string {
	t.Helper()
	var app *temporal.ApplicationError
	require.ErrorAs(t, err, &app)
	require.False(t, app.NonRetryable())
	return app.Type()
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// errSecret is what libraries do: an error that quotes a URL with a key.
func errSecret() error {
	return errors.New(`Post "https://user:canary-password@rpc.example/v3/canary-key": connection refused`)
}
