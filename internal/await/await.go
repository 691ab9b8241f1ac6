// Package await is how tests wait for what happens beside them.
//
// A test's limit says that something is broken, never that it is slow: how long a thing takes depends on the machine and on
// what else it does. So there is one limit for all tests, and it is long. A test ends early by what it waits for: a channel, a
// row, a state. Where the product has a limit of its own, a test that is not about that limit sets it to Broken.
package await

import (
	"context"
	"fmt"
	"testing"
	"time"
)

const (
	// Broken is how long nothing that works takes, on any machine, whatever else it does.
	Broken = 5 * time.Minute
	// look is how often a condition is looked at that nobody tells of.
	look = 5 * time.Millisecond
)

// Until returns when a condition holds. It is looked at on the test's own goroutine, so it may use require.
func Until(t testing.TB, condition func() bool, what ...any) {
	t.Helper()
	limit := time.NewTimer(Broken)
	defer limit.Stop()
	ticker := time.NewTicker(look)
	defer ticker.Stop()
	for !condition() {
		select {
		case <-ticker.C:
		case <-limit.C:
			t.Fatalf("waited %s in vain %s", Broken, fmt.Sprint(what...))
		case <-t.Context().Done():
			t.Fatalf("the test ended while it waited %s", fmt.Sprint(what...))
		}
	}
}

// Receive returns what comes from a channel.
func Receive[T any](t testing.TB, from <-chan T, what ...any) T {
	t.Helper()
	limit := time.NewTimer(Broken)
	defer limit.Stop()
	select {
	case value := <-from:
		return value
	case <-limit.C:
		t.Fatalf("nothing came within %s %s", Broken, fmt.Sprint(what...))
	}
	panic("unreachable")
}

// Context is a parent that also ends when something must be broken.
func Context(parent context.Context) (context.Context, context.CancelFunc) {
	return context.WithTimeout(parent, Broken)
}
