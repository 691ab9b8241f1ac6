package rpcpool

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// told is what one operator's best endpoint says about the head.
type told struct {
	member *member
	head   payment.BlockRef
	// stalled: it has told of the same block for longer than the pool's patience.
	stalled bool
}

// limits say when an operator is too far behind to count.
type limits struct {
	blocks   uint64        // behind the last head that several operators stood by
	age      time.Duration // of the newest block, while another operator has a younger one
	patience time.Duration // without a new block
}

// limitsFor derives the limits from the time between two blocks: ten of them, or as many as come in half a minute.
func limitsFor(blockTime time.Duration) limits {
	patience := max(10*blockTime, 30*time.Second)
	blocks := uint64(10)
	if blockTime > 0 {
		blocks = uint64(patience / blockTime) //nolint:gosec // both are positive
	}
	return limits{blocks: blocks, age: 2 * patience, patience: patience}
}

// trust decides whom to believe about the head: the operators that are within the limits, and of those the one with the
// lowest head. reference is the highest head that at least two operators stood by, 0 when there is none.
//
// Being far ahead of the others makes nobody right, so a lag is never measured against the furthest head: an operator is
// behind when its own head stands still, when it is below what several operators stood by earlier, or when its own newest
// block is old while somebody else has a young one. A test that nobody passes decides nothing.
func trust(all []told, reference uint64, limit limits, now time.Time) (counted []told, lowest told) {
	counted = all
	for _, within := range []func(told) bool{
		func(t told) bool { return !t.stalled },
		func(t told) bool { return t.head.Number+limit.blocks >= reference },
		func(t told) bool { return now.Sub(t.head.Time) <= limit.age },
	} {
		kept := slices.DeleteFunc(slices.Clone(counted), func(t told) bool { return !within(t) })
		if len(kept) > 0 {
			counted = kept
		}
	}
	lowest = counted[0]
	for _, t := range counted[1:] {
		if t.head.Number < lowest.head.Number {
			lowest = t
		}
	}
	return counted, lowest
}

// best picks of each operator's endpoints the one whose head counts: one that moves, and of those the highest. Endpoints of
// one operator are one voice.
func best(all []told) []told {
	var voices []told
	for _, t := range all {
		at := slices.IndexFunc(voices, func(v told) bool { return v.member.Operator == t.member.Operator })
		switch {
		case at < 0:
			voices = append(voices, t)
		case voices[at].stalled != t.stalled:
			if voices[at].stalled {
				voices[at] = t
			}
		case t.head.Number > voices[at].head.Number:
			voices[at] = t
		}
	}
	return voices
}

// Trusted is the trusted head as it was last decided.
type Trusted struct {
	Head payment.BlockRef
	At   time.Time // zero: never
	// Operators are those whose heads counted. One alone is nobody's second opinion.
	Operators []string
}

// headEffort bounds how long an endpoint may take to tell of its head.
const headEffort = effort(5 * time.Second)

// Head implements chain.Source. For TagNone it is the trusted head, and the block there is the primary's, so that it fits
// the blocks below it. It asks every endpoint that may be asked.
func (p *Pool) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	asked, err := p.everybody(ctx, tag)
	if err != nil {
		return payment.BlockRef{}, err
	}
	answers, err := p.heads(ctx, asked, tag)
	if err != nil {
		return payment.BlockRef{}, err
	}
	p.probeDue(ctx)
	if tag != payment.TagNone {
		return p.lowestTagged(answers), nil
	}
	head, own := p.decide(answers)
	if own == nil || own.head.Number <= head.Number {
		return head, nil
	}
	// The primary is ahead: its block at this height, rather than another endpoint's, fits what is read from it next.
	q := question{effort: light, number: &head.Number}
	ref, err := call(ctx, p.core, own.member, q, func(ctx context.Context, m *member) (payment.BlockRef, error) {
		ref, err := m.HeaderByNumber(ctx, head.Number)
		return ref, p.shown(m, ref, err)
	})
	if err != nil {
		return head, ctx.Err()
	}
	return ref, nil
}

// everybody lists the endpoints that may be asked for a head now, and takes them into account.
func (p *Pool) everybody(ctx context.Context, tag payment.Tag) ([]*member, error) {
	p.mu.Lock()
	now := p.now()
	var asked []*member
	for _, m := range p.members {
		if ok, _, _ := m.admits(now); ok && m.tags[tag] != unable {
			p.begin(m, 1, now)
			asked = append(asked, m)
		}
	}
	p.mu.Unlock()
	if len(asked) > 0 {
		return asked, nil
	}
	// Nobody may be asked yet, or nobody knows the tag, as far as was ever heard: hear it from one.
	m, err := p.choose(ctx, question{effort: headEffort, cost: 1}, nil)
	if err != nil {
		return nil, err
	}
	return []*member{m}, nil
}

// heads asks all of them at once. It returns an error when nobody answered.
func (p *Pool) heads(ctx context.Context, asked []*member, tag payment.Tag) ([]told, error) {
	type reply struct {
		place int
		told
		err error
	}
	group, end := context.WithCancelCause(ctx)
	defer end(nil)
	replies := make(chan reply, len(asked))
	for i, m := range asked {
		go func() {
			head, err := call(group, p.core, m, question{effort: headEffort}, func(ctx context.Context, m *member) (payment.BlockRef, error) {
				return m.Head(ctx, tag)
			})
			replies <- reply{place: i, told: told{member: m, head: head}, err: err}
		}()
	}
	answers := make([]told, len(asked))
	var last error
	var grace *time.Timer
	var over <-chan time.Time
	for range asked {
		var r reply
		select {
		case r = <-replies:
		case <-over:
			end(errSlow)
			over = nil
			r = <-replies
		}
		p.toldTag(r.member, tag, r.err)
		switch {
		case r.err != nil:
			last = worse(last, r.err)
			continue
		case grace == nil:
			grace = time.NewTimer(p.opts.Grace)
			defer grace.Stop()
			over = grace.C
		}
		answers[r.place] = r.told
	}
	answers = slices.DeleteFunc(answers, func(t told) bool { return t.member == nil })
	if len(answers) == 0 {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		return nil, last
	}
	return answers, nil
}

// toldTag notes whether an endpoint knows a tag.
func (c *core) toldTag(m *member, tag payment.Tag, err error) {
	if tag == payment.TagNone {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case err == nil:
		m.tags[tag] = able
	case errors.Is(err, chain.ErrUnsupported):
		m.tags[tag] = unable
	}
}

// decide settles the trusted head, and who lags. own is what the primary said, nil when it said nothing or does not count.
func (c *core) decide(answers []told) (head payment.BlockRef, own *told) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := c.now()
	for i := range answers {
		m := answers[i].member
		m.tell(answers[i].head, c.limits.blocks, now)
		answers[i].stalled = now.Sub(m.risen) >= c.limits.patience
		c.pins.note(answers[i].head, m)
	}
	voices := best(answers)
	counted, lowest := trust(voices, c.agreed, c.limits, now)
	head = lowest.head
	c.trusted = Trusted{Head: head, At: now, Operators: operatorsOf(counted)}
	if len(counted) > 1 {
		c.agreed = head.Number
	}
	for _, t := range answers {
		t.member.lagging = t.head.Number+c.limits.blocks < head.Number || t.stalled && !lowest.stalled
		t.member.ahead = t.head.Number > head.Number+c.limits.blocks
	}
	if c.primary == nil {
		c.appoint(answers, now)
	}
	for i, t := range answers {
		if t.member == c.primary && t.head.Number >= head.Number && !t.member.ahead {
			return head, &answers[i]
		}
	}
	return head, nil
}

// appoint draws a primary from those that told of their head.
func (c *core) appoint(answers []told, now time.Time) {
	present := make([]*member, len(answers))
	for i, t := range answers {
		present[i] = t.member
	}
	c.primary, c.since = c.draw(c.cheapest(present, question{}, now)), now
}

func operatorsOf(voices []told) []string {
	names := make([]string, len(voices))
	for i, t := range voices {
		names[i] = t.member.Operator
	}
	slices.Sort(names)
	return names
}

// lowestTagged is the lowest of the operators' blocks with a tag. Operators whose newest block does not count are left
// out when somebody else answered.
func (c *core) lowestTagged(answers []told) payment.BlockRef {
	c.mu.Lock()
	defer c.mu.Unlock()
	voices := best(answers)
	kept := slices.DeleteFunc(slices.Clone(voices), func(t told) bool { return t.member.lagging })
	if len(kept) == 0 {
		kept = voices
	}
	lowest := slices.MinFunc(kept, func(a, b told) int { return cmp.Compare(a.head.Number, b.head.Number) })
	c.pins.note(lowest.head, lowest.member)
	return lowest.head
}
