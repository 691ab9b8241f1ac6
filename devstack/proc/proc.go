package proc

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"time"
)

// Spec describes a child.
type Spec struct {
	// Name is what messages call it.
	Name string
	// Path is the program, Args what follows its name.
	Path string
	Args []string
	// Env is the whole environment; nil means an empty one.
	Env []string
	// Dir is the working directory; empty means the parent's.
	Dir string
	// LogFile takes standard output and error, appended. Required.
	LogFile string
}

// Process is a started child. Its methods may be called concurrently.
type Process struct {
	spec Spec
	pid  int
	done chan struct{}
	err  error // why it ended; set before done is closed
}

// Start starts a child and watches it in the background.
func Start(spec Spec) (*Process, error) {
	log, err := openLog(spec.LogFile)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }() // the child has its own copy
	cmd := exec.Command(spec.Path, spec.Args...)
	cmd.Env = append([]string{}, spec.Env...)
	cmd.Dir = spec.Dir
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = attributes()
	cmd.SysProcAttr.Setpgid = true

	p := &Process{spec: spec, done: make(chan struct{})}
	started := make(chan error, 1)
	go p.run(cmd, started)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start %s: %w", spec.Name, err)
	}
	return p, nil
}

// run owns a thread for as long as the child lives: the kernel sends the parent-death signal when the thread that
// started the child ends, not when the process does.
func (p *Process) run(cmd *exec.Cmd, started chan<- error) {
	runtime.LockOSThread() // never unlocked: the thread ends with this goroutine
	if err := cmd.Start(); err != nil {
		started <- err
		return
	}
	p.pid = cmd.Process.Pid
	started <- nil
	p.err = cmd.Wait()
	close(p.done)
}

// Name is the name from the Spec.
func (p *Process) Name() string { return p.spec.Name }

// PID is the child's process id.
func (p *Process) PID() int { return p.pid }

// Done is closed when the child has ended, wanted or not.
func (p *Process) Done() <-chan struct{} { return p.done }

// Running tells whether the child has not ended yet.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Err is why the child ended: nil for exit status 0, and for a child that still runs.
func (p *Process) Err() error {
	if p.Running() {
		return nil
	}
	return p.err
}

// Signal sends a signal to the child alone. A child that has ended is no error.
func (p *Process) Signal(sig syscall.Signal) error {
	if !p.Running() {
		return nil
	}
	if err := syscall.Kill(p.pid, sig); err != nil && !errors.Is(err, syscall.ESRCH) {
		return fmt.Errorf("signal %s: %w", p.spec.Name, err)
	}
	return nil
}

// Kill ends the child and whatever it started without warning, and returns when it is gone.
func (p *Process) Kill() {
	if p.Running() {
		_ = syscall.Kill(-p.pid, syscall.SIGKILL)
	}
	<-p.done
}

// Stop asks the child to end and kills it when it has not after patience. The error says that it had to be killed.
func (p *Process) Stop(patience time.Duration) error {
	if err := p.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-p.done:
		return nil
	case <-timer.C:
		p.Kill()
		return fmt.Errorf("%s did not end within %s and was killed", p.spec.Name, patience)
	}
}

// Died describes the end of a child that should have gone on, with the end of its log.
func (p *Process) Died() error {
	return &DiedError{Name: p.spec.Name, Reason: reason(p.err), LogFile: p.spec.LogFile, Tail: Tail(p.spec.LogFile)}
}

// DiedError says that a child ended although nobody had asked it to.
type DiedError struct {
	Name, Reason, LogFile, Tail string
}

func (e *DiedError) Error() string {
	text := fmt.Sprintf("%s ended by itself (%s); its log is %s", e.Name, e.Reason, e.LogFile)
	if e.Tail == "" {
		return text
	}
	return text + "\n\n" + e.Tail
}

func reason(err error) string {
	if err == nil {
		return "exit status 0"
	}
	return err.Error()
}

// maxLogBytes is the size from which a log is set aside before a child appends to it.
const maxLogBytes = 16 << 20

func openLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return nil, fmt.Errorf("create the log folder: %w", err)
	}
	if info, err := os.Stat(path); err == nil && info.Size() > maxLogBytes {
		if err := os.Rename(path, path+".1"); err != nil {
			return nil, fmt.Errorf("set an old log aside: %w", err)
		}
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open a log: %w", err)
	}
	return file, nil
}
