package torture_test

import (
	"context"
	"fmt"

	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/storetest"
)

// tags are which blocks a chain's nodes call safe and finalized.
type tags struct {
	safe, final uint64      // so far below the newest, if final is not 0
	tag         payment.Tag // that every payment's block has to have
}

// tagging draws which blocks a chain's nodes call safe and finalized, and whether payments wait for that.
func (h *history) tagging(n *node) {
	if !h.often("tags", 70) {
		return
	}
	n.safe = uint64(h.draw("safe", 0, 3))
	n.final = n.safe + uint64(h.draw("final", 1, 6))
	for _, fake := range n.fakes {
		fake.SetTags(n.safe, n.final)
	}
	n.tag = h.wanted(n, 30)
}

// wanted draws a tag to wait for.
func (h *history) wanted(n *node, often int) payment.Tag {
	if n.final == 0 || !h.often("tag", often) {
		return payment.TagNone
	}
	return rapid.SampledFrom([]payment.Tag{payment.TagSafe, payment.TagFinalized}).Draw(h.rt.T, "which")
}

// tagged is the newest block that the chain truly calls so.
func (n *node) tagged(tag string) uint64 {
	head := n.head().Number
	switch {
	case n.final == 0 && tag == string(payment.TagFinalized):
		return head / 32 * 32
	case tag == string(payment.TagSafe):
		return head - min(head, n.safe)
	default:
		return head - min(head, n.final)
	}
}

// falseTags lies about what is safe and finalized: everything, and more than there is.
func falseTags(a *chaintest.Answer) {
	block, ok := a.Result.(map[string]any)
	if !ok || a.Method != "eth_getBlockByNumber" || len(a.Params) == 0 {
		return
	}
	if of := string(a.Params[0]); of == `"safe"` || of == `"finalized"` {
		block["number"] = "0xffff"
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
	if w.strict && final != nil && final.Number > w.n.tagged("finalized") {
		w.learn(fmt.Errorf("block %d was taken for final, and %d is", final.Number, w.n.tagged("finalized")))
	}
	counted := &sabotage{}
	err := w.StoreRecorder.ObserveFinal(counted.in(ctx), s, final)
	if counted.commits > 0 {
		w.learn(w.h.learn(func(m *model.Model) error {
			m.Mark(w.n.name)
			if final != nil {
				m.Final(w.n.name, final.Number, final.Hash.String())
			}
			return nil
		}))
	}
	if counted.commits > 0 && final != nil {
		w.n.floor = max(w.n.floor, final.Number)
	}
	return err
}

// ObserveHead implements scan.Recorder.
func (w *watcher) ObserveHead(ctx context.Context, s scan.Session, head payment.BlockRef) error {
	if w.strict && head.Number > w.n.head().Number {
		w.learn(fmt.Errorf("block %d was taken for the newest, and %d is", head.Number, w.n.head().Number))
	}
	return w.StoreRecorder.ObserveHead(ctx, s, head)
}

// mayUndo returns why a chain must not be undone down to a height: nothing is that the chain still has, except where so much is
// undone that only some blocks are known.
func (w *watcher) mayUndo(m *model.Model, to uint64) error {
	for _, b := range m.Recorded(w.n.name) {
		if b.Number > to && w.n.holds(b.ID) && !m.Halted(w.n.name) && !w.excused {
			return fmt.Errorf("block %d was undone, and the chain has it", b.Number)
		}
	}
	return m.MayUndo(w.n.name, to)
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
