package stack

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/sluicepay/sluice/devstack/loopback"
	"github.com/sluicepay/sluice/devstack/proc"
	"github.com/sluicepay/sluice/internal/pgcluster"
)

// Build compiles a checkout's sluice command and returns its path.
func Build(ctx context.Context, repo string) (string, error) {
	path := filepath.Join(repo, ".build", "sluice")
	cmd := exec.CommandContext(ctx, "go", "build", "-o", path, "./cmd/sluice")
	cmd.Dir = repo
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("go build ./cmd/sluice: %w\n%s", err, output.String())
	}
	return path, nil
}

// Sluice runs a short sluice command against the stack and returns its standard output. input may be nil. The error
// holds the end of what the command said on standard error.
func (s *Stack) Sluice(ctx context.Context, input io.Reader, args ...string) ([]byte, error) {
	return RunSluice(ctx, s.binary, s.Env(), input, args...)
}

// SluiceJSON runs a short sluice command that prints JSON and decodes what it prints.
func (s *Stack) SluiceJSON(ctx context.Context, answer any, args ...string) error {
	output, err := s.Sluice(ctx, nil, args...)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(output, answer); err != nil {
		return fmt.Errorf("read what sluice %s printed: %w", commandName(args), err)
	}
	return nil
}

// RunSluice runs a short sluice command with the given environment.
func RunSluice(ctx context.Context, binary string, env []string, input io.Reader, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = env
	cmd.Stdin = input
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		said := strings.TrimSpace(stderr.String())
		return stdout.Bytes(), fmt.Errorf("sluice %s: %w: %s", commandName(args), err, said)
	}
	return stdout.Bytes(), nil
}

// commandName is the words of a command without its options and arguments, which may be secret.
func commandName(args []string) string {
	end := slices.IndexFunc(args, func(arg string) bool { return strings.Trim(arg, "abcdefghijklmnopqrstuvwxyz") != "" })
	if end < 0 {
		end = len(args)
	}
	return strings.Join(args[:end], " ")
}

// Env is the environment in which every sluice command of this stack runs, secrets included.
func (s *Stack) Env() []string {
	env := slices.DeleteFunc(os.Environ(), func(entry string) bool {
		// A developer's own settings must not reach into the stack.
		return strings.HasPrefix(entry, "SLUICE_") || strings.HasPrefix(entry, "PG")
	})
	return append(append(env, s.settings()...), s.cfg.Env...)
}

// settings are the variables that describe this stack.
func (s *Stack) settings() []string {
	ports := s.state.Ports
	settings := []string{
		"SLUICE_TEMPORAL_ADDRESS=" + loopback.Addr(ports.Temporal),
		"SLUICE_TEMPORAL_NAMESPACE=sluice",
		"SLUICE_MASTER_KEYS=" + s.secrets.MasterKeys,
		"SLUICE_API_LISTEN=" + loopback.Addr(ports.API),
		"SLUICE_WORKER_LISTEN=" + loopback.Addr(ports.Worker),
	}
	if s.Postgres != nil {
		settings = append(settings,
			"SLUICE_DATABASE_URL="+s.Postgres.URL(pgcluster.AppRole, Database),
			"SLUICE_CHAIN_DATABASE_URL="+s.Postgres.URL(pgcluster.ChainRole, Database),
			"SLUICE_MIGRATE_DATABASE_URL="+s.Postgres.URL(pgcluster.OwnerRole, Database))
	}
	return settings
}

// writeEnv puts the environment where a shell can source it.
func (s *Stack) writeEnv() error {
	var text strings.Builder
	text.WriteString("# The running stack, for the sluice command: set -a; . " + s.folder.path(envFile) + "; set +a\n")
	for _, entry := range append(s.settings(), s.cfg.Env...) {
		name, value, _ := strings.Cut(entry, "=")
		fmt.Fprintf(&text, "%s='%s'\n", name, strings.ReplaceAll(value, "'", `'\''`))
	}
	return writeFile(s.folder.path(envFile), []byte(text.String()))
}

// NewProgram prepares one more long-running sluice command, for instance a second worker; it listens where env tells
// it to, and is ready when the address in SLUICE_API_LISTEN (for an api) or SLUICE_WORKER_LISTEN says so. The stack
// stops it with the others.
func (s *Stack) NewProgram(name string, env []string, args ...string) *Program {
	p := &Program{
		name:    name,
		binary:  s.binary,
		args:    args,
		env:     func() []string { return append(s.Env(), env...) },
		logFile: s.folder.path("logs", name+".log"),
		failed:  s.fail,
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.programs = append(s.programs, p)
	return p
}

// readyURL is where a program with this environment says that it is ready.
func readyURL(args, env []string) string {
	variable := "SLUICE_WORKER_LISTEN="
	if slices.Contains(args, "api") {
		variable = "SLUICE_API_LISTEN="
	}
	address := ""
	for _, entry := range env {
		if value, ok := strings.CutPrefix(entry, variable); ok {
			address = value // the last one counts
		}
	}
	return "http://" + address + "/readyz"
}

func postgresDied(cluster *pgcluster.Cluster) error {
	return &proc.DiedError{
		Name: "postgres", Reason: "the server is gone", LogFile: cluster.LogFile(), Tail: proc.Tail(cluster.LogFile()),
	}
}
