package rpcpool

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// errLacking makes ask go on to the next endpoint although this one answered: it has fallen behind, or lacks a part.
var errLacking = errors.New("the node lacks what was asked for")

// errSlow ends the calls of endpoints that take much longer than the others.
var errSlow = errors.New("the node is slower than the others")

// effort is how much a question asks for, as the time that it may take.
type effort time.Duration

// The efforts.
const (
	light = effort(10 * time.Second)
	heavy = effort(time.Minute)
)

// How long the same endpoint stays the primary, and how many times better another one has to be to take its place.
const (
	stickiness = 5 * time.Minute
	muchBetter = 4
)

// How long, and how often, a question waits for the rate budget of the only endpoints that could be asked.
const (
	longestWait = 5 * time.Second
	mostWaits   = 3
)

// question is what is known about a question when an endpoint is chosen for it.
type question struct {
	effort effort
	cost   int           // calls, roughly
	number *uint64       // the highest block that it is about
	hash   *payment.Hash // the block that it is about
	size   uint64        // of a range
	traces bool
	needs  []chain.Need
	avoid  string          // an operator that comes after the others
	skip   map[string]bool // operators that are not asked
	only   string          // the only operator that is asked, if set
}

func (q question) plain() bool {
	return q.hash == nil && q.avoid == "" && q.only == "" && len(q.skip) == 0 && !q.traces
}

func (p *Pool) question(e effort) question {
	return question{effort: e, cost: 1, only: p.only}
}

func (p *Pool) questionOf(e effort, hash payment.Hash) question {
	q := p.question(e)
	q.hash = &hash
	p.mu.Lock()
	defer p.mu.Unlock()
	if number, ok := p.pins.number(hash); ok {
		q.number = &number
	}
	return q
}

// ask puts a question to one endpoint after the other, best first, until one answers it or fails in a way that is the
// question's own.
func ask[R any](ctx context.Context, p *Pool, q question, do func(context.Context, *member) (R, error)) (R, error) {
	var none R
	var last error
	for tried := (map[*member]bool{}); ; {
		m, err := p.choose(ctx, q, tried)
		if err != nil {
			if last == nil {
				last = err
			}
			return none, last
		}
		tried[m] = true
		answer, err := call(ctx, p.core, m, q, do)
		if err == nil || !goesOn(ctx, err) {
			return answer, err
		}
		last = worse(last, err)
	}
}

// goesOn tells whether another endpoint may do better.
func goesOn(ctx context.Context, err error) bool {
	if ctx.Err() != nil {
		return false
	}
	switch verdictOf(err) {
	case verdictBroken, verdictLimited, verdictForeign, verdictRefused, verdictOversized, verdictUnknown:
		return true
	default:
		return false
	}
}

// worse picks the error to return: the last one, except that one says more than the other. That a range is too large is
// what the caller can do something about; that one endpoint is on another chain says nothing about the chain.
func worse(last, err error) error {
	switch {
	case last == nil || errors.Is(last, chain.ErrWrongChain) || errors.Is(last, errLacking):
		return err
	case errors.Is(err, chain.ErrWrongChain) || errors.Is(err, errLacking) || errors.Is(last, chain.ErrRangeTooLarge):
		return last
	default:
		return err
	}
}

// choose picks the endpoint to ask next and takes it into account. When nobody may be asked yet, it waits a little for a
// rate budget. Its error is chain.ErrUnavailable or chain.ErrRateLimited.
func (c *core) choose(ctx context.Context, q question, tried map[*member]bool) (*member, error) {
	for waits := 0; ; waits++ {
		m, delay, limited := c.pick(q, tried)
		switch {
		case m != nil:
			return m, nil
		case limited && delay <= longestWait && waits < mostWaits:
			if err := c.opts.Wait(ctx, delay); err != nil {
				return nil, err
			}
		case limited:
			return nil, &chain.RetryError{After: delay, Err: fmt.Errorf("%w: every node wants to be asked less often", chain.ErrRateLimited)}
		case delay > 0:
			return nil, &chain.RetryError{After: delay, Err: fmt.Errorf("%w: every node has failed lately", chain.ErrUnavailable)}
		default:
			return nil, fmt.Errorf("%w: no node", chain.ErrUnavailable)
		}
	}
}

// pick is choose without waiting: who is to be asked, or how long until somebody may be, and whether a rate is the reason.
func (c *core) pick(q question, tried map[*member]bool) (m *member, delay time.Duration, limited bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	var candidates []*member
	for _, m := range c.members {
		if tried[m] || q.skip[m.Operator] || q.only != "" && m.Operator != q.only {
			continue
		}
		if ok, until, rate := m.admits(now); !ok {
			if delay == 0 || until < delay {
				delay, limited = until, rate
			}
			continue
		}
		candidates = append(candidates, m)
	}
	if len(candidates) == 0 {
		return nil, delay, limited
	}
	m = c.preferred(c.cheapest(candidates, q, now), q, now)
	c.begin(m, q.cost, now)
	return m, 0, false
}

// admits tells whether the member may be asked now, and otherwise how long until then, and whether a rate is the reason.
func (m *member) admits(now time.Time) (ok bool, delay time.Duration, rate bool) {
	if ok, delay = m.breaker.admits(now); !ok {
		return false, delay, false
	}
	ok, delay = m.budget.admits(now)
	return ok, delay, !ok
}

// begin takes a question into account.
func (c *core) begin(m *member, cost int, now time.Time) {
	m.breaker.begin(now)
	m.budget.spend(now, cost)
	m.requests++
}

// What speaks against asking an endpoint, worst first. Each weighs more than all below it together.
const (
	cannot    = 1 << 8 // it lacks what the question needs, as far as was found: asked when nobody else answers
	onTrial   = 1 << 7 // its breaker waits for one question to decide
	isBehind  = 1 << 6 // its head is below the block
	isOff     = 1 << 5 // its head does not count, too low or far beyond the others, or it often fails
	isAvoided = 1 << 4 // another operator is wanted
	noTraces  = 1 << 3 // it cannot trace, or
	maybe     = 1 << 2 // nobody knows
	noRange   = 1 << 1 // it refuses ranges of this size
	isBackup  = 1      // it has no weight
)

func (c *core) objections(m *member, q question, now time.Time) int {
	sum := 0
	add := func(weight int, holds bool) {
		if holds {
			sum += weight
		}
	}
	add(cannot, slices.ContainsFunc(q.needs, func(n chain.Need) bool { return m.can[n] == unable }))
	add(onTrial, m.breaker.state(now) == BreakerHalfOpen)
	add(isBehind, q.number != nil && !m.has(*q.number))
	add(isOff, m.lagging || m.ahead || m.score.failing >= oftenFails || q.effort == heavy && m.flooded(now))
	add(isAvoided, q.avoid != "" && m.Operator == q.avoid)
	add(noTraces, q.traces && m.traces == unable)
	add(maybe, q.traces && m.traces == untried)
	add(noRange, q.size > 0 && m.refuses(q.size, now))
	add(isBackup, m.Weight <= 0)
	return sum
}

// cheapest keeps the candidates against which the least speaks.
func (c *core) cheapest(candidates []*member, q question, now time.Time) []*member {
	least := -1
	var kept []*member
	for _, m := range candidates {
		switch sum := c.objections(m, q, now); {
		case least < 0 || sum < least:
			least, kept = sum, []*member{m}
		case sum == least:
			kept = append(kept, m)
		}
	}
	return kept
}

// preferred picks one of equals: who last showed the block, else the primary, else by lot. A plain question makes the
// one who got it the primary.
func (c *core) preferred(equals []*member, q question, now time.Time) *member {
	if q.hash != nil {
		holders := c.pins.holders(*q.hash)
		for _, m := range slices.Backward(holders) {
			if slices.Contains(equals, m) {
				return m
			}
		}
	}
	if c.primary != nil && slices.Contains(equals, c.primary) && (!q.plain() || c.stays(equals, now)) {
		return c.primary
	}
	drawn := c.draw(equals)
	if q.plain() && (q.size == 0 || c.primary == nil) {
		c.primary, c.since = drawn, now
	}
	return drawn
}

// stays tells whether the primary is still the one to ask.
func (c *core) stays(equals []*member, now time.Time) bool {
	if now.Sub(c.since) >= stickiness {
		return false
	}
	mine := c.primary.score.share(perMille, quickest(equals))
	return !slices.ContainsFunc(equals, func(m *member) bool { return m.score.share(perMille, quickest(equals)) > muchBetter*mine })
}

func quickest(members []*member) time.Duration {
	var least time.Duration
	for _, m := range members {
		if l := m.score.latency; l > 0 && (least == 0 || l < least) {
			least = l
		}
	}
	return least
}

// draw picks a member by lot, each according to its share.
func (c *core) draw(members []*member) *member {
	least := quickest(members)
	var sum int64
	for _, m := range members {
		sum += m.score.share(m.Weight, least)
	}
	at := c.opts.Draw(sum)
	for _, m := range members {
		if at -= m.score.share(m.Weight, least); at < 0 {
			return m
		}
	}
	return members[len(members)-1]
}

// call asks one member, bounded in time, after making sure that it is on the right chain, and learns from what comes back.
// The member was begun with.
func call[R any](ctx context.Context, c *core, m *member, q question, do func(context.Context, *member) (R, error)) (R, error) {
	limited, cancel := context.WithTimeout(ctx, time.Duration(q.effort))
	defer cancel()
	limited, whole := chain.WithQuestion(limited)
	defer whole.End()
	var answer R
	err := c.identify(limited, m)
	started := c.now()
	if err == nil {
		answer, err = do(limited, m)
	}
	err = ended(ctx, limited, err)
	c.learn(ctx, m, q, c.now().Sub(started), err)
	if err != nil {
		var none R
		return none, err
	}
	return answer, nil
}

// ended gives an error its reason when it was time that ended the call.
func ended(ctx, limited context.Context, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(context.Cause(ctx), errSlow), ctx.Err() == nil && limited.Err() != nil:
		return fmt.Errorf("%w: the node took too long", chain.ErrTimeout)
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return err
	}
}
