package scan

import (
	"context"
	"fmt"
)

// sameChain makes sure that blocks from a height on, which were read again, are of the recorded chain. The recorder knows its
// newest blocks only; of one below them it cannot tell. But while the chain still has the lowest of those, it has not changed
// below it. Otherwise a reorganisation is about to be followed, and what was read is of the new chain already: recorded now,
// it would pass for a block that both have in common. It returns ErrParentMismatch then.
func (r *run) sameChain(ctx context.Context, first uint64) error {
	if r.progress.Cursor == nil {
		return ErrParentMismatch
	}
	remembered, oldest, err := r.recorded(ctx, *r.progress.Cursor)
	if err != nil || first >= oldest {
		return err // the recorder compares what it knows
	}
	header, err := r.Source.HeaderByNumber(ctx, oldest)
	if err != nil {
		return fmt.Errorf("find block %d: %w", oldest, err)
	}
	if header.Hash != remembered[oldest] {
		return fmt.Errorf("%w: the chain has another block %d by now", ErrParentMismatch, oldest)
	}
	return nil
}
