package chain

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicepay/sluice/payment"
)

// Recognize tells whether a node is on the chain that has these blocks: any of them will do, because nodes that prune have
// no old ones and others may lag. It does not when there are no blocks to tell by. It returns ErrWrongChain when the node
// has other blocks there, and ErrUnavailable when it shows none of them.
func Recognize(
	ctx context.Context, known []payment.BlockRef, header func(context.Context, uint64) (payment.BlockRef, error),
) (recognized bool, err error) {
	other := false
	for _, block := range known {
		shown, err := header(ctx, block.Number)
		switch {
		case ctx.Err() == nil && (errors.Is(err, ErrBlockUnknown) || errors.Is(err, ErrUnsupported) || errors.Is(err, ErrUnavailable)):
			// It does not have it, in whatever words: the next one.
		case err != nil:
			return false, err
		case shown.Hash == block.Hash:
			return true, nil
		default:
			other = true
		}
	}
	switch {
	case other:
		return false, fmt.Errorf("%w: block %d and others are not those that are known", ErrWrongChain, known[0].Number)
	case len(known) > 0:
		return false, fmt.Errorf("%w: the node shows no block that is known", ErrUnavailable)
	default:
		return false, nil
	}
}
