package scan

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"

	"github.com/sluicepay/sluice/chain"
)

// view is a run of blocks as one operator shows it.
type view struct {
	operator string // "" when nobody knows who it is
	source   chain.Source
	blocks   []chain.Block
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

// errUnheard: operators show different things, and there are others who were not heard yet. Read again, with all of them.
var errUnheard = errors.New("operators differ and others were not heard")

// reading is how blocks are read again: from whom, and what is looked for.
type reading struct {
	witnesses []chain.Witness // asked in this order
	filter    chain.Filter
	account   *attempts
	one       bool // one block, which is never too many
	byHash    bool // each block by itself, not in ranges
	log       *slog.Logger
}

// reading prepares to read blocks again: by several operators, where there are several, or by whoever answers.
func (r *run) reading(several bool, filter chain.Filter, account *attempts) reading {
	with := reading{witnesses: []chain.Witness{{Source: r.Source}}, filter: filter, account: account, log: r.log}
	if pool, ok := r.Source.(chain.Witnesser); ok && several {
		if witnesses := pool.Witnesses(); len(witnesses) > 0 {
			with.witnesses = witnesses
		}
	}
	return with
}

// first prepares to read blocks for the first time, by whoever answers.
func (r *run) first(filter chain.Filter) reading { return r.reading(false, filter, &attempts{}) }

// least is how many operators have to answer.
func (w reading) least() int {
	if w.account.failures >= lenient {
		return 1
	}
	return min(enoughViews, len(w.witnesses))
}

// unheard tells whether there are operators who are only asked when others differ.
func (w reading) unheard() bool { return !w.account.all && len(w.witnesses) > enoughViews }

// alone tells whether the chain has one operator, of whom it is known who it is.
func (w reading) alone() bool { return len(w.witnesses) == 1 && w.witnesses[0].Operator != "" }

// views reads blocks from two operators, and from all of them when those two differ: who is right can then be seen. Of operators
// that do not hold the same blocks it returns the majority's views, or chain.ErrDisagreement when there is none.
func (w reading) views(ctx context.Context, read func(chain.Source) ([]chain.Block, error)) ([]view, error) {
	var views []view
	var failed error
	for _, witness := range w.witnesses {
		if len(views) >= enoughViews && !w.account.all {
			if alike(views) {
				break
			}
			w.account.all = true
		}
		blocks, err := read(witness.Source)
		switch {
		case ctx.Err() != nil:
			return nil, ctx.Err()
		case errors.Is(err, chain.ErrRangeTooLarge) && !w.one:
			return nil, err
		case err != nil:
			failed = err
			continue
		}
		views = append(views, view{operator: witness.Operator, source: witness.Source, blocks: blocks})
	}
	if len(views) < w.least() {
		return nil, failed
	}
	return w.majority(views)
}

// majority returns the views of those who hold the same blocks: of two operators at least, and of more than hold any others. Who
// holds other blocks than they do is not heard about what is in them, and must not keep the others from being heard.
func (w reading) majority(views []view) ([]view, error) {
	var groups [][]view
	for _, v := range views {
		at := slices.IndexFunc(groups, func(group []view) bool { return sameBlocks(group[0], v) })
		if at < 0 {
			at, groups = len(groups), append(groups, nil)
		}
		groups[at] = append(groups[at], v)
	}
	if len(groups) == 1 {
		return views, nil
	}
	slices.SortStableFunc(groups, func(a, b []view) int { return cmp.Compare(len(b), len(a)) })
	first := views[0].blocks[0].Number
	if most := len(groups[0]); most < enoughViews || most == len(groups[1]) {
		return nil, fmt.Errorf("%w: from block %d on", chain.ErrDisagreement, first)
	}
	for _, v := range slices.Concat(groups[1:]...) {
		w.log.Warn("an operator holds other blocks than most do, and is not heard about them", "operator", v.operator, "from", first)
	}
	return groups[0], nil
}

// sameBlocks tells whether two operators hold the same blocks.
func sameBlocks(a, b view) bool {
	return slices.EqualFunc(a.blocks, b.blocks, func(x, y chain.Block) bool { return x.Hash == y.Hash })
}

// alike tells whether all views show the same blocks and transfers, as far as they looked for the same.
func alike(views []view) bool {
	for _, other := range views[1:] {
		if !sameBlocks(views[0], other) {
			return false
		}
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
