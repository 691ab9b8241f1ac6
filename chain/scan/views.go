package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/sluicepay/sluice/chain"
)

// view is a run of blocks as one operator shows it.
type view struct {
	operator string // "" when nobody knows who it is
	source   chain.Source
	blocks   []chain.Block
	spare    bool // the others will do, if it cannot be completed
}

// sole is the only view of blocks.
func sole(source chain.Source, blocks []chain.Block) []view {
	return []view{{source: source, blocks: blocks}}
}

// enoughViews is how many operators are heard about blocks that are read again, where there are so many.
const enoughViews = 2

// lenient is after how many failures in a row one operator's view will do: what it adds is worth having, and nothing that was
// recorded is given up on the word of one.
const lenient = 3

// reading is how blocks are read again: from whom, and what is looked for.
type reading struct {
	witnesses []chain.Witness // asked in this order
	filter    chain.Filter
	account   *attempts
}

// reading prepares to read blocks again: by several operators, where there are several, or by whoever answers.
func (r *run) reading(several bool, filter chain.Filter, account *attempts) reading {
	with := reading{witnesses: []chain.Witness{{Source: r.Source}}, filter: filter, account: account}
	if pool, ok := r.Source.(chain.Witnesser); ok && several {
		if witnesses := pool.Witnesses(); len(witnesses) > 0 {
			with.witnesses = witnesses
		}
	}
	return with
}

// least is how many operators have to answer.
func (w reading) least() int {
	if w.account.failures >= lenient {
		return 1
	}
	return min(enoughViews, len(w.witnesses))
}

// alone tells whether the chain has one operator, of whom it is known who it is.
func (w reading) alone() bool { return len(w.witnesses) == 1 && w.witnesses[0].Operator != "" }

// views reads blocks from two operators, and from all of them when those two differ: who is right can then be seen.
// Operators that do not hold the same blocks are chain.ErrDisagreement.
func (w reading) views(ctx context.Context, read func(chain.Source) ([]chain.Block, error)) ([]view, error) {
	var views []view
	var failed error
	for _, witness := range w.witnesses {
		if len(views) >= enoughViews && alike(views) {
			break
		}
		blocks, err := read(witness.Source)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, chain.ErrRangeTooLarge):
			return nil, err
		case err != nil:
			failed = err
			continue
		}
		if len(views) > 0 {
			if err := sameBlocks(views[0].blocks, blocks); err != nil {
				return nil, err
			}
		}
		views = append(views, view{operator: witness.Operator, source: witness.Source, blocks: blocks, spare: w.least() == 1})
	}
	if len(views) < w.least() {
		return nil, failed
	}
	return views, nil
}

// sameBlocks returns chain.ErrDisagreement unless both are the same blocks.
func sameBlocks(a, b []chain.Block) error {
	for i := range a {
		if len(b) != len(a) || a[i].Hash != b[i].Hash {
			return fmt.Errorf("%w: block %d is another one for another operator", chain.ErrDisagreement, a[i].Number)
		}
	}
	return nil
}

// alike tells whether all views show the same transfers, as far as they looked for the same.
func alike(views []view) bool {
	for _, other := range views[1:] {
		for i, block := range other.blocks {
			first := views[0].blocks[i]
			if first.Traced != block.Traced || !slices.Equal(first.Candidates, block.Candidates) {
				return false
			}
		}
	}
	return true
}

// merged is what any of the views shows: each transfer once, as most of them show it, in the order of the blocks.
func merged(views []view) []chain.Block {
	if alike(views) {
		return views[0].blocks
	}
	blocks := slices.Clone(views[0].blocks)
	for i := range blocks {
		blocks[i].Candidates = nil
		for _, v := range views {
			for _, candidate := range v.blocks[i].Candidates {
				blocks[i].Candidates = add(blocks[i].Candidates, candidate, views, i)
			}
			blocks[i].Traced = blocks[i].Traced || v.blocks[i].Traced
		}
		slices.SortStableFunc(blocks[i].Candidates, func(a, b chain.Candidate) int {
			return cmp.Or(cmp.Compare(a.TxIndex, b.TxIndex), cmp.Compare(rank(a), rank(b)), cmp.Compare(a.LogIndex, b.LogIndex))
		})
	}
	return blocks
}

// add adds a candidate, unless as many views show something else at its place. Of equals, one that happened is preferred, then the
// first.
func add(list []chain.Candidate, candidate chain.Candidate, views []view, block int) []chain.Candidate {
	at := slices.IndexFunc(list, func(known chain.Candidate) bool { return samePlace(known, candidate) })
	if at < 0 {
		return append(list, candidate)
	}
	weight := func(c chain.Candidate) int {
		sum := 0
		for _, v := range views {
			if slices.Contains(v.blocks[block].Candidates, c) {
				sum += 2
			}
		}
		if c.Resolution == chain.Resolved {
			sum++
		}
		return sum
	}
	if weight(candidate) > weight(list[at]) {
		list[at] = candidate
	}
	return list
}

// samePlace tells whether two candidates of one block are at the same place, and so the same transfer. Where a token's log
// stands among those of its transaction is known only once its receipt was read.
func samePlace(a, b chain.Candidate) bool {
	if a.TxHash != b.TxHash || a.Native != b.Native {
		return false
	}
	if a.Native || a.Resolution == chain.Resolved && b.Resolution == chain.Resolved {
		return a.Position == b.Position
	}
	return a.LogIndex == b.LogIndex
}

// rank puts native transfers by position before logs.
func rank(c chain.Candidate) uint64 {
	if c.Native {
		return uint64(c.Position)
	}
	return 1 << 32
}

// cut cuts views into runs of at most so many candidates, or one block.
func cut(views []view, most int) [][]view {
	fullest := slices.MaxFunc(views, func(a, b view) int { return cmp.Compare(candidates(a.blocks), candidates(b.blocks)) })
	var parts [][]view
	start := 0
	for _, part := range split(fullest.blocks, most) {
		end := start + len(part)
		piece := slices.Clone(views)
		for i := range piece {
			piece[i].blocks = views[i].blocks[start:end]
		}
		parts = append(parts, piece)
		start = end
	}
	return parts
}

func candidates(blocks []chain.Block) int {
	count := 0
	for i := range blocks {
		count += len(blocks[i].Candidates)
	}
	return count
}
