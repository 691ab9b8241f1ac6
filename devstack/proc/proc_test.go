package proc_test

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/proc"
	"github.com/sluicepay/sluice/internal/await"
)

// parentLog makes this test binary act as a parent that starts one child and waits to be killed.
const parentLog = "PROC_TEST_PARENT_LOG"

func TestMain(m *testing.M) {
	if log := os.Getenv(parentLog); log != "" {
		child, err := proc.Start(shell("child", log, "exec sleep 600"))
		if err != nil {
			os.Exit(1)
		}
		fmt.Fprintln(os.Stdout, child.PID())
		select {}
	}
	os.Exit(m.Run())
}

func shell(name, log, script string) proc.Spec {
	return proc.Spec{Name: name, Path: "/bin/sh", Args: []string{"-c", script}, LogFile: log,
		Env: []string{"PATH=" + os.Getenv("PATH")}}
}

func start(t *testing.T, script string) *proc.Process {
	t.Helper()
	p, err := proc.Start(shell("part", filepath.Join(t.TempDir(), "logs", "part.log"), script))
	require.NoError(t, err)
	t.Cleanup(p.Kill)
	return p
}

func TestDeathIsExplained(t *testing.T) {
	t.Parallel()
	p := start(t, "i=0; while [ $i -lt 40 ]; do i=$((i+1)); echo line $i; done; echo broken >&2; exit 3")
	<-p.Done()
	require.False(t, p.Running())
	var died *proc.DiedError
	require.ErrorAs(t, p.Died(), &died)
	require.Equal(t, "exit status 3", died.Reason)
	require.Contains(t, died.Error(), "part ended by itself (exit status 3)")
	require.Len(t, strings.Split(died.Tail, "\n"), 20)
	require.True(t, strings.HasSuffix(died.Tail, "    line 40\n    broken"), died.Tail)
}

func TestStopAsksThenKills(t *testing.T) {
	t.Parallel()
	polite := start(t, "exec sleep 600")
	require.NoError(t, polite.Stop(time.Minute))
	require.Error(t, polite.Err())

	log := filepath.Join(t.TempDir(), "deaf.log")
	deaf, err := proc.Start(shell("deaf", log, "trap '' TERM; echo ready; while :; do sleep 1; done"))
	require.NoError(t, err)
	await.Until(t, func() bool { return strings.Contains(proc.Tail(log), "ready") })
	require.ErrorContains(t, deaf.Stop(50*time.Millisecond), "was killed")
	require.False(t, deaf.Running())
}

func TestKillTakesGrandchildren(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "part.log")
	p, err := proc.Start(shell("part", log, "sleep 600 & echo $!; wait"))
	require.NoError(t, err)
	var grandchild int
	await.Until(t, func() bool {
		grandchild, _ = strconv.Atoi(strings.TrimSpace(proc.Tail(log)))
		return grandchild > 0
	})
	p.Kill()
	gone(t, grandchild)
}

func TestChildDiesWithItsKilledParent(t *testing.T) {
	t.Parallel()
	parent := exec.Command(os.Args[0])
	parent.Env = append(os.Environ(), parentLog+"="+filepath.Join(t.TempDir(), "child.log"))
	stdout, err := parent.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, parent.Start())
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	child, err := strconv.Atoi(strings.TrimSpace(line))
	require.NoError(t, err)
	require.NoError(t, syscall.Kill(child, 0), "the child runs")
	require.NoError(t, parent.Process.Kill())
	require.Error(t, parent.Wait())
	gone(t, child)
}

func TestMissingProgram(t *testing.T) {
	t.Parallel()
	_, err := proc.Start(proc.Spec{Name: "ghost", Path: "/does/not/exist", LogFile: filepath.Join(t.TempDir(), "log")})
	require.ErrorContains(t, err, "start ghost")
}

func TestLargeLogIsSetAside(t *testing.T) {
	t.Parallel()
	log := filepath.Join(t.TempDir(), "big.log")
	require.NoError(t, os.WriteFile(log, make([]byte, 17<<20), 0o600))
	p, err := proc.Start(shell("part", log, "echo fresh"))
	require.NoError(t, err)
	<-p.Done()
	require.Equal(t, "    fresh", proc.Tail(log))
	require.FileExists(t, log+".1")
}

// gone waits until a process that is not our child is no more than a zombie that its new parent will collect.
func gone(t *testing.T, pid int) {
	t.Helper()
	await.Until(t, func() bool {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			return true
		}
		_, state, _ := strings.Cut(string(stat), ") ")
		return strings.HasPrefix(state, "Z") || strings.HasPrefix(state, "X")
	})
}
