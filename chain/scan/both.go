package scan

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// both reads from two operators and finds what either of them tells of. Who read a block the first time is not known any more
// when it is looked at again; of two operators, at least one is another.
type both struct {
	chain.Source
	other chain.Source
}

// Range implements chain.Source. Operators that do not hold the same blocks are chain.ErrDisagreement.
func (b both) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	blocks, err := b.other.Range(ctx, from, to, filter)
	if err != nil {
		return nil, err
	}
	more, err := b.Source.Range(ctx, from, to, filter)
	if err != nil {
		return nil, err
	}
	if len(more) != len(blocks) {
		return nil, fmt.Errorf("%w: %d and %d blocks from %d on", chain.ErrInconsistent, len(blocks), len(more), from)
	}
	for i := range blocks {
		if blocks[i], err = union(blocks[i], more[i]); err != nil {
			return nil, err
		}
	}
	return blocks, nil
}

// BlockByHash implements chain.Source.
func (b both) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	block, err := b.other.BlockByHash(ctx, hash, filter)
	if err != nil {
		return chain.Block{}, err
	}
	more, err := b.Source.BlockByHash(ctx, hash, filter)
	if err != nil {
		return chain.Block{}, err
	}
	return union(block, more)
}

// union is a block with the candidates of both, in their order.
func union(block, more chain.Block) (chain.Block, error) {
	if block.Hash != more.Hash {
		return chain.Block{}, fmt.Errorf("%w: block %d is another one for another operator", chain.ErrDisagreement, block.Number)
	}
	for _, candidate := range more.Candidates {
		if !slices.ContainsFunc(block.Candidates, func(known chain.Candidate) bool { return samePlace(known, candidate) }) {
			block.Candidates = append(block.Candidates, candidate)
		}
	}
	slices.SortStableFunc(block.Candidates, func(a, b chain.Candidate) int {
		return cmp.Or(cmp.Compare(a.TxIndex, b.TxIndex), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.LogIndex, b.LogIndex))
	})
	block.Traced, block.AnyToken = block.Traced || more.Traced, block.AnyToken || more.AnyToken
	return block, nil
}

// samePlace tells whether two candidates of one block are the same transfer. Where a token's log stands among those of its
// transaction is known only once its receipt was read.
func samePlace(a, b chain.Candidate) bool {
	return a.TxHash == b.TxHash && a.Native == b.Native && a.LogIndex == b.LogIndex && (!a.Native || a.Position == b.Position)
}

// rank puts native transfers by position before logs.
func rank(c chain.Candidate) uint64 {
	if c.Native {
		return uint64(c.Position)
	}
	return 1 << 32
}
