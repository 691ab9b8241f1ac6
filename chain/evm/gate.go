package evm

import (
	"errors"
	"sync"
	"time"

	"github.com/sluicepay/sluice/chain"
)

// gate remembers that the endpoint refused an optional question, so that it is not
// asked in vain with every block. It opens again by itself: endpoints learn, and a
// name may lead to another node.
type gate struct {
	pause time.Duration

	mu   sync.Mutex
	next time.Time // ask again from here on
}

func (g *gate) open() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return !time.Now().Before(g.next)
}

func (g *gate) shut() { g.shutFor(g.pause) }

func (g *gate) shutFor(pause time.Duration) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.next = time.Now().Add(pause)
}

// refused tells whether an error may mean that the question was too much, or none that
// the endpoint answers. Whether it was is seen when the same is asked without it.
func refused(err error) bool {
	for _, reason := range []chain.ReasonError{
		chain.ErrUnavailable, chain.ErrTimeout, chain.ErrRangeTooLarge, chain.ErrTooLarge, chain.ErrUnsupported,
	} {
		if errors.Is(err, reason) {
			return true
		}
	}
	return false
}
