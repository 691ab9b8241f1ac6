package rpcpool

import (
	"context"
	"errors"
	"time"

	"github.com/sluicepay/sluice/chain"
)

// verdict is what an answer says about the endpoint that gave it.
type verdict uint8

const (
	verdictFine      verdict = iota // it answered, or the question was at fault
	verdictEnded                    // whoever asked gave up
	verdictBroken                   // it failed: count it
	verdictForeign                  // it is on another chain
	verdictLimited                  // it wants to be asked less often
	verdictRefused                  // it cannot, or will not, answer this one
	verdictUnknown                  // it has no such block
	verdictOversized                // its answer was larger than may be
	verdictMoved                    // its answers belong to different chains: somebody else may be calmer
)

// verdictOf reads an error of an endpoint.
func verdictOf(err error) verdict {
	reason, named := errors.AsType[chain.ReasonError](err)
	switch {
	case err == nil:
		return verdictFine
	case errors.Is(err, errLacking):
		return verdictRefused
	case errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded):
		return verdictEnded
	case !named:
		return verdictFine
	}
	switch reason {
	case chain.ErrUnavailable, chain.ErrTimeout, chain.ErrMalformed, chain.ErrInconsistent:
		return verdictBroken
	case chain.ErrWrongChain:
		return verdictForeign
	case chain.ErrRateLimited:
		return verdictLimited
	case chain.ErrUnsupported, chain.ErrRangeTooLarge, chain.ErrReceiptMissing:
		return verdictRefused
	case chain.ErrTooLarge:
		return verdictOversized
	case chain.ErrBlockUnknown:
		return verdictUnknown
	case chain.ErrReorged:
		return verdictMoved
	default: // a contract that is none, and what no endpoint says
		return verdictFine
	}
}

// learn takes the outcome of a question into account.
func (c *core) learn(ctx context.Context, m *member, q question, took time.Duration, err error) {
	c.mu.Lock()
	now := c.now()
	v := verdictOf(err)
	if v != verdictFine && v != verdictEnded && !errors.Is(err, errLacking) {
		m.errors[chain.Reason(err)]++
	}
	var opened, closed bool
	switch v {
	case verdictEnded:
		m.breaker.abandoned()
	case verdictBroken:
		m.score.failed()
		m.known = time.Time{} // whoever answers next may be somebody else
		opened = m.breaker.failed(now)
		c.leave(m)
	case verdictForeign:
		opened = m.breaker.until.IsZero()
		m.breaker.open(now, breakerForeign)
		c.leave(m)
	case verdictLimited:
		m.breaker.abandoned()
		m.budget.limited(now, chain.RetryAfter(err))
		c.leave(m)
	case verdictMoved:
		m.breaker.abandoned()
		m.score.failed()
		c.lost(m, q)
		c.leave(m)
	case verdictOversized:
		opened = m.oversized(q, now)
		c.leave(m)
	default:
		if v == verdictUnknown && q.hash != nil && c.pins.claims(*q.hash, m) {
			// It holds a block whose parent it does not know: one of the two answers was made up.
			m.score.failed()
			opened = m.breaker.failed(now)
			c.leave(m)
			break
		}
		m.score.succeeded()
		closed = m.breaker.succeeded()
		m.budget.answered()
		c.note(m, q, v, took, err, now)
	}
	c.mu.Unlock()
	switch {
	case opened:
		c.opts.Log.WarnContext(ctx, "a node failed and is left alone for a while", "operator", m.Operator, "node", m.ID,
			"failure", chain.Reason(err), "err", err)
	case closed:
		c.opts.Log.InfoContext(ctx, "a node that had failed answers again", "operator", m.Operator, "node", m.ID)
	}
}

// oversized takes note of an answer that was too large, and tells whether the breaker has opened: an honest block may be too large to be
// sent, a header is not.
func (m *member) oversized(q question, now time.Time) (opened bool) {
	m.score.failed()
	if q.size > 0 {
		m.ranged(q.size, true, now)
	}
	if q.effort == heavy {
		m.breaker.abandoned()
		m.flood = now
		return false
	}
	return m.breaker.failed(now)
}

// note keeps what an answer tells beyond that it came.
func (c *core) note(m *member, q question, v verdict, took time.Duration, err error, now time.Time) {
	if err == nil {
		m.did(q.needs)
	}
	switch {
	case err == nil && q.effort == light:
		m.score.took(took)
	case v == verdictUnknown, errors.Is(err, chain.ErrReceiptMissing):
		c.lost(m, q)
	}
	if v == verdictUnknown && q.number != nil && q.hash == nil && *q.number > 0 {
		m.head.Number = min(m.head.Number, *q.number-1)
	}
	if q.size > 0 && (err == nil || errors.Is(err, chain.ErrRangeTooLarge)) {
		m.ranged(q.size, err != nil, now)
	}
}

// lost takes back that a member has the block that it was asked about.
func (c *core) lost(m *member, q question) {
	if q.hash != nil {
		c.pins.drop(*q.hash, m)
	}
}

// leave makes sure that somebody else becomes the primary, if there is somebody.
func (c *core) leave(m *member) {
	if c.primary == m && len(c.members) > 1 {
		c.primary = nil
	}
}
