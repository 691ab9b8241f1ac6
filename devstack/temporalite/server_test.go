package temporalite_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	enumspb "go.temporal.io/api/enums/v1"
	"go.temporal.io/api/operatorservice/v1"
	"go.temporal.io/api/workflowservice/v1"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/worker"
	"go.temporal.io/sdk/workflow"

	"github.com/sluicepay/sluice/devstack/temporalite"
	"github.com/sluicepay/sluice/internal/await"
)

const queue = "greetings"

// serveDir names the folder that this test binary serves, instead of testing, when it runs as a child of a test.
const serveDir = "TEMPORALITE_SERVE_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serveDir); dir != "" {
		serve(dir)
		return
	}
	os.Exit(m.Run())
}

// serve runs a server until its standard input closes, which happens at the latest when the parent dies.
func serve(dir string) {
	server, err := temporalite.Start(context.Background(), temporalite.Options{Dir: dir, NoUI: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, server.Address())
	_, _ = bufio.NewReader(os.Stdin).ReadByte()
	os.Exit(0)
}

// greet waits for a name and greets it: enough to need history, a signal and a result.
func greet(ctx workflow.Context) (string, error) {
	var name string
	workflow.GetSignalChannel(ctx, "name").Receive(ctx, &name)
	return "hello " + name, nil
}

func start(t *testing.T, opts temporalite.Options) *temporalite.Server {
	t.Helper()
	server, err := temporalite.Start(t.Context(), opts)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop()) })
	return server
}

func dial(t *testing.T, address string) client.Client {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: address, Namespace: temporalite.DefaultNamespace})
	require.NoError(t, err)
	t.Cleanup(c.Close)
	return c
}

func startWorker(t *testing.T, c client.Client) worker.Worker {
	t.Helper()
	w := worker.New(c, queue, worker.Options{})
	w.RegisterWorkflow(greet)
	require.NoError(t, w.Start())
	return w
}

func startGreeting(t *testing.T, c client.Client, id string) client.WorkflowRun {
	t.Helper()
	run, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{ID: id, TaskQueue: queue}, greet)
	require.NoError(t, err)
	return run
}

func finishGreeting(t *testing.T, c client.Client, id string) string {
	t.Helper()
	require.NoError(t, c.SignalWorkflow(t.Context(), id, "", "name", "you"))
	var greeting string
	require.NoError(t, c.GetWorkflow(t.Context(), id, "").Get(t.Context(), &greeting))
	return greeting
}

func TestRestartGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	server := start(t, temporalite.Options{Dir: dir, NoUI: true})
	c := dial(t, server.Address())
	w := startWorker(t, c)
	startGreeting(t, c, "finished")
	require.Equal(t, "hello you", finishGreeting(t, c, "finished"))
	w.Stop()
	startGreeting(t, c, "waiting")
	require.NoError(t, server.Stop())
	require.NoError(t, server.Stop(), "stopping twice is harmless")
	_, err := net.Dial("tcp", server.Address())
	require.Error(t, err, "nothing listens after Stop")

	again := start(t, temporalite.Options{Dir: dir, NoUI: true})
	c = dial(t, again.Address())
	w = startWorker(t, c)
	defer w.Stop()
	var greeting string
	require.NoError(t, c.GetWorkflow(t.Context(), "finished", "").Get(t.Context(), &greeting))
	require.Equal(t, "hello you", greeting)
	require.Equal(t, "hello you", finishGreeting(t, c, "waiting"))
}

func TestKilledServerGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	child, address := startChild(t, dir)
	startGreeting(t, dial(t, address), "waiting")
	require.NoError(t, child.Process.Kill())
	require.Error(t, child.Wait())

	_, address = startChild(t, dir)
	c := dial(t, address)
	w := startWorker(t, c)
	defer w.Stop()
	require.Equal(t, "hello you", finishGreeting(t, c, "waiting"))
}

// startChild serves dir in a process of its own and returns the frontend's address.
func startChild(t *testing.T, dir string) (*exec.Cmd, string) {
	t.Helper()
	child := exec.Command(os.Args[0])
	child.Env = append(os.Environ(), serveDir+"="+dir)
	child.Stderr = os.Stderr
	stdin, err := child.StdinPipe()
	require.NoError(t, err)
	stdout, err := child.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, child.Start())
	t.Cleanup(func() {
		_ = stdin.Close()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err, "the child says its address")
	return child, line[:len(line)-1]
}

func TestEnsuresNamespaceAndAttributes(t *testing.T) {
	t.Parallel()
	attributes := map[string]enumspb.IndexedValueType{
		"Merchant": enumspb.INDEXED_VALUE_TYPE_KEYWORD,
		"Due":      enumspb.INDEXED_VALUE_TYPE_DATETIME,
	}
	dir := t.TempDir()
	server := start(t, temporalite.Options{Dir: dir, NoUI: true, Retention: 48 * time.Hour})
	require.Equal(t, 48*time.Hour, retention(t, dial(t, server.Address())))
	require.NoError(t, server.Stop())

	server = start(t, temporalite.Options{Dir: dir, NoUI: true, SearchAttributes: attributes})
	c := dial(t, server.Address())
	require.Equal(t, temporalite.DefaultRetention, retention(t, c), "a restart brings the retention up to date")
	// An attribute is usable at once, by the very first start.
	_, err := c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "tagged", TaskQueue: queue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			temporal.NewSearchAttributeKeyKeyword("Merchant").ValueSet("mer_1"),
			temporal.NewSearchAttributeKeyTime("Due").ValueSet(time.Now()),
		),
	}, greet)
	require.NoError(t, err)
	await.Until(t, func() bool {
		found, err := c.ListWorkflow(t.Context(), &workflowservice.ListWorkflowExecutionsRequest{Query: `Merchant = "mer_1"`})
		return err == nil && len(found.GetExecutions()) == 1
	})
	require.NoError(t, server.Stop())

	_, err = temporalite.Start(t.Context(), temporalite.Options{Dir: dir, NoUI: true,
		SearchAttributes: map[string]enumspb.IndexedValueType{"Merchant": enumspb.INDEXED_VALUE_TYPE_INT}})
	require.ErrorContains(t, err, "a type cannot change")
}

func retention(t *testing.T, c client.Client) time.Duration {
	t.Helper()
	described, err := c.WorkflowService().DescribeNamespace(t.Context(), &workflowservice.DescribeNamespaceRequest{
		Namespace: temporalite.DefaultNamespace,
	})
	require.NoError(t, err)
	_, err = c.OperatorService().ListSearchAttributes(t.Context(), &operatorservice.ListSearchAttributesRequest{
		Namespace: temporalite.DefaultNamespace,
	})
	require.NoError(t, err)
	return described.GetConfig().GetWorkflowExecutionRetentionTtl().AsDuration()
}

func TestUIShowsWorkflows(t *testing.T) {
	t.Parallel()
	server := start(t, temporalite.Options{Dir: t.TempDir()})
	c := dial(t, server.Address())
	startGreeting(t, c, "order/ord_1")
	require.Equal(t, server.UIURL()+"/namespaces/sluice/workflows/order%2Ford_1", server.WorkflowURL("order/ord_1"))

	page := get(t, server.WorkflowURL("order/ord_1"))
	defer page.Body.Close()
	require.Equal(t, http.StatusOK, page.StatusCode)
	// What the page itself asks for.
	answer := get(t, server.UIURL()+"/api/v1/namespaces/sluice/workflows/order%2Ford_1")
	defer answer.Body.Close()
	var described struct {
		WorkflowExecutionInfo struct {
			Execution struct{ WorkflowID string }
		}
	}
	require.NoError(t, json.NewDecoder(answer.Body).Decode(&described))
	require.Equal(t, "order/ord_1", described.WorkflowExecutionInfo.Execution.WorkflowID)

	require.NoError(t, server.Stop())
	_, err := http.Get(server.UIURL())
	require.Error(t, err, "the UI ends with the server")
}

func get(t *testing.T, url string) *http.Response {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	require.NoError(t, err)
	response, err := http.DefaultClient.Do(request)
	require.NoError(t, err)
	return response
}

func TestTakenPortIsRefused(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	port := listener.Addr().(*net.TCPAddr).Port
	_, err = temporalite.Start(t.Context(), temporalite.Options{Dir: t.TempDir(), FrontendPort: port})
	require.ErrorContains(t, err, fmt.Sprintf("port %d is in use", port))
}

func TestUnfinishedDatabaseIsBuiltAnew(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	require.NoError(t, os.WriteFile(filepath.Join(dir, ".temporal.db.new"), []byte("half a file"), 0o600))
	server := start(t, temporalite.Options{Dir: dir, NoUI: true})
	startGreeting(t, dial(t, server.Address()), "first")
}
