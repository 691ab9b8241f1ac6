package evm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const statusSuccess = 1

func receiptOf(tx payment.Hash) *call {
	return &call{method: "eth_getTransactionReceipt", args: []any{tx}}
}

// receipt decodes and checks an answer to receiptOf.
func (s *Source) receipt(c *call, tx payment.Hash) (*rawReceipt, error) {
	r, err := decodeReceipt(c.result)
	switch {
	case errors.Is(err, chain.ErrReceiptMissing):
		return nil, fmt.Errorf("%s: %w", c.method, err)
	case err != nil:
		return nil, s.malformed(c.method, err)
	case r.TxHash != tx:
		return nil, inconsistent("asked for the receipt of %s, got that of %s", tx, r.TxHash)
	}
	return r, s.checkReceipt(r)
}

// checkReceipt makes sure that no log is missing or foreign: positions are counted
// in this list, so a shortened one would give a payment another identity.
func (s *Source) checkReceipt(r *rawReceipt) error {
	for i := range r.Logs {
		l := &r.Logs[i]
		switch {
		case l.TxHash != r.TxHash || l.BlockHash != r.BlockHash:
			return inconsistent("receipt of %s has a log of another transaction", r.TxHash)
		case uint64(*l.Index) != uint64(*r.Logs[0].Index)+uint64(i):
			return inconsistent("receipt of %s has a gap in its logs", r.TxHash)
		}
	}
	bloom, err := decodeBloom(r.LogsBloom)
	if err != nil {
		return s.malformed("receipt", err)
	}
	if !s.opts.IgnoreBloom && bloom != (types.Bloom{}) && bloom != bloomOf(r.Logs) {
		return inconsistent("receipt of %s has a bloom filter that its logs do not give", r.TxHash)
	}
	return nil
}

// Resolve implements chain.Source.
func (s *Source) Resolve(ctx context.Context, ref payment.BlockRef, candidates []chain.Candidate) ([]chain.Candidate, error) {
	receipts, err := s.receipts(ctx, ref, candidates)
	if err != nil {
		return nil, err
	}
	resolved := slices.Clone(candidates)
	for i := range resolved {
		if err := s.resolve(&resolved[i], receipts[resolved[i].TxHash]); err != nil {
			return nil, err
		}
	}
	return resolved, nil
}

func (s *Source) receipts(ctx context.Context, ref payment.BlockRef, candidates []chain.Candidate) (map[payment.Hash]*rawReceipt, error) {
	var calls []*call
	var txs []payment.Hash
	for i := range candidates {
		if tx := candidates[i].TxHash; !slices.Contains(txs, tx) {
			txs = append(txs, tx)
			calls = append(calls, receiptOf(tx))
		}
	}
	if len(calls) == 0 {
		return nil, nil
	}
	if err := s.ask(ctx, calls...); err != nil {
		return nil, err
	}
	receipts := make(map[payment.Hash]*rawReceipt, len(calls))
	for i, c := range calls {
		r, err := s.receipt(c, txs[i])
		if err != nil {
			return nil, err
		}
		if r.BlockHash != ref.Hash {
			return nil, fmt.Errorf("%w: transaction %s is in another block than %d", chain.ErrReorged, txs[i], ref.Number)
		}
		receipts[txs[i]] = r
	}
	return receipts, nil
}

func (s *Source) resolve(c *chain.Candidate, r *rawReceipt) error {
	succeeded := *r.Status == statusSuccess
	if c.Native {
		c.Resolution = chain.Void
		if succeeded {
			c.Resolution = chain.Resolved
		}
		return nil
	}
	if !succeeded {
		return inconsistent("failed transaction %s has logs", c.TxHash)
	}
	for i := range r.Logs {
		if l := &r.Logs[i]; uint64(*l.Index) == uint64(c.LogIndex) {
			if !s.sameTransfer(l, c.Transfer) {
				return inconsistent("log %d of %s differs from its receipt", c.LogIndex, c.TxHash)
			}
			c.Position, c.Resolution = uint32(i), chain.Resolved
			return nil
		}
	}
	return inconsistent("log %d is not in the receipt of %s", c.LogIndex, c.TxHash)
}

// sameTransfer tells whether a log is exactly this transfer.
func (s *Source) sameTransfer(l *rawLog, t payment.Transfer) bool {
	amount := t.Amount.Bytes32()
	return l.Address.account == t.Contract &&
		slices.Equal(l.Topics, []word{s.topic, wordOfAddress(t.From), wordOfAddress(t.To)}) &&
		bytes.Equal(l.Data, amount[:])
}
