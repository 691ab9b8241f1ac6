package chaintest

import (
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
