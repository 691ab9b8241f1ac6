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
	end, logs, unsaid, err := s.readRange(ctx, from, to, want)
	if want.any && refused(err) {
		want.any = false
		if end, logs, unsaid, err = s.readRange(ctx, from, to, want); err == nil {
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
	reread := make([]bool, len(blocks))
	if unsaid {
		if reread, err = s.unproven(ctx, want, blocks); err != nil {
			return nil, smaller(err)
		}
	}
	return s.assembleAll(ctx, blocks, logs, reread, want)
}

// mostReread is the most blocks of a range that are worth reading by hash for what the range did not say.
const mostReread = 16

// unproven tells which blocks of a range have to be read by hash because null was answered about the range.
func (s *Source) unproven(ctx context.Context, want watch, blocks []*block) ([]bool, error) {
	reread, err := s.provenEmpty(ctx, want, blocks...)
	if err != nil {
		return nil, err
	}
	count := 0
	for i := range reread {
		if reread[i] = !reread[i]; reread[i] {
			count++
		}
	}
	if count > mostReread {
		return nil, fmt.Errorf("%w: %d blocks of which nothing was said", chain.ErrRangeTooLarge, count)
	}
	return reread, nil
}

// readRange reads the last block and the logs in one batch, so that one node answers
// both: a node that has the last block has the logs below it.
func (s *Source) readRange(ctx context.Context, from, to uint64, want watch) (end *block, logs []rawLog, unsaid bool, err error) {
	last := blockByNumber(to, want.body())
	logCalls := s.logCalls(inRange(from, to), want)
	if err := s.batch(ctx, s.opts.MaxBatch, append([]*call{last}, logCalls...)...); err != nil {
		return nil, nil, false, err
	}
	if last.err != nil {
		return nil, nil, false, last.err
	}
	if end, err = s.block(last); err != nil {
		return nil, nil, false, err
	}
	if end.ref.Number != to {
		return nil, nil, false, inconsistent("asked for block %d, got %d", to, end.ref.Number)
	}
	logs, unsaid, err = s.logs(logCalls)
	return end, logs, unsaid, err
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

// assembleAll puts the parts of a range together. What was said about a block that cannot be, or was not said, is read by the block's
// hash.
func (s *Source) assembleAll(ctx context.Context, blocks []*block, logs []rawLog, reread []bool, want watch) ([]chain.Block, error) {
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
		wanted := want
		found, err := b.checkLogs(byBlock[i])
		if err != nil || reread[i] {
			found, wanted, err = s.climb(ctx, b, want, nil)
		}
		if err == nil {
			done[i], err = s.assemble(ctx, b, found, wanted)
		}
		if err == nil {
			err = s.fits(done[:i+1])
		}
		if err != nil {
			return nil, err
		}
	}
	return done, nil
}
