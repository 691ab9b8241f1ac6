package scan

import (
	"context"
	"fmt"
)

// sameChain makes sure that blocks which were read again are of the recorded chain. The recorder knows its
// newest blocks only; of one below them it cannot tell. But while the chain still has the lowest of those, it has not changed
// below it. Otherwise a reorganisation is about to be followed, and what was read is of the new chain already: recorded now,
// it would pass for a block that both have in common. It returns ErrParentMismatch then. Those who showed the blocks are asked, and
// most of them have to say so: one alone could keep everybody from ever reading again.
func (r *run) sameChain(ctx context.Context, with reading, views []view) error {
	if r.progress.Cursor == nil {
		return ErrParentMismatch
	}
	remembered, oldest, err := r.recorded(ctx, *r.progress.Cursor)
	if err != nil || views[0].blocks[0].Number >= oldest {
		return err // the recorder compares what it knows
	}
	same, asked := 0, 0
	var failed error
	for _, v := range views {
		header, err := v.source.HeaderByNumber(ctx, oldest)
		if err != nil {
			failed = fmt.Errorf("find block %d: %w", oldest, err)
			continue
		}
		asked++
		if header.Hash == remembered[oldest] {
			same++
		}
	}
	switch {
	case asked == 0:
		return failed
	case 2*same > asked:
		return nil
	}
	with.account.all = true // if somebody was not heard yet, he may know
	return fmt.Errorf("%w: the chain has another block %d by now", ErrParentMismatch, oldest)
}
