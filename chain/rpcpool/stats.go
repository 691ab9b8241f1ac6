package rpcpool

import (
	"maps"
	"time"

	"github.com/sluicepay/sluice/chain"
)

// Stats is how a pool is doing. It holds nothing that is secret.
type Stats struct {
	Chain     string
	Trusted   Trusted
	Endpoints []EndpointStats
	// Disagreements counts the checks that ended with chain.ErrDisagreement.
	Disagreements uint64
}

// Alone tells whether the trusted head is one operator's alone.
func (s Stats) Alone() bool { return len(s.Trusted.Operators) == 1 }

// EndpointStats is how an endpoint is doing.
type EndpointStats struct {
	ID       int64
	Operator string
	Primary  bool
	Breaker  BreakerState
	// Foreign: it is on another chain.
	Foreign bool
	// Limited: it is asked for nothing until then, because it wanted so.
	Limited time.Time
	// Rate is how many calls a minute it is asked at most; 0: no limit is known.
	Rate int64
	// Head is the newest block that it told of, and Lag how far that is below the trusted head.
	Head, Lag uint64
	// Latency is the average of small questions.
	Latency  time.Duration
	Requests uint64            // questions, each of which may be several calls
	Errors   map[string]uint64 // by chain.Reason
	// Capabilities were found out at Probed; zero: not yet. Lacks says what watching needs and it cannot do, "" for nothing.
	Capabilities chain.Capabilities
	Probed       time.Time
	Lacks        string
	// LargestRange is the largest range, in blocks, that it answered.
	LargestRange uint64
}

// Stats tells how the pool is doing.
func (c *core) Stats() Stats {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	stats := Stats{Chain: c.opts.Chain, Trusted: c.trusted, Disagreements: c.disputes}
	for _, m := range c.members {
		caps := m.caps
		if m.traces != untried {
			caps.Traces = m.traces == able
		}
		s := EndpointStats{
			ID: m.ID, Operator: m.Operator, Primary: m == c.primary, Breaker: m.breaker.state(now), Foreign: m.foreign,
			Rate: m.budget.rate, Head: m.head.Number, Latency: m.score.latency, Requests: m.requests, Errors: maps.Clone(m.errors),
			Capabilities: caps, Probed: m.probed, LargestRange: m.accepted,
		}
		if !m.probed.IsZero() {
			s.Lacks = caps.Lacks()
		}
		if now.Before(m.budget.blocked) {
			s.Limited = m.budget.blocked
		}
		if s.Head < c.trusted.Head.Number {
			s.Lag = c.trusted.Head.Number - s.Head
		}
		stats.Endpoints = append(stats.Endpoints, s)
	}
	return stats
}
