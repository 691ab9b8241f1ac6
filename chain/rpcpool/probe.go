package rpcpool

import (
	"context"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// probeAgain is after how long an endpoint is probed again that failed meanwhile.
const probeAgain = time.Minute

// recheckLacking is after how long an endpoint is probed again that lacks what watching needs.
const recheckLacking = 5 * time.Minute

// probeDue finds out, in the background, what endpoints can do of which that is not known or was found out long ago.
func (c *core) probeDue(ctx context.Context) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.probing || c.ended || len(c.due()) == 0 {
		return
	}
	c.probing = true
	background, end := context.WithCancel(context.WithoutCancel(ctx))
	c.probes.Go(func() {
		select {
		case <-c.closed:
			end()
		case <-background.Done():
		}
	})
	c.probes.Go(func() {
		defer end()
		c.Probe(background)
		c.mu.Lock()
		c.probing = false
		c.mu.Unlock()
	})
}

// due lists the members to be probed. The caller holds the lock.
func (c *core) due() []*member {
	var due []*member
	for _, m := range c.members {
		_, can := m.Endpoint.(chain.Prober)
		ok, _, _ := m.admits(c.now())
		again := recheck
		if m.caps.Lacks() != "" {
			again = recheckLacking
		}
		known := !m.probed.IsZero() && c.now().Sub(m.probed) < again
		if can && ok && !known && (m.probing.IsZero() || c.now().Sub(m.probing) >= probeAgain) {
			due = append(due, m)
		}
	}
	return due
}

// Probe finds out what endpoints can do of which that is not known or was found out long ago. Head does so by itself,
// beside its own work.
func (c *core) Probe(ctx context.Context) {
	c.mu.Lock()
	due := c.due()
	for _, m := range due {
		c.begin(m, 9, c.now())
		m.probing = c.now()
	}
	c.mu.Unlock()
	for _, m := range due {
		caps, err := call(ctx, c, m, question{effort: heavy}, func(ctx context.Context, m *member) (chain.Capabilities, error) {
			return m.Endpoint.(chain.Prober).Probe(ctx) //nolint:forcetypeassert // due made sure
		})
		if err != nil {
			continue // the next one does not wait for this one
		}
		c.probedAs(ctx, m, caps)
	}
}

// probedAs notes what an endpoint can do, and tells of it when what it lacks has changed.
func (c *core) probedAs(ctx context.Context, m *member, caps chain.Capabilities) {
	c.mu.Lock()
	before := ""
	if !m.probed.IsZero() {
		before = m.caps.Lacks()
	}
	m.caps, m.probed = caps, c.now()
	m.traces = capable(caps.Traces)
	m.tags[payment.TagSafe], m.tags[payment.TagFinalized] = capable(caps.Safe), capable(caps.Finalized)
	for _, need := range chain.Needs() {
		m.can[need] = capable(caps.Meets(need))
	}
	nobody := c.nobodyCan()
	c.mu.Unlock()
	switch lacks := caps.Lacks(); {
	case lacks == before:
	case lacks == "":
		c.opts.Log.InfoContext(ctx, "a node sends all that watching needs", "operator", m.Operator, "node", m.ID)
	default:
		c.opts.Log.WarnContext(ctx, "a node does not send what watching needs, and is not asked for it while another one does",
			"operator", m.Operator, "node", m.ID, "lacks", lacks, "no_node_sends", nobody)
	}
}

// nobodyCan lists what watching needs and no endpoint can do, as far as was found. The caller holds the lock.
func (c *core) nobodyCan() []string {
	lacking := []string{}
	for _, need := range chain.Needs() {
		if !slices.ContainsFunc(c.members, func(m *member) bool { return m.can[need] != unable }) {
			lacking = append(lacking, string(need))
		}
	}
	return lacking
}

// did notes that an endpoint did what a question needed.
func (m *member) did(needs []chain.Need) {
	for _, need := range needs {
		m.can[need] = able
	}
}

// traced notes whether an endpoint traced a block that it was asked to trace. A block without transactions is traced by
// everybody, so who could not at one time is only believed again when it was probed.
func (c *core) traced(m *member, did bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !did || m.traces == untried {
		m.traces = capable(did)
	}
}

// tracers counts the endpoints that may be able to trace.
func (c *core) tracers() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	count := 0
	for _, m := range c.members {
		if m.traces != unable {
			count++
		}
	}
	return count
}
