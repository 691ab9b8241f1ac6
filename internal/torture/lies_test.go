package torture_test

import (
	"context"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/store/storetest"
)

// trust is what is true about a chain's operators, and what the product is told to make of it.
type trust struct {
	lots *lots // by which pools choose
	// vouched is the amount from which two operators have to agree, 0 where one's word is enough. Only where it is not 0 does one
	// of them lie about money, and never about less: a lie that nobody has to vouch for may be credited.
	vouched uint64
	liar    int             // of the fakes, while there are lies
	lies    map[string]*lie // that are told, by their blocks
	forked  bool            // the liar shows a chain of its own
	lied    bool            // somebody did, at some time
	tags
	early []*transaction // that were made up and may come true
}

// lie is what one operator says that a block holds.
type lie struct {
	txs   []*transaction
	block *model.Block
}

// lots are drawn by several at once.
type lots struct {
	mu   sync.Mutex
	rand *rand.Rand
}

func (l *lots) draw(most int64) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.rand.Int64N(most)
}

func (n *node) lying() bool { return len(n.lies) > 0 || n.forked }

// distrust draws whether operators have to agree.
func (h *history) distrust(n *node) {
	n.lots = &lots{rand: rand.New(rand.NewPCG(uint64(h.draw("lots", 0, 1<<30)), 0))}
	if len(n.fakes) > 1 && h.often("distrust", 70) {
		n.vouched = uint64(h.draw("vouched from", 1, 300))
	}
}

// vouch asks for two operators where there is distrust.
func (h *history) vouch(n *node, id payment.AssetID, asset model.Asset) {
	if n.vouched == 0 {
		return
	}
	h.must(h.DB.SetEvidenceTier(h.ctx, store.TierKey{Chain: n.name, Asset: &id, From: payment.AmountFromUint64(n.vouched)},
		payment.EvidenceAgreed, storetest.By()))
	h.model.SetVouched(asset, new(big.Int).SetUint64(n.vouched))
}

// shown is what a credit says that its check has shown.
func shown(in store.CreditInput) model.Shown {
	return model.Shown{
		Confirmations: in.Policy.Confirmations, Tag: string(in.Policy.Tag), Agreed: in.Evidence.AtLeast(payment.EvidenceAgreed),
	}
}

// mayCredit returns why a payment must not be credited now, "" when it may.
func (h *history) mayCredit(key string, n *node) string {
	if why := h.model.MayCredit(key, n.head().Number, n.tagged, n.holds); why != "" {
		return why
	}
	if !h.model.True(key, n.truly) {
		return "it is a lie"
	}
	return ""
}

// truly is what a block really holds.
func (n *node) truly(id string) *model.Block { return n.blocks[id] }

// contradicted counts what an attempt to settle shows about lies.
func (h *history) contradicted(key string, n *node, seen string, err error) {
	switch {
	case seen == "the chain is halted":
		h.tally.add("credit refused by a halt", 1)
	case strings.HasPrefix(seen, "its block is not safe"), strings.HasPrefix(seen, "its block is not finalized"):
		h.tally.add("waited for a tag", 1)
	case seen == "it is a lie" && err != nil:
		h.tally.add("lie not credited", 1)
	case seen == "" && err == nil && h.model.MustBeVouched(key):
		h.tally.add("vouched for", 1)
	}
}

// awake makes sure that no honest operator is left out because of what failed before: the other one's word would be the only one.
func (n *node) awake(ctx context.Context) {
	n.clock.Add(int64(20 * time.Second))
	n.mine(nil)
	for _, source := range []activities.Source{n.source, n.judge} {
		_, _ = source.Head(ctx, payment.TagNone)
	}
}

// later lets time pass, after which another operator may be who is asked first.
func (n *node) later() { n.clock.Add(int64(6 * time.Minute)) }

// doubted draws one of the chains on which two operators have to agree, nil where there is none.
func (h *history) doubted() *node {
	doubted := slices.DeleteFunc(slices.Clone(h.nodes), func(n *node) bool { return n.vouched == 0 })
	if len(doubted) == 0 {
		return nil
	}
	return doubted[h.draw("chain", 0, len(doubted)-1)]
}

// lie has one of two operators say something false about some of the newest blocks, and goes on saying it.
func (h *history) lie() {
	n := h.doubted()
	if n == nil {
		return
	}
	if !n.lying() {
		n.liar = h.draw("liar", 0, len(n.fakes)-1)
	}
	if len(n.early) > 0 && h.often("comes true", 50) {
		h.tally.add("lie came true", 1)
		n.mine(n.early[:1])
		n.early = n.early[1:]
	}
	blocks := h.draw("blocks", 1, 3)
	for range blocks {
		n.mine(h.transactions(n))
	}
	for _, b := range n.canonical[len(n.canonical)-blocks:] {
		h.lieAbout(n, b)
	}
	if h.often("later", 70) {
		n.later()
	}
	if n.enabled && h.often("believed", 80) {
		f := scanFault{steps: h.draw("steps", 4, 16)}
		if h.often("about heads", 30) {
			n.awake(h.ctx)
			h.tally.add("false head in a scan", 1)
			if f.lie = farAhead; h.often("about tags", 50) {
				f.lie = falseTags
			}
		}
		h.scan(n, f)
	}
	if h.often("honest soon", 40) {
		h.tellTheTruth(n)
	}
}

// lieAbout makes something up about a block.
func (h *history) lieAbout(n *node, b *model.Block) {
	var txs []*transaction
	for _, tx := range b.Txs {
		truth := n.txs[tx.ID]
		txs = append(txs, &transaction{hash: truth.hash, payer: truth.payer, failed: truth.failed, effects: slices.Clone(truth.effects), calls: slices.Clone(truth.calls)})
	}
	for range h.draw("lies", 1, 2) {
		tx := &transaction{}
		if len(txs) > 0 {
			tx = txs[h.draw("transaction", 0, len(txs)-1)]
		}
		if len(tx.effects)+len(tx.calls) == 0 || h.often("made up", 40) {
			txs = append(txs, h.invent(n))
			continue
		}
		h.alter(n, tx)
	}
	l := &lie{txs: txs, block: &model.Block{ID: b.ID, Parent: b.Parent, Number: b.Number, Time: b.Time}}
	fakes := make([]*chaintest.FakeTx, len(txs))
	for i, tx := range txs {
		l.block.Txs, fakes[i] = append(l.block.Txs, n.model(tx)), n.fakeTx(tx)
	}
	n.lies[b.ID], n.lied = l, true
	n.fakes[n.liar].Doctor(hashOf(h, b.ID), fakes...)
}

func hashOf(h *history, id string) payment.Hash {
	hash, err := payment.ParseHash(id)
	h.must(err)
	return hash
}

// invent makes up a transaction that pays one of ours.
func (h *history) invent(n *node) *transaction {
	h.tally.add("lie invented", 1)
	n.made++
	tx := &transaction{hash: hashFor("tx", n)}
	native := h.often("native", 40)
	tx.effects = append(tx.effects, h.worth(n, h.effect(n, native)))
	if native && h.often("called", 40) {
		e := h.worth(n, h.effect(n, true))
		tx.calls = append(tx.calls, call{kind: "CALL", to: e.to, amount: e.amount.Uint64()})
	}
	n.early = append(n.early, tx)
	return tx
}

// alter changes what a transaction did. Everything keeps its place.
func (h *history) alter(n *node, tx *transaction) {
	if len(tx.calls) > 0 && (len(tx.effects) == 0 || h.often("a call", 30)) {
		h.tally.add("lie altered", 1)
		e, c := h.worth(n, h.effect(n, true)), &tx.calls[0]
		if c.amount > 0 { // else it has no place that it could keep
			c.to, c.amount = e.to, e.amount.Uint64()
		}
		return
	}
	at := h.draw("effect", 0, len(tx.effects)-1)
	e := tx.effects[at]
	switch h.draw("lie", 0, 2) {
	case 0:
		h.tally.add("lie left out", 1)
		if e.native {
			e.amount = new(big.Int)
		} else {
			e.junk = true
		}
	case 1:
		h.tally.add("lie altered", 1)
		e.to = h.effect(n, e.native).to
		e = h.worth(n, e)
	default:
		h.tally.add("lie altered", 1)
		e.amount = new(big.Int).Add(e.amount, big.NewInt(int64(h.draw("more", 1, 500))))
		e = h.worth(n, e)
	}
	tx.effects[at] = e
}

// worth makes an effect one that has to be vouched for.
func (h *history) worth(n *node, e effect) effect {
	if least := new(big.Int).SetUint64(n.vouched); e.amount.Cmp(least) < 0 {
		e.amount = least
	}
	return e
}

// honest has a liar tell the truth from now on, or be replaced.
func (h *history) honest() {
	for _, n := range h.nodes {
		h.tellTheTruth(n)
	}
}

func (h *history) tellTheTruth(n *node) {
	for id := range n.lies {
		var txs []*chaintest.FakeTx
		for _, tx := range n.blocks[id].Txs {
			txs = append(txs, n.fakeTx(n.txs[tx.ID]))
		}
		if n.holds(id) { // what left the chain may say what it likes
			n.fakes[n.liar].Doctor(hashOf(h, id), txs...)
		}
	}
	clear(n.lies)
	n.forked = false
	n.fakes[n.liar].Rejoin()
}

// fork has one of two operators show newest blocks of its own.
func (h *history) fork() {
	n := h.doubted()
	if n == nil || n.forked {
		return
	}
	if !n.lying() {
		n.liar = h.draw("liar", 0, len(n.fakes)-1)
	}
	h.tally.add("fork", 1)
	depth := h.draw("fork", 0, min(n.deepest(), 3))
	var txs [][]*transaction
	var blocks [][]*chaintest.FakeTx
	for range depth + h.draw("ahead", 0, 2) + 1 {
		own := []*transaction{h.invent(n)}
		txs, blocks = append(txs, own), append(blocks, []*chaintest.FakeTx{n.fakeTx(own[0])})
	}
	for i, ref := range n.fakes[n.liar].Fork(depth, blocks...) {
		b := &model.Block{ID: ref.Hash.String(), Parent: ref.Parent.String(), Number: ref.Number, Time: ref.Time.Unix()}
		b.Txs = append(b.Txs, n.model(txs[i][0]))
		n.blocks[b.ID] = b
	}
	n.forked, n.lied = true, true
	for range h.draw("looks", 1, 2) {
		if n.enabled {
			h.scan(n, scanFault{steps: h.draw("steps", 4, 12)})
		}
		if h.often("goes on", 50) {
			n.mine(h.transactions(n))
		}
	}
	if h.often("rejoins", 50) {
		h.tellTheTruth(n)
	}
}

// truth ends all lies, and returns the chains about which there were any.
func (h *history) truth() []*node {
	h.honest()
	var lied []*node
	for _, n := range h.nodes {
		if n.lied {
			lied = append(lied, n)
		}
	}
	return lied
}

// readAgain has a whole chain read again, as whoever found a liar out would.
func (h *history) readAgain(n *node) {
	h.serial++
	_, err := h.DB.RequestRescan(h.ctx, n.name, store.Interval{First: 1, Last: n.head().Number}, storetest.By(), fmt.Sprintf("%s/%d", n.name, h.serial))
	h.must(err)
	h.scan(n, calmScan())
}

// told finds out which version of each block was read: the truth, or what a liar says, or what both of them say when both were
// asked; in a range, with or without what some nodes leave out there. Anything else was made up by whoever read it.
func (w *watcher) told(blocks []chain.Block, batch scan.Batch) []*model.Block {
	told := make([]*model.Block, len(blocks))
	for i, b := range blocks {
		truth := w.n.blocks[b.Hash.String()]
		if truth == nil {
			continue
		}
		var wanted []string
		for _, token := range batch.Filter.Tokens {
			wanted = append(wanted, token.Lower())
		}
		got, versions := readOf(b, wanted), w.versions(truth, batch.ByHash)
		at := slices.IndexFunc(versions, func(version *model.Block) bool { return got == listed(version, batch.Filter.Native, wanted, b.Traced) })
		switch {
		case at < 0:
			var listings []string
			for _, version := range versions {
				listings = append(listings, listed(version, batch.Filter.Native, wanted, b.Traced))
			}
			w.learn(fmt.Errorf("block %s was read as\n%s\nand is\n%s", truth.ID, got, strings.Join(listings, "\nor, as somebody says\n")))
		case at > 0:
			told[i] = versions[at]
			if w.n.lies[truth.ID] == nil {
				w.h.tally.add("short range recorded", 1)
				continue
			}
			w.h.tally.add("lie recorded", 1)
		}
	}
	return told
}

// readOf lists what was read in a block.
func readOf(b chain.Block, wanted []string) string {
	var read []string
	for _, c := range b.Candidates {
		switch {
		case c.Native:
			read = append(read, fmt.Sprint(c.TxHash, "/value/", c.Position, " ", c.To.Lower(), " ", c.Amount))
		case slices.Contains(wanted, c.Contract.Lower()):
			read = append(read, fmt.Sprint(c.TxHash, "/log/", c.LogIndex, " ", c.To.Lower(), " ", c.Amount))
		}
	}
	slices.Sort(read)
	return strings.Join(read, "\n")
}

// versions are what may be read of a block, the truth first.
func (w *watcher) versions(truth *model.Block, byHash bool) []*model.Block {
	versions := []*model.Block{truth}
	lies := []*model.Block{}
	if l := w.n.lies[truth.ID]; l != nil {
		lies = append(lies, l.block)
	}
	if !byHash && w.n.short > 0 {
		for _, lie := range lies {
			lies = append(lies, w.n.shortOf(lie))
		}
		versions = append(versions, w.n.shortOf(truth))
	}
	told := slices.Clone(versions)
	for _, lie := range lies {
		versions = append(versions, lie)
		for _, version := range told {
			versions = append(versions, w.h.union(lie, version), w.h.union(version, lie))
		}
	}
	return versions
}

// listed lists what there is to be read in a block: all money that it moved, also of transactions that failed, whose receipts tell.
func listed(b *model.Block, native bool, tokens []string, traced bool) string {
	var lines []string
	logs := 0
	for _, tx := range b.Txs {
		if native && tx.Value != nil && tx.Value.Sign() > 0 {
			lines = append(lines, fmt.Sprint(tx.ID, "/value/", 0, " ", tx.To, " ", tx.Value))
		}
		if tx.Failed {
			continue
		}
		if traced {
			for i, c := range model.Moved(tx.Calls) {
				lines = append(lines, fmt.Sprint(tx.ID, "/value/", i+1, " ", c.To, " ", c.Value))
			}
		}
		for i, log := range tx.Logs {
			if !log.Junk && log.Amount.Sign() > 0 && slices.Contains(tokens, log.Token) {
				lines = append(lines, fmt.Sprint(tx.ID, "/log/", logs+i, " ", log.To, " ", log.Amount))
			}
		}
		logs += len(tx.Logs)
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// union is what two say about a block. Where they contradict each other, the first is believed, unless only the second says that
// something is ours.
func (h *history) union(a, b *model.Block) *model.Block {
	both := *a
	both.Txs = slices.Clone(a.Txs)
	for i, tx := range b.Txs {
		if i >= len(both.Txs) {
			both.Txs = append(both.Txs, tx)
			continue
		}
		mine := &both.Txs[i]
		second := func(a, b string) bool { return !tx.Failed && !h.model.Ours(a) && h.model.Ours(b) }
		if none(mine.Value) || !none(tx.Value) && second(mine.To, tx.To) {
			mine.To, mine.Value = tx.To, tx.Value
		}
		mine.Calls = slices.Clone(mine.Calls)
		for j := range mine.Calls {
			if call := mine.Calls[j]; second(call.To, tx.Calls[j].To) {
				mine.Calls[j] = tx.Calls[j]
			}
		}
		mine.Logs = slices.Clone(mine.Logs)
		for j := range mine.Logs {
			other := tx.Logs[j]
			if log := mine.Logs[j]; nothing(log) || !nothing(other) && second(log.To, other.To) {
				mine.Logs[j] = other
			}
		}
	}
	return &both
}

func none(value *big.Int) bool { return value == nil || value.Sign() == 0 }

func nothing(log model.Log) bool { return log.Junk || log.Amount.Sign() == 0 }
