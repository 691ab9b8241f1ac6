package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/sluicepay/sluice/internal/await"
)

// timeout bounds the tests of one mutant, and is longer than a test waits. Whoever waits for ever shows nothing: it may be the
// machine.
const timeout = 2 * await.Broken

func main() {
	only := flag.String("run", "", "only mutants whose name contains `words`")
	list := flag.Bool("list", false, "print the table without running anything")
	torture := flag.Bool("torture", false, "let only the torture test find them, as far as it can")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	err := run(ctx, *only, *list, *torture)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		stop()
		os.Exit(1) //nolint:gocritic // what was deferred is done above
	}
}

func run(ctx context.Context, only string, list, torture bool) error {
	root, err := checkout()
	if err != nil {
		return err
	}
	mutants := slices.DeleteFunc(catalogue(), func(m mutant) bool { return !strings.Contains(m.name, only) })
	if torture {
		for i := range mutants {
			mutants[i].tests = []suite{{"./internal/torture", "^TestTorture$"}}
		}
	}
	if list {
		table(mutants, nil)
		return nil
	}
	if err := sound(ctx, root, mutants); err != nil {
		return err
	}
	killers := map[string]string{}
	var failed []error
	for i, m := range mutants {
		began := time.Now()
		killer, err := kill(ctx, root, m)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil {
			killer = "SURVIVED"
			failed = append(failed, fmt.Errorf("%s: %w", m.name, err))
		}
		killers[m.name] = killer
		fmt.Printf("%2d/%d %-45s %s (%s)\n", i+1, len(mutants), m.name, killer, time.Since(began).Round(time.Second))
	}
	fmt.Println()
	table(mutants, killers)
	return errors.Join(failed...)
}

// checkout is the folder of the module.
func checkout() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output() //nolint:noctx // answers at once
	if err != nil {
		return "", fmt.Errorf("look for go.mod: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// sound runs the tests of all mutants on the source as it is. Tests that fail anyway kill nobody.
func sound(ctx context.Context, root string, mutants []mutant) error {
	names := map[string][]string{}
	var packages []string
	for _, m := range mutants {
		for _, s := range m.tests {
			if names[s.pkg] == nil {
				packages = append(packages, s.pkg)
			}
			names[s.pkg] = append(names[s.pkg], s.run)
		}
	}
	for _, pkg := range packages {
		out, err := test(ctx, root, "", suite{pkg: pkg, run: strings.Join(names[pkg], "|")})
		if err != nil {
			return fmt.Errorf("the tests fail without any bug: %w\n%s", err, out)
		}
		if strings.Contains(out, "no tests to run") {
			return fmt.Errorf("no test of %s is called %s", pkg, strings.Join(names[pkg], " or "))
		}
	}
	return nil
}

// errSurvived says that no test noticed the bug.
var errSurvived = errors.New("no test failed")

// kill returns the first test that fails with the bug.
func kill(ctx context.Context, root string, m mutant) (string, error) {
	folder, err := os.MkdirTemp("", "mutant-")
	if err != nil {
		return "", err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	overlay, err := m.overlay(root, folder)
	if err != nil {
		return "", err
	}
	for _, s := range m.tests {
		out, err := test(ctx, root, overlay, s)
		switch {
		case err == nil:
			continue
		case strings.Contains(out, "[build failed]"), strings.Contains(out, "[setup failed]"):
			return "", fmt.Errorf("does not compile:\n%s", out)
		case strings.Contains(out, "panic: test timed out"):
			return "", fmt.Errorf("the tests took longer than %s", timeout)
		case strings.Contains(out, "--- FAIL: "):
			return strings.TrimPrefix(s.pkg, "./") + " " + firstFailure(out), nil
		case strings.Contains(out, "panic: "):
			return strings.TrimPrefix(s.pkg, "./") + " " + s.run + " (panics)", nil
		default:
			return "", fmt.Errorf("neither passed nor failed: %w\n%s", err, out)
		}
	}
	return "", errSurvived
}

// firstFailure is the most exact name of the first test that failed.
func firstFailure(out string) string {
	var name string
	for line := range strings.Lines(out) {
		_, rest, found := strings.Cut(line, "--- FAIL: ")
		if !found {
			continue
		}
		failed, _, _ := strings.Cut(rest, " ")
		if name != "" && !strings.HasPrefix(failed, name+"/") {
			break
		}
		name = failed
	}
	return name
}

func test(ctx context.Context, root, overlay string, s suite) (string, error) {
	args := []string{"test", "-short", "-count=1", "-timeout", timeout.String(), "-run", s.run}
	if overlay != "" {
		args = append(args, "-overlay", overlay)
	}
	command := exec.CommandContext(ctx, "go", append(args, s.pkg)...)
	command.Dir = root
	command.Cancel = func() error { return command.Process.Signal(syscall.SIGTERM) }
	command.WaitDelay = 10 * time.Second
	out, err := command.CombinedOutput()
	return string(out), err
}

// table prints what is planted, and what killed it.
func table(mutants []mutant, killers map[string]string) {
	w := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "MUTANT\tBREAKS\tKILLED BY")
	for _, m := range mutants {
		killer := killers[m.name]
		if killer == "" {
			var expected []string
			for _, s := range m.tests {
				expected = append(expected, strings.TrimPrefix(s.pkg, "./")+" "+s.run)
			}
			killer = strings.Join(expected, ", ")
		}
		fmt.Fprintf(w, "%s\t%s\t%s\n", m.name, m.breaks, killer)
	}
	_ = w.Flush() // to the terminal
}
