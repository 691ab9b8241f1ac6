package pgcluster

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
)

// With envParent set the test binary is a program that starts a cluster, tells about it and waits to be killed.
const (
	envParent = "PGCLUSTER_TEST_PARENT"
	envDir    = "PGCLUSTER_TEST_DIR"
)

func TestMain(m *testing.M) {
	if os.Getenv(envParent) == "" {
		os.Exit(m.Run())
	}
	dir := os.Getenv(envDir)
	c, err := Start(context.Background(), Options{DataDir: dir, Persistent: dir != ""})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println(c.state.dir, c.server.pid, c.port)
	_, _ = io.Copy(io.Discard, os.Stdin) // until the parent closes it
	if err := c.Stop(); err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
}

type parent struct {
	cmd   *exec.Cmd
	stdin io.Closer
	dir   string
	pid   int // the server's
	port  int
}

func startParent(t *testing.T, binary, dir string, credential *syscall.Credential) *parent {
	t.Helper()
	p := &parent{cmd: exec.Command(binary)}
	p.cmd.Env = append(os.Environ(), envParent+"=1", envDir+"="+dir)
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Credential: credential}
	p.cmd.Dir = os.TempDir()
	p.cmd.Stderr = os.Stderr
	stdin, err := p.cmd.StdinPipe()
	require.NoError(t, err)
	p.stdin = stdin
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		_ = p.cmd.Wait()
	})
	line, err := bufio.NewReader(stdout).ReadString('\n')
	require.NoError(t, err)
	_, err = fmt.Sscan(line, &p.dir, &p.pid, &p.port)
	require.NoError(t, err, line)
	return p
}

func (p *parent) kill(t *testing.T) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Kill())
	_ = p.cmd.Wait()
}

func TestServerEndsWithAKilledParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux tells a child of its parent's death")
	}
	dir := filepath.Join(t.TempDir(), "pg")
	t.Cleanup(func() { require.NoError(t, Remove(dir)) })
	p := startParent(t, os.Args[0], dir, nil)
	require.True(t, alive(p.pid))
	p.kill(t)
	await.Until(t, func() bool { return !alive(p.pid) })
	requirePortFree(t, p.port)
	start(t, Options{DataDir: dir, Persistent: true})
}

// The next owner does not wait for a server that is still on its way down, nor trip over it: it ends it.
func TestNextOwnerTakesOverAtOnce(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "pg")
	t.Cleanup(func() { require.NoError(t, Remove(dir)) })
	p := startParent(t, os.Args[0], dir, nil)
	require.NoError(t, syscall.Kill(p.pid, syscall.SIGSTOP)) // it cannot react to its parent's death
	p.kill(t)
	require.True(t, alive(p.pid))
	go func() {
		<-time.After(200 * time.Millisecond) //nolint:forbidigo // the next owner is to come first; if not, the test shows less
		_ = syscall.Kill(p.pid, syscall.SIGCONT)
	}()
	start(t, Options{DataDir: dir, Persistent: true})
	require.False(t, alive(p.pid))
}

func TestLeftoverFoldersAreSwept(t *testing.T) {
	t.Parallel()
	p := startParent(t, os.Args[0], "", nil)
	require.DirExists(t, p.dir)
	p.kill(t)
	await.Until(t, func() bool { return !alive(p.pid) })
	start(t, Options{})
	require.NoDirExists(t, p.dir)
}

func TestRunsAsANormalUser(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("every other test has shown it")
	}
	home, err := os.MkdirTemp("/tmp", "pgcluster-user-")
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, os.RemoveAll(home)) })
	require.NoError(t, os.Chmod(home, 0o755))
	binary := filepath.Join(home, "parent")
	raw, err := os.ReadFile(os.Args[0])
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(binary, raw, 0o755))
	const nobody = 65534
	dir := filepath.Join(home, "state")
	require.NoError(t, os.Mkdir(dir, 0o700))
	require.NoError(t, os.Chown(dir, nobody, nobody))

	p := startParent(t, binary, dir, &syscall.Credential{Uid: nobody, Gid: nobody})
	info, err := os.Stat("/proc/" + strconv.Itoa(p.pid))
	require.NoError(t, err)
	require.EqualValues(t, nobody, info.Sys().(*syscall.Stat_t).Uid)
	require.NoError(t, p.stdin.Close())
	require.NoError(t, p.cmd.Wait())
	require.False(t, alive(p.pid))
	requirePortFree(t, p.port)
	require.DirExists(t, filepath.Join(dir, dataName))
}
