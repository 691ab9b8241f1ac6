package rpcpool

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// Endpoint is one node, or one balancer with nodes behind it. What it can do beyond that is found by asking for
// chain.TokenReader and chain.Prober.
type Endpoint interface {
	chain.Source
	chain.Verifier
	Close()
}

// Member is an endpoint with what the operator of the pool says about it.
type Member struct {
	Endpoint

	Key      [32]byte // tells members apart when the list is set anew
	ID       int64    // names the endpoint in logs and metrics
	Operator string   // who runs it
	// Weight is its part of the work. 0: it is asked when nobody else can answer, and for second opinions.
	Weight int
}

// recheck is after how long an endpoint is asked again which chain it is on and what it can do.
const recheck = 30 * time.Minute

// capability is what is known about something that an endpoint may be able to do.
type capability uint8

const (
	untried capability = iota
	able
	unable
)

func capable(can bool) capability {
	if can {
		return able
	}
	return unable
}

// member is a Member with what was learnt about it. Everything below the Member is guarded by the pool.
type member struct {
	Member

	gone chan struct{} // closed when it leaves the pool

	known    time.Time // when it last said that it is on the wanted chain; zero: not known
	foreign  bool      // it said that it is on another one
	breaker  breaker
	budget   budget
	score    score
	head     payment.BlockRef // the newest block that it told of the last time
	top      uint64           // the highest of those
	risen    time.Time        // when that was news; zero: never asked
	lagging  bool             // its head did not count when the trusted head was last decided
	ahead    bool             // its head was far beyond the trusted one
	probing  time.Time        // when it was last tried what it can do
	probed   time.Time        // when that was last found out
	caps     chain.Capabilities
	traces   capability
	tags     map[payment.Tag]capability
	can      map[chain.Need]capability
	accepted uint64 // the largest range that it answered
	refused  uint64 // the smallest range that it refused lately; 0: none
	refusal  time.Time
	flood    time.Time // when it last answered with more than may be
	requests uint64
	errors   map[string]uint64 // by reason
}

func newMember(given Member) *member {
	return &member{Member: given, gone: make(chan struct{}), tags: map[payment.Tag]capability{}, can: map[chain.Need]capability{}, errors: map[string]uint64{}}
}

// tell notes what the member says about its newest block. A head far below the highest one, more than slack blocks, takes
// that one's place: it was a mistake, and the member must not seem to stand still until the chain has come that far.
func (m *member) tell(head payment.BlockRef, slack uint64, now time.Time) {
	switch {
	case m.risen.IsZero() || head.Number > m.top:
		m.top, m.risen = head.Number, now
	case head.Number+slack < m.top:
		m.top = head.Number
	}
	m.head = head
}

// shows notes that the member has a block.
func (m *member) shows(ref payment.BlockRef) {
	if ref.Number > m.head.Number {
		m.head = ref
	}
}

// has tells whether the member may have the block of this height, as far as it has told of its head.
func (m *member) has(number uint64) bool { return m.risen.IsZero() || m.head.Number >= number }

// rangeForgotten is after how long a refused range is tried again.
const rangeForgotten = 10 * time.Minute

// flooded tells whether the member has lately answered with more than may be: others are asked for what is large.
func (m *member) flooded(now time.Time) bool {
	return !m.flood.IsZero() && now.Sub(m.flood) < rangeForgotten
}

// refuses tells whether the member has lately refused a range of this size.
func (m *member) refuses(size uint64, now time.Time) bool {
	return m.refused > 0 && size >= m.refused && now.Sub(m.refusal) < rangeForgotten
}

// ranged notes what became of a range of this size.
func (m *member) ranged(size uint64, refused bool, now time.Time) {
	switch {
	case !refused:
		m.accepted = max(m.accepted, size)
		if size >= m.refused {
			m.refused = 0
		}
	case m.refused == 0 || size < m.refused || now.Sub(m.refusal) >= rangeForgotten:
		m.refused, m.refusal = size, now
	}
}

// recheckUnsure is after how long an endpoint is asked again that there was nothing to recognize by.
const recheckUnsure = time.Minute

// identify makes sure that a member is on the wanted chain: it has the chain id, and the genesis block or another block that
// is known. Where no genesis block is wanted, that of the endpoint that shows one first is.
func (c *core) identify(ctx context.Context, m *member) error {
	c.mu.Lock()
	now, want := c.now(), c.config
	if want.Identity.Genesis.IsZero() {
		want.Identity.Genesis = c.genesis
	}
	known := !m.known.IsZero() && now.Sub(m.known) < recheck
	c.mu.Unlock()
	if known {
		return nil
	}
	got, err := m.Identity(ctx)
	if err != nil {
		return err
	}
	sure := !want.Identity.Genesis.IsZero() && got.Genesis == want.Identity.Genesis
	switch {
	case got.ChainID != want.Identity.ChainID:
		err = fmt.Errorf("%w: chain id %d instead of %d", chain.ErrWrongChain, got.ChainID, want.Identity.ChainID)
	case sure:
	case !want.Identity.Genesis.IsZero() && !got.Genesis.IsZero():
		err = fmt.Errorf("%w: another genesis block", chain.ErrWrongChain)
	default:
		sure, err = chain.Recognize(ctx, want.Known, m.HeaderByNumber)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if err != nil {
		m.known, m.foreign = time.Time{}, errors.Is(err, chain.ErrWrongChain)
		return err
	}
	m.known, m.foreign = now, false
	if c.genesis.IsZero() {
		c.genesis = got.Genesis
	}
	if !sure && got.Genesis.IsZero() {
		m.known = now.Add(recheckUnsure - recheck)
	}
	return nil
}
