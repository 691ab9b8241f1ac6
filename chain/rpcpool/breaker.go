package rpcpool

import "time"

// BreakerState says whether an endpoint is asked.
type BreakerState string

// The states of a breaker.
const (
	BreakerClosed   BreakerState = "closed"    // it is asked
	BreakerOpen     BreakerState = "open"      // it failed in a row and is left alone for a while
	BreakerHalfOpen BreakerState = "half_open" // the while is over: one question decides
)

// How a breaker opens, and for how long. The while doubles with each trial that fails.
const (
	breakerFailures = 3
	breakerShortest = time.Second
	breakerLongest  = 15 * time.Second
	// breakerForeign is how long an endpoint of another chain is left alone.
	breakerForeign = time.Minute
	// breakerTrial is after how long a trial counts as lost that nobody reported on.
	breakerTrial = time.Minute
)

// breaker keeps an endpoint that fails from being asked. The zero value is closed. It is guarded by the pool.
type breaker struct {
	failures int           // in a row
	until    time.Time     // open until then; zero: closed
	pause    time.Duration // how long it was opened the last time
	trial    time.Time     // since when one question is on its way in the half-open state; zero: none
}

func (b *breaker) state(now time.Time) BreakerState {
	switch {
	case b.until.IsZero():
		return BreakerClosed
	case now.Before(b.until):
		return BreakerOpen
	default:
		return BreakerHalfOpen
	}
}

// admits tells whether a question may be asked now, and how long until it may otherwise. It changes nothing.
func (b *breaker) admits(now time.Time) (bool, time.Duration) {
	switch b.state(now) {
	case BreakerClosed:
		return true, 0
	case BreakerOpen:
		return false, b.until.Sub(now)
	default:
		if over := b.trial.Add(breakerTrial); !b.trial.IsZero() && now.Before(over) {
			return false, breakerShortest
		}
		return true, 0
	}
}

// begin takes note that a question is asked.
func (b *breaker) begin(now time.Time) {
	if b.state(now) == BreakerHalfOpen {
		b.trial = now
	}
}

// succeeded closes the breaker. It tells whether it was not closed before.
func (b *breaker) succeeded() bool {
	was := !b.until.IsZero()
	*b = breaker{}
	return was
}

// failed counts a failure. It tells whether that opened the breaker, for the first time in a row of failures.
func (b *breaker) failed(now time.Time) bool {
	b.failures++
	first := b.until.IsZero()
	switch {
	case first && b.failures < breakerFailures:
		return false
	case !first && b.state(now) == BreakerOpen:
		return false // an answer to a question that was asked before it opened
	}
	b.open(now, min(max(2*b.pause, breakerShortest), breakerLongest))
	return first
}

// open keeps the endpoint from being asked for a while.
func (b *breaker) open(now time.Time, pause time.Duration) {
	b.until, b.pause, b.trial = now.Add(pause), min(pause, breakerLongest), time.Time{}
}

// abandoned takes a question back that ended for reasons of whoever asked.
func (b *breaker) abandoned() { b.trial = time.Time{} }
