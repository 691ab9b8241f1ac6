package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/worker"

	"github.com/sluicepay/sluice/workflows"
)

// replay replays every run that the world has seen under the workflows' code: a history that the code does not lead to
// would stop its order when a worker loses its cache.
func (w *world) replay(ctx context.Context) error {
	executions, err := w.executions(ctx)
	if err != nil {
		return err
	}
	var orders int
	if err := w.db.QueryRow(ctx, `SELECT count(*) FROM orders`).Scan(&orders); err != nil {
		return err
	}
	if len(executions) < orders {
		return fmt.Errorf("%d orders have left %d runs", orders, len(executions))
	}
	replayer := worker.NewWorkflowReplayer()
	workflows.Register(replayer)
	var errs []error
	for _, execution := range executions {
		events, err := w.events(ctx, execution.GetExecution().GetWorkflowId(), execution.GetExecution().GetRunId())
		if err == nil {
			err = replayer.ReplayWorkflowHistory(quiet{}, &historypb.History{Events: events})
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("replay %s: %w", execution.GetExecution().GetWorkflowId(), err))
		}
	}
	return errors.Join(errs...)
}

// executions are all runs of the world, those that are over included.
func (w *world) executions(ctx context.Context) (all []*workflowpb.WorkflowExecutionInfo, err error) {
	var next []byte
	for {
		page, err := w.temporal.ListWorkflow(ctx, &workflowservice.ListWorkflowExecutionsRequest{PageSize: 500, NextPageToken: next})
		if err != nil {
			return nil, err
		}
		all = append(all, page.GetExecutions()...)
		if next = page.GetNextPageToken(); len(next) == 0 {
			return all, nil
		}
	}
}

// events are a run's; "" is the newest.
func (w *world) events(ctx context.Context, workflowID, runID string) ([]*historypb.HistoryEvent, error) {
	var events []*historypb.HistoryEvent
	iterator := w.temporal.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for iterator.HasNext() {
		event, err := iterator.Next()
		if err != nil {
			return nil, err
		}
		events = append(events, event)
	}
	return events, nil
}

// history is events for a test that cannot do without them.
func (w *world) history(t *testing.T, workflowID, runID string) []*historypb.HistoryEvent {
	t.Helper()
	events, err := w.events(t.Context(), workflowID, runID)
	require.NoError(t, err)
	return events
}
