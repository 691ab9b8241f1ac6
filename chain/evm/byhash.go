package evm

import (
	"context"
	"errors"
	"fmt"
	"math/bits"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// BlocksByHash implements chain.Source: headers by number, and then the logs of each block by its hash, as many in a JSON-RPC batch
// as the endpoint takes. Nodes answer those from the block's receipts, and not from the index over blocks that ranges are
// answered from.
func (s *Source) BlocksByHash(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if to < from {
		return nil, nil
	}
	filter.AnyToken = false
	want := newWatch(filter)
	if want.traces = want.traces && s.traces.open(); want.traces && to-from >= maxTraced {
		return nil, fmt.Errorf("%w: traces of %d blocks", chain.ErrRangeTooLarge, to-from+1)
	}
	end, _, _, err := s.readRange(ctx, to, to, watch{native: want.native, traces: want.traces})
	if err != nil {
		return nil, smaller(err)
	}
	blocks, err := s.blocksBelow(ctx, from, end, want.body())
	if err != nil {
		return nil, smaller(err)
	}
	asked := make([][]*call, len(blocks))
	var all []*call
	for i, b := range blocks {
		asked[i] = s.logCalls(inBlock(b.ref.Hash), want)
		all = append(all, asked[i]...)
	}
	if err := s.batch(ctx, s.opts.MaxBatch, all...); err != nil {
		return nil, smaller(err)
	}
	done := make([]chain.Block, len(blocks))
	for i, b := range blocks {
		if done[i], err = s.byHash(ctx, b, asked[i], want); err == nil {
			err = s.fits(done[:i+1])
		}
		if err != nil {
			return nil, err
		}
	}
	return done, nil
}

// candidateWeight is what a transfer that was found counts as: no answer has one in fewer bytes.
const candidateWeight = 256

// fits makes sure that blocks hold no more together than one answer may: each that is asked for by itself may bring as much again.
func (s *Source) fits(blocks []chain.Block) error {
	found := 0
	for i := range blocks {
		found += len(blocks[i].Candidates) + len(blocks[i].Poisoned)
	}
	if len(blocks) > 1 && int64(found)*candidateWeight > max(s.opts.MaxAnswer, leastWeight) {
		return fmt.Errorf("%w: %d transfers in %d blocks", chain.ErrRangeTooLarge, found, len(blocks))
	}
	return nil
}

// byHash makes a block of the answers about it. One whose logs were refused among others is asked for in other ways.
func (s *Source) byHash(ctx context.Context, b *block, asked []*call, want watch) (chain.Block, error) {
	logs, want, err := s.climb(ctx, b, want, asked)
	if err != nil {
		return chain.Block{}, err
	}
	if s.suspects(b, logs, want) {
		if logs, err = s.allLogs(ctx, b, logs); err != nil {
			return chain.Block{}, err
		}
	}
	return s.assemble(ctx, b, logs, want)
}

// fullBloom is how many bits of a bloom filter are set when it admits every eighth contract by chance: then it says little.
const fullBloom = types.BloomBitLength / 2

// suspects tells whether a block's bloom filter admits a Transfer of a watched token of which there is no log.
func (s *Source) suspects(b *block, logs []rawLog, want watch) bool {
	if !s.mayHold(b.bloom, want) {
		return false
	}
	set := 0
	for _, part := range b.bloom {
		set += bits.OnesCount8(part)
	}
	if set > fullBloom {
		return false
	}
	seen := map[payment.Address]bool{}
	for i := range logs {
		seen[logs[i].Address.account] = true
	}
	for _, token := range want.order {
		if !seen[token] && b.bloom.Test([]byte(token.Raw)) {
			return true
		}
	}
	return false
}

// allLogs returns the logs of a block as its receipts prove them, or those that are known where the endpoint's blocks prove nothing,
// or these cannot be had: the bloom filter was only a hint.
func (s *Source) allLogs(ctx context.Context, b *block, known []rawLog) ([]rawLog, error) {
	proof, err := s.proof(ctx, b.ref.Hash)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case errors.Is(err, chain.ErrInconsistent):
		return nil, err
	case err != nil || proof == nil:
		return known, nil //nolint:nilerr // what was answered by hash has to do
	}
	return proof.logs(b.ref), nil
}

// logs lists all logs of a proven block, as a node numbers them.
func (p *proven) logs(ref payment.BlockRef) []rawLog {
	var all []rawLog
	for i, receipt := range p.receipts {
		for _, l := range receipt.Logs {
			index, at, height := number(len(all)), number(i), number(ref.Number)
			found := rawLog{
				Address: &address{accountOf(l.Address)}, Data: l.Data, BlockHash: ref.Hash, BlockNumber: &height,
				TxHash: payment.Hash(p.txs[i].Hash()), TxIndex: &at, Index: &index,
			}
			for _, topic := range l.Topics {
				found.Topics = append(found.Topics, word(topic))
			}
			all = append(all, found)
		}
	}
	return all
}
