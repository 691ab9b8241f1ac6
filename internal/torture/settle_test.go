package torture_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
)

// settler runs the activity that confirms and credits, and watches what it does to the books.
type settler struct {
	*store.DB

	h        *history
	env      *testsuite.TestActivityEnvironment
	chain    *activities.Chain
	sabotage *sabotage
	// seen is why the payment that is being settled must not be credited, as far as the node shows.
	seen string
	key  string
	// wrong is what was noticed where a test cannot fail.
	wrong []string
	// asked and outcome are the credit that came of a race.
	asked   *store.CreditInput
	outcome store.CreditOutcome
	// here: who settles is the process that recorded, and knows which node told of what.
	here bool
	// between happens after the check and before the credit.
	between func()
}

func newSettler(h *history) *settler {
	s := &settler{DB: h.DB, h: h, here: h.often("one process", 40)}
	s.chain = &activities.Chain{Settle: s, Sources: s, Log: slog.New(slog.DiscardHandler)}
	suite := &testsuite.WorkflowTestSuite{}
	suite.SetLogger(quiet{})
	s.env = suite.NewTestActivityEnvironment()
	s.env.SetTestTimeout(await.Broken)
	s.env.RegisterActivity(s.chain.SettlePayment)
	return s
}

// Source implements activities.Sources.
func (s *settler) Source(_ context.Context, chain string) (activities.Source, error) {
	for _, n := range s.h.nodes {
		if n.name == chain {
			if s.here {
				return n.source, nil
			}
			return n.judge, nil
		}
	}
	return nil, errors.New("no such chain")
}

// Credit implements activities.SettleStore: what the check saw is about to be posted.
func (s *settler) Credit(ctx context.Context, in store.CreditInput) (store.CreditResult, error) {
	h := s.h
	if h.racing {
		result, err := s.DB.Credit(ctx, in)
		s.asked, s.outcome = &in, result.Outcome
		return result, err
	}
	if s.between != nil {
		s.between()
	}
	refused := h.model.Creditable(s.key, in.Inclusion, in.BlockHash.String(), shown(in))
	result, err := s.DB.Credit(s.sabotage.in(ctx), in)
	if s.sabotage.commits > 0 && refused == "" {
		if s.seen != "" {
			s.wrong = append(s.wrong, "credited "+s.key+" although "+s.seen)
		}
		h.model.Credit(s.key)
	}
	if result.Outcome == store.CreditStale {
		h.tally.add("stale", 1)
	}
	if done := result.Outcome == store.CreditDone; err == nil && done != (refused == "") {
		s.wrong = append(s.wrong, fmt.Sprintf("credit of %s: %s (%s)", s.key, result.Outcome, refused))
	}
	return result, err
}

// settle makes one attempt at a payment.
func (h *history) settle(id payment.PaymentID, s *sabotage, between func()) {
	key, n := h.keyOf(id)
	st := h.settler
	st.sabotage, st.between, st.key = s, between, key
	st.seen = h.mayCredit(key, n)
	before, fine := h.model.Payments()[key].Status, *s == (sabotage{})
	value, err := st.env.ExecuteActivity(st.chain.SettlePayment, process.SettleInput{PaymentID: id, Review: h.pending[id]})
	require.Empty(h.rt, st.wrong)
	var result process.SettleResult
	if err == nil {
		h.must(value.Get(&result))
		delete(h.pending, id)
	}
	var app *temporal.ApplicationError
	if err != nil {
		require.ErrorAs(h.rt, err, &app)
		require.False(h.rt, app.NonRetryable(), "%v", err)
	}
	h.contradicted(key, n, st.seen, err)
	if st.seen == "" && between == nil && fine && !n.lying() {
		require.Equal(h.rt, "credited", h.model.Payments()[key].Status, "%s was %s and could be credited: %v %+v", key, before, err, result)
	}
}

func (h *history) keyOf(id payment.PaymentID) (string, *node) {
	var chain string
	var hash []byte
	var native bool
	var position int
	err := h.PG.Owner.QueryRow(h.ctx, `SELECT chain, tx_hash, native, position FROM payments WHERE id = $1`, id).
		Scan(&chain, &hash, &native, &position)
	h.must(err)
	for _, n := range h.nodes {
		if n.name == chain {
			return name(chain, payment.Hash(hash).String(), native, position), n
		}
	}
	h.rt.Fatalf("payment %s is on chain %s", id, chain)
	return "", nil
}

// inOrder sorts payments by what they are, not by their ids, which are others when a history is played again.
func (h *history) inOrder(ids iter.Seq[payment.PaymentID]) []payment.PaymentID {
	keys := map[payment.PaymentID]string{}
	read := func() {
		for key, id := range h.ids {
			keys[id] = key
		}
	}
	read()
	for id := range ids {
		if keys[id] == "" {
			h.recorded()
			read()
			break
		}
	}
	return slices.SortedFunc(ids, func(a, b payment.PaymentID) int {
		return cmp.Or(cmp.Compare(keys[a], keys[b]), cmp.Compare(a, b))
	})
}

// settleSome settles payments that somebody was told of, and some that nobody has to.
func (h *history) settleSome() {
	ids := h.inOrder(maps.Keys(h.pending))
	if h.often("forged", 20) {
		ids = h.inOrder(maps.Values(h.ids))
	}
	if len(ids) == 0 {
		return
	}
	for range h.draw("attempts", 1, 4) {
		id := ids[h.draw("payment", 0, len(ids)-1)]
		s := h.sabotage(20)
		var between func()
		if h.often("between", 10) {
			between = h.pullAway(h.node())
		}
		if between == nil && h.often("nodes fail", 25) {
			h.failing(func() { h.settle(id, s, func() {}) })
			continue
		}
		h.settle(id, s, between)
	}
}

// pullAway takes the newest blocks from under whoever has just looked at them.
func (h *history) pullAway(n *node) func() {
	return func() {
		depth := min(n.deepest(), int(n.confirmations)+1)
		if depth > 0 {
			n.cut(h.t, depth)
		}
		for range depth + 1 {
			n.mine(nil)
		}
		h.scan(n, calmScan())
	}
}

// failing does something while all nodes have a fault, or one of two operators lies.
func (h *history) failing(do func()) {
	lies := h.often("lies", 50)
	faults, kind, lie := h.nodeFault(), "lie", farAhead
	if h.often("about tags", 50) {
		kind, lie = "false tag", falseTags
	}
	for _, n := range h.nodes {
		for i, fake := range n.fakes {
			switch {
			case !lies:
				fake.SetFaults(faults)
			case i > 0:
				h.tally.add(kind, 1)
				n.awake(h.ctx)
				fake.SetFaults(chaintest.Faults{Answer: lie})
			}
		}
	}
	do()
	for _, n := range h.nodes {
		for _, fake := range n.fakes {
			fake.SetFaults(chaintest.Faults{})
		}
	}
}

// farAhead lies about the newest block: there are many more confirmations than there are.
func farAhead(a *chaintest.Answer) {
	block, ok := a.Result.(map[string]any)
	if ok && a.Method == "eth_getBlockByNumber" && len(a.Params) > 0 && string(a.Params[0]) == `"latest"` {
		block["number"] = "0xffff"
	}
}

// relay brings wake-ups to those who settle: in any order, some twice, some not at all.
func (h *history) relay() {
	for _, n := range h.nodes {
		if !n.enabled {
			continue
		}
		messages, err := h.DB.ClaimOutbox(h.ctx, "relay", []string{n.name}, 20, 0)
		h.must(err)
		for _, m := range messages {
			if h.often("lost before it was sent", 20) {
				continue // claimed again later
			}
			h.deliver(m, !h.often("forgotten", 10))
			if !h.often("not marked", 20) {
				h.must(h.DB.MarkSent(h.ctx, m.ID, store.OutboxSignalled))
			}
		}
	}
}

// deliver tells somebody to settle, unless whoever is told forgets.
func (h *history) deliver(m store.OutboxMessage, heard bool) {
	if m.ReviewCause != "" {
		return // waits for a person
	}
	route, err := h.DB.Route(h.ctx, m)
	h.must(err)
	if heard && route.To != store.RouteNobody {
		h.pending[m.PaymentID] = route.Cause
		if route.To == store.RouteReview && h.often("review begun", 60) {
			h.reviewed(m.PaymentID, m.Inclusion, route.Cause)
		}
	}
}

type quiet struct{}

func (quiet) Debug(string, ...any) {}
func (quiet) Info(string, ...any)  {}
func (quiet) Warn(string, ...any)  {}
func (quiet) Error(string, ...any) {}
