package workflows

import "go.temporal.io/sdk/workflow"

// ProbeWorkflow ends at once. Starting it with every search attribute shows that the service knows them all.
func ProbeWorkflow(workflow.Context) error { return nil }
