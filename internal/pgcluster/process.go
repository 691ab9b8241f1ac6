package pgcluster

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strconv"
	"syscall"
	"time"
)

// child is a started process. err is set before done is closed.
type child struct {
	pid  int
	done chan struct{}
	err  error
}

// spawn starts cmd in a process group of its own and waits for it in the background.
//
// The parent-death signal that Linux sends is bound to the thread that started the child, not to the process, so the
// thread stays locked for as long as the child lives.
func spawn(cmd *exec.Cmd, as account, onParentDeath syscall.Signal) (*child, error) {
	cmd.SysProcAttr = childAttributes(onParentDeath)
	cmd.SysProcAttr.Setpgid = true
	cmd.SysProcAttr.Credential = as.credential()
	cmd.Env = []string{"LC_ALL=C", "TZ=UTC", "PATH=" + os.Getenv("PATH")} // no PG* variables of the caller

	c := &child{done: make(chan struct{})}
	started := make(chan error, 1)
	go func() {
		runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
		if err := cmd.Start(); err != nil {
			started <- err
			return
		}
		c.pid = cmd.Process.Pid
		started <- nil
		c.err = cmd.Wait()
		close(c.done)
	}()
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", filepath.Base(cmd.Path), err)
	}
	return c, nil
}

func (c *child) exited() bool {
	select {
	case <-c.done:
		return true
	default:
		return false
	}
}

// end sends each signal in turn until the process is gone, giving each that long.
func (c *child) end(patience time.Duration, signals ...syscall.Signal) error {
	for _, sig := range signals {
		if c.exited() {
			return nil
		}
		if err := syscall.Kill(c.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
			return fmt.Errorf("signal PostgreSQL: %w", err)
		}
		timer := time.NewTimer(patience)
		select {
		case <-c.done:
			timer.Stop()
			return nil
		case <-timer.C:
		}
	}
	return fmt.Errorf("PostgreSQL (process %d) does not end", c.pid)
}

const (
	leftoverPatience = 20 * time.Second
	leftoverTick     = 20 * time.Millisecond
)

// endLeftovers ends a server that an earlier owner of the data folder left running, and removes a postmaster.pid that
// names a process which has nothing to do with it: PostgreSQL itself would refuse to start then. The caller holds the
// state folder's lock, so nobody else is using the server on purpose.
func endLeftovers(data string) error {
	data, err := filepath.EvalSymlinks(data)
	if err != nil {
		return nil //nolint:nilerr // no data, nothing left over
	}
	pidFile := filepath.Join(data, "postmaster.pid")
	raw, err := os.ReadFile(pidFile)
	if err != nil {
		raw = nil
	}
	first, _, _ := bytes.Cut(raw, []byte("\n"))
	postmaster, _ := strconv.Atoi(string(bytes.TrimSpace(first)))

	pids := serverProcesses(data, postmaster)
	for i, sig := range []syscall.Signal{syscall.SIGINT, syscall.SIGQUIT, syscall.SIGKILL} {
		if len(pids) == 0 {
			break
		}
		for _, pid := range pids {
			// Politely to the postmaster alone, which ends the rest; without one there is nobody to be polite to.
			if pid == postmaster || i == 2 || !slices.Contains(pids, postmaster) {
				_ = syscall.Kill(pid, sig)
			}
		}
		pids = awaitGone(data, postmaster)
	}
	if len(pids) > 0 {
		return fmt.Errorf("an earlier PostgreSQL server (process %d) does not end", pids[0])
	}
	if err := os.Remove(pidFile); err != nil && !os.IsNotExist(err) {
		return fmt.Errorf("remove a stale postmaster.pid: %w", err)
	}
	return nil
}

// awaitGone looks again and again, because a process that is not our child gives no notice of its end.
func awaitGone(data string, postmaster int) []int {
	deadline := time.NewTimer(leftoverPatience)
	defer deadline.Stop()
	tick := time.NewTicker(leftoverTick)
	defer tick.Stop()
	for {
		pids := serverProcesses(data, postmaster)
		if len(pids) == 0 {
			return nil
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			return pids
		}
	}
}
