package torture_test

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/storetest"
)

// tag draws which blocks a chain's nodes call safe and final.
func (h *history) tag(n *node) {
	if !h.often("tags", 60) {
		return
	}
	safe := uint64(h.draw("safe", 0, 3))
	final := safe + uint64(h.draw("final", 1, 6))
	for _, fake := range n.fakes {
		fake.SetTags(safe, final)
	}
}

// deep takes back more than a chain may: blocks below the horizon, or that it called final.
func (h *history) deep() {
	n := h.node()
	may, most := n.deepest(), len(n.canonical)-1
	if may >= most {
		return
	}
	before := len(n.canonical)
	h.replace(n, h.draw("deep", may+1, min(most, may+12)))
	for len(n.canonical) <= before {
		n.mine(nil)
	}
	if h.often("seen", 80) {
		h.scan(n, h.fault())
	}
}

// resume has somebody look at the chains that are halted, and let them go on.
func (h *history) resume() {
	for _, n := range h.nodes {
		if !n.enabled || !h.model.Halted(n.name) {
			continue
		}
		h.tally.add("resumed", 1)
		h.serial++
		h.must(h.DB.ResumeChain(h.ctx, n.name, storetest.By(), fmt.Sprintf("%s/%d", n.name, h.serial)))
		h.model.Resume(n.name)
	}
}

// Halt implements scan.Recorder.
func (w *watcher) Halt(ctx context.Context, s scan.Session, reason string) error {
	written, err := w.write(ctx, func(ctx context.Context) error { return w.StoreRecorder.Halt(ctx, s, reason) })
	if written {
		w.h.tally.add("halted", 1)
		w.learn(w.h.learn(func(m *model.Model) error { return m.Halt(w.n.name, w.n.holds) }))
	}
	return err
}

// ObserveFinal implements scan.Recorder. No reorganisation but the deep ones undoes what is believed to be final from now on.
func (w *watcher) ObserveFinal(ctx context.Context, s scan.Session, final *payment.BlockRef) error {
	counted := &sabotage{}
	err := w.StoreRecorder.ObserveFinal(counted.in(ctx), s, final)
	if counted.commits > 0 && final != nil {
		w.learn(w.h.learn(func(m *model.Model) error {
			m.Final(w.n.name, final.Number, final.Hash.String())
			return nil
		}))
		w.n.floor = max(w.n.floor, final.Number)
	}
	return err
}

// undone takes note of how deep the chain was undone.
func (w *watcher) undone(to uint64) {
	if cursor := w.h.model.Cursor(w.n.name); cursor != nil && cursor.Number > to {
		if cursor.Number-to > w.n.horizon {
			w.h.tally.add("undone below the horizon", 1)
		}
		if to < w.h.model.FinalOf(w.n.name) {
			w.h.tally.add("undone below what was final", 1)
		}
	}
	w.n.floor = min(w.n.floor, to)
}
