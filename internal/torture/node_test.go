package torture_test

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/activities"
	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/chain/rpcpool"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
)

// patient is the time between two blocks that pools are told: far more than passes on their clock, so that no honest operator
// ever seems to stand still. Then the word of the one whose head moves would count for more, whoever that is.
const patient = time.Hour

// node is a chain as it truly is, and the node through which the product sees it.
type node struct {
	name string
	id   uint64
	// fakes are nodes of different operators. They hold the same chain.
	fakes  []*chaintest.Fake
	source activities.Source
	// pools are those of source and judge, when there are any, and members what they hold.
	pools   []*rpcpool.Pool
	members []rpcpool.Member
	// judge is the same nodes as another process sees them, which settles and does not know who told of what.
	judge  activities.Source
	tokens []payment.Address // contracts; the product may not know them yet
	blocks map[string]*model.Block
	// canonical is the true chain, from the genesis block.
	canonical []*model.Block
	txs       map[string]*transaction
	made      uint64

	confirmations, horizon uint64
	floor                  uint64 // no reorganisation reaches below this block
	enabled                bool
	known                  []payment.Address // tokens that the product looks for
	paused                 bool

	// short is how many of the nodes leave logs out of answers about ranges.
	short int
	clock *atomic.Int64 // of the pools, nanoseconds
	trust
	spoilt
}

// transaction is what a payer signed, or what a contract does: its effects may differ from block to block.
type transaction struct {
	hash    payment.Hash
	effects []effect
	calls   []call
	failed  bool
	payer   uint64
}

// effect is the value of a transaction when it is native, else one of its logs.
type effect struct {
	native bool
	junk   bool
	token  int // of the node's tokens
	to     payment.Address
	amount *big.Int
}

// call is a contract's.
type call struct {
	kind     string // as traces name it
	reverted bool
	to       payment.Address
	amount   uint64
	calls    []call
}

func (c call) model() model.Call {
	m := model.Call{
		Borrowed: c.kind == "DELEGATECALL", Reverted: c.reverted, To: c.to.Lower(), Value: new(big.Int).SetUint64(c.amount),
	}
	for _, below := range c.calls {
		m.Calls = append(m.Calls, below.model())
	}
	return m
}

func (c call) frame(from payment.Address) chaintest.FakeFrame {
	f := chaintest.FakeFrame{Type: c.kind, From: from, To: c.to, Value: &c.amount}
	if c.reverted {
		f.Error = "execution reverted"
	}
	for _, below := range c.calls {
		f.Calls = append(f.Calls, below.frame(from))
	}
	return f
}

func newNode(t *testing.T, name string, id uint64, operators int) *node {
	t.Helper()
	n := &node{name: name, id: id, blocks: map[string]*model.Block{}, txs: map[string]*transaction{}, clock: &atomic.Int64{}}
	n.lies = map[string]*lie{}
	for i := range 3 {
		n.tokens = append(n.tokens, made("token", id, uint64(i)))
	}
	for i := range operators {
		fake := chaintest.NewLocalFake(id)
		fake.ServeBlockReceipts()
		source, err := evm.New(evm.Options{URL: "http://node.invalid", Transport: fake, Reprobe: 1})
		require.NoError(t, err)
		n.fakes = append(n.fakes, fake)
		n.members = append(n.members, rpcpool.Member{Endpoint: source, Key: [32]byte{byte(i)}, ID: int64(i), Operator: fmt.Sprint("operator ", i), Weight: 100})
		n.source, n.judge = source, source
	}
	if operators > 1 {
		n.source, n.judge = n.pool(t), n.pool(t)
	}
	n.remember(n.fakes[0].Head(), nil)
	return n
}

// pool makes a pool of one process.
func (n *node) pool(t *testing.T) *rpcpool.Pool {
	t.Helper()
	start := time.Unix(1_700_000_000, 0)
	pool := rpcpool.New(rpcpool.Options{
		Chain: n.name,
		Now:   func() time.Time { return start.Add(time.Duration(n.clock.Add(int64(50 * time.Millisecond)))) }, // breakers close again
		Wait: func(ctx context.Context, d time.Duration) error {
			n.clock.Add(int64(d))
			return ctx.Err()
		},
		Draw: func(most int64) int64 { return n.lots.draw(most) },
	})
	t.Cleanup(pool.Close)
	n.pools = append(n.pools, pool)
	n.tell(pool)
	return pool
}

// tell tells a pool of a block that is recorded for good, as the store does: some nodes have no block 0 to be recognized by.
func (n *node) tell(pool *rpcpool.Pool) {
	config := rpcpool.Config{Identity: chain.Identity{ChainID: n.id}, BlockTime: patient}
	if n.floor > 0 {
		b := n.canonical[n.floor]
		hash, _ := payment.ParseHash(b.ID)
		config.Known = []payment.BlockRef{{Number: b.Number, Hash: hash}}
	}
	pool.Set(config, n.members)
}

// prune takes block 0 from some of the nodes. Not where there are two: a reorganisation of every block that was recorded leaves nothing to
// recognize an honest one by, and the other's word alone. See docs/testing.md.
func (h *history) prune(n *node) {
	if len(n.fakes) > 1 {
		return
	}
	for _, fake := range n.fakes {
		switch h.draw("pruned", 0, 3) {
		case 0:
			fake.Prune(1, nil)
		case 1:
			fake.Prune(1, &chaintest.RPCError{Code: 4444, Message: "pruned history unavailable"})
		default:
			continue
		}
		h.tally.add("node without block 0", 1)
	}
}

// everywhere does the same to every node.
func (n *node) everywhere(do func(fake *chaintest.Fake) payment.BlockRef) payment.BlockRef {
	var ref payment.BlockRef
	for _, fake := range n.fakes {
		ref = do(fake)
	}
	return ref
}

// made makes up an address.
func made(kind string, of, n uint64) payment.Address {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte(kind), of), n))
	return payment.Address{Family: payment.FamilyEVM, Raw: string(sum[:20])}
}

func (n *node) head() *model.Block { return n.canonical[len(n.canonical)-1] }

// remember adds a block to the true chain.
func (n *node) remember(ref payment.BlockRef, txs []*transaction) {
	b := &model.Block{ID: ref.Hash.String(), Parent: ref.Parent.String(), Number: ref.Number, Time: ref.Time.Unix()}
	for _, tx := range txs {
		b.Txs = append(b.Txs, n.model(tx))
	}
	n.blocks[b.ID] = b
	n.canonical = append(n.canonical, b)
}

func (n *node) model(tx *transaction) model.Tx {
	m := model.Tx{ID: tx.hash.String(), Failed: tx.failed, From: made("payer", 0, tx.payer).Lower()}
	for _, e := range tx.effects {
		if e.native {
			m.To, m.Value = e.to.Lower(), e.amount
			continue
		}
		m.Logs = append(m.Logs, model.Log{Junk: e.junk, Token: n.tokens[e.token].Lower(), To: e.to.Lower(), Amount: e.amount})
	}
	for _, c := range tx.calls {
		m.Calls = append(m.Calls, c.model())
	}
	return m
}

// hashFor makes up a hash.
func hashFor(kind string, n *node) payment.Hash {
	return sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte(kind), n.id), n.made))
}

// mine makes a block.
func (n *node) mine(txs []*transaction) {
	for _, tx := range txs {
		if tx.hash.IsZero() {
			n.made++
			tx.hash = hashFor("tx", n)
		}
		n.txs[tx.hash.String()] = tx
	}
	n.remember(n.everywhere(func(fake *chaintest.Fake) payment.BlockRef {
		fakes := make([]*chaintest.FakeTx, len(txs))
		for i, tx := range txs {
			fakes[i] = n.fakeTx(tx)
		}
		return fake.MineBlock(n.bloom, fakes...).BlockRef
	}), txs)
}

func (n *node) fakeTx(tx *transaction) *chaintest.FakeTx {
	payer := made("payer", 0, tx.payer)
	fake := &chaintest.FakeTx{Hash: tx.hash, From: payer, To: made("contract", 0, 0), Failed: tx.failed}
	for _, e := range tx.effects {
		switch {
		case e.native:
			fake.To, fake.Value = e.to, e.amount.Uint64()
		case tx.failed:
		case e.junk:
			log := chaintest.TransferLog(n.tokens[e.token], payer, e.to, 1)
			log.Topics[0] = payment.Hash{1} // another event
			fake.Logs = append(fake.Logs, log)
		default:
			log := chaintest.TransferLog(n.tokens[e.token], payer, e.to, 0)
			e.amount.FillBytes(log.Data)
			fake.Logs = append(fake.Logs, log)
		}
	}
	for _, c := range tx.calls {
		fake.Frames = append(fake.Frames, c.frame(made("contract", 0, 1)))
	}
	return fake
}

// leap makes an empty block, hours later.
func (n *node) leap() {
	n.remember(n.everywhere(func(fake *chaintest.Fake) payment.BlockRef {
		return fake.MineBlock(func(b *chaintest.FakeBlock) { b.Time = b.Time.Add(3 * time.Hour) }).BlockRef
	}), nil)
}

// cut takes the newest blocks away, and returns their transactions, oldest first.
func (n *node) cut(t *testing.T, depth int) []*transaction {
	t.Helper()
	for _, fake := range n.fakes {
		fake.Reorg(t, depth, 0, chaintest.DropTxs)
	}
	at := len(n.canonical) - depth
	var txs []*transaction
	for _, b := range n.canonical[at:] {
		for _, tx := range b.Txs {
			txs = append(txs, n.txs[tx.ID])
		}
	}
	n.canonical = n.canonical[:at:at]
	return txs
}

// holds tells whether the node holds a block for canonical.
func (n *node) holds(id string) bool {
	b := n.blocks[id]
	return b != nil && b.Number < uint64(len(n.canonical)) && n.canonical[b.Number].ID == id
}

// recorded takes note of how far the chain is recorded: blocks are remembered down to the horizon below the highest.
func (n *node) recorded(number uint64) {
	n.floor = max(n.floor, number-min(number, n.horizon))
}

// deepest is how many blocks a reorganisation may take so that what is recorded can follow.
func (n *node) deepest() int { return max(0, len(n.canonical)-1-int(n.floor)) }
