package chaintest

import "github.com/sluicepay/sluice/payment"

// ServeBlockReceipts has the node answer eth_getBlockReceipts, which not every node does.
func (f *Fake) ServeBlockReceipts() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.blockReceipts = true
}

func (f *Fake) getBlockReceipts(a *Answer) {
	if !f.blockReceipts {
		a.Error = unknownMethod(a.Method)
		return
	}
	block := f.visible(f.byHash[param[payment.Hash](a, 0)])
	if block == nil {
		return
	}
	receipts := make([]any, len(block.Txs))
	for i := range block.Txs {
		receipts[i] = receiptOf(block, i)
	}
	a.Result = receipts
}

func unknownMethod(name string) *RPCError {
	return &RPCError{Code: -32601, Message: "the method " + name + " does not exist/is not available"}
}
