package torture_test

import (
	"errors"
	"fmt"
	"time"

	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/torture/model"
)

// lieAboutTimes reads a chain while one of its nodes tells other times of the blocks that are not recorded yet.
func (h *history) lieAboutTimes() {
	n := h.node()
	from := uint64(0)
	if cursor := h.model.Cursor(n.name); cursor != nil {
		from = cursor.Number
	}
	for range h.draw("blocks", 0, 3) {
		n.mine(h.transactions(n))
	}
	if h.often("paid", 60) {
		h.pay()
	}
	by := rapid.SampledFrom([]time.Duration{
		-10 * 24 * time.Hour, -time.Minute, 30 * time.Second, time.Hour, 6 * time.Hour, 50 * 365 * 24 * time.Hour,
	}).Draw(h.rt.T, "by")
	h.tally.add("false time", 1)
	if !n.lying() {
		n.liar = h.draw("liar", 0, len(n.fakes)-1)
	}
	h.scan(n, scanFault{steps: h.draw("steps", 4, 16), lie: falseTimes(from, by)})
}

// falseTimes tells other times of all blocks above one.
func falseTimes(above uint64, by time.Duration) func(a *chaintest.Answer) {
	return func(a *chaintest.Answer) {
		block, ok := a.Result.(map[string]any)
		at, timed := block["timestamp"].(string)
		height, numbered := block["number"].(string)
		if !ok || !timed || !numbered || number16(height) <= above {
			return
		}
		block["timestamp"] = fmt.Sprintf("0x%x", number16(at)+uint64(by/time.Second))
	}
}

func number16(text string) uint64 {
	var n uint64
	_, _ = fmt.Sscanf(text, "0x%x", &n)
	return n
}

// said is what was said of the times of blocks. What is called established has to be true: one operator lies at most.
func (w *watcher) said(blocks []chain.Block) []model.Said {
	said := make([]model.Said, len(blocks))
	for i, b := range blocks {
		said[i] = model.Said{Time: b.Time.Unix(), Established: b.TimeBasis.Established()}
		truth := w.n.blocks[b.Hash.String()]
		switch {
		case truth == nil:
		case said[i].Established && said[i].Time != truth.Time:
			w.learn(errors.New("one operator's word about a time was taken for more: " + b.Hash.String()))
		case said[i].Time != truth.Time:
			w.h.tally.add("false time recorded", 1)
		case said[i].Established:
			w.h.tally.add("time agreed", 1)
		}
	}
	return said
}
