package evm

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicepay/sluice/chain"
)

// fullBlocks is how many times fewer whole blocks than headers go into one batch:
// a whole block is easily a megabyte.
const fullBlocks = 5

// Range implements chain.Source.
func (s *Source) Range(ctx context.Context, from, to uint64, filter chain.Filter) ([]chain.Block, error) {
	if to < from {
		return nil, nil
	}
	want := newWatch(filter)
	if want.traces = want.traces && s.traces.open(); want.traces && to-from >= maxTraced {
		return nil, fmt.Errorf("%w: traces of %d blocks", chain.ErrRangeTooLarge, to-from+1)
	}
	want.any = want.any && s.anyInRange.open()
	end, logs, err := s.readRange(ctx, from, to, want)
	if want.any && refused(err) {
		want.any = false
		if end, logs, err = s.readRange(ctx, from, to, want); err == nil {
			s.anyInRange.shut()
		}
	}
	if err != nil {
		return nil, smaller(err)
	}
	blocks, err := s.blocksBelow(ctx, from, end, want.body())
	if err != nil {
		return nil, smaller(err)
	}
	return s.assembleAll(ctx, blocks, logs, want)
}

// readRange reads the last block and the logs in one batch, so that one node answers
// both: a node that has the last block has the logs below it.
func (s *Source) readRange(ctx context.Context, from, to uint64, want watch) (*block, []rawLog, error) {
	last := blockByNumber(to, want.body())
	logCalls := s.logCalls(inRange(from, to), want)
	if err := s.batch(ctx, s.opts.MaxBatch, append([]*call{last}, logCalls...)...); err != nil {
		return nil, nil, err
	}
	if last.err != nil {
		return nil, nil, last.err
	}
	end, err := s.block(last)
	if err != nil {
		return nil, nil, err
	}
	if end.ref.Number != to {
		return nil, nil, inconsistent("asked for block %d, got %d", to, end.ref.Number)
	}
	logs, err := s.logs(logCalls)
	return end, logs, err
}

// smaller says of an answer that was too large that smaller ranges will do.
func smaller(err error) error {
	if errors.Is(err, chain.ErrTooLarge) {
		return fmt.Errorf("%w: %s", chain.ErrRangeTooLarge, err.Error())
	}
	return err
}

// blocksBelow reads the blocks from..end, end itself being read already, and
// checks that they are one chain.
func (s *Source) blocksBelow(ctx context.Context, from uint64, end *block, txs body) ([]*block, error) {
	var calls []*call
	for n := from; n < end.ref.Number; n++ {
		calls = append(calls, blockByNumber(n, txs))
	}
	limit := s.opts.MaxBatch
	if txs {
		limit = max(1, limit/fullBlocks)
	}
	if err := s.batch(ctx, limit, calls...); err != nil {
		return nil, err
	}
	blocks := make([]*block, 0, len(calls)+1)
	for i, c := range calls {
		if c.err != nil {
			return nil, c.err
		}
		b, err := s.block(c)
		if err != nil {
			return nil, err
		}
		if want := from + uint64(i); b.ref.Number != want {
			return nil, inconsistent("asked for block %d, got %d", want, b.ref.Number)
		}
		blocks = append(blocks, b)
	}
	blocks = append(blocks, end)
	for i := 1; i < len(blocks); i++ {
		if blocks[i].ref.Parent != blocks[i-1].ref.Hash {
			return nil, fmt.Errorf("%w: block %d is not the child of the one below", chain.ErrReorged, blocks[i].ref.Number)
		}
	}
	return blocks, nil
}

func (s *Source) assembleAll(ctx context.Context, blocks []*block, logs []rawLog, want watch) ([]chain.Block, error) {
	first := blocks[0].ref.Number
	byBlock := make([][]rawLog, len(blocks))
	for i := range logs {
		at := uint64(*logs[i].BlockNumber) - first // wraps around below first
		if at >= uint64(len(blocks)) {
			return nil, inconsistent("log of block %d outside the range asked for", *logs[i].BlockNumber)
		}
		byBlock[at] = append(byBlock[at], logs[i])
	}
	done := make([]chain.Block, len(blocks))
	for i, b := range blocks {
		var err error
		if done[i], err = s.assemble(ctx, b, byBlock[i], want); err != nil {
			return nil, err
		}
	}
	return done, nil
}
