package main

import (
	"bytes"
	"fmt"
	"math/big"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"github.com/ethereum/go-ethereum/common/hexutil"
	"github.com/ethereum/go-ethereum/rpc"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/internal/fakesluice"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/internal/await"
)

// actAsCommand turns this test binary into the devstack command.
const actAsCommand = "DEVSTACK_TEST_COMMAND"

func TestMain(m *testing.M) {
	// The command passes its environment on to the stand-in for sluice; which of the two this is, the arguments tell.
	if os.Getenv(actAsCommand) != "" && isCommand(os.Args[1]) {
		os.Exit(run())
	}
	if status, ok := fakesluice.Main(); ok {
		os.Exit(status)
	}
	os.Exit(m.Run())
}

func isCommand(name string) bool {
	switch name {
	case "up", "down", "status", "demo", "run", "pay":
		return true
	}
	return false
}

// bench is a state folder with a command to try on it.
type bench struct {
	t   *testing.T
	dir string
	env []string
}

func setup(t *testing.T, env ...string) *bench {
	t.Helper()
	home := t.TempDir()
	dir := filepath.Join(home, "state")
	b := &bench{t: t, dir: dir, env: append(os.Environ(), append(env,
		actAsCommand+"=1", fakesluice.Journal+"="+filepath.Join(home, "journal"),
		"SLUICE_STACK_DIR="+dir, "SLUICE_STACK_BINARY="+os.Args[0], "BENCH="+dir)...)}
	t.Cleanup(func() {
		_, _ = b.run("down")
		b.nothingLeft()
		require.NoError(t, stack.Remove(dir))
	})
	return b
}

func (b *bench) command(args ...string) (*exec.Cmd, *bytes.Buffer) {
	cmd := exec.Command(os.Args[0], args...)
	cmd.Env = b.env
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	return cmd, &output
}

func (b *bench) run(args ...string) (string, error) {
	cmd, output := b.command(args...)
	err := cmd.Run()
	return output.String(), err
}

// processes are those that work in, or for, the state folder.
func (b *bench) processes() []int {
	b.t.Helper()
	entries, err := os.ReadDir("/proc")
	require.NoError(b.t, err)
	// The server may not have got its data below the state folder, and has an environment of its own.
	data, _ := filepath.EvalSymlinks(filepath.Join(b.dir, "postgres", "data"))
	var pids []int
	for _, entry := range entries {
		pid, err := strconv.Atoi(entry.Name())
		if err != nil || pid == os.Getpid() {
			continue
		}
		environ, _ := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		cwd, _ := os.Readlink(fmt.Sprintf("/proc/%d/cwd", pid))
		if bytes.Contains(environ, []byte("BENCH="+b.dir)) || data != "" && strings.HasPrefix(cwd, data) {
			pids = append(pids, pid)
		}
	}
	return pids
}

// nothingLeft waits for the death of what the kernel may still be ending.
func (b *bench) nothingLeft() {
	b.t.Helper()
	await.Until(b.t, func() bool { return len(b.processes()) == 0 })
}

// postmaster waits for PostgreSQL to run and returns its process.
func (b *bench) postmaster() int {
	b.t.Helper()
	var pid int
	await.Until(b.t, func() bool {
		content, err := os.ReadFile(filepath.Join(b.dir, "postgres", "data", "postmaster.pid"))
		first, _, _ := strings.Cut(string(content), "\n")
		pid, _ = strconv.Atoi(first)
		return err == nil && pid > 0
	})
	return pid
}

func TestUpAndDown(t *testing.T) {
	t.Parallel()
	b := setup(t)
	output, err := b.run("down")
	require.NoError(t, err)
	require.Contains(t, output, "No stack runs")
	_, err = b.run("status")
	require.Error(t, err)

	output, err = b.run("up")
	require.NoError(t, err, output)
	for _, part := range []string{"postgres", "temporal", "chain dev", "chain dev2", "tokens", "worker", "api", "Running"} {
		require.Contains(t, output, part)
	}
	running, err := stack.Find(b.dir)
	require.NoError(t, err)
	require.Contains(t, output, running.API)
	require.Contains(t, output, running.UI+"/namespaces/sluice/workflows")
	require.Len(t, running.Chains, 2)
	for _, c := range running.Chains {
		require.Contains(t, output, c.HTTP)
		require.Contains(t, output, c.WS)
	}
	require.Contains(t, output, "export API="+running.API+" KEY=sk_test_fake")

	output, err = b.run("up")
	require.NoError(t, err)
	require.Contains(t, output, "is running already")
	output, err = b.run("status")
	require.NoError(t, err)
	require.Contains(t, output, running.API)

	b.pays(running)

	output, err = b.run("down")
	require.NoError(t, err)
	require.Contains(t, output, "Everything has stopped")
	b.nothingLeft()

	output, err = b.run("up")
	require.NoError(t, err, output)
	again, err := stack.Find(b.dir)
	require.NoError(t, err)
	require.Equal(t, running.API, again.API)
	require.Equal(t, running.Chains, again.Chains)
	made := 0
	for _, call := range fakesluice.Calls(t, filepath.Join(filepath.Dir(b.dir), "journal")) {
		if strings.HasPrefix(call, "merchant create") {
			made++
		}
	}
	require.Equal(t, 1, made, "the developer's merchant is made once")
}

// pays has two orders paid, one in a token on the second chain.
func (b *bench) pays(running *stack.Running) {
	b.t.Helper()
	const to = "0x52908400098527886E0F7030069857D2E4169EE7"
	for i, uri := range []string{
		"ethereum:" + to + "@%d?value=12345",
		"ethereum:" + running.Chains[1].Token + "@%d/transfer?address=" + to + `\u0026uint256=777`,
	} {
		node, err := rpc.DialContext(b.t.Context(), running.Chains[i].HTTP)
		require.NoError(b.t, err)
		defer node.Close()
		var id hexutil.Uint64
		require.NoError(b.t, node.CallContext(b.t.Context(), &id, "eth_chainId"))
		output, err := b.run("pay", fmt.Sprintf(uri, id))
		require.NoError(b.t, err, output)
		var held hexutil.Big
		if i == 0 {
			require.NoError(b.t, node.CallContext(b.t.Context(), &held, "eth_getBalance", to, "latest"))
			require.Equal(b.t, "12345", held.ToInt().String())
			continue
		}
		call := map[string]string{"to": running.Chains[i].Token, "data": "0x70a08231000000000000000000000000" + to[2:]}
		var word hexutil.Bytes
		require.NoError(b.t, node.CallContext(b.t.Context(), &word, "eth_call", call, "latest"))
		require.Equal(b.t, "777", new(big.Int).SetBytes(word).String())
	}
	output, err := b.run("pay", "ethereum:"+to+"@999?value=1")
	require.Error(b.t, err)
	require.Contains(b.t, output, "no chain of this stack has the id 999")
}

func TestWhatIsNoPaymentURI(t *testing.T) {
	t.Parallel()
	for _, uri := range []string{
		"", "0x52908400098527886E0F7030069857D2E4169EE7", "bitcoin:0x52908400098527886E0F7030069857D2E4169EE7@1?value=1",
		"ethereum:0x52908400098527886E0F7030069857D2E4169EE7@1?value=-1", "ethereum:0x52908400098527886E0F7030069857D2E4169EE7@1?value=1e18",
		"ethereum:0x52908400098527886E0F7030069857D2E4169EE7@1/transfer?address=nobody&uint256=1",
		"ethereum:0x52908400098527886E0F7030069857D2E4169EE7@1/transfer?address=0x52908400098527886E0F7030069857D2E4169EE7&value=1",
	} {
		_, err := parsePayment(uri)
		require.Error(t, err, uri)
	}
}

func TestKilledStackLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	output, err := b.run("up")
	require.NoError(t, err, output)
	running, err := stack.Find(b.dir)
	require.NoError(t, err)
	require.GreaterOrEqual(t, len(b.processes()), 3)
	require.NoError(t, syscall.Kill(running.PID, syscall.SIGKILL))
	b.nothingLeft()
	gone, err := stack.Find(b.dir)
	require.NoError(t, err)
	require.Nil(t, gone)
	output, err = b.run("up")
	require.NoError(t, err, output)
}

func TestDeadPartEndsTheStack(t *testing.T) {
	t.Parallel()
	b := setup(t)
	output, err := b.run("up")
	require.NoError(t, err, output)
	require.NoError(t, syscall.Kill(b.postmaster(), syscall.SIGKILL))
	b.nothingLeft()
	log, err := os.ReadFile(filepath.Join(b.dir, "logs", "stack.log"))
	require.NoError(t, err)
	require.Contains(t, string(log), "postgres ended by itself")
}

func TestFailedUpSaysWhy(t *testing.T) {
	t.Parallel()
	b := setup(t, fakesluice.Failing+"=worker")
	output, err := b.run("up")
	require.Error(t, err)
	require.Contains(t, output, "worker ended by itself (exit status 1)")
	require.Contains(t, output, "worker does not want to")
	b.nothingLeft()
}

func TestFailedDemoLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t)
	// The stand-in has no API: the story fails at its first request.
	output, err := b.run("demo", "--once")
	require.Error(t, err)
	require.Contains(t, output, "Everything has stopped")
	b.nothingLeft()
}

func TestInterruptedStartLeavesNothing(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"up", "demo"} {
		for _, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGKILL} {
			t.Run(command+" "+sig.String(), func(t *testing.T) {
				t.Parallel()
				b := setup(t)
				cmd, _ := b.command(command)
				require.NoError(t, cmd.Start())
				b.postmaster()
				require.NoError(t, cmd.Process.Signal(sig))
				require.Error(t, cmd.Wait())
				b.nothingLeft()
			})
		}
	}
}
