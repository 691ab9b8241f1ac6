package stack

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/sluicepay/sluice/devstack/proc"
)

const (
	// readyPatience bounds how long a program may take until it says that it is ready; readyPoll is how often it is
	// asked, because it has no other way to tell.
	readyPatience = 5 * time.Minute
	readyPoll     = 20 * time.Millisecond
	// stopPatience is longer than the programs' own limit for finishing what they do.
	stopPatience = 30 * time.Second
)

// errStillRunning is what starting a program twice gives.
var errStillRunning = errors.New("is still running")

// Program is one long-running sluice command of a stack. It can be stopped, killed and started again, as often as a
// test likes; only an end that nobody asked for fails the stack.
type Program struct {
	name    string
	binary  string
	args    []string
	env     func() []string // the stack's own may change until the program starts
	logFile string
	failed  func(error)

	mu      sync.Mutex
	process *proc.Process
	ready   string        // where that process says that it is ready
	ending  *proc.Process // the process whose end was asked for
}

// Start starts the program, with more environment than it has anyway, and returns when it is ready.
func (p *Program) Start(ctx context.Context, extraEnv ...string) error {
	if _, err := p.Launch(extraEnv...); err != nil {
		return err
	}
	err := p.AwaitReady(ctx)
	if err != nil {
		p.Kill()
	}
	return err
}

// Launch starts the program like Start and does not wait.
func (p *Program) Launch(extraEnv ...string) (*proc.Process, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process != nil && p.process.Running() {
		return nil, fmt.Errorf("%s %w", p.name, errStillRunning)
	}
	env := append(p.env(), extraEnv...) // of two settings of one variable the last counts
	process, err := proc.Start(proc.Spec{Name: p.name, Path: p.binary, Args: p.args, Env: env, LogFile: p.logFile})
	if err != nil {
		return nil, err
	}
	p.process, p.ready = process, readyURL(p.args, env)
	go p.watch(process)
	return process, nil
}

func (p *Program) watch(process *proc.Process) {
	<-process.Done()
	p.mu.Lock()
	expected := p.ending == process
	p.mu.Unlock()
	if !expected {
		p.failed(process.Died())
	}
}

// AwaitReady waits until the program answers its readiness check.
func (p *Program) AwaitReady(ctx context.Context) error {
	p.mu.Lock()
	process, url := p.process, p.ready
	p.mu.Unlock()
	if process == nil {
		return fmt.Errorf("%s was never started", p.name)
	}
	ctx, cancel := context.WithTimeout(ctx, readyPatience)
	defer cancel()
	ticker := time.NewTicker(readyPoll)
	defer ticker.Stop()
	for {
		err := askReady(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-process.Done():
			return process.Died()
		case <-ctx.Done():
			return fmt.Errorf("%s is not ready: %w; its log is %s\n\n%s", p.name, err, p.logFile, proc.Tail(p.logFile))
		case <-ticker.C:
		}
	}
}

func askReady(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	_ = response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s answers %s", url, response.Status)
	}
	return nil
}

// Stop asks the program to end and waits for it. A program that does not run is no error.
func (p *Program) Stop() error {
	process := p.expectEnd()
	if process == nil {
		return nil
	}
	return process.Stop(stopPatience)
}

// Kill ends the program with SIGKILL, as a crash would, and returns when it is gone.
func (p *Program) Kill() {
	if process := p.expectEnd(); process != nil {
		process.Kill()
	}
}

// ExpectEnd says that the program may end by itself from now on, for instance at a fault point, without failing the
// stack. The channel is closed when it has ended.
func (p *Program) ExpectEnd() <-chan struct{} {
	if process := p.expectEnd(); process != nil {
		return process.Done()
	}
	ended := make(chan struct{})
	close(ended)
	return ended
}

func (p *Program) expectEnd() *proc.Process {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending = p.process
	return p.process
}

// PID is the running process's id, 0 when there is none.
func (p *Program) PID() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.process == nil || !p.process.Running() {
		return 0
	}
	return p.process.PID()
}

// Running tells whether the program runs.
func (p *Program) Running() bool { return p.PID() != 0 }

// LogFile is where the program's output goes.
func (p *Program) LogFile() string { return p.logFile }
