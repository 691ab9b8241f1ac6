package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
)

// Running describes a stack to other processes.
type Running struct {
	PID    int    `json:"pid"`
	Binary string `json:"binary"`
	// Env is the file with the environment of the sluice commands.
	Env       string         `json:"env"`
	API       string         `json:"api"`
	Worker    string         `json:"worker"`
	Temporal  string         `json:"temporal"`
	UI        string         `json:"temporal_ui,omitempty"`
	Namespace string         `json:"namespace"`
	Chains    []RunningChain `json:"chains"`
	Receiver  int            `json:"receiver_port"`
	Started   time.Time      `json:"started"`
}

// RunningChain is one of the chains, the first one first.
type RunningChain struct {
	Name     string `json:"name"`
	HTTP     string `json:"http"`
	WS       string `json:"ws"`
	Token    string `json:"token"`
	Decimals uint8  `json:"token_decimals"`
}

// Describe tells where the stack's parts are.
func (s *Stack) Describe() Running {
	var chains []RunningChain
	for _, c := range s.Chains() {
		chains = append(chains, RunningChain{
			Name: c.Name, HTTP: c.Node.HTTPURL(), WS: c.Node.WSURL(), Token: c.Token(), Decimals: c.Decimals,
		})
	}
	return Running{
		PID:       os.Getpid(),
		Binary:    s.binary,
		Env:       s.folder.path(envFile),
		API:       s.APIURL(),
		Worker:    s.WorkerURL(),
		Temporal:  s.Temporal.Address(),
		UI:        s.Temporal.UIURL(),
		Namespace: s.Temporal.Namespace(),
		Chains:    chains,
		Receiver:  s.state.Ports.Receiver,
		Started:   time.Now().UTC(),
	}
}

func (s *Stack) publish(context.Context) error { return s.folder.save(runningFile, s.Describe()) }

func (s *Stack) unpublish() error {
	for _, name := range []string{runningFile, envFile} {
		if err := os.Remove(s.folder.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("clear the stack's state: %w", err)
		}
	}
	return nil
}

// Find returns the stack that runs in a state folder, or nil when none does. A stack that is still starting, or
// stopping, is an error.
func Find(dir string) (*Running, error) {
	held, err := holder(dir)
	if err != nil || held == 0 {
		return nil, err
	}
	content, err := os.ReadFile(filepath.Join(dir, runningFile))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("the stack in %s (process %d) is starting or stopping", dir, held)
	}
	if err != nil {
		return nil, fmt.Errorf("look for a running stack: %w", err)
	}
	var running Running
	if err := json.Unmarshal(content, &running); err != nil {
		return nil, fmt.Errorf("read %s: %w", filepath.Join(dir, runningFile), err)
	}
	return &running, nil
}

// Halt asks the process that holds a state folder to stop its stack, and returns when it has given the folder up. It
// tells false when there was none. When the context ends first, the process is killed: its children go with it.
func Halt(ctx context.Context, dir string) (bool, error) {
	pid, err := holder(dir)
	if err != nil || pid == 0 {
		return false, err
	}
	if pid == os.Getpid() {
		return false, errors.New("the stack runs in this very process")
	}
	if err := syscall.Kill(pid, syscall.SIGTERM); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false, fmt.Errorf("stop the stack (process %d): %w", pid, err)
	}
	if awaitReleased(ctx, dir, pid) {
		return true, nil
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil && !errors.Is(err, syscall.ESRCH) {
		return false, fmt.Errorf("kill the stack (process %d): %w", pid, err)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
	defer cancel()
	if !awaitReleased(ctx, dir, pid) {
		return false, fmt.Errorf("the stack (process %d) does not end", pid)
	}
	return true, fmt.Errorf("the stack (process %d) did not stop in time and was killed", pid)
}
