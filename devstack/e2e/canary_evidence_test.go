package e2e_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	commonpb "go.temporal.io/api/common/v1"
	enumspb "go.temporal.io/api/enums/v1"
	querypb "go.temporal.io/api/query/v1"
	"go.temporal.io/api/temporalproto"
	workflowpb "go.temporal.io/api/workflow/v1"
	"go.temporal.io/api/workflowservice/v1"
	"google.golang.org/protobuf/proto"

	"github.com/sluicepay/sluice/process"
)

// evidence is all that a run lets people and programs read, looked through as it comes in.
type evidence struct {
	finder *finder

	mu      sync.Mutex
	looked  map[[sha256.Size]byte]bool
	leaks   map[string]string
	markers map[string]bool // "<place> <name>"
	bytes   map[string]int
}

func newEvidence(f *finder) *evidence {
	return &evidence{
		finder: f, looked: map[[sha256.Size]byte]bool{}, leaks: map[string]string{}, markers: map[string]bool{}, bytes: map[string]int{},
	}
}

// add looks through a text. homes are names of secrets that are at home there.
func (e *evidence) add(place, text string, homes ...string) {
	sum := sha256.Sum256([]byte(place + "\n" + text))
	e.mu.Lock()
	known := e.looked[sum]
	e.looked[sum] = true
	e.mu.Unlock()
	if known {
		return
	}
	hits := e.finder.find([]byte(text))
	e.mu.Lock()
	defer e.mu.Unlock()
	e.bytes[place] += len(text)
	for _, h := range hits {
		if name, ok := strings.CutPrefix(h.name, marker); ok {
			e.markers[place+" "+name] = true
			continue
		}
		if !isAtHome(h.name, homes) {
			e.leaks[h.name+" is in "+place] = fmt.Sprintf("as %s: %s", h.spelling, h.around)
		}
	}
}

func isAtHome(name string, homes []string) bool {
	for _, home := range homes {
		if strings.HasPrefix(name, home) {
			return true
		}
	}
	return false
}

// watch looks, all through a run, at what is gone later: what workflows and their pending activities say of themselves.
// It returns what ends it.
func (e *evidence) watch(t *testing.T, w *world) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	var watching sync.WaitGroup
	watching.Go(func() {
		ticker := time.NewTicker(500 * time.Millisecond)
		defer ticker.Stop()
		for {
			e.lookAtRuns(ctx, w, "ExecutionStatus = 'Running'")
			for place, url := range map[string]string{
				"metrics of the worker": w.WorkerURL() + "/metrics", "readiness of the worker": w.WorkerURL() + "/readyz",
				"readiness of the API": w.APIURL() + "/readyz",
			} {
				if text, err := fetch(ctx, url); err == nil {
					e.add(place, text)
				}
			}
			select {
			case <-ctx.Done():
				return
			case <-ticker.C:
			}
		}
	})
	stop = sync.OnceFunc(func() { cancel(); watching.Wait() })
	t.Cleanup(stop)
	return stop
}

const lookPatience = 5 * time.Second

// lookAtRuns reads lists, descriptions and queries. What cannot be had just now, because a part is away, is not there to be
// read by anybody else either. It returns the runs.
func (e *evidence) lookAtRuns(ctx context.Context, w *world, query string) []*workflowpb.WorkflowExecutionInfo {
	var runs []*workflowpb.WorkflowExecutionInfo
	for next := []byte(nil); ; {
		bounded, cancel := context.WithTimeout(ctx, lookPatience)
		listed, err := w.temporal.ListWorkflow(bounded, &workflowservice.ListWorkflowExecutionsRequest{Query: query, PageSize: 200, NextPageToken: next})
		cancel()
		if err != nil {
			return runs
		}
		runs = append(runs, listed.GetExecutions()...)
		if next = listed.GetNextPageToken(); len(next) == 0 {
			break
		}
	}
	for _, run := range runs {
		e.addMessage("lists of workflows", run)
		e.lookAtRun(ctx, w, run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId())
	}
	return runs
}

func (e *evidence) lookAtRun(ctx context.Context, w *world, id, run string) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	if described, err := w.temporal.DescribeWorkflowExecution(ctx, id, run); err == nil {
		e.addMessage("descriptions of workflows", described)
	}
	for _, query := range []string{process.QueryState, "__temporal_workflow_metadata", "__stack_trace"} {
		answer, err := w.temporal.WorkflowService().QueryWorkflow(ctx, &workflowservice.QueryWorkflowRequest{
			Namespace: w.Temporal.Namespace(), Execution: &commonpb.WorkflowExecution{WorkflowId: id, RunId: run},
			Query: &querypb.WorkflowQuery{QueryType: query},
		})
		if err != nil {
			e.add("answers to queries", err.Error())
			continue
		}
		e.addMessage("answers to queries", answer)
	}
}

// addMessage looks at a message as JSON with its payloads opened, and as the bytes that were sent.
func (e *evidence) addMessage(place string, message proto.Message) {
	opened := temporalproto.CustomJSONMarshalOptions{Metadata: map[string]any{commonpb.EnablePayloadShorthandMetadataKey: true}}
	text, err := opened.Marshal(message)
	if err != nil {
		text = []byte(err.Error())
	}
	e.add(place, string(text))
	if raw, err := proto.Marshal(message); err == nil {
		e.add(place, string(raw))
	}
}

// collect looks at all that is there at the end of a run: first what running parts tell, then what they leave behind.
func (e *evidence) collect(t *testing.T, w *world, apiMetrics string) {
	t.Helper()
	for place, url := range map[string]string{"metrics of the worker": w.WorkerURL() + "/metrics", "metrics of the API": apiMetrics} {
		text, err := fetch(t.Context(), url)
		require.NoError(t, err)
		e.add(place, text)
	}
	runs := e.lookAtRuns(t.Context(), w, "")
	require.Greater(t, len(runs), 8)
	for _, run := range runs {
		for _, event := range w.history(t, run.GetExecution().GetWorkflowId(), run.GetExecution().GetRunId()) {
			e.addMessage("histories", event)
		}
	}
	for _, table := range w.list(t, `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'`) {
		e.add("table "+table, strings.Join(w.list(t, `SELECT row_to_json(t)::text FROM `+table+` t`), "\n"), homes(table)...)
	}
	e.add("bodies of events", strings.Join(w.list(t, `SELECT convert_from(body, 'UTF8') FROM events`), "\n"))
	require.NoError(t, w.API.Stop())
	require.NoError(t, w.Worker.Stop())
	require.NoError(t, w.StopTemporal())
	require.NoError(t, w.StopPostgres())
	e.readFiles(t, w)
}

// homes are the secrets that a table is for. Everything else that is secret is sealed, or a hash.
func homes(table string) []string {
	switch table {
	case "xpubs":
		return []string{"the xpub"}
	case "webhook_endpoints":
		return []string{"a token of the shop"}
	default:
		return nil
	}
}

// readFiles reads the folder of the stack: the logs, and Temporal's own database. Left out are the files that hold secrets by
// their nature, and what PostgreSQL and the node keep.
func (e *evidence) readFiles(t *testing.T, w *world) {
	t.Helper()
	read := 0
	add := func(path string) {
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NotEmpty(t, text, path)
		name, _, _ := strings.Cut(filepath.Base(path), "-") // a database and what belongs to it
		e.add("file "+name, string(text))
		read++
	}
	err := filepath.WalkDir(w.Dir(), func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		switch name := entry.Name(); {
		case entry.IsDir() && (name == "postgres" || name == "chain"):
			return fs.SkipDir
		case entry.IsDir() || name == "secrets.json" || name == "env":
		default:
			if info, err := entry.Info(); err != nil || info.Size() > 0 {
				add(path)
			}
		}
		return nil
	})
	require.NoError(t, err)
	add(w.Postgres.LogFile())
	require.Greater(t, read, 5, "logs of api, worker and Temporal, Temporal's database, the stack's state, PostgreSQL's log")
}

// fetch reads a page.
func fetch(ctx context.Context, url string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, lookPatience)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return "", err
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	return string(text), err
}

// awaitDescribed waits until what Temporal shows of a running workflow has a text in it.
func (w *world) awaitDescribed(t *testing.T, workflowID, text string) {
	t.Helper()
	w.await(t, workflowID+" shows "+text, func() (bool, any, <-chan struct{}) {
		described, err := w.temporal.DescribeWorkflowExecution(t.Context(), workflowID, "")
		if err != nil {
			return false, err, nil
		}
		var shown strings.Builder
		for _, p := range described.GetPendingActivities() {
			fmt.Fprintf(&shown, "%s attempt %d %s %s ", p.GetActivityType().GetName(), p.GetAttempt(), p.GetLastFailure(), p.GetHeartbeatDetails())
		}
		running := described.GetWorkflowExecutionInfo().GetStatus() == enumspb.WORKFLOW_EXECUTION_STATUS_RUNNING
		return running && strings.Contains(shown.String(), text), shown.String(), nil
	})
}
