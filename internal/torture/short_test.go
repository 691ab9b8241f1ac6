package torture_test

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"slices"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/torture/model"
)

// leftOut tells whether a log is missing from the index that ranges are answered from, for ever: one in three.
func leftOut(tx, token string, index any) bool {
	sum := fnv.New32a()
	fmt.Fprint(sum, tx, token, index)
	return sum.Sum32()%3 == 0
}

// shortened adds to what goes wrong at a node that its answers about ranges leave logs out, if it is one of those that do.
func (n *node) shortened(i int, faults chaintest.Faults) chaintest.Faults {
	if i >= n.short {
		return faults
	}
	next := faults.Answer
	faults.Answer = func(a *chaintest.Answer) {
		logs, ok := a.Result.([]map[string]any)
		if ok && a.Method == "eth_getLogs" && !bytes.Contains(a.Params[0], []byte("blockHash")) {
			a.Result = slices.DeleteFunc(slices.Clone(logs), func(log map[string]any) bool {
				return leftOut(fmt.Sprint(log["transactionHash"]), fmt.Sprint(log["address"]), log["logIndex"])
			})
		}
		if next != nil {
			next(a)
		}
	}
	return faults
}

// faulty adds to what goes wrong at a node what is always wrong there.
func (n *node) faulty(i int, faults chaintest.Faults) chaintest.Faults {
	return n.spoilt.with(i, n.shortened(i, faults))
}

// shortOf is a block as ranges show it.
func (n *node) shortOf(b *model.Block) *model.Block {
	short := *b
	short.Txs = slices.Clone(b.Txs)
	first := 0 // the block-wide index of the transaction's first log
	for i, tx := range short.Txs {
		short.Txs[i].Logs = slices.Clone(tx.Logs)
		if tx.Failed {
			continue
		}
		for j, log := range tx.Logs {
			short.Txs[i].Logs[j].Junk = log.Junk || leftOut(tx.ID, log.Token, fmt.Sprintf("0x%x", first+j))
		}
		first += len(tx.Logs)
	}
	return &short
}
