package pgcluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// initialise makes the data folder unless it is there. It appears under its name only once it is complete.
func (s *state) initialise(ctx context.Context, bin Binaries, data, password string, durable bool) error {
	if _, err := os.Stat(filepath.Join(data, "PG_VERSION")); err == nil {
		return nil
	}
	// What an interrupted initdb left.
	fresh := data + ".new"
	for _, path := range []string{data, fresh} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("clear an unfinished data folder: %w", err)
		}
	}
	if err := os.Mkdir(fresh, 0o700); err != nil {
		return fmt.Errorf("make the data folder: %w", err)
	}
	passwordFile := data + ".pw" // initdb reads it as the server's account, which cannot read ours
	defer func() { _ = os.Remove(passwordFile) }()
	if err := os.WriteFile(passwordFile, []byte(password+"\n"), 0o600); err != nil {
		return fmt.Errorf("hand the password to initdb: %w", err)
	}
	for _, path := range []string{fresh, passwordFile} {
		if err := s.as.own(path); err != nil {
			return err
		}
	}
	args := []string{
		"--pgdata", fresh, "--username", Superuser, "--pwfile", passwordFile, "--auth", "scram-sha-256",
		"--encoding", "UTF8", "--no-locale", "--no-instructions",
	}
	if !durable {
		args = append(args, "--no-sync")
	}
	cmd := exec.CommandContext(context.WithoutCancel(ctx), filepath.Join(bin.Dir, "initdb"), args...)
	cmd.Dir = filepath.Dir(data)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	p, err := spawn(cmd, s.as, syscall.SIGKILL)
	if err != nil {
		return err
	}
	select {
	case <-p.done:
	case <-ctx.Done():
		_ = syscall.Kill(-p.pid, syscall.SIGKILL) // initdb and the backend that it drives share a group
		<-p.done
		return errors.Join(ctx.Err(), os.RemoveAll(fresh))
	}
	if p.err != nil {
		return errors.Join(&StartError{Step: "initdb", Err: p.err, Log: lastLines(out.String())}, os.RemoveAll(fresh))
	}
	if err := os.Rename(fresh, data); err != nil {
		return fmt.Errorf("put the data folder in place: %w", err)
	}
	return nil
}

// dataMajor is the release that made the data folder, or 0 when there is none yet.
func dataMajor(data string) (int, error) {
	raw, err := os.ReadFile(filepath.Join(data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("read the data folder's version: %w", err)
	}
	major, err := strconv.Atoi(strings.TrimSpace(string(raw)))
	if err != nil {
		return 0, fmt.Errorf("read the data folder's version: %w", err)
	}
	return major, nil
}

// StartError says why the server did not come up.
type StartError struct {
	Step string // initdb or postgres
	Err  error
	Log  string // the end of what it said
}

func (e *StartError) Error() string {
	if e.Log == "" {
		return fmt.Sprintf("%s failed: %v", e.Step, e.Err)
	}
	return fmt.Sprintf("%s failed: %v; it said:\n%s", e.Step, e.Err, e.Log)
}

func (e *StartError) Unwrap() error { return e.Err }

func lastLines(text string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-12):], "\n")
}

// How long a server may take to come up; a crash recovery of a large cluster is what takes time.
const startTimeout = 5 * time.Minute
