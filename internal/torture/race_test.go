package torture_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// step is something that was committed, to be told to a model. It returns why the model cannot have it.
type step func(m *model.Model) error

// learn tells the model what was committed, or keeps it until it is known in which order things happened.
func (h *history) learn(s step) error {
	if h.racing {
		h.steps = append(h.steps, s)
		return nil
	}
	return s(h.model)
}

// rival is one of several who act at once: do acts, and came is the step that its outcome says it took.
type rival struct {
	name string
	do   func()
	came func() step
}

// race lets an order's end, its money and the recording of its chain happen at once. Whatever order they took, there must be
// one that explains everything.
func (h *history) race() {
	o := h.order()
	n := h.node()
	rivals := []rival{h.expiring(o)}
	switch about, in, ok := h.decision(); {
	case ok && h.often("decide", 40):
		h.tally.add("decided in a race", 1)
		rivals = append(rivals, h.deciding(about, in))
	case h.often("cancel", 60):
		rivals = append(rivals, h.cancelling(o))
	}
	if ids := h.inOrder(maps.Keys(h.pending)); len(ids) > 0 {
		rivals = append(rivals, h.crediting(ids[h.draw("payment", 0, len(ids)-1)]))
	}
	h.tally.add("race", 1)
	h.compete(n, rivals)
}

// explain finds an order of events that leads to what is recorded.
func (h *history) explain(rivals []rival) {
	got := strings.Join(h.recorded(), "\n")
	var came []step
	for _, r := range rivals {
		if s := r.came(); s != nil {
			came = append(came, s)
		}
	}
	var tried []string
	for _, order := range interleavings(came, h.steps) {
		m := h.model.Clone()
		var failed error
		for _, s := range order {
			if failed = s(m); failed != nil {
				break
			}
		}
		if failed != nil {
			tried = append(tried, failed.Error())
			continue
		}
		if want := strings.Join(h.predicted(m), "\n"); want == got {
			h.model = m
			return
		}
		tried = append(tried, "another result")
	}
	h.rt.Fatalf("no order of events explains this: tried %q\nbefore:\n%s\nafter:\n%s", tried, strings.Join(h.predicted(h.model), "\n"), got)
}

// interleavings lists every way to put the rivals' steps, in any order, among the others, which keep theirs.
func interleavings(rivals, others []step) [][]step {
	all := [][]step{others}
	for _, s := range rivals {
		var more [][]step
		for _, before := range all {
			for at := range len(before) + 1 {
				more = append(more, slices.Insert(slices.Clone(before), at, s))
			}
		}
		all = more
	}
	return all
}

func (h *history) expiring(o *asked) rival {
	s := &sabotage{}
	var result process.ExpireResult
	var err error
	return rival{
		name: "expire",
		do:   func() { result, _, err = h.DB.ExpireOrder(s.in(h.ctx), o.id) },
		came: func() step {
			h.must(err)
			return func(m *model.Model) error {
				if outcome := m.Expire(string(o.id)); outcome != string(result.Outcome) {
					return fmt.Errorf("expiry would be %s and was %s", outcome, result.Outcome)
				}
				return nil
			}
		},
	}
}

func (h *history) cancelling(o *asked) rival {
	h.serial++
	request := fmt.Sprintf("%s/%d", h.merchant, h.serial)
	var result process.OrderResult
	var err error
	return rival{
		name: "cancel",
		do: func() {
			result, err = h.DB.CancelOrder(h.ctx, process.CancelInput{OrderID: o.id, By: storetest.By(), RequestID: request})
		},
		came: func() step {
			said := result.Outcome
			if err != nil {
				said = string(payment.CodeOf(err))
			}
			return func(m *model.Model) error {
				if outcome := m.Cancel(string(o.id)); outcome != said {
					return fmt.Errorf("cancelling would be %s and was %s", outcome, said)
				}
				return nil
			}
		},
	}
}

// crediting settles a payment as its process would.
func (h *history) crediting(id payment.PaymentID) rival {
	key, n := h.keyOf(id)
	seen := h.mayCredit(key, n)
	st := h.settler
	st.asked, st.outcome = nil, ""
	in := process.SettleInput{PaymentID: id, Review: h.pending[id]}
	return rival{
		name: "credit",
		do:   func() { _, _ = st.env.ExecuteActivity(st.chain.SettlePayment, in) },
		came: func() step {
			if st.asked == nil || st.outcome == "" {
				return nil // it never came so far, or failed
			}
			return func(m *model.Model) error {
				refused := m.Creditable(key, st.asked.Inclusion, st.asked.BlockHash.String(), shown(*st.asked))
				done := st.outcome == store.CreditDone
				switch {
				case done && seen != "":
					return fmt.Errorf("it was credited although %s", seen)
				case done != (refused == ""):
					return fmt.Errorf("credit was %s: %s", st.outcome, refused)
				case done:
					m.Credit(key)
				}
				return nil
			}
		},
	}
}

// backup is a copy of the database, with what was true then.
type backup struct {
	world  *world
	model  *model.Model
	orders []*asked
	nodes  []node
}

// save makes a backup.
func (h *history) save() {
	if !h.restorable || h.backup != nil {
		return
	}
	h.DB.Close()
	pg := h.PG.Copy(h.t)
	h.use(reopen(h.t, h.world, h.PG))
	h.backup = &backup{world: reopen(h.t, h.world, pg), model: h.model.Clone(), orders: slices.Clone(h.orders)}
	for _, n := range h.nodes {
		h.backup.nodes = append(h.backup.nodes, *n)
	}
}

// restore goes back to the backup: the chains and what payers know stay as they are.
func (h *history) restore() {
	if h.backup == nil || h.restored {
		return
	}
	h.tally.add("restored", 1)
	h.restored = true
	b := h.backup
	h.DB.Close()
	h.use(b.world)
	h.model, h.orders = b.model, b.orders
	clear(h.pending)
	clear(h.ids)
	h.decided = nil
	for i, n := range h.nodes {
		then := b.nodes[i]
		n.enabled, n.known, n.paused, n.floor = then.enabled, then.known, then.paused, then.floor
	}
	locked, err := h.DB.LockWallets(h.ctx, storetest.By())
	h.must(err)
	if locked == 0 {
		h.rt.Fatalf("no wallet was locked")
	}
	_, err = h.DB.CreateOrder(h.ctx, h.NewOrder(func(o *store.NewOrder) {
		o.Merchant, o.Chain, o.Asset = h.merchant, h.nodes[0].name, "ETH"
	}))
	if payment.CodeOf(err) != payment.CodeAddressesExhausted && payment.CodeOf(err) != payment.CodeChainLagging {
		h.rt.Fatalf("an order after a restore, before the wallet was advanced: %v", err)
	}
	for _, o := range h.orders {
		if a, err := h.DB.BeginAllocation(h.ctx, o.id); err != nil || a.Done == nil {
			h.rt.Fatalf("order %s lost its address: %v", o.id, err)
		}
	}
	if _, err := h.DB.ReserveIndex(h.ctx, h.wallet); payment.CodeOf(err) != payment.CodeAddressesExhausted {
		h.rt.Fatalf("an index after a restore, before the wallet was advanced: %v", err)
	}
	h.must(h.DB.AdvanceWallet(h.ctx, h.wallet, h.indices, storetest.By()))
	h.check()
}

// use makes everything go to another database.
func (h *history) use(w *world) {
	h.world = w
	h.settler.DB = w.DB
}

// issue takes note of an index that was handed out: no other order, of no other life, may get it.
func (h *history) issue(ctx context.Context, wallet payment.XPubID) (uint32, error) {
	index, err := h.DB.ReserveIndex(ctx, wallet)
	if err != nil {
		return 0, err
	}
	h.issuing.Lock()
	defer h.issuing.Unlock()
	if h.issued[index] {
		return 0, fmt.Errorf("index %d was handed out twice", index)
	}
	h.issued[index] = true
	h.indices = max(h.indices, index+1)
	return index, nil
}
