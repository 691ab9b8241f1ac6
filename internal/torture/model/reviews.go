package model

import "fmt"

// parked is the status of a payment whose review was closed before it was confirmed: nobody is woken for it.
const parked = "parked"

// Subject names a review: an inclusion of a payment, and why a person is asked.
type Subject struct {
	Payment   string // its key
	Inclusion int
	Cause     string
}

// Review asks a person to look at money.
type Review struct {
	Open     bool
	Decision string // of one that is not open
}

// OpenReview asks somebody to look. The same review is opened once.
func (m *Model) OpenReview(s Subject) {
	if _, known := m.reviews[s]; !known {
		m.reviews[s] = Review{Open: true}
	}
}

// Reviews returns the reviews.
func (m *Model) Reviews() map[Subject]Review { return m.reviews }

// Stuck opens the reviews of all payments of a chain that somebody waits for to be confirmed, whose time is over.
func (m *Model) Stuck(chain string) (opened int) {
	for _, p := range m.payments {
		s := Subject{p.Key, len(p.Inclusions), "stuck"}
		if _, known := m.reviews[s]; !known && p.chain == chain && p.Status == detected {
			m.OpenReview(s)
			opened++
		}
	}
	return opened
}

// reviewCredit asks for a person when money was credited that nobody asked for, or that is held, and closes what waited for the
// credit. What was decided before money was held is to be decided again. over: the order was cancelled before.
func (m *Model) reviewCredit(p *Payment, kind string, over bool) {
	n := len(p.Inclusions)
	if s := (Subject{p.Key, n, "stuck"}); m.reviews[s].Open {
		m.reviews[s] = Review{Decision: "close"}
	}
	held := p.Account == "held"
	var cause string
	switch {
	case kind == "dust":
		return
	case kind == "asset", kind == "network":
		cause = "wrong_asset"
	case held && !m.hold: // of money in the order's asset, only the policy for late money holds it
		cause = "late"
	case over:
		cause = "closed_order"
	case held:
		cause = "held"
	default:
		return
	}
	s := Subject{p.Key, n, cause}
	if r, known := m.reviews[s]; !known || held && !r.Open {
		m.reviews[s] = Review{Open: true}
	}
}

// held tells whether the money of an inclusion waits for a decision.
func (m *Model) held(s Subject) bool {
	p := m.payments[s.Payment]
	return p.Status == credited && p.Credited == s.Inclusion && p.Account == "held" && !p.Released
}

// unsettled tells whether an inclusion is still to be credited.
func (m *Model) unsettled(s Subject) bool {
	p := m.payments[s.Payment]
	return len(p.Inclusions) == s.Inclusion && (p.Status == detected || p.Status == parked)
}

// Resolve carries out what a person decides about a review: release, hold, close or retry. It returns how things stand
// then, or why nothing was done.
func (m *Model) Resolve(s Subject, move, request string) string {
	r, known := m.reviews[s]
	if !known {
		return "not_found"
	}
	if m.done[request] || !r.Open && r.Decision == move {
		return m.Standing(s)
	}
	switch {
	case !r.Open && !m.takesAnother(s, move):
		return "order_state"
	case move == "release" && m.chains[m.payments[s.Payment].chain].halted:
		return "chain_halted"
	case !m.carryOut(s, move):
		return "order_state"
	}
	m.done[request] = true
	switch {
	case move == "retry":
		m.reviews[s] = Review{Open: true}
	case move == "close" && !r.Open: // what was decided stays so
	default:
		m.reviews[s] = Review{Decision: move}
	}
	return m.Standing(s)
}

// takesAnother tells whether something else can be decided after all: what is held can be released, or left held for good,
// and what was closed unconfirmed can be confirmed.
func (m *Model) takesAnother(s Subject, move string) bool {
	switch m.reviews[s].Decision {
	case "hold":
		return move == "release" || move == "close"
	case "close":
		return move == "retry" && m.payments[s.Payment].Status == parked || move == "release" && m.held(s)
	default:
		return false
	}
}

// carryOut does what was decided with the money, and tells whether that can be done.
func (m *Model) carryOut(s Subject, move string) bool {
	p := m.payments[s.Payment]
	switch move {
	case "release":
		if p.Released && p.Credited == s.Inclusion { // in the review of another cause
			return true
		}
		if !m.held(s) {
			return false
		}
		p.Released = true
	case "hold":
		return m.held(s)
	case "close":
		if m.unsettled(s) {
			p.Status = parked
		}
	case "retry":
		if p.Status == parked {
			p.Status = detected
		}
	}
	return true
}

// Standing says how a review stands.
func (m *Model) Standing(s Subject) string {
	status := "resolved"
	if m.reviews[s].Open {
		status = "open"
	}
	return Standing(status, m.held(s), !m.unsettled(s))
}

// Standing is a review's status, whether its money is held, and whether nothing more is to be confirmed.
func Standing(status string, held, settled bool) string {
	return fmt.Sprintf("%s, held %t, settled %t", status, held, settled)
}

// RetryOrder has parked payments of an order confirmed like any others.
func (m *Model) RetryOrder(id string) string {
	for _, p := range m.payments {
		if p.Order == id && p.Status == parked {
			p.Status = detected
		}
	}
	return "done"
}
