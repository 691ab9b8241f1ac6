package torture_test

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// scanFault is what goes wrong during a scan.
type scanFault struct {
	steps    int        // after so many the scanner is stopped, done or not
	point    scan.Point // at which it dies, at the n-th time
	times    int
	database *sabotage // of the first write
	node     chaintest.Faults
	others   int                     // how many other operators' nodes have the same fault
	faulty   bool                    // a node's fault
	outage   bool                    // no block can be read
	lie      func(*chaintest.Answer) // what the liar says about its newest blocks, while all others answer
}

// calmScan goes on until nothing is left to do.
func calmScan() scanFault { return scanFault{steps: 300} }

// fault draws one.
func (h *history) fault() scanFault {
	f := scanFault{steps: h.draw("steps", 1, 20), others: h.draw("others", 0, 1)}
	switch h.draw("scan fault", 0, 6) {
	case 0:
		f.point, f.times = rapid.SampledFrom(scan.Points()).Draw(h.rt.T, "point"), h.draw("times", 1, 3)
	case 1, 2:
		f.database = h.harm(25)
	case 3:
		f.faulty = true
		f.node.Lag, f.node.EmptyAhead = uint64(h.draw("lag", 1, 3)), h.often("empty ahead", 50)
	case 4:
		f.faulty = true
		f.node = h.nodeFault()
	}
	return f
}

// nodeFault draws an answer that is wrong, in a way that somebody can notice.
func (h *history) nodeFault() chaintest.Faults {
	every := h.draw("every", 1, 5)
	var calls atomic.Int64 // of all nodes
	when := func(a *chaintest.Answer, method string) bool {
		if method != "" && !strings.HasPrefix(a.Method, method) {
			return false
		}
		return calls.Add(1)%int64(every) == 0
	}
	switch h.draw("node fault", 0, 4) {
	case 0:
		return chaintest.Faults{Answer: func(a *chaintest.Answer) {
			if when(a, "") {
				a.Result, a.Error = nil, &chaintest.RPCError{Code: -32000, Message: "internal error"}
			}
		}}
	case 1: // nothing, for blocks that have something
		return chaintest.Faults{Answer: func(a *chaintest.Answer) {
			if when(a, "eth_getLogs") && a.Error == nil {
				a.Result = []any{}
			}
		}}
	case 2:
		return chaintest.Faults{Answer: func(a *chaintest.Answer) {
			if when(a, "eth_getTransactionReceipt") {
				a.Result = nil
			}
		}}
	case 3:
		return chaintest.Faults{MaxRange: uint64(every), RangeMessage: "block range too large"}
	default:
		return chaintest.Faults{Answer: func(a *chaintest.Answer) {
			if block, ok := a.Result.(map[string]any); ok && when(a, "eth_getBlock") {
				block["parentHash"] = payment.Hash{1, 2, 3}
			}
		}}
	}
}

// scan runs a scanner until it is done, stopped, or dead.
func (h *history) scan(n *node, f scanFault) {
	ctx, cancel := await.Context(h.ctx)
	defer cancel()
	for i, fake := range n.fakes {
		faults := chaintest.Faults{}
		if i <= f.others {
			faults = f.node
		}
		fake.SetFaults(n.faulty(i, faults))
	}
	defer func() {
		for _, fake := range n.fakes {
			fake.SetFaults(chaintest.Faults{})
		}
	}()
	for _, pool := range n.pools {
		n.tell(pool)
	}
	if n.forked {
		n.awake(h.ctx)
	}
	if f.lie != nil {
		n.fakes[n.liar].SetFaults(n.faulty(n.liar, chaintest.Faults{Answer: f.lie}))
	}
	w := &watcher{outage: f.outage, strict: f.lie != nil, excused: n.forked && f.faulty, StoreRecorder: activities.StoreRecorder{Store: store.NewRecorder(h.DB)}, h: h, n: n, sabotage: f.database}
	steps, idle, ranged := 0, 0, uint64(0)
	scanner := &scan.Scanner{Chain: n.name, Source: n.source, Recorder: w, Options: scan.Options{
		Policy: scan.Policy{
			NearHead: 4, MaxRange: 5, MinPoll: 1, MaxPoll: 1, MinBackoff: 1, MaxBackoff: 1, MaxRetryAfter: 1, MaxRescanBackoff: 1,
			QuarantineFailures: 3, QuarantineAfter: 1, SecondLookPause: 1, SecondLookEvery: 1,
		},
		OnProgress: func(p scan.Progress) {
			if p.Ranged == ranged && (p.Mode == scan.ModeWait || p.Mode == scan.ModePaused) {
				idle++
			} else {
				idle = 0
			}
			ranged = p.Ranged
			if steps++; steps >= f.steps || idle == 2 && p.Rescans == 0 && p.Ranged == 0 || idle == 6 {
				cancel()
			}
		},
		Fault: func(p scan.Point) {
			if p != f.point {
				return
			}
			if f.times--; f.times == 0 {
				h.tally.add("scanner killed", 1)
				runtime.Goexit()
			}
		},
	}}
	var err error
	done := make(chan struct{})
	go func() { // which may die without a word
		defer close(done)
		err = scanner.Run(ctx)
	}()
	<-done
	if w.failed != nil {
		h.rt.Fatalf("%v", w.failed)
	}
	if err != nil && !errors.Is(err, context.Canceled) && payment.CodeOf(err) != payment.CodeUnavailable {
		require.NoError(h.rt, err)
	}
}

// watcher tells the model what a recorder wrote.
type watcher struct {
	activities.StoreRecorder

	h        *history
	n        *node
	sabotage *sabotage // of the next write
	strict   bool      // nobody's word alone counts
	excused  bool      // nobody else can tell whether what one operator says is so
	outage   bool      // no block can be read, so none is given up on
	failed   error
}

// write runs one write and tells whether it is in the database.
func (w *watcher) write(ctx context.Context, do func(ctx context.Context) error) (bool, error) {
	s := w.sabotage
	w.sabotage = nil
	if s == nil {
		s = &sabotage{}
	}
	err := do(s.in(ctx))
	return s.commits > 0, err
}

func (w *watcher) learn(err error) {
	if err != nil && w.failed == nil {
		w.failed = err
	}
}

func (w *watcher) blocks(batch scan.Batch) []*model.Block {
	blocks := make([]*model.Block, len(batch.Blocks))
	for i, b := range batch.Blocks {
		if blocks[i] = w.n.blocks[b.Hash.String()]; blocks[i] == nil {
			w.learn(errors.New("a block was recorded that never was: " + b.Hash.String()))
			blocks[i] = &model.Block{ID: b.Hash.String(), Parent: b.Parent.String(), Number: b.Number}
		}
	}
	return blocks
}

func (w *watcher) seen(batch scan.Batch) model.Seen {
	how := model.Seen{Native: batch.Filter.Native, Told: w.told(batch.Blocks, batch), ByHash: batch.ByHash, Said: w.said(batch.Blocks), Now: time.Now().Unix()}
	for _, token := range batch.Filter.Tokens {
		how.Tokens = append(how.Tokens, token.Lower())
	}
	how.Traced = traced(batch.Blocks)
	for _, view := range batch.Views {
		how.Views = append(how.Views, model.Seen{Told: w.told(view.Blocks, batch), Traced: traced(view.Blocks)})
	}
	return how
}

func traced(blocks []chain.Block) []bool {
	list := make([]bool, len(blocks))
	for i, b := range blocks {
		list[i] = b.Traced
	}
	return list
}

func (w *watcher) Record(ctx context.Context, s scan.Session, batch scan.Batch) (recorded scan.Recorded, err error) {
	written, err := w.write(ctx, func(ctx context.Context) error {
		recorded, err = w.StoreRecorder.Record(ctx, s, batch)
		return err
	})
	if written {
		blocks := w.blocks(batch)
		w.learn(w.h.learn(func(m *model.Model) error {
			return m.Record(w.n.name, blocks, w.seen(batch), w.h.before)
		}))
		w.n.recorded(blocks[len(blocks)-1].Number)
	}
	return recorded, err
}

func (w *watcher) RecordRescan(ctx context.Context, s scan.Session, job scan.Rescan, batch scan.Batch) (recorded scan.Recorded, err error) {
	written, err := w.write(ctx, func(ctx context.Context) error {
		recorded, err = w.StoreRecorder.RecordRescan(ctx, s, job, batch)
		return err
	})
	if written {
		w.h.tally.add("rescan", 1)
		blocks := w.blocks(batch)
		how := w.seen(batch)
		w.learn(w.h.learn(func(m *model.Model) error {
			before := len(m.Payments())
			err := m.Rescan(w.n.name, blocks, how)
			if job.Second {
				w.h.tally.add("found by a second look", len(m.Payments())-before)
			}
			if w.n.lied {
				w.h.tally.add("truth found later", len(m.Payments())-before)
			}
			return err
		}))
	}
	return recorded, err
}

func (w *watcher) Quarantine(ctx context.Context, s scan.Session, batch scan.Batch, reason string) error {
	written, err := w.write(ctx, func(ctx context.Context) error {
		return w.StoreRecorder.Quarantine(ctx, s, batch, reason)
	})
	if written {
		w.h.tally.add("quarantine", 1)
		if w.outage {
			w.learn(fmt.Errorf("block %d was quarantined in an outage", batch.Blocks[0].Number))
		}
		how := w.seen(batch)
		if how.Native || len(how.Tokens) > 0 {
			w.h.tally.add("quarantine of a part", 1)
		}
		blocks := w.blocks(batch)
		w.learn(w.h.learn(func(m *model.Model) error { return m.Quarantine(w.n.name, blocks[0], how, w.h.before) }))
		w.n.recorded(blocks[0].Number)
	}
	return err
}

func (w *watcher) Rollback(ctx context.Context, s scan.Session, to payment.BlockRef) error {
	written, err := w.write(ctx, func(ctx context.Context) error { return w.StoreRecorder.Rollback(ctx, s, to) })
	if written {
		w.h.tally.add("rollback", 1)
		w.undone(to.Number)
		w.learn(w.h.learn(func(m *model.Model) error {
			if err := w.mayUndo(m, to.Number); err != nil {
				return err
			}
			m.Rollback(w.n.name, to.Number)
			return nil
		}))
	}
	return err
}
