package workflows

import (
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/process"
)

// Register adds every workflow to a worker, or to whatever replays or tests them, under the names that running workflows
// were started with.
func Register(registry worker.WorkflowRegistry) {
	all := []struct {
		name string
		fn   any
	}{
		{process.OrderWorkflow, OrderWorkflow},
		{process.ChainWatcherWorkflow, ChainWatcherWorkflow},
		{process.PaymentReviewWorkflow, PaymentReviewWorkflow},
		{process.CallbackWorkflow, CallbackWorkflow},
		{process.ProbeWorkflow, ProbeWorkflow},
	}
	for _, w := range all {
		registry.RegisterWorkflowWithOptions(w.fn, workflow.RegisterOptions{Name: w.name})
	}
}
