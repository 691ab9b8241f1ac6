package evm

import (
	"context"
	"errors"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var _ chain.Prober = (*Source)(nil)

// Probe implements chain.Prober, on the newest block. Each capability is asked for by
// itself, so that one that takes too long says nothing about the others.
func (s *Source) Probe(ctx context.Context) (chain.Capabilities, error) {
	head, err := s.Head(ctx, payment.TagNone)
	if err != nil {
		return chain.Capabilities{}, err
	}
	// What nobody pays with is sought: the answer is short, however full the block is.
	nobody := newWatch(chain.Filter{Tokens: []payment.Address{zeroAddress()}})
	var can chain.Capabilities
	for _, part := range []struct {
		can  *bool
		asks *call
	}{
		{&can.Blocks, blockByHash(head.Hash, withTxs)},
		{&can.Logs, s.logCalls(inBlock(head.Hash), nobody)[0]},
		{&can.RangeLogs, s.logCalls(inRange(head.Number, head.Number), nobody)[0]},
		{&can.Receipts, receiptOf(head.Hash)}, // of no transaction: "null" shows that it knows the question
		{&can.Safe, blockByTag(payment.TagSafe)},
		{&can.Finalized, blockByTag(payment.TagFinalized)},
		{&can.BlockReceipts, &call{method: "eth_getBlockReceipts", args: []any{head.Hash}}},
		{&can.Traces, &call{method: methodTraceBlock, args: []any{head.Hash, callTracer()}}},
	} {
		err := s.ask(ctx, part.asks)
		switch {
		case ctx.Err() != nil:
			return chain.Capabilities{}, ctx.Err()
		case errors.Is(err, chain.ErrRateLimited):
			return chain.Capabilities{}, err
		default:
			*part.can = err == nil || known(part.asks.method, err)
		}
	}
	return can, nil
}

// known tells whether a failure shows that the endpoint knows the question: there is no
// such block or receipt yet, or the answer is too large this time, which that for logs is not. Whatever else it says, it did not do it.
func known(method string, err error) bool {
	switch {
	case errors.Is(err, chain.ErrBlockUnknown):
		return method != methodTraceBlock
	case errors.Is(err, chain.ErrReceiptMissing):
		return true
	}
	return errors.Is(err, chain.ErrTooLarge) && method != methodGetLogs
}
