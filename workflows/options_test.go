package workflows

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/process"
)

func TestPoliciesKeepTheirRules(t *testing.T) { //nolint:tparallel // the subtests share the set of names
	t.Parallel()
	const statementTimeout = 5 * time.Second
	names := map[string]bool{}
	for _, p := range Policies() {
		t.Run(p.Activity, func(t *testing.T) {
			require.False(t, names[p.Activity], "listed twice")
			names[p.Activity] = true
			require.NotEmpty(t, p.Key, "what makes a repetition harmless?")
			require.Greater(t, p.Attempt, statementTimeout, "a statement must be given up before its attempt is")
			require.LessOrEqual(t, p.Most, 30*time.Second)
			opts := p.regular("dev", "")
			require.NotEmpty(t, opts.TaskQueue)
			require.Zero(t, opts.ScheduleToCloseTimeout, "infrastructure is waited for as long as it takes")
			require.Zero(t, opts.RetryPolicy.MaximumAttempts)
			if p.Local {
				require.Equal(t, process.OrdersQueue, p.Queue)
				local := p.local("")
				require.Less(t, local.ScheduleToCloseTimeout, 8*time.Second, "longer ones need heartbeats of the workflow task")
				require.EqualValues(t, 2, local.RetryPolicy.MaximumAttempts)
			}
		})
	}
	watch := policyOf(process.ActivityWatchChain)
	require.Equal(t, 10*time.Second, watch.Heartbeat)
	require.LessOrEqual(t, watch.Most, 2*time.Second)
	require.Equal(t, "chain-dev", watch.regular("dev", "").TaskQueue)
}
