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
