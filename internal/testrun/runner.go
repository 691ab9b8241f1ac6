package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/sluicepay/sluice/internal/pgcluster"
)

const (
	// envURL tells the test kit which cluster to use.
	envURL = "SLUICE_TEST_PG_URL"

	commandPatience  = 10 * time.Second // for a command to end after it was told to
	leftoverPatience = 2 * time.Second  // the same for what it left behind
)

type runner struct {
	hurry   <-chan struct{} // closed when nobody wants to wait any more
	temp    string
	cluster *pgcluster.Cluster
}

func newRunner(hurry <-chan struct{}) *runner { return &runner{hurry: hurry} }

// run returns the exit status of the first thing that failed.
func (r *runner) run(ctx context.Context, commands []command) int {
	code, passed, began := 0, 0, time.Now()
	fail := func(status int) {
		if code == 0 {
			code = status
		}
	}
	if err := r.setUp(ctx); err != nil {
		if ctx.Err() == nil {
			say("%v", err)
		}
		fail(exitFailed)
	} else {
		for _, c := range commands {
			if ctx.Err() != nil {
				break
			}
			status := r.runCommand(ctx, c)
			if status == 0 {
				passed++
			}
			fail(status)
		}
		say("%d of %d commands passed in %s", passed, len(commands), time.Since(began).Round(time.Second))
	}
	if err := r.tearDown(); err != nil {
		say("%v", err)
		fail(exitFailed)
	}
	return code
}

func (r *runner) setUp(ctx context.Context) error {
	if err := becomeReaper(); err != nil {
		return err
	}
	if _, err := pgcluster.EnsureInstalled(ctx, func(line string) { say("%s", line) }); err != nil {
		return err
	}
	var err error
	if r.temp, err = os.MkdirTemp("", "sluice-test-"); err != nil {
		return fmt.Errorf("make the temporary folder: %w", err)
	}
	// PostgreSQL's account passes through; it cannot list.
	if err := os.Chmod(r.temp, 0o711); err != nil { //nolint:gosec // see above
		return fmt.Errorf("open the temporary folder: %w", err)
	}
	r.cluster, err = pgcluster.Start(ctx, pgcluster.Options{
		DataDir:  filepath.Join(r.temp, "postgres"),
		Settings: pgcluster.TestSettings(),
	})
	return err
}

// environment is the caller's, with our folder and our cluster.
func (r *runner) environment() []string {
	ours := []string{"TMPDIR=" + r.temp, envURL + "=" + r.cluster.URL(pgcluster.Superuser, pgcluster.Superuser)}
	kept := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		name, _, _ := strings.Cut(entry, "=")
		return name == "TMPDIR" || name == "GOTMPDIR" || name == envURL
	})
	return append(kept, ours...)
}

// runCommand returns the exit status, 128 and the signal's number for a command that a signal ended.
func (r *runner) runCommand(ctx context.Context, c command) int {
	// A cancelled command is told to end, and killed only when it does not: see below.
	cmd := exec.CommandContext(context.WithoutCancel(ctx), c.args[0], c.args[1:]...)
	cmd.Dir, cmd.Env = c.dir, r.environment()
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr // no pipe of ours that an orphan could keep open
	cmd.SysProcAttr = commandAttributes()
	cmd.SysProcAttr.Setpgid = true
	if err := cmd.Start(); err != nil {
		say("%v", err)
		return 127
	}
	group, began := -cmd.Process.Pid, time.Now()
	done := make(chan error, 1)
	go func() { done <- cmd.Wait() }()
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		_ = syscall.Kill(group, syscall.SIGINT)
		err = r.await(done, group)
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	status := statusOf(err)
	switch took := time.Since(began).Round(time.Second); {
	case ctx.Err() != nil:
	case status == 0:
		say("passed in %s: %s", took, c)
	default:
		say("failed with status %d after %s: %s", status, took, c)
	}
	return status
}

// await kills the group when it does not end in time.
func (r *runner) await(done <-chan error, group int) error {
	timer := time.NewTimer(commandPatience)
	defer timer.Stop()
	select {
	case err := <-done:
		return err
	case <-timer.C:
	case <-r.hurry:
	}
	_ = syscall.Kill(group, syscall.SIGKILL)
	return <-done
}

func statusOf(err error) int {
	if err == nil {
		return 0
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return exitFailed
	}
	if status, ok := exit.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return exit.ExitCode()
}

// tearDown ends what the commands left, then PostgreSQL, and removes every file.
func (r *runner) tearDown() error {
	keep := 0
	if r.cluster != nil {
		keep = r.cluster.PID()
	}
	left, err := r.endDescendants(keep)
	if len(left) > 0 {
		say("ended what was left behind: %s", strings.Join(left, ", "))
	}
	if r.cluster != nil {
		err = errors.Join(err, r.cluster.Stop())
	}
	_, errRest := r.endDescendants(0)
	return errors.Join(err, errRest, removeAll(r.temp))
}

// endDescendants ends every process below this one except keep and its children, and returns the names of those that
// were still running.
func (r *runner) endDescendants(keep int) ([]string, error) {
	var names []string
	told := map[int]bool{}
	patience, limit := time.NewTimer(leftoverPatience), time.NewTimer(leftoverPatience+commandPatience)
	defer patience.Stop()
	defer limit.Stop()
	tick := time.NewTicker(10 * time.Millisecond) // most are not our children: nobody tells of their end
	defer tick.Stop()
	sig, hurry := syscall.SIGTERM, r.hurry
	for {
		running := descendants(keep)
		if len(running) == 0 {
			return names, nil
		}
		for _, p := range running {
			if !told[p.pid] {
				names = append(names, fmt.Sprintf("%s (process %d)", p.name, p.pid))
			}
			if !told[p.pid] || sig == syscall.SIGKILL {
				told[p.pid] = true
				_ = syscall.Kill(p.pid, sig)
			}
		}
		select {
		case <-tick.C:
		case <-patience.C:
			sig = syscall.SIGKILL
		case <-hurry:
			sig, hurry = syscall.SIGKILL, nil
		case <-limit.C:
			return names, fmt.Errorf("process %d (%s) does not end", running[0].pid, running[0].name)
		}
	}
}

// removeAll also removes what a test made read-only.
func removeAll(dir string) error {
	if dir == "" || os.RemoveAll(dir) == nil {
		return nil
	}
	_ = filepath.WalkDir(dir, func(path string, entry fs.DirEntry, err error) error {
		if err == nil && entry.IsDir() {
			_ = os.Chmod(path, 0o700) //nolint:gosec // a folder, about to go
		}
		return nil
	})
	if err := os.RemoveAll(dir); err != nil {
		return fmt.Errorf("remove the temporary folder: %w", err)
	}
	return nil
}

// process is one that runs.
type process struct {
	pid  int
	name string
}
