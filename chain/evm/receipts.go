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
func (s *Source) receipt(ctx context.Context, c *call, tx payment.Hash) (*rawReceipt, error) {
	r, err := decodeReceipt(c.result)
	switch {
	case errors.Is(err, chain.ErrReceiptMissing):
		return nil, fmt.Errorf("%s: %w", c.method, err)
	case err != nil:
		return nil, s.malformed(c.method, err)
	case r.TxHash != tx:
		return nil, inconsistent("asked for the receipt of %s, got that of %s", tx, r.TxHash)
	}
	return r, s.checkReceipts(ctx, r)
}

// checkReceipts checks receipts of one block. A bloom filter that the logs do not give is compared with all logs of the block, which
// decide: there are networks whose filters are wrong.
func (s *Source) checkReceipts(ctx context.Context, receipts ...*rawReceipt) error {
	var doubtful []*rawReceipt
	for _, r := range receipts {
		doubted, err := s.checkReceipt(r)
		if err != nil {
			return err
		}
		if doubted {
			doubtful = append(doubtful, r)
		}
	}
	if len(doubtful) == 0 {
		return nil
	}
	return s.confirm(ctx, doubtful)
}

// checkReceipt makes sure that no log is missing or foreign: positions are counted in this list, so a shortened one would give a
// payment another identity. doubted: the receipt's bloom filter is another than its logs give.
func (s *Source) checkReceipt(r *rawReceipt) (doubted bool, err error) {
	for i := range r.Logs {
		l := &r.Logs[i]
		switch {
		case l.TxHash != r.TxHash || l.BlockHash != r.BlockHash:
			return false, inconsistent("receipt of %s has a log of another transaction", r.TxHash)
		case uint64(*l.Index) != uint64(*r.Logs[0].Index)+uint64(i):
			return false, inconsistent("receipt of %s has a gap in its logs", r.TxHash)
		}
	}
	bloom, err := decodeBloom(r.LogsBloom)
	if err != nil {
		return false, s.malformed("receipt", err)
	}
	return !s.opts.IgnoreBloom && bloom != (types.Bloom{}) && bloom != bloomOf(r.Logs), nil
}

// confirm returns ErrInconsistent unless all logs of the block show the very logs of the receipts, which are of one block.
func (s *Source) confirm(ctx context.Context, receipts []*rawReceipt) error {
	first := receipts[0]
	all, err := s.unfiltered(ctx, &block{ref: payment.BlockRef{Number: uint64(*first.BlockNumber), Hash: first.BlockHash}})
	if err != nil {
		return fmt.Errorf("%w: receipt of %s has a bloom filter that its logs do not give: %w", chain.ErrInconsistent, first.TxHash, err)
	}
	for _, r := range receipts {
		shown := slices.DeleteFunc(slices.Clone(all), func(l rawLog) bool { return l.TxHash != r.TxHash })
		if !slices.EqualFunc(shown, r.Logs, func(a, b rawLog) bool { return a.same(&b) }) {
			return inconsistent("receipt of %s has a bloom filter and logs that contradict each other", r.TxHash)
		}
	}
	return nil
}

// blockReceipts reads all receipts of a block at once.
func (s *Source) blockReceipts(ctx context.Context, hash payment.Hash) ([]*rawReceipt, error) {
	asked := &call{method: methodBlockReceipts, args: []any{hash}}
	if err := s.ask(ctx, asked); err != nil {
		return nil, err
	}
	receipts, err := decodeReceipts(asked.result)
	switch {
	case errors.Is(err, chain.ErrReceiptMissing):
		return nil, fmt.Errorf("%s: %w", asked.method, err)
	case err != nil:
		return nil, s.malformed(asked.method, err)
	}
	for _, r := range receipts {
		if r.BlockHash != hash {
			return nil, inconsistent("receipt of %s is of another block than was asked for", r.TxHash)
		}
	}
	return receipts, s.checkReceipts(ctx, receipts...)
}

// logsOfReceipts reads the logs of a block out of its receipts: all at once, or else one by one. An empty block has none to be read
// one by one, and nothing is shown by that.
func (s *Source) logsOfReceipts(ctx context.Context, b *block, want watch) ([]rawLog, error) {
	receipts, err := s.blockReceipts(ctx, b.ref.Hash)
	if err != nil && len(b.txs) > 0 && ctx.Err() == nil {
		receipts, err = s.receiptsOf(ctx, b.hashes())
	}
	if err != nil {
		return nil, answered{err}
	}
	byTx := make(map[payment.Hash]bool, len(receipts))
	var logs []rawLog
	for _, r := range receipts {
		if byTx[r.TxHash] {
			return nil, answered{inconsistent("receipt of %s appears twice", r.TxHash)}
		}
		byTx[r.TxHash] = true
		logs = append(logs, r.Logs...)
	}
	for i := range b.txs {
		if !byTx[b.txs[i].Hash] {
			return nil, answered{fmt.Errorf("%w: transaction %d of block %d", chain.ErrReceiptMissing, i, b.ref.Number)}
		}
	}
	if logs, err = b.checkLogs(want.watched(logs)); err != nil {
		return nil, answered{err}
	}
	return logs, nil
}

func (b *block) hashes() []payment.Hash {
	hashes := make([]payment.Hash, len(b.txs))
	for i := range b.txs {
		hashes[i] = b.txs[i].Hash
	}
	return hashes
}

// receiptsOf reads receipts one by one, in order.
func (s *Source) receiptsOf(ctx context.Context, txs []payment.Hash) ([]*rawReceipt, error) {
	calls := make([]*call, len(txs))
	for i, tx := range txs {
		calls[i] = receiptOf(tx)
	}
	if err := s.ask(ctx, calls...); err != nil {
		return nil, err
	}
	receipts := make([]*rawReceipt, len(txs))
	for i, c := range calls {
		var err error
		if receipts[i], err = s.receipt(ctx, c, txs[i]); err != nil {
			return nil, err
		}
	}
	return receipts, nil
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

// receipts reads the receipts of candidates, or where the endpoint does not answer for one, those of the whole block.
func (s *Source) receipts(ctx context.Context, ref payment.BlockRef, candidates []chain.Candidate) (map[payment.Hash]*rawReceipt, error) {
	var txs []payment.Hash
	for i := range candidates {
		if tx := candidates[i].TxHash; !slices.Contains(txs, tx) {
			txs = append(txs, tx)
		}
	}
	if len(txs) == 0 {
		return nil, nil
	}
	list, err := s.receiptsOf(ctx, txs)
	for i := range list {
		if list[i].BlockHash != ref.Hash {
			err = fmt.Errorf("%w: transaction %s is in another block than %d", chain.ErrReorged, txs[i], ref.Number)
		}
	}
	if err != nil && s.climbs(ctx, ref.Hash, err) {
		if whole, failed := s.blockReceipts(ctx, ref.Hash); failed == nil {
			list, err = whole, nil
		}
	}
	if err != nil {
		return nil, err
	}
	receipts := make(map[payment.Hash]*rawReceipt, len(list))
	for _, r := range list {
		receipts[r.TxHash] = r
	}
	for _, tx := range txs {
		if receipts[tx] == nil {
			return nil, fmt.Errorf("%w: transaction %s of block %d", chain.ErrReceiptMissing, tx, ref.Number)
		}
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
