package torture_test

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/internal/pgtest"
)

func TestMain(m *testing.M) { pgtest.Main(m) }

// What the environment says about a run of histories.
const (
	envHistories = "TORTURE_N"        // how many
	envSeed      = "TORTURE_SEED"     // of all of them
	envOnly      = "TORTURE_HISTORY"  // one of them, by number
	envProgress  = "TORTURE_PROGRESS" // a file that remembers how far a run came
)

// defaultSeed makes what gates a change play the same histories each time: a change fails by what it changes. `make torture`
// plays others.
const defaultSeed = 1

const (
	historiesShort = 24
	historiesFull  = 40 // under the race detector; `make test-full` asks for thousands without it
	// perDatabase is how many histories share a database. They share nothing in it but the tables.
	perDatabase = 50
	// One in so many has a database of its own, which is restored from a backup.
	perRestore = 25
	workers    = 4 // much of a history is waiting for the database
)

// TestTorture plays random histories. See the package comment.
func TestTorture(t *testing.T) { //nolint:tparallel // the subtests that work are parallel
	t.Parallel()
	setRapid(t)
	seed := uint64(defaultSeed)
	if text := os.Getenv(envSeed); text != "" {
		seed = number(t, text)
	}
	first, last := uint64(0), uint64(historiesFull)
	if testing.Short() {
		last = historiesShort
	}
	if text := os.Getenv(envHistories); text != "" {
		last = number(t, text)
	}
	progress := openProgress(t, seed, &first)
	if text := os.Getenv(envOnly); text != "" {
		first = number(t, text)
		last = first + 1
	}
	t.Logf("histories %d to %d of seed %d: %s=%d", first, last, seed, envSeed, seed)
	next, counts := make(chan uint64), &tally{}
	t.Run("histories", func(t *testing.T) {
		for range min(workers, int(last-first)) {
			t.Run("", func(t *testing.T) {
				t.Parallel()
				work(t, seed, next, progress, counts)
			})
		}
		go func() {
			defer close(next)
			for i := first; i < last; i++ {
				select {
				case next <- i:
				case <-t.Context().Done():
					return
				}
			}
		}()
	})
	t.Logf("what happened: %s", counts)
	if last-first >= 1000 && !t.Failed() {
		require.Empty(t, counts.missing(), "never happened in so many histories")
	}
}

// work plays histories until there are no more, or one fails. Every so often it takes a new database.
func work(t *testing.T, seed uint64, next <-chan uint64, progress *progress, counts *tally) {
	t.Helper()
	for more := true; more && !t.Failed(); {
		t.Run("", func(t *testing.T) {
			var w *world
			for range perDatabase {
				i, ok := <-next
				if !ok {
					more = false
					break
				}
				if w == nil {
					w = newWorld(t, counts)
				}
				if !one(t, w, seed, i) {
					return
				}
				progress.finished(t, i)
			}
			if w != nil {
				w.checkBooks(t)
			}
		})
	}
	for range next { // after a failure the others end, too
	}
}

// one plays one history.
func one(t *testing.T, w *world, seed, i uint64) bool {
	t.Helper()
	return t.Run(strconv.FormatUint(i, 10), func(t *testing.T) {
		t.Cleanup(func() {
			if t.Failed() {
				t.Logf("to play it again: %s=%d %s=%d go test -run '^TestTorture$' ./internal/torture", envSeed, seed, envOnly, i)
			}
		})
		first := &sync.Once{}
		check(t, mix(seed, i), func(plain *rapid.T) {
			rt := &reporter{T: plain, first: first, t: t}
			if i%perRestore == 0 {
				play(t, rt, newWorld(t, w.tally), true)
				return
			}
			play(t, rt, w, false)
		})
	})
}

// reporter tells of the first failure at once: what depends on who is faster may not come again when rapid looks for a
// shorter history that fails.
type reporter struct {
	*rapid.T

	first *sync.Once
	t     *testing.T
}

// Errorf fails the history.
func (r *reporter) Errorf(format string, args ...any) {
	r.first.Do(func() { r.t.Logf("the first failure: "+format, args...) })
	r.T.Errorf(format, args...)
}

// Fatalf fails the history and ends it.
func (r *reporter) Fatalf(format string, args ...any) {
	r.first.Do(func() { r.t.Logf("the first failure: "+format, args...) })
	r.T.Fatalf(format, args...)
}

// mix makes a history's own seed. It is never 0, which would be a random one.
func mix(seed, i uint64) uint64 {
	x := seed + (i+1)*0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31 | 1
}

func number(t *testing.T, text string) uint64 {
	t.Helper()
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

// rapid takes its seed from a flag when a check begins; seeding is one check at a time.
var seeding sync.Mutex

// setRapid makes every check one history, and leaves no files behind.
func setRapid(t *testing.T) {
	t.Helper()
	checks := "1"
	if testing.Short() {
		checks = "5" // of which rapid makes one
	}
	for name, value := range map[string]string{"rapid.checks": checks, "rapid.nofailfile": "true", "rapid.shrinktime": "10s"} {
		require.NoError(t, flag.Set(name, value))
	}
}

// check runs one history of a seed, and its shortest version if it fails.
func check(t *testing.T, seed uint64, prop func(*rapid.T)) {
	t.Helper()
	seeding.Lock()
	unlock := sync.OnceFunc(seeding.Unlock)
	defer unlock()
	require.NoError(t, flag.Set("rapid.seed", strconv.FormatUint(seed, 10)))
	rapid.Check(t, func(rt *rapid.T) {
		unlock()
		prop(rt)
	})
}

// progress remembers which histories of a seed are done, so that a long run can go on.
type progress struct {
	mu   sync.Mutex
	file string
	seed uint64
	low  uint64 // all before it are done
	done map[uint64]bool
}

// openProgress moves first to where an earlier run with this seed came.
func openProgress(t *testing.T, seed uint64, first *uint64) *progress {
	t.Helper()
	p := &progress{file: os.Getenv(envProgress), seed: seed, done: map[uint64]bool{}}
	if p.file == "" {
		return p
	}
	text, err := os.ReadFile(p.file)
	if err == nil {
		var was, low uint64
		if _, err := fmt.Sscanf(strings.TrimSpace(string(text)), "seed %d histories %d", &was, &low); err == nil && was == seed {
			*first = low
		}
	}
	p.low = *first
	return p
}

func (p *progress) finished(t *testing.T, i uint64) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.done[i] = true
	before := p.low
	for p.done[p.low] {
		delete(p.done, p.low)
		p.low++
	}
	if p.file == "" || p.low/10 == before/10 {
		return
	}
	if p.low/500 != before/500 {
		fmt.Fprintf(os.Stderr, "%d histories of seed %d are done\n", p.low, p.seed)
	}
	require.NoError(t, os.MkdirAll(filepath.Dir(p.file), 0o755))
	require.NoError(t, os.WriteFile(p.file, fmt.Appendf(nil, "seed %d histories %d\n", p.seed, p.low), 0o600))
}
