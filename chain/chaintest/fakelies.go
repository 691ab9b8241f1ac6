package chaintest

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/payment"
)

// Doctor has this node say that a block holds these transactions, whatever it holds. Number, hash, parent and time stay, and
// blocks, logs, receipts, traces and bloom filter fit each other, so that nobody who asks this node alone can tell.
func (f *Fake) Doctor(hash payment.Hash, txs ...*FakeTx) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if block := f.byHash[hash]; block != nil {
		block.logStart = nil
		f.fill(block, txs)
	}
}

// Fork has this node show a chain of its own: its newest blocks, so many, are others, of these transactions each. What is mined
// or reorganised meanwhile it does not show. Rejoin ends it.
func (f *Fake) Fork(depth int, blocks ...[]*FakeTx) []payment.BlockRef {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fork = slices.Clone(f.canonical[:len(f.canonical)-depth])
	refs := make([]payment.BlockRef, len(blocks))
	for i, txs := range blocks {
		parent := f.fork[len(f.fork)-1]
		block := &FakeBlock{BlockRef: payment.BlockRef{Number: parent.Number + 1, Parent: parent.Hash, Time: parent.Time.Add(12 * time.Second)}}
		block.Hash = keccak(binary.BigEndian.AppendUint64(append([]byte("fork"), parent.Hash[:]...), f.made))
		f.fill(block, txs)
		f.fork = append(f.fork, block)
		f.byHash[block.Hash] = block
		refs[i] = block.BlockRef
	}
	return refs
}

// Rejoin has the node show the chain again.
func (f *Fake) Rejoin() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.fork = nil
}

func (f *Fake) shown() []*FakeBlock {
	if f.fork != nil {
		return f.fork
	}
	return f.canonical
}

// tagDistances are how far below the newest block that everybody sees the tagged ones are.
type tagDistances struct{ safe, finalized uint64 }

// SetTags has the node call the block so far below its newest one safe, and the other one finalized.
func (f *Fake) SetTags(safe, finalized uint64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.tags = &tagDistances{safe, finalized}
}

func (f *Fake) tagged(name string) uint64 {
	top := f.top()
	switch {
	case f.tags == nil && name == "safe":
		return top
	case f.tags == nil:
		return top / 32 * 32
	case name == "safe":
		return top - min(top, f.tags.safe)
	default:
		return top - min(top, f.tags.finalized)
	}
}

// fill puts transactions into a block.
func (f *Fake) fill(block *FakeBlock, txs []*FakeTx) {
	var bloom types.Bloom
	logs := 0
	for _, tx := range txs {
		if tx.Hash.IsZero() {
			tx.Hash = f.newHash("transaction")
		}
		block.logStart = append(block.logStart, logs)
		logs += len(tx.Logs)
		addToBloom(&bloom, tx.Logs)
	}
	block.Txs, block.Bloom = txs, bloom.Bytes()
}

// Prune makes the fake say of blocks below a number, when it is asked for them by number, what a node says that does not
// keep them: the refusal, or null when that is nil.
func (f *Fake) Prune(below uint64, refusal *RPCError) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.kept, f.pruned = below, refusal
}
