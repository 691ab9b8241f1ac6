package torture_test

import (
	"fmt"
	"maps"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// calm lets everything come to its end: nothing fails any more, and the chains go on.
func (h *history) calm() {
	lied := h.truth()
	h.healAll()
	for _, n := range h.nodes {
		if !n.enabled {
			h.enable(n)
		}
		if n.paused {
			h.rt.Log("calm: unpause")
			h.serial++
			h.must(h.DB.UnpauseChain(h.ctx, n.name, storetest.By(), fmt.Sprintf("%s/%d", n.name, h.serial)))
			n.paused = false
			h.model.Pause(n.name, false)
		}
		// Longer than what is recorded, than any window to return, and deep enough for every policy.
		for range n.floor + n.horizon + 3*n.confirmations + 8 - min(n.floor+n.horizon, n.head().Number) {
			n.mine(nil)
		}
		n.leap() // so that whatever is tried again after a while is tried again
		n.mine(nil)
		for range n.confirmations + 4 {
			n.mine(nil)
		}
	}
	for _, n := range h.nodes {
		h.scan(n, calmScan())
	}
	h.resume()
	for _, n := range lied {
		h.readAgain(n)
	}
	h.check()
	h.unpark()
	for range 3 {
		h.settleAll()
	}
	h.check()
	h.complete()
	for _, o := range h.orders {
		want := h.model.Expire(string(o.id))
		result, _, err := h.DB.ExpireOrder(h.ctx, o.id)
		h.must(err)
		require.Equal(h.rt, want, string(result.Outcome))
	}
	h.check()
}

// settleAll brings every wake-up and settles every payment.
func (h *history) settleAll() {
	h.sweep()
	for _, n := range h.nodes {
		h.tell(n)
	}
	for _, id := range h.inOrder(maps.Keys(h.pending)) {
		h.settle(id, &sabotage{}, nil)
	}
}

// tell brings every wake-up of a chain.
func (h *history) tell(n *node) {
	messages, err := h.DB.ClaimOutbox(h.ctx, "calm", []string{n.name}, 1000, 0)
	h.must(err)
	for _, m := range messages {
		h.deliver(m, true)
		h.must(h.DB.MarkSent(h.ctx, m.ID, store.OutboxSignalled))
	}
}

// complete compares the books with the true chains themselves, whatever was seen when.
func (h *history) complete() {
	ours := map[string]bool{}
	for _, o := range h.orders {
		ours[o.address.Lower()] = true
	}
	want, got := map[string]string{}, map[string]string{}
	for _, n := range h.nodes {
		known := map[string]bool{}
		for _, token := range n.known {
			known[token.Lower()] = true
		}
		for _, paid := range model.Everything(n.name, n.canonical) {
			if ours[paid.To] && (paid.Asset.Token == "" || known[paid.Asset.Token]) {
				want[paid.Key] = fmt.Sprintf("%s in %s", paid.Amount, paid.Block)
			}
		}
		require.Equal(h.rt, n.head().ID, h.model.Cursor(n.name).ID, "%s is not read to its end", n.name)
		for _, id := range h.assets(n) {
			holes, err := h.DB.CoverageHoles(h.ctx, id, store.Interval{First: 1, Last: n.head().Number})
			h.must(err)
			require.Empty(h.rt, holes, "%s was not read everywhere", id)
		}
	}
	for key, p := range h.model.Payments() {
		if p.Status == "credited" {
			in := p.Inclusions[len(p.Inclusions)-1]
			got[key] = fmt.Sprintf("%s in %s", in.Amount, in.Block)
		}
	}
	require.Equal(h.rt, want, got, "every transfer is credited, and nothing else")
	var open int
	h.must(h.PG.Owner.QueryRow(h.ctx, `SELECT (SELECT count(*) FROM outbox WHERE chain = ANY($1) AND sent_at IS NULL)
		+ (SELECT count(*) FROM rescans WHERE chain = ANY($1) AND finished_at IS NULL)
		+ (SELECT count(*) FROM quarantined_blocks WHERE chain = ANY($1) AND resolved_at IS NULL)`, h.names()).Scan(&open))
	require.Zero(h.rt, open, "wake-ups, rescans and holes that are left")
}

func (h *history) names() []string {
	var names []string
	for _, n := range h.nodes {
		names = append(names, n.name)
	}
	return names
}

func (h *history) assets(n *node) []payment.AssetID {
	ids := []payment.AssetID{payment.NativeAsset(n.name)}
	for _, token := range n.known {
		ids = append(ids, payment.TokenAsset(n.name, token))
	}
	return ids
}
