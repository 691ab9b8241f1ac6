package store

import (
	"context"
	"fmt"
	"sync"
)

// turns let one caller at a time go on for each key. It stands before a lock in the database that callers would otherwise wait for with
// a connection in their hands: as many of them as there are connections would stop everybody else. Keys that nobody waits for take no memory.
type turns struct {
	mu    sync.Mutex
	byKey map[string]*turn
}

type turn struct {
	taken   chan struct{} // holds one while it is taken
	callers int
}

// take waits for the key's turn, which lasts until done is called. Error: that of ctx.
func (t *turns) take(ctx context.Context, key string) (done func(), err error) {
	t.mu.Lock()
	if t.byKey == nil {
		t.byKey = make(map[string]*turn)
	}
	mine := t.byKey[key]
	if mine == nil {
		mine = &turn{taken: make(chan struct{}, 1)}
		t.byKey[key] = mine
	}
	mine.callers++
	t.mu.Unlock()
	leave := func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		if mine.callers--; mine.callers == 0 {
			delete(t.byKey, key)
		}
	}
	select {
	case mine.taken <- struct{}{}:
		return func() { <-mine.taken; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, fmt.Errorf("wait for a turn: %w", ctx.Err())
	}
}
