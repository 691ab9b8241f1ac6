package torture_test

import (
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// history is one random life.
type history struct {
	*world

	t        *testing.T
	rt       *reporter
	ctx      context.Context
	model    *model.Model
	nodes    []*node
	merchant payment.MerchantID
	wallet   payment.XPubID
	policy   merchantPolicy
	orders   []*asked
	settler  *settler
	// pending are the payments that somebody is settling, as far as wake-ups told.
	pending map[payment.PaymentID]process.ReviewCause
	ids     map[string]payment.PaymentID // of payments, by the model's keys
	serial  int
	// known: the merchant knows some of its customers. age counts the orders.
	known bool
	age   int
	// decided is what persons asked for.
	decided []decided

	// While several act at once, what was committed waits here.
	racing bool
	steps  []step

	restorable, restored bool
	backup               *backup
	issuing              sync.Mutex
	issued               map[uint32]bool // indices of the wallet, in all lives
	indices              uint32          // one past the highest
}

// asked is an order as it was asked for.
type asked struct {
	id      payment.OrderID
	node    *node
	token   int // of the node's, -1 for the coin
	due     *big.Int
	address payment.Address
	// customer is whose standing address it is, "" for the order's own.
	customer string
	opened   model.Order
}

type merchantPolicy struct {
	hold      bool
	late      payment.LatePolicy
	tolerance int // basis points
}

const (
	dustBelow = 10
	blockTime = 12 // seconds, as the Fake makes them
)

// play plays a history. One that is restorable has the database to itself.
func play(t *testing.T, rt *reporter, w *world, restorable bool) {
	h := &history{
		world: w, t: t, rt: rt, ctx: t.Context(), model: model.New(),
		pending: map[payment.PaymentID]process.ReviewCause{}, ids: map[string]payment.PaymentID{},
		restorable: restorable, issued: map[uint32]bool{},
	}
	h.begin()
	moves := h.moves()
	for range h.draw("steps", 8, 30) {
		move := moves[evenly(len(moves)).Draw(h.rt.T, "move")]
		h.rt.Logf("-- %s", move.name)
		move.do()
		h.check()
	}
	h.calm()
	h.count()
}

// moves are what can happen, the more often the likelier. The first does nothing, which is what rapid makes of a move that a
// failure does not need.
func (h *history) moves() []move {
	moves := []move{{"nothing", func() {}}}
	add := func(n int, name string, do func()) {
		for range n {
			moves = append(moves, move{name, do})
		}
	}
	add(3, "mine", h.mine)
	add(3, "pay", func() { h.pay() })
	add(2, "undo", h.undo)
	add(3, "reorg", h.reorg)
	add(4, "scan with faults", func() { h.scan(h.node(), h.fault()) })
	add(2, "scan", func() { h.scan(h.node(), calmScan()) })
	add(3, "relay", h.relay)
	add(4, "settle", h.settleSome)
	add(1, "open", h.open)
	add(1, "open at once", h.openAtOnce)
	add(2, "expire", h.expire)
	add(1, "wish", h.wish)
	add(2, "decide", h.decide)
	add(1, "stuck", h.stuck)
	add(2, "race", h.race)
	add(1, "enable a token", h.enableToken)
	add(1, "enable a chain", h.enableChain)
	add(1, "pause", h.pause)
	add(1, "sweep", h.sweep)
	add(2, "spoil", h.spoil)
	add(1, "heal", h.healAll)
	add(1, "outage", h.outage)
	add(3, "lie", h.lie)
	add(3, "lie about times", h.lieAboutTimes)
	add(1, "fork", h.fork)
	add(1, "honest again", h.honest)
	add(2, "deep", h.deep)
	add(1, "resume", h.resume)
	if h.restorable {
		add(2, "save", h.save)
		add(2, "restore", h.restore)
	}
	return moves
}

// move is one thing that can happen.
type move struct {
	name string
	do   func()
}

func (h *history) draw(label string, from, to int) int {
	return rapid.IntRange(from, to).Draw(h.rt.T, label)
}

// often is true n times out of a hundred, and false where it makes no difference.
func (h *history) often(label string, n int) bool { return evenly(100).Draw(h.rt.T, label) >= 100-n }

// evenly draws a number below n, each about as often. rapid prefers small ones, which would make a chance none.
func evenly(n int) *rapid.Generator[int] {
	return rapid.Custom(func(t *rapid.T) int {
		number := 0
		for range 10 {
			number *= 2
			if rapid.Bool().Draw(t, "bit") {
				number++
			}
		}
		return number * n / 1024
	})
}

func (h *history) must(err error) { require.NoError(h.rt, err) }

// begin sets the merchant and the chains up.
func (h *history) begin() {
	h.policy = merchantPolicy{
		hold:      h.often("hold", 20),
		late:      rapid.SampledFrom([]payment.LatePolicy{payment.LateFulfil, payment.LateCreditOnly, payment.LateHold}).Draw(h.rt.T, "late"),
		tolerance: rapid.SampledFrom([]int{0, 0, 500}).Draw(h.rt.T, "tolerance"),
	}
	h.merchant, _ = h.NewMerchant(h.t, func(m *store.NewMerchant) {
		m.LatePolicy, m.ToleranceBPS = h.policy.late, h.policy.tolerance
		if h.policy.hold {
			m.PaymentPolicy = payment.PaymentHold
		}
	})
	if h.policy.hold {
		h.model.Hold()
	}
	h.known = h.often("customers", 60)
	h.wallet = h.AddWallet(h.t, h.merchant, 0)
	for range 2 {
		id := h.chains.Add(1)
		n := newNode(h.t, fmt.Sprintf("c%d", id), id, h.draw("operators", 1, 2))
		n.confirmations, n.horizon = uint64(h.draw("confirmations", 1, 4)), uint64(h.draw("horizon", 4, 8))
		h.prune(n)
		h.distrust(n)
		if h.often("short ranges", 50) {
			n.short = h.draw("nodes with short ranges", 1, len(n.fakes))
		}
		h.tagging(n)
		h.oddities(n)
		h.nodes = append(h.nodes, n)
	}
	h.settler = newSettler(h)
	h.enable(h.nodes[0])
	h.nodes[0].mine(nil)
	h.scan(h.nodes[0], calmScan())
	h.open()
	for range h.more() {
		h.open()
	}
}

// enable configures a chain, with its first token.
func (h *history) enable(n *node) {
	err := h.DB.EnableChain(h.ctx, store.Chain{
		Name: n.name, Family: payment.FamilyEVM, ChainID: n.id, DisplayName: n.name, BlockTime: time.Second,
		Policy:  payment.ConfirmationPolicy{Confirmations: n.confirmations, Tag: n.tag},
		Horizon: n.horizon, StartBlock: 1, MaxRange: 500, MaxLag: 1000 * time.Hour,
	}, store.NewAsset{ID: payment.NativeAsset(n.name), Code: "ETH", Decimals: 18, DustBelow: payment.AmountFromUint64(dustBelow)}, nil, storetest.By())
	h.must(err)
	n.enabled = true
	h.model.EnableChain(n.name, n.confirmations, n.horizon)
	h.model.SetTag(n.name, string(n.tag))
	h.model.EnableAsset(model.Asset{Chain: n.name}, big.NewInt(dustBelow))
	h.tier(n, payment.NativeAsset(n.name), model.Asset{Chain: n.name})
	h.addToken(n)
}

func (h *history) addToken(n *node) {
	i := len(n.known)
	h.must(h.DB.AddToken(h.ctx, store.NewAsset{
		ID: payment.TokenAsset(n.name, n.tokens[i]), Code: fmt.Sprintf("T%d", i), Decimals: 6, DustBelow: payment.AmountFromUint64(dustBelow),
	}, storetest.By()))
	n.known = append(n.known, n.tokens[i])
	asset := model.Asset{Chain: n.name, Token: n.tokens[i].Lower()}
	h.model.EnableAsset(asset, big.NewInt(dustBelow))
	h.tier(n, payment.TokenAsset(n.name, n.tokens[i]), asset)
}

// tier asks for more confirmations of large amounts, perhaps.
func (h *history) tier(n *node, id payment.AssetID, asset model.Asset) {
	h.vouch(n, id, asset)
	if !h.often("tier", 40) {
		return
	}
	from, confirmations := uint64(h.draw("from", 200, 1500)), n.confirmations+uint64(h.draw("more confirmations", 1, 3))
	tag := h.wanted(n, 30)
	h.must(h.DB.SetConfirmationTier(h.ctx, store.TierKey{Chain: n.name, Asset: &id, From: payment.AmountFromUint64(from)},
		payment.ConfirmationPolicy{Confirmations: confirmations, Tag: tag}, storetest.By()))
	h.model.SetTier(asset, new(big.Int).SetUint64(from), confirmations, string(tag))
}

// node draws one of the chains that are enabled.
func (h *history) node() *node {
	var enabled []*node
	for _, n := range h.nodes {
		if n.enabled {
			enabled = append(enabled, n)
		}
	}
	return enabled[h.draw("chain", 0, len(enabled)-1)]
}

func (h *history) anyNode() *node { return h.nodes[h.draw("chain", 0, len(h.nodes)-1)] }

// mine makes a few blocks, of a chain that the product may not know yet.
func (h *history) mine() {
	n := h.anyNode()
	for range h.draw("blocks", 1, 3) {
		n.mine(h.transactions(n))
	}
}

// pay makes a block in which somebody pays just what an order asks for, and enough blocks to confirm it, perhaps.
func (h *history) pay() *node {
	o := h.order()
	n := o.node
	e := effect{native: o.token < 0, token: max(o.token, 0), to: o.address, amount: o.due}
	switch {
	case o.customer != "":
		e.amount = h.paying(o)
	case h.often("in parts", 30):
		e.amount = new(big.Int).Div(new(big.Int).Add(o.due, big.NewInt(1)), big.NewInt(2))
	}
	tx := &transaction{effects: []effect{e}, payer: h.payer()}
	if !e.native && h.often("junk before", 30) {
		tx.effects = slices.Insert(tx.effects, 0, effect{junk: true, to: e.to, amount: e.amount})
	}
	n.mine([]*transaction{tx})
	for range h.draw("blocks after", 0, 4) {
		n.mine(nil)
	}
	if h.often("recorded badly", 30) {
		h.scan(n, scanFault{steps: 8, database: h.harm(25)})
	}
	return n
}

func (h *history) transactions(n *node) []*transaction {
	var txs []*transaction
	for range max(0, h.draw("transactions", -1, 2)) {
		txs = append(txs, h.transaction(n))
	}
	return txs
}

func (h *history) transaction(n *node) *transaction {
	tx := &transaction{failed: h.often("fails", 5), payer: h.payer()}
	if h.often("native", 40) {
		tx.effects = append(tx.effects, h.effect(n, true))
	}
	for range h.draw("logs", 0, 3) {
		tx.effects = append(tx.effects, h.effect(n, false))
	}
	if h.often("calls", 30) {
		tx.calls = h.calls(n, 2)
	}
	return tx
}

// calls draws what a contract calls, and what is called then.
func (h *history) calls(n *node, deep int) []call {
	var calls []call
	for range h.draw("calls", 1, 3) {
		e := h.effect(n, true)
		c := call{
			kind: rapid.SampledFrom([]string{"CALL", "CALL", "CALL", "DELEGATECALL", "CREATE2", "SELFDESTRUCT"}).Draw(h.rt.T, "kind"),
			to:   e.to, amount: e.amount.Uint64(), reverted: h.often("reverted", 15),
		}
		if deep > 0 && h.often("deeper", 25) {
			c.calls = h.calls(n, deep-1)
		}
		calls = append(calls, c)
	}
	return calls
}

// effect draws who gets what.
func (h *history) effect(n *node, native bool) effect {
	e := effect{native: native, to: made("stranger", n.id, uint64(h.draw("stranger", 0, 3))), amount: big.NewInt(int64(h.draw("amount", 0, 2000)))}
	if !native {
		e.junk = h.often("junk", 15)
		e.token = h.draw("token", 0, len(n.tokens)-1)
	}
	if len(h.orders) == 0 || h.often("to a stranger", 15) {
		return e
	}
	o := h.orders[h.draw("order", 0, len(h.orders)-1)]
	e.to = o.address
	if h.often("as asked", 70) && (o.token < 0) == native && !native {
		e.token = o.token
	}
	switch h.draw("how much", 0, 6) {
	case 0, 1:
		e.amount = o.due
	case 2:
		e.amount = h.paying(o)
	case 3:
		e.amount = new(big.Int).Add(o.due, big.NewInt(int64(h.draw("more", 1, 50))))
	case 4:
		e.amount = big.NewInt(int64(h.draw("dust", 0, dustBelow)))
	case 5:
		e.amount = new(big.Int).Sub(o.due, big.NewInt(int64(h.draw("less", 1, 40))))
	default:
		if !native && h.often("fantastic", 20) {
			e.amount = new(big.Int).Lsh(big.NewInt(1), 200)
		}
	}
	return e
}

// reorg takes blocks away and mines others. Their transactions come back elsewhere, changed, later, or not at all.
func (h *history) reorg() {
	h.reorganise(h.anyNode(), 1)
}

// undo pays an order, has that credited, and takes it back.
func (h *history) undo() {
	n := h.pay()
	for range n.confirmations + uint64(h.draw("more blocks", 0, 3)) {
		n.mine(nil)
	}
	h.scan(n, calmScan())
	h.tell(n)
	for i, id := range h.inOrder(maps.Keys(h.pending)) {
		if i == 0 && h.often("pulled away", 20) {
			h.settle(id, &sabotage{}, h.pullAway(n))
			continue
		}
		h.settle(id, &sabotage{}, nil)
	}
	h.check()
	h.reorganise(n, int(n.confirmations))
	h.scan(n, h.fault())
	h.scan(n, calmScan())
}

// reorganise takes at least so many blocks away, if the product can follow that.
func (h *history) reorganise(n *node, least int) {
	if deepest := n.deepest(); deepest >= least {
		h.replace(n, h.draw("depth", least, deepest))
	}
}

// replace takes blocks away and mines others.
func (h *history) replace(n *node, depth int) {
	txs := n.cut(h.t, depth)
	var again []*transaction
	for _, tx := range txs {
		if h.spedUp(tx, &again) {
			continue
		}
		switch h.draw("fate", 0, 5) {
		case 0: // dropped
		case 1:
			again = append(again, h.changed(n, tx))
		default:
			again = append(again, tx)
		}
	}
	if len(again) > 1 && h.often("shuffled", 50) {
		again = rapid.Permutation(again).Draw(h.rt.T, "order of transactions")
	}
	blocks := h.draw("new blocks", 1, 4)
	for i := range blocks {
		take := len(again)
		if i < blocks-1 {
			take = h.draw("taken", 0, len(again))
		}
		n.mine(slices.Concat(again[:take], h.transactions(n)))
		again = again[take:]
	}
}

// changed is the same transaction with other effects: a contract may do different things in another block.
func (h *history) changed(n *node, tx *transaction) *transaction {
	c := &transaction{hash: tx.hash, payer: tx.payer, failed: tx.failed, effects: slices.Clone(tx.effects), calls: tx.calls}
	switch h.draw("change", 0, 4) {
	case 4:
		c.calls = h.calls(n, 1)
	case 0:
		c.failed = !c.failed
	case 1:
		c.effects = slices.Insert(c.effects, 0, h.effect(n, false))
	case 2:
		if len(c.effects) > 0 {
			c.effects = slices.Delete(c.effects, 0, 1)
		}
	default:
		for i, e := range c.effects {
			c.effects[i] = h.effect(n, e.native)
		}
	}
	return c
}

// allocate gives an order its address, as two workers would that both believe it is theirs to do, one of which dies.
func (h *history) allocate(o *asked) {
	dying := h.sabotage(20)
	type result struct {
		view process.OrderView
		err  error
	}
	others := make(chan result, 2)
	together := h.draw("at once", 0, 2)
	h.tally.add("allocated at once", together)
	for range together {
		go func() {
			view, err := h.attempt(h.ctx, o.id)
			others <- result{view, err}
		}()
	}
	_, _ = h.attempt(dying.in(h.ctx), o.id)
	view, err := h.attempt(h.ctx, o.id)
	h.must(err)
	for range together {
		other := <-others
		h.must(other.err)
		require.Equal(h.rt, view.Address, other.view.Address, "one order, one address")
	}
	h.addressed(o, view)
}

func deref[T any](p *T) T {
	var v T
	if p != nil {
		v = *p
	}
	return v
}

// sabotage draws what goes wrong with the database during one operation, of at most so many statements. Mostly nothing does.
func (h *history) sabotage(statements int) *sabotage {
	if h.often("sabotage", 40) {
		return h.harm(statements)
	}
	return &sabotage{}
}

// harm draws what goes wrong, and something does.
func (h *history) harm(statements int) *sabotage {
	switch s := (&sabotage{}); h.draw("harm", 0, 3) {
	case 0:
		h.tally.add("connection lost", 1)
		s.at = h.draw("statement", 1, statements)
		return s
	case 1:
		s.commit = commitUnsent
		return s
	default:
		h.tally.add("commit unheard", 1)
		s.commit = commitUnheard
		return s
	}
}

func (h *history) enableToken() {
	n := h.node()
	if len(n.known) < len(n.tokens)-1 { // the last one stays unknown
		h.addToken(n)
	}
}

func (h *history) enableChain() {
	if !h.nodes[1].enabled {
		h.enable(h.nodes[1])
	}
}

func (h *history) pause() {
	n := h.node()
	h.serial++
	change := h.DB.PauseChain
	if n.paused {
		change = h.DB.UnpauseChain
	}
	h.must(change(h.ctx, n.name, storetest.By(), fmt.Sprintf("%s/%d", n.name, h.serial)))
	n.paused = !n.paused
	h.model.Pause(n.name, n.paused)
}

// sweep wakes what nobody was told of.
func (h *history) sweep() {
	for _, n := range h.nodes {
		if n.enabled {
			_, err := h.DB.SweepUnsettled(h.ctx, n.name, 0, 100)
			h.must(err)
		}
	}
}

// expire asks for orders to be closed, however early.
func (h *history) expire() {
	o := h.order()
	want := h.model.Clone()
	outcome := want.Expire(string(o.id))
	s := h.sabotage(12)
	result, _, err := h.DB.ExpireOrder(s.in(h.ctx), o.id)
	if s.commits == 0 {
		require.Error(h.rt, err)
		return
	}
	h.model = want
	if err == nil {
		require.Equal(h.rt, outcome, string(result.Outcome), "expiring %s", o.id)
	}
}

func (h *history) order() *asked {
	return h.orders[h.draw("order", 0, len(h.orders)-1)]
}

// never is later than any block.
const never = int64(1) << 40

// wish is somebody's: cancel, extend, fulfil by hand.
func (h *history) wish() {
	o := h.order()
	h.serial++
	request := fmt.Sprintf("%s/%d", h.merchant, h.serial)
	want := h.model.Clone()
	var outcome string
	var ask func(ctx context.Context) (process.OrderResult, error)
	switch h.draw("wish", 0, 5) {
	case 0, 1, 2:
		outcome = want.Cancel(string(o.id))
		ask = func(ctx context.Context) (process.OrderResult, error) {
			return h.DB.CancelOrder(ctx, process.CancelInput{OrderID: o.id, By: storetest.By(), RequestID: request})
		}
	case 3:
		outcome = want.Extend(string(o.id), never, never, request)
		ask = func(ctx context.Context) (process.OrderResult, error) {
			return h.DB.ExtendOrder(ctx, process.ExtendInput{OrderID: o.id, Seconds: 600, By: storetest.By(), RequestID: request})
		}
	case 4:
		outcome = want.RetryOrder(string(o.id))
		ask = func(ctx context.Context) (process.OrderResult, error) {
			return h.DB.ResolveOrder(ctx, process.ResolveInput{OrderID: o.id, Move: process.MoveRetry, By: storetest.By(), RequestID: request})
		}
	default:
		outcome = want.MarkPaid(string(o.id), request)
		ask = func(ctx context.Context) (process.OrderResult, error) {
			return h.DB.ResolveOrder(ctx, process.ResolveInput{
				OrderID: o.id, Move: process.MoveMarkPaid, By: storetest.By(), RequestID: request,
			})
		}
	}
	s := h.sabotage(12)
	result, err := ask(s.in(h.ctx))
	if s.commits > 0 {
		h.model = want
	}
	switch code := payment.CodeOf(err); {
	case err == nil:
		require.Equal(h.rt, outcome, result.Outcome)
	case code == payment.CodeOrderState, code == payment.CodePaymentLive:
		require.Equal(h.rt, outcome, string(code))
	}
	if s.commits > 0 { // whoever does not know asks again
		again, err := ask(h.ctx)
		h.must(err)
		require.Equal(h.rt, process.OutcomeAlreadyDone, again.Outcome)
	}
}

// name is a payment's key in the model.
func name(chain, tx string, native bool, position int) string {
	return model.Key(chain, tx, native, position)
}

// before orders payments that time does not, as the product does: by their ids.
func (h *history) before(a, b string) bool { return h.idOf(a) < h.idOf(b) }

func (h *history) idOf(key string) payment.PaymentID {
	if id, ok := h.ids[key]; ok {
		return id
	}
	parts := strings.Split(key, "/")
	var id payment.PaymentID
	err := h.PG.Owner.QueryRow(h.ctx, `SELECT id FROM payments
		WHERE chain = $1 AND tx_hash = decode($2, 'hex') AND native = $3 AND position = $4::integer`,
		parts[0], strings.TrimPrefix(parts[1], "0x"), parts[2] == "value", parts[3]).Scan(&id)
	require.NoError(h.rt, err, key)
	h.ids[key] = id
	return id
}

var _ activities.SettleStore = (*settler)(nil)
