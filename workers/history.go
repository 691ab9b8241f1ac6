package workers

import (
	"context"
	"fmt"
	"io"

	enumspb "go.temporal.io/api/enums/v1"
	historypb "go.temporal.io/api/history/v1"
	"go.temporal.io/sdk/client"
	"google.golang.org/protobuf/encoding/protojson"
)

// WriteHistory writes a workflow's history as the JSON that replays it: what the tests in package workflows read, and what
// `temporal workflow show --output json` prints. An empty run id means the newest run.
func WriteHistory(ctx context.Context, c client.Client, workflowID, runID string, to io.Writer) error {
	var history historypb.History
	events := c.GetWorkflowHistory(ctx, workflowID, runID, false, enumspb.HISTORY_EVENT_FILTER_TYPE_ALL_EVENT)
	for events.HasNext() {
		event, err := events.Next()
		if err != nil {
			return fmt.Errorf("read the history of %s: %w", workflowID, err)
		}
		history.Events = append(history.Events, event)
	}
	text, err := protojson.MarshalOptions{Multiline: true, Indent: " "}.Marshal(&history)
	if err != nil {
		return fmt.Errorf("write the history of %s: %w", workflowID, err)
	}
	_, err = to.Write(append(text, '\n'))
	return err
}
