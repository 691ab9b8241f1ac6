package stack_test

import (
	"context"
	"encoding/json"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ethereum/go-ethereum/common"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/temporal"

	"github.com/sluicepay/sluice/devstack/internal/fakesluice"
	"github.com/sluicepay/sluice/devstack/loopback"
	"github.com/sluicepay/sluice/devstack/proc"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/internal/pgcluster"
	"github.com/sluicepay/sluice/process"
)

func TestMain(m *testing.M) {
	if status, ok := fakesluice.Main(); ok {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func config(dir string, env ...string) stack.Config {
	return stack.Config{
		Dir: dir, Binary: os.Args[0], BlockTime: -1, NoUI: true,
		Env: append([]string{fakesluice.Journal + "=" + filepath.Join(dir, "journal")}, env...),
	}
}

func start(t *testing.T, cfg stack.Config) *stack.Stack {
	t.Helper()
	s, err := stack.Start(t.Context(), cfg)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, s.Stop()) })
	return s
}

// folder is a state folder that is removed with all it holds, wherever that is.
func folder(t *testing.T) string {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "state")
	require.NoError(t, os.Mkdir(dir, 0o755))
	t.Cleanup(func() { require.NoError(t, stack.Remove(dir)) })
	return dir
}

func TestStartsEverythingAndGoesOnWhereItWas(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	var steps []string
	cfg := config(dir, "SLUICE_EXTRA=it's more")
	cfg.Progress = func(e stack.Event) {
		if e.Done {
			steps = append(steps, e.Part)
		}
	}
	s := start(t, cfg)
	require.Equal(t, []string{"postgres", "temporal", "chain dev", "chain dev2", "migrations", "tokens", "wallet", "worker", "api"}, steps)
	first := fakesluice.Calls(t, filepath.Join(dir, "journal"))
	require.Equal(t, []string{"migrate", "wallet new --json", "wallet import --family evm < xpub-of-some-words"}, first[:3])
	require.Contains(t, first[3], "chain enable dev --family evm --mode test --chain-id 31337 --native-symbol ETH")
	require.Contains(t, first[3], "--rpc-file - < "+s.Dev.Node.HTTPURL()+" "+s.Dev.Node.WSURL()+" operator=local")
	require.Equal(t, "token add --chain dev --contract "+s.Dev.Token()+" --code USDC --decimals 6 --outside-catalog made for the local stack", first[4])
	require.Contains(t, first[5], "chain enable dev2 --family evm --mode test --chain-id 31338 --native-symbol ETH")
	require.Contains(t, first[5], "--rpc-file - < "+s.Dev2.Node.HTTPURL()+" "+s.Dev2.Node.WSURL()+" operator=local")
	require.Equal(t, "token add --chain dev2 --contract "+s.Dev2.Token()+" --code USDC --decimals 18 --outside-catalog made for the local stack", first[6])
	require.NotEqual(t, s.Dev.Node.Genesis(), s.Dev2.Node.Genesis())

	conn, err := pgx.Connect(t.Context(), s.Postgres.URL(pgcluster.OwnerRole, stack.Database))
	require.NoError(t, err)
	_, err = conn.Exec(t.Context(), "CREATE TABLE kept (n int)")
	require.NoError(t, err)
	require.NoError(t, conn.Close(t.Context()))
	startTagged(t, s)
	heads := map[string]uint64{}
	for i, c := range s.Chains() {
		_, err = c.Node.Mine(2 + i)
		require.NoError(t, err)
		heads[c.Name] = c.Node.Head().Number.Uint64()
	}

	output, err := s.Sluice(t.Context(), nil, "env")
	require.NoError(t, err)
	require.Equal(t, s.Postgres.URL(pgcluster.AppRole, stack.Database)+" it's more\n", string(output))
	ports, chains, api := s.Ports(), s.Describe().Chains, s.APIURL()
	_, err = stack.Open(t.Context(), cfg)
	require.ErrorIs(t, err, stack.ErrRunning)
	require.NoError(t, s.Stop())
	_, err = net.Dial("tcp", strings.TrimPrefix(api, "http://"))
	require.Error(t, err, "nothing listens after Stop")
	require.NoFileExists(t, filepath.Join(dir, "env"))

	again := start(t, cfg)
	require.Equal(t, ports, again.Ports())
	require.Equal(t, chains, again.Describe().Chains)
	for _, c := range again.Chains() {
		require.GreaterOrEqual(t, c.Node.Head().Number.Uint64(), heads[c.Name])
	}
	conn, err = pgx.Connect(t.Context(), again.Postgres.URL(pgcluster.AppRole, stack.Database))
	require.NoError(t, err)
	defer func() { _ = conn.Close(context.Background()) }()
	var there bool
	require.NoError(t, conn.QueryRow(t.Context(), "SELECT to_regclass('kept') IS NOT NULL").Scan(&there))
	require.True(t, there)
	require.NotContains(t, strings.Join(fakesluice.Calls(t, filepath.Join(dir, "journal"))[len(first)+1:], "\n"), "wallet", "the wallet is imported once")
	secrets, err := os.Stat(filepath.Join(dir, "secrets.json"))
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), secrets.Mode().Perm())
}

// startTagged starts a workflow that carries the product's search attributes, which nobody will run.
func startTagged(t *testing.T, s *stack.Stack) {
	t.Helper()
	c, err := client.Dial(client.Options{HostPort: s.Temporal.Address(), Namespace: s.Temporal.Namespace()})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.ExecuteWorkflow(t.Context(), client.StartWorkflowOptions{
		ID: "tagged", TaskQueue: process.OrdersQueue,
		TypedSearchAttributes: temporal.NewSearchAttributes(
			process.AttrChain.ValueSet(stack.ChainName), process.AttrExpiresAt.ValueSet(time.Now()),
		),
	}, "Nothing")
	require.NoError(t, err)
}

func TestProgramsComeAndGo(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, config(dir))
	first := s.Worker.PID()
	s.Worker.Kill()
	require.False(t, s.Worker.Running())
	require.NoError(t, s.Worker.Start(t.Context(), "SLUICE_WORKER_ROLES=orders"))
	require.NotEqual(t, first, s.Worker.PID())
	require.Error(t, s.Worker.Start(t.Context()), "it runs already")
	require.NoError(t, s.Worker.Stop())
	require.NoError(t, s.Worker.Start(t.Context()))

	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := free.Addr().String()
	require.NoError(t, free.Close())
	second := s.NewProgram("worker-2", []string{"SLUICE_WORKER_LISTEN=" + address}, "worker")
	require.NoError(t, second.Start(t.Context()))
	require.True(t, second.Running())

	ended := s.API.ExpectEnd()
	crash(t, s.APIURL())
	<-ended
	require.NoError(t, s.API.Start(t.Context()))
	select {
	case err := <-s.Failed():
		t.Fatalf("an end that was asked for is no failure: %v", err)
	default:
	}
	require.NoError(t, s.Stop())
	require.False(t, second.Running(), "Stop ends every program")
}

func TestServersComeAndGo(t *testing.T) {
	t.Parallel()
	s := start(t, config(folder(t)))
	ports := s.Ports()
	startTagged(t, s)
	require.NoError(t, s.StopTemporal())
	require.NoError(t, s.StopPostgres())
	require.NoError(t, s.StartPostgres(t.Context()))
	require.NoError(t, s.StartTemporal(t.Context()))
	require.Equal(t, ports.Postgres, s.Postgres.Port())
	require.Equal(t, loopback.Addr(ports.Temporal), s.Temporal.Address())
	c, err := client.Dial(client.Options{HostPort: s.Temporal.Address(), Namespace: s.Temporal.Namespace()})
	require.NoError(t, err)
	defer c.Close()
	_, err = c.DescribeWorkflowExecution(t.Context(), "tagged", "")
	require.NoError(t, err)
	select {
	case err := <-s.Failed():
		t.Fatalf("an end that was asked for is no failure: %v", err)
	default:
	}
}

func TestDeathOfAPartIsReported(t *testing.T) {
	t.Parallel()
	s := start(t, config(folder(t)))
	crash(t, s.APIURL())
	var died *proc.DiedError
	require.ErrorAs(t, <-s.Failed(), &died)
	require.Equal(t, "api", died.Name)
	require.Contains(t, died.Error(), "exit status 7")
	require.Contains(t, died.Error(), "goodbye")
}

func crash(t *testing.T, url string) {
	t.Helper()
	response, err := http.Get(url + "/crash")
	if err == nil {
		_ = response.Body.Close()
	}
	require.Error(t, err)
}

func TestFailedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, failing := range []string{"migrate", "chain", "worker", "api"} {
		t.Run(failing, func(t *testing.T) {
			t.Parallel()
			dir := folder(t)
			_, err := stack.Start(t.Context(), config(dir, fakesluice.Failing+"="+failing))
			require.ErrorContains(t, err, failing+" does not want to")
			require.NoFileExists(t, filepath.Join(dir, "env"))
			require.NoFileExists(t, filepath.Join(dir, "postgres", "data", "postmaster.pid"))
			// The folder is free again, and what was set up before the failure is kept.
			s := start(t, config(dir))
			require.True(t, s.API.Running())
		})
	}
}

func TestInterruptedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	ctx, cancel := context.WithCancel(t.Context())
	cfg := config(dir)
	cfg.Progress = func(e stack.Event) {
		if e.Part == "worker" {
			cancel()
		}
	}
	_, err := stack.Start(ctx, cfg)
	require.ErrorIs(t, err, context.Canceled)
	require.NoFileExists(t, filepath.Join(dir, "postgres", "data", "postmaster.pid"))
}

func TestPorts(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := taken.Addr().(*net.TCPAddr).Port
	cfg := config(dir)
	cfg.Ports.API = port
	_, err = stack.Open(t.Context(), cfg)
	require.ErrorContains(t, err, "port "+strconv.Itoa(port)+", asked for as --api-port, is in use")
	require.NoError(t, taken.Close())

	s, err := stack.Open(t.Context(), cfg)
	require.NoError(t, err)
	require.Equal(t, port, s.Ports().API)
	last := s.Ports()
	require.NoError(t, s.Stop())

	// Remembered ports are taken again, but for those that somebody else has by now.
	taken, err = net.Listen("tcp", "127.0.0.1:"+strconv.Itoa(last.Worker))
	require.NoError(t, err)
	defer func() { _ = taken.Close() }()
	s, err = stack.Open(t.Context(), config(dir))
	require.NoError(t, err)
	defer func() { require.NoError(t, s.Stop()) }()
	require.NotEqual(t, last.Worker, s.Ports().Worker)
	last.Worker = s.Ports().Worker
	require.Equal(t, last, s.Ports())
}

// Another program, a second stack for instance, takes a port after it was chosen.
func TestPortsLostWhileStarting(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s, err := stack.Open(t.Context(), config(dir))
	require.NoError(t, err)
	lost := s.Ports()
	require.NoError(t, s.Stop())

	cfg := config(dir)
	var thief net.Listener
	cfg.Progress = func(e stack.Event) {
		if e.Part == "temporal" && thief == nil {
			var err error
			thief, err = net.Listen("tcp", loopback.Addr(lost.Temporal))
			require.NoError(t, err)
		}
	}
	s = start(t, cfg)
	require.NoError(t, thief.Close())
	require.NotEqual(t, lost.Temporal, s.Ports().Temporal)
	lost.Temporal = s.Ports().Temporal
	require.Equal(t, lost, s.Ports())
}

func TestLostTokenIsDeployedAnew(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, config(dir))
	require.NoError(t, s.Stop())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "chain")))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"),
		[]byte(`{"token":"`+common.Address{1}.Hex()+`"}`), 0o600))
	s = start(t, config(dir))
	require.NotEqual(t, common.Address{1}.Hex(), s.Dev.Token())
}

// A folder of the time when there was one chain knows nothing of the second: it is added, and the first one stays.
func TestSecondChainIsAddedToAnOldFolder(t *testing.T) {
	t.Parallel()
	dir := folder(t)
	s := start(t, config(dir))
	_, err := s.Dev.Node.Mine(3)
	require.NoError(t, err)
	first, ports, head := s.Dev.Token(), s.Ports(), s.Dev.Node.Head().Number.Uint64()
	require.NoError(t, s.Stop())
	require.NoError(t, os.RemoveAll(filepath.Join(dir, "chain2")))
	var state struct {
		Ports  map[string]int `json:"ports"`
		Wallet bool           `json:"wallet"`
		Token  string         `json:"token"`
	}
	content, err := os.ReadFile(filepath.Join(dir, "state.json"))
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(content, &state))
	delete(state.Ports, "chain2_http")
	delete(state.Ports, "chain2_ws")
	content, err = json.Marshal(state)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "state.json"), content, 0o600))

	s = start(t, config(dir))
	require.Equal(t, first, s.Dev.Token())
	require.GreaterOrEqual(t, s.Dev.Node.Head().Number.Uint64(), head)
	require.NotEmpty(t, s.Dev2.Token())
	require.Equal(t, ports.ChainHTTP, s.Ports().ChainHTTP)
	require.NotZero(t, s.Ports().Chain2HTTP)
	calls := fakesluice.Calls(t, filepath.Join(dir, "journal"))
	enabled := func(call string) bool { return strings.HasPrefix(call, "chain enable dev2 ") }
	require.Len(t, slices.DeleteFunc(calls, func(call string) bool { return !enabled(call) }), 2)
}
