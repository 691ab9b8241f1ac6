package workflows

import (
	"encoding/json"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/worker"
)

// Histories that were recorded from a running stack must replay under the code as it is: otherwise every workflow that is
// under way would stop at its next step. A change that breaks one needs workflow.GetVersion, not a new recording. Each
// folder is what one release left; they stay as long as runs that began under it may be open.
func TestRecordedHistoriesReplay(t *testing.T) {
	t.Parallel()
	root := filepath.Join("testdata", "histories")
	var files []string
	require.NoError(t, filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".json" {
			files = append(files, path)
		}
		return err
	}))
	require.NotEmpty(t, files, "there is nothing to replay: record histories with make histories")
	for _, file := range files {
		name, err := filepath.Rel(root, file)
		require.NoError(t, err)
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			replayer := worker.NewWorkflowReplayer()
			Register(replayer)
			require.NoError(t, replayer.ReplayWorkflowHistoryFromJSONFile(quiet{}, file))
		})
	}
}

// An order that is paid by one payment, with an endpoint that wants order.paid only, costs this many events. They are the
// main lever on throughput.
const happyPathEvents = 29

func TestTheHappyPathIsCheap(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile(filepath.Join("testdata", "histories", "order_paid.json"))
	require.NoError(t, err)
	var history struct {
		Events []struct {
			EventType string `json:"eventType"`
		} `json:"events"`
	}
	require.NoError(t, json.Unmarshal(text, &history))
	require.NotEmpty(t, history.Events)
	require.Equal(t, "EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED", history.Events[len(history.Events)-1].EventType)
	require.LessOrEqual(t, len(history.Events), happyPathEvents)
}
