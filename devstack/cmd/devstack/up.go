package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/sluicepay/sluice/devstack/proc"
	"github.com/sluicepay/sluice/devstack/stack"
	"github.com/sluicepay/sluice/devstack/term"
)

// message is one line that the background process says to the `up` that waits for it.
type message struct {
	Event *stack.Event   `json:"event,omitempty"`
	Ready *stack.Running `json:"ready,omitempty"`
	Error string         `json:"error,omitempty"`
}

// messagesFD is where the background process finds the pipe to `up`.
const messagesFD = 3

type upCmd struct{}

func (*upCmd) Run(ctx context.Context, c *cli, out *term.Printer) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	running, err := stack.Find(cfg.Dir)
	if err != nil {
		return err
	}
	if running != nil {
		out.Title("Sluice", "is running already")
		describe(out, *running)
		return tryIt(ctx, out, *running, cfg.Dir)
	}
	out.Title("Sluice", "starting in the background; state in "+short(cfg.Dir))
	ready, err := startInBackground(ctx, cfg, out)
	if err != nil {
		return err
	}
	out.Title("Running", "stop it with: make down")
	describe(out, *ready)
	return tryIt(ctx, out, *ready, cfg.Dir)
}

// startInBackground runs this very command again, as `run` in a session of its own, and returns when that says that its
// stack is ready.
func startInBackground(ctx context.Context, cfg stack.Config, out *term.Printer) (*stack.Running, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	logPath := filepath.Join(cfg.Dir, "logs", "stack.log")
	log, err := createLog(logPath)
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	reader, writer, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("start in the background: %w", err)
	}
	defer func() { _ = reader.Close() }()

	child := exec.Command(self, backgroundArgs(cfg)...)
	child.Stdout, child.Stderr = log, log
	child.ExtraFiles = []*os.File{writer}
	child.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	err = child.Start()
	_ = writer.Close()
	if err != nil {
		return nil, fmt.Errorf("start in the background: %w", err)
	}
	// An interrupted `up` leaves nothing behind.
	abandon := context.AfterFunc(ctx, func() { _ = child.Process.Signal(syscall.SIGTERM) })
	defer abandon()
	ready, err := follow(json.NewDecoder(bufio.NewReader(reader)), reporter(out))
	if err == nil {
		return ready, child.Process.Release()
	}
	_ = child.Wait()
	if ctx.Err() != nil {
		return nil, errInterrupted
	}
	if errors.Is(err, errSilent) {
		return nil, fmt.Errorf("the stack ended while it started; its log is %s\n\n%s", short(logPath), proc.Tail(logPath))
	}
	return nil, err
}

func backgroundArgs(cfg stack.Config) []string {
	args := []string{"run", "--dir=" + cfg.Dir, "--binary=" + cfg.Binary}
	for name, port := range cfg.Ports.Fixed() {
		args = append(args, fmt.Sprintf("--%s-port=%d", name, port))
	}
	return args
}

var errSilent = errors.New("no word from the background process")

// follow passes on what the background process says, until it is ready, fails or falls silent.
func follow(messages *json.Decoder, progress func(stack.Event)) (*stack.Running, error) {
	for {
		var m message
		if err := messages.Decode(&m); err != nil {
			return nil, errSilent
		}
		switch {
		case m.Ready != nil:
			return m.Ready, nil
		case m.Error != "":
			return nil, errors.New(m.Error)
		case m.Event != nil:
			progress(*m.Event)
		}
	}
}

func createLog(path string) (*os.File, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o711); err != nil {
		return nil, fmt.Errorf("create the log folder: %w", err)
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open the log: %w", err)
	}
	return file, nil
}

type runCmd struct{}

// Run is the background process: it starts the stack, says so, and keeps it until it is told to stop.
func (*runCmd) Run(ctx context.Context, c *cli) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	syscall.CloseOnExec(messagesFD) // the stack's own children must not hold it open
	pipe := os.NewFile(messagesFD, "messages")
	encoder := json.NewEncoder(pipe)
	say := func(m message) {
		if encoder.Encode(m) != nil {
			cancel() // whoever asked for the stack has died meanwhile
		}
	}
	cfg.Progress = func(e stack.Event) { say(message{Event: &e}) }
	s, err := stack.Start(ctx, cfg)
	if err != nil {
		say(message{Error: err.Error()})
		return err
	}
	running := s.Describe()
	say(message{Ready: &running})
	_ = pipe.Close()

	ctx, release := withFailure(ctx, s)
	defer release()
	<-ctx.Done()
	failure := context.Cause(ctx)
	if errors.Is(failure, context.Canceled) {
		failure = nil
	}
	return errors.Join(failure, s.Stop())
}

type downCmd struct{}

// downPatience is how long an orderly stop may take before the stack is killed.
const downPatience = 5 * time.Minute

func (*downCmd) Run(ctx context.Context, c *cli, out *term.Printer) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, downPatience)
	defer cancel()
	out.Begin("stopping", "")
	stopped, err := stack.Halt(ctx, cfg.Dir)
	if err != nil {
		return err
	}
	if !stopped {
		out.Note("No stack runs in " + short(cfg.Dir) + ".")
		return nil
	}
	out.Note("Everything has stopped. " + short(cfg.Dir) + " keeps the state.")
	return nil
}

type statusCmd struct{}

func (*statusCmd) Run(c *cli, out *term.Printer) error {
	cfg, err := c.config()
	if err != nil {
		return err
	}
	running, err := stack.Find(cfg.Dir)
	if err != nil {
		return err
	}
	if running == nil {
		return fmt.Errorf("no stack runs in %s; start one with: make up", short(cfg.Dir))
	}
	out.Title("Sluice", "runs since "+running.Started.Local().Format(time.DateTime))
	describe(out, *running)
	return nil
}
