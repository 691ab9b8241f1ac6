package torture_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// tally counts what happened in all histories, so that somebody notices when one thing does not happen any more.
type tally struct {
	mu     sync.Mutex
	counts map[string]int
}

func (c *tally) add(what string, n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.counts == nil {
		c.counts = map[string]int{}
	}
	c.counts[what] += n
}

// expected is what a thousand histories cannot do without.
func expected() []string {
	return []string{
		"credited", "credited again", "mined again", "changed", "dropped for good", "orders", "allocated at once",
		"event order.payment_detected", "event order.underpaid", "event order.paid", "event order.expired", "event order.cancelled",
		"event order.paid_late", "event order.overpaid", "event payment.reversed", "event payment.late", "event payment.mismatched",
		"label underpaid", "label overpaid", "label late", "label manual", "label wrong_asset", "label wrong_network", "label reversed",
		"kept dust", "kept held", "kept available", "rollback", "rescan", "quarantine", "commit unheard", "connection lost", "scanner killed",
		"race", "restored", "stale", "lie", "node without block 0",
		"decided release", "decided hold", "decided close", "decided retry", "decided again",
		"review late", "review closed_order", "review wrong_asset", "review reversal", "review held", "review stuck", "review deposit",
		"review resolved with release", "review resolved with hold", "review resolved with close",
		"found by a second look", "short range recorded", "lie invented", "lie left out", "lie altered", "lie came true", "lie recorded", "lie not credited", "truth found later", "vouched for", "refuted",
		"opened at once", "place taken", "address shared", "allocated", "deposit", "surplus",
		"event deposit.credited", "event deposit.credited of a deposit", "event payment.reversed of a deposit",
		"quarantine of a part", "spoilt", "spoilt in every way", "spoilt for one operator", "outage", "wrong blooms", "null for no logs",
		"halted", "resumed", "undone below the horizon", "undone below what was final", "credit refused by a halt", "waited for a tag", "false tag", "false head in a scan", "fork",
		"false time", "false time recorded", "time agreed",
	}
}

func (c *tally) missing() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.DeleteFunc(expected(), func(what string) bool { return c.counts[what] > 0 })
}

func (c *tally) String() string {
	c.mu.Lock()
	defer c.mu.Unlock()
	var parts []string
	for _, what := range slices.Sorted(maps.Keys(c.counts)) {
		parts = append(parts, fmt.Sprintf("%s %d", what, c.counts[what]))
	}
	return strings.Join(parts, ", ")
}

// count adds what a history that has ended was made of.
func (h *history) count() {
	h.tally.add("refuted", h.model.Refuted)
	h.tally.add("moved", h.model.Moved)
	h.countCustomers()
	h.countReviews()
	for _, o := range h.model.Orders() {
		h.tally.add("orders", 1)
		for _, e := range o.Events {
			h.tally.add("event "+e.Type, 1)
		}
		for _, label := range o.LabelsOf() {
			h.tally.add("label "+label, 1)
		}
	}
	for _, p := range h.model.Payments() {
		switch {
		case p.Status != "credited":
			h.tally.add("dropped for good", 1)
			continue
		case len(p.Inclusions) > 1:
			h.tally.add("mined again", 1)
		}
		h.tally.add("credited", 1)
		h.tally.add("kept "+p.Account, 1)
		first, last := p.Inclusions[0], p.Inclusions[len(p.Inclusions)-1]
		if first.Amount.Cmp(last.Amount) != 0 || first.To != last.To || first.Asset != last.Asset {
			h.tally.add("changed", 1)
		}
		if p.Reversals > 0 {
			h.tally.add("credited again", 1)
		}
	}
}
