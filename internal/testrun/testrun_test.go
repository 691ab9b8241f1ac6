package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
)

// With envRole set the test binary plays another part: testrun itself, a parent of testrun, or what testrun runs.
const envRole = "TESTRUN_TEST_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(envRole) {
	case "testrun":
		runtime.LockOSThread()
		os.Exit(run(os.Args[1:]))
	case "parent":
		playParent()
	case "messy":
		playMessy()
	case "stubborn":
		playStubborn()
	}
	os.Exit(m.Run())
}

func itself(ctx context.Context, role string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), envRole+"="+role)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

// playParent starts testrun and waits to be killed, as the go command would.
func playParent() {
	if err := itself(context.Background(), "testrun", os.Args[1:]...).Run(); err != nil {
		os.Exit(1)
	}
	os.Exit(0)
}

// playMessy leaves a file, and a process that does not want to end in a session of its own, and then does what its
// argument says.
func playMessy() {
	check(os.MkdirAll(filepath.Join(os.TempDir(), "deep", "er"), 0o700))
	check(os.WriteFile(filepath.Join(os.TempDir(), "deep", "er", "file"), []byte("x"), 0o400))
	check(os.Chmod(filepath.Join(os.TempDir(), "deep", "er"), 0o500))

	// An orphan at once: its parent, a shell, ends after starting it.
	shell := exec.Command("sh", "-c", `setsid "$0" & exit 0`, os.Args[0])
	shell.Env = append(os.Environ(), envRole+"=stubborn")
	out, err := os.Create(filepath.Join(os.TempDir(), "stubborn"))
	check(err)
	shell.Stdout, shell.Stderr = out, os.Stderr
	check(shell.Run())
	var pid, port int
	for tick := time.NewTicker(5 * time.Millisecond); pid == 0; <-tick.C {
		raw, err := os.ReadFile(out.Name())
		check(err)
		if bytes.HasSuffix(raw, []byte("\n")) {
			_, err = fmt.Sscan(string(raw), &pid, &port)
			check(err)
		}
	}
	fmt.Println("READY", os.Getpid(), pid, port, os.TempDir(), os.Getenv("SLUICE_TEST_PG_URL"))
	switch os.Args[1] {
	case "succeed":
		os.Exit(0)
	case "fail":
		os.Exit(7)
	case "die":
		check(syscall.Kill(os.Getpid(), syscall.SIGKILL))
	case "hang":
		signal.Ignore(syscall.SIGINT, syscall.SIGTERM)
	}
	select {}
}

// playStubborn listens on a port, tells which, and ignores whatever asks it to end.
func playStubborn() {
	signal.Ignore(syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	check(err)
	fmt.Println(os.Getpid(), l.Addr().(*net.TCPAddr).Port)
	for {
		if conn, err := l.Accept(); err == nil {
			_ = conn.Close()
		}
	}
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(99)
	}
}

// observed is what a messy command told about itself.
type observed struct {
	pids  []int
	ports []int
	temp  string
}

// output collects what testrun and its commands print, and hands out each READY line.
type output struct {
	mu    sync.Mutex
	text  strings.Builder
	ready chan observed
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.text.String()
}

func (o *output) read(t *testing.T, pipe *os.File) {
	t.Helper()
	for lines := bufio.NewScanner(pipe); lines.Scan(); {
		o.mu.Lock()
		o.text.WriteString(lines.Text() + "\n")
		o.mu.Unlock()
		fields := strings.Fields(lines.Text())
		if len(fields) != 6 || fields[0] != "READY" {
			continue
		}
		u, err := url.Parse(fields[5])
		if err != nil {
			t.Errorf("not a URL: %s", fields[5])
			continue
		}
		o.ready <- observed{
			pids:  []int{number(fields[1]), number(fields[2])},
			ports: []int{number(fields[3]), number(u.Port())},
			temp:  fields[4],
		}
	}
	close(o.ready)
}

func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

// start runs testrun (or a parent of it) with a temporary folder of the test's own.
func start(t *testing.T, role string, args ...string) (*exec.Cmd, *output, string) {
	t.Helper()
	base := t.TempDir()
	read, write, err := os.Pipe()
	require.NoError(t, err)
	cmd := itself(t.Context(), role, args...)
	cmd.Env = append(cmd.Env, "TMPDIR="+base)
	cmd.Stdout, cmd.Stderr = write, write
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	require.NoError(t, cmd.Start())
	require.NoError(t, write.Close())
	out := &output{ready: make(chan observed, 8)}
	go out.read(t, read)
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
		_ = read.Close()
	})
	return cmd, out, base
}

func awaitReady(t *testing.T, out *output) observed {
	t.Helper()
	limit := time.NewTimer(await.Broken)
	defer limit.Stop()
	select {
	case seen, ok := <-out.ready:
		require.True(t, ok, "it ended before it was ready: %s", out)
		require.NoError(t, portAnswers(seen.ports[0]))
		require.NoError(t, portAnswers(seen.ports[1]))
		return seen
	case <-limit.C:
		require.FailNow(t, "not ready in time", out.String())
		return observed{}
	}
}

func portAnswers(port int) error {
	conn, err := net.Dial("tcp4", "127.0.0.1:"+strconv.Itoa(port))
	if err != nil {
		return err
	}
	return conn.Close()
}

func requireNothingLeft(t *testing.T, seen observed, base string) {
	t.Helper()
	t.Cleanup(func() {
		for _, pid := range seen.pids {
			if t.Failed() {
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
		}
	})
	for _, pid := range seen.pids {
		require.ErrorIs(t, syscall.Kill(pid, 0), syscall.ESRCH, "process %d", pid)
	}
	for _, port := range seen.ports {
		require.Error(t, portAnswers(port), "port %d", port)
	}
	require.NoDirExists(t, seen.temp)
	entries, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, entries)
	requireNoServerIn(t, seen.temp)
}

// requireNoServerIn looks for PostgreSQL processes by their working folder.
func requireNoServerIn(t *testing.T, folder string) {
	t.Helper()
	links, err := filepath.Glob("/proc/[0-9]*/cwd")
	require.NoError(t, err)
	for _, link := range links {
		target, err := os.Readlink(link)
		require.False(t, err == nil && strings.HasPrefix(target, folder), "%s is in %s", link, target)
	}
}

func status(t *testing.T, cmd *exec.Cmd) int {
	t.Helper()
	_ = cmd.Wait()
	return cmd.ProcessState.ExitCode()
}

func messy(how string) []string {
	return []string{"env", envRole + "=messy", os.Args[0], how}
}

func TestNothingIsLeftHoweverItEnds(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("only Linux lets a process find its orphaned descendants")
	}
	for name, c := range map[string]struct {
		how     string
		signals []syscall.Signal
		status  int
	}{
		"success":              {"succeed", nil, 0},
		"failure":              {"fail", nil, 7},
		"crash":                {"die", nil, 128 + 9},
		"Ctrl-C":               {"wait", []syscall.Signal{syscall.SIGINT}, 128 + 2},
		"SIGTERM":              {"wait", []syscall.Signal{syscall.SIGTERM}, 128 + 15},
		"terminal closed":      {"wait", []syscall.Signal{syscall.SIGHUP}, 128 + 1},
		"Ctrl-C twice, a hang": {"hang", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, 128 + 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cmd, out, base := start(t, "testrun", append([]string{"--"}, messy(c.how)...)...)
			var seen observed
			if c.signals == nil {
				require.Equal(t, c.status, status(t, cmd), out)
				seen = <-out.ready
				require.NotEmpty(t, seen.temp, out)
			} else {
				seen = awaitReady(t, out)
				for i, sig := range c.signals {
					require.NoError(t, cmd.Process.Signal(sig))
					await.Until(t, func() bool { return i > 0 || strings.Contains(out.String(), "ending everything") }) // a second one too early would be one with the first
				}
				require.Equal(t, c.status, status(t, cmd), out)
			}
			requireNothingLeft(t, seen, base)
			await.Until(t, func() bool { return strings.Contains(out.String(), "left behind") })
		})
	}
}

func TestItEndsWithItsParent(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("see above")
	}
	cmd, out, base := start(t, "parent", append([]string{"-with-parent", "--"}, messy("wait")...)...)
	seen := awaitReady(t, out)
	require.NoError(t, cmd.Process.Kill())
	_ = cmd.Wait()
	for range out.ready {
		continue // until testrun, which holds the pipe, has ended
	}
	require.Contains(t, out.String(), "the process that started this is gone")
	requireNothingLeft(t, seen, base)
}

// Interrupted before the cluster is up, there is nothing to leave either.
func TestInterruptedWhileStarting(t *testing.T) {
	t.Parallel()
	cmd, out, base := start(t, "testrun", append([]string{"--"}, messy("wait")...)...)
	await.Until(t, func() bool {
		entries, err := os.ReadDir(base)
		return err == nil && len(entries) == 1
	})
	require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
	require.Equal(t, 128+15, status(t, cmd), out)
	entries, err := os.ReadDir(base)
	require.NoError(t, err)
	require.Empty(t, entries)
}

func TestAllCommandsRunAndTheFirstFailureCounts(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cmd, out, _ := start(t, "testrun", "--", "sh", "-c", "exit 4", "--", "-C", dir, "pwd", "--", "sh", "-c", "exit 5", "--", "/nonexistent")
	require.Equal(t, 4, status(t, cmd), out)
	for range out.ready {
		continue // until the output is complete
	}
	require.Contains(t, out.String(), dir)
	require.Contains(t, out.String(), "failed with status 5 after")
	require.Contains(t, out.String(), "1 of 4 commands passed in")
	require.Contains(t, out.String(), "no such file")
}

func TestParse(t *testing.T) {
	t.Parallel()
	withParent, commands, err := parse([]string{"-with-parent", "--", "go", "test", "./...", "--", "-C", "devstack", "go", "test", "-C", "x"})
	require.NoError(t, err)
	require.True(t, withParent)
	require.Equal(t, []command{
		{args: []string{"go", "test", "./..."}},
		{dir: "devstack", args: []string{"go", "test", "-C", "x"}},
	}, commands)
	require.Equal(t, "go test -C x (in devstack)", commands[1].String())
	for _, bad := range [][]string{nil, {"--"}, {"go", "test"}, {"--", "-C", "devstack"}, {"--", "true", "--"}, {"-x", "--", "true"}} {
		_, _, err := parse(bad)
		require.Error(t, err, bad)
	}
}
