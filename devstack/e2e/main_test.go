package e2e_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"sync"
	"syscall"
	"testing"

	"github.com/sluicepay/sluice/devstack/stack"
)

// atOnce is how many tests run side by side. They wait for blocks and clocks, hardly ever for a processor.
const atOnce = "32"

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		if err := flag.Set("test.parallel", atOnce); err != nil {
			panic(err)
		}
	}
	os.Exit(run(m))
}

// run also cleans up when somebody ends the tests early; go test itself would leave the folders behind.
func run(m *testing.M) int {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGINT, syscall.SIGTERM)
	go func() {
		sig, ok := (<-signals).(syscall.Signal)
		if !ok {
			return
		}
		_ = open.closeAll()
		os.Exit(128 + int(sig))
	}()
	code := m.Run()
	if w := sharedWorld.world; w != nil && code == 0 {
		// Only now are all of its orders over.
		if err := errors.Join(w.replay(context.Background()), w.compare(context.Background())); err != nil {
			fmt.Fprintln(os.Stderr, "e2e:", err)
			code = 1
		}
	}
	if err := open.closeAll(); err != nil {
		fmt.Fprintln(os.Stderr, "e2e:", err)
		code = max(code, 1)
	}
	return code
}

// open are the worlds that run. A test binary has no other place to keep them.
var open worlds

type worlds struct {
	mu     sync.Mutex
	closed bool
	list   []*world
}

var errEnding = errors.New("the tests are being ended")

func (w *worlds) add(world *world) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return errors.Join(errEnding, world.close())
	}
	w.list = append(w.list, world)
	return nil
}

func (w *worlds) closeAll() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.closed = true
	var errs []error
	for _, world := range w.list {
		errs = append(errs, world.close())
	}
	return errors.Join(errs...)
}

// newFolder makes a folder for a world, through which PostgreSQL's own account may pass.
func newFolder() (string, error) {
	dir, err := os.MkdirTemp("", "sluice-e2e-")
	if err != nil {
		return "", err
	}
	return dir, os.Chmod(dir, 0o711)
}

// removeFolder removes a world's folder and the one around it.
func removeFolder(dir string) error {
	return errors.Join(stack.Remove(filepath.Join(dir, "state")), os.RemoveAll(dir))
}
