package rpcpool

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Bounds of how long contradicting operators are given to see the same chain.
const (
	disputeShortest = 500 * time.Millisecond
	disputeLongest  = 3 * time.Second
)

// opinion is what one operator says about an inclusion.
type opinion struct {
	operator string
	check    chain.Check
}

func (o opinion) included() bool { return o.check.Outcome == chain.Included }

// CheckInclusion implements chain.Verifier. See the package comment for who is asked. NodeBehind means that no operator has
// the block; chain.ErrDisagreement that operators who have it contradict each other, after they were asked twice.
func (p *Pool) CheckInclusion(ctx context.Context, inclusion chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	for again := false; ; again = true {
		h, err := p.hear(ctx, inclusion, demand)
		if err != nil {
			return chain.Check{}, err
		}
		if !h.disputed() {
			return p.result(ctx, inclusion, demand.Tag, h)
		}
		if again {
			return chain.Check{}, p.disagree(ctx, inclusion, h)
		}
		if err := p.opts.Wait(ctx, p.disputePause()); err != nil {
			return chain.Check{}, err
		}
	}
}

// hearing is what several operators said about one inclusion.
type hearing struct {
	opinions []opinion // of those that have the block
	behind   *opinion  // of one that has not
}

// hear asks operators, each once, until the demand is met, or nobody is left to ask. An error means that nobody answered.
func (p *Pool) hear(ctx context.Context, inclusion chain.Inclusion, demand chain.Demand) (hearing, error) {
	var h hearing
	asked := map[string]bool{}
	for {
		o, err := p.opinion(ctx, inclusion, h.next(demand), asked)
		switch {
		case ctx.Err() != nil:
			return h, ctx.Err()
		case err != nil && len(h.opinions) == 0 && h.behind == nil:
			return h, err
		case err != nil:
			return h, nil //nolint:nilerr // nobody else answers: what there is has to do
		}
		asked[o.operator] = true
		if o.check.Outcome == chain.NodeBehind {
			h.behind = &o
			continue
		}
		h.opinions = append(h.opinions, o)
		if h.enough(demand) {
			return h, nil
		}
	}
}

// next is what the next operator is asked for: a proof only where one is wished for and none was given yet.
func (h hearing) next(demand chain.Demand) chain.Demand {
	if len(h.opinions) > 0 && (demand.Evidence == payment.EvidenceAgreed || h.selfConsistent()) {
		demand.Evidence = payment.EvidenceSingle
	}
	return demand
}

// enough tells whether nobody else needs to be asked. Two who refuse are enough, and so are two who contradict each other.
func (h hearing) enough(demand chain.Demand) bool {
	refused := slices.ContainsFunc(h.opinions, func(o opinion) bool { return !o.included() })
	if refused {
		return len(h.opinions) > 1
	}
	return h.evidence().AtLeast(demand.Evidence)
}

func (h hearing) selfConsistent() bool {
	return slices.ContainsFunc(h.opinions, func(o opinion) bool {
		return o.included() && o.check.Evidence.AtLeast(payment.EvidenceSelfConsistent)
	})
}

// confirms tells whether an operator stands by the inclusion's block: it also does when it has that block and no receipt any
// more, which is all that a proof needs of a second one.
func (h hearing) confirms(o opinion) bool {
	return o.included() || o.check.Outcome == chain.MissingReceipt && h.selfConsistent()
}

// disputed tells whether some say that the inclusion holds and others that it does not.
func (h hearing) disputed() bool {
	return slices.ContainsFunc(h.opinions, opinion.included) &&
		slices.ContainsFunc(h.opinions, func(o opinion) bool { return !h.confirms(o) })
}

// evidence is what the hearing amounts to, when it is not disputed.
func (h hearing) evidence() payment.Evidence {
	if !slices.ContainsFunc(h.opinions, opinion.included) {
		return payment.EvidenceNone
	}
	switch several, proof := len(h.opinions) > 1, h.selfConsistent(); {
	case several && proof:
		return payment.EvidenceProven
	case several:
		return payment.EvidenceAgreed
	case proof:
		return payment.EvidenceSelfConsistent
	default:
		return payment.EvidenceSingle
	}
}

// opinion asks one operator that was not asked yet; one that the block was not read from, if there is a choice.
func (p *Pool) opinion(ctx context.Context, inclusion chain.Inclusion, demand chain.Demand, asked map[string]bool) (opinion, error) {
	q := p.questionOf(heavy, inclusion.BlockHash)
	q.number, q.cost, q.skip, q.needs = &inclusion.BlockNumber, 5, maps.Clone(asked), []chain.Need{chain.NeedReceipts}
	p.mu.Lock()
	if holders := p.pins.holders(inclusion.BlockHash); len(holders) > 0 {
		q.avoid = holders[len(holders)-1].Operator
	}
	p.mu.Unlock()
	q.hash = nil // who read the block is not who is asked first
	var behind *opinion
	o, err := ask(ctx, p, q, func(ctx context.Context, m *member) (opinion, error) {
		check, err := m.CheckInclusion(ctx, inclusion, demand)
		if err != nil {
			return opinion{}, err
		}
		o := opinion{operator: m.Operator, check: check}
		if check.Outcome == chain.NodeBehind {
			behind = &o
			return o, errLacking
		}
		return o, nil
	})
	if err != nil && behind != nil && ctx.Err() == nil {
		return *behind, nil
	}
	return o, err
}

// result is what a hearing that is not disputed comes to.
func (p *Pool) result(ctx context.Context, inclusion chain.Inclusion, tag payment.Tag, h hearing) (chain.Check, error) {
	if len(h.opinions) == 0 {
		check := h.behind.check
		check.Operators = []string{h.behind.operator}
		return check, nil
	}
	first := slices.IndexFunc(h.opinions, opinion.included)
	check := h.opinions[max(first, 0)].check
	check.Operators = nil
	for _, o := range h.opinions {
		check.Heads = lower(check.Heads, o.check.Heads)
		check.Operators = append(check.Operators, o.operator)
	}
	slices.Sort(check.Operators)
	check.Evidence, check.Depth = h.evidence(), 0
	if check.Outcome == chain.Included {
		if err := p.bound(ctx, tag, &check.Heads); err != nil {
			return chain.Check{}, err
		}
		check.Depth = check.Heads.Depth(inclusion.BlockNumber)
	}
	return check, nil
}

// bound keeps heads from being beyond the trusted ones: a payment must not be confirmed by blocks, or be called final, by
// one operator alone while there is another one.
func (p *Pool) bound(ctx context.Context, tag payment.Tag, heads *payment.Heads) error {
	if !p.beyond(heads.Latest) && (tag == payment.TagNone || !p.several()) {
		return nil
	}
	head, err := p.Head(ctx, payment.TagNone)
	if err != nil {
		return err
	}
	heads.Latest = min(heads.Latest, head.Number)
	if tag == payment.TagNone {
		return nil
	}
	tagged, err := p.Head(ctx, tag)
	if errors.Is(err, chain.ErrBlockUnknown) {
		tagged, err = payment.BlockRef{}, nil
	}
	heads.Safe, heads.Finalized = min(heads.Safe, tagged.Number), min(heads.Finalized, tagged.Number)
	return err
}

// several tells whether there is more than one endpoint.
func (c *core) several() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.members) > 1
}

// beyond tells whether a head is higher than the trusted one. The trusted head is as old as the last look at all heads, so this
// only says that it is time for another one.
func (c *core) beyond(head uint64) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.members) > 1 && (c.trusted.At.IsZero() || head > c.trusted.Head.Number)
}

func lower(a, b payment.Heads) payment.Heads {
	return payment.Heads{Latest: min(a.Latest, b.Latest), Safe: min(a.Safe, b.Safe), Finalized: min(a.Finalized, b.Finalized)}
}

func (c *core) disputePause() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return min(max(c.config.BlockTime, disputeShortest), disputeLongest)
}

// disagree counts and reports a disagreement.
func (c *core) disagree(ctx context.Context, inclusion chain.Inclusion, h hearing) error {
	c.mu.Lock()
	c.disputes++
	c.mu.Unlock()
	said := make([]any, 0, 2*len(h.opinions))
	for _, o := range h.opinions {
		said = append(said, o.operator, string(o.check.Outcome))
	}
	c.opts.Log.ErrorContext(ctx, "operators disagree about a payment", "block", inclusion.BlockNumber,
		"block_hash", inclusion.BlockHash.String(), "tx", inclusion.TxHash.String(), slog.Group("said", said...))
	return fmt.Errorf("%w: about transaction %s in block %d", chain.ErrDisagreement, inclusion.TxHash, inclusion.BlockNumber)
}
