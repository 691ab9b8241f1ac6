package torture_test

import (
	"crypto/sha256"
	"encoding/binary"
	"math/big"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/internal/torture/model"
	"github.com/sluicepay/sluice/payment"
)

// node is a chain as it truly is, and the node through which the product sees it.
type node struct {
	name   string
	id     uint64
	fake   *chaintest.Fake
	source *evm.Source
	tokens []payment.Address // contracts; the product may not know them yet
	blocks map[string]*model.Block
	// canonical is the true chain, from the genesis block.
	canonical []*model.Block
	txs       map[string]*transaction
	made      uint64
	lag       uint64 // how many of the newest blocks the node hides

	confirmations, horizon uint64
	floor                  uint64 // no reorganisation reaches below this block
	enabled                bool
	known                  []payment.Address // tokens that the product looks for
	paused                 bool
}

// transaction is what a payer signed, or what a contract does: its effects may differ from block to block.
type transaction struct {
	hash    payment.Hash
	effects []effect
	calls   []call
	failed  bool
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

func newNode(t *testing.T, name string, id uint64) *node {
	t.Helper()
	n := &node{
		name: name, id: id, fake: chaintest.NewLocalFake(id), blocks: map[string]*model.Block{}, txs: map[string]*transaction{},
	}
	for i := range 3 {
		n.tokens = append(n.tokens, made("token", id, uint64(i)))
	}
	var err error
	n.source, err = evm.New(evm.Options{URL: "http://node.invalid", Transport: n.fake, Reprobe: 1})
	require.NoError(t, err)
	t.Cleanup(n.source.Close)
	n.remember(n.fake.Head(), nil)
	return n
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
	m := model.Tx{ID: tx.hash.String(), Failed: tx.failed}
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

// mine makes a block.
func (n *node) mine(txs []*transaction) {
	fakes := make([]*chaintest.FakeTx, len(txs))
	for i, tx := range txs {
		if tx.hash.IsZero() {
			n.made++
			tx.hash = sha256.Sum256(binary.BigEndian.AppendUint64(binary.BigEndian.AppendUint64([]byte("tx"), n.id), n.made))
		}
		n.txs[tx.hash.String()] = tx
		fakes[i] = n.fakeTx(tx)
	}
	n.remember(n.fake.MineTxs(fakes...).BlockRef, txs)
}

func (n *node) fakeTx(tx *transaction) *chaintest.FakeTx {
	payer := made("payer", 0, 0)
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
func (n *node) leap(t *testing.T) {
	t.Helper()
	n.remember(n.fake.MineBlock(func(b *chaintest.FakeBlock) { b.Time = b.Time.Add(3 * time.Hour) }).BlockRef, nil)
}

// cut takes the newest blocks away, and returns their transactions, oldest first.
func (n *node) cut(t *testing.T, depth int) []*transaction {
	t.Helper()
	n.fake.Reorg(t, depth, 0, chaintest.DropTxs)
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

// visible is the newest block that the node shows.
func (n *node) visible() uint64 {
	return n.head().Number - min(n.lag, n.head().Number)
}

// holds tells whether the node holds a block for canonical.
func (n *node) holds(id string) bool {
	b := n.blocks[id]
	return b != nil && b.Number < uint64(len(n.canonical)) && n.canonical[b.Number].ID == id && b.Number <= n.visible()
}

// recorded takes note of how far the chain is recorded: blocks are remembered down to the horizon below the highest.
func (n *node) recorded(number uint64) {
	n.floor = max(n.floor, number-min(number, n.horizon))
}

// deepest is how many blocks a reorganisation may take so that what is recorded can follow.
func (n *node) deepest() int { return max(0, len(n.canonical)-1-int(n.floor)) }
