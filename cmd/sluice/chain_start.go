package main

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/chain/evm"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// clockSkew is how far this machine's clock may be ahead of the chain's.
const clockSkew = 10 * time.Minute

// startBlock is where a new chain is watched from. Addresses are the same on every chain of a family, so those that were
// handed out before may have been paid on this one too.
func (e chainEnable) startBlock(ctx context.Context, db *store.DB, head payment.BlockRef) (uint64, error) {
	if e.StartBlock != nil {
		return *e.StartBlock, nil
	}
	oldest, err := db.OldestAddress(ctx, payment.Family(e.Family))
	if err != nil {
		return 0, err
	}
	if oldest.IsZero() {
		return head.Number, nil
	}
	return e.lowestAt(ctx, head, oldest.Add(-clockSkew))
}

// lowestAt is the lowest block that any node's times say is the last one that is not after at: a node that tells other times must
// not have payments left out.
func (e chainEnable) lowestAt(ctx context.Context, head payment.BlockRef, at time.Time) (uint64, error) {
	lowest := head.Number
	for i, url := range e.RPC {
		block, err := blockOf(ctx, url, head, at)
		if err != nil {
			return 0, fmt.Errorf("ask --rpc number %d for the block of %s, when the oldest address was made; give --start-block: %w",
				i+1, at.UTC().Format(time.RFC3339), err)
		}
		lowest = min(lowest, block)
	}
	return lowest, nil
}

// blockOf is blockAt by one node's times.
func blockOf(ctx context.Context, url string, head payment.BlockRef, at time.Time) (uint64, error) {
	source, err := evm.New(evm.Options{URL: url})
	if err != nil {
		return 0, err
	}
	defer source.Close()
	own, err := source.HeaderByNumber(ctx, head.Number)
	if err != nil {
		return 0, err
	}
	return blockAt(ctx, source.HeaderByNumber, own, at)
}

// blockAt finds the last block that is not after at, or 0.
func blockAt(
	ctx context.Context, header func(context.Context, uint64) (payment.BlockRef, error), head payment.BlockRef, at time.Time,
) (uint64, error) {
	if !head.Time.After(at) {
		return head.Number, nil
	}
	low, high := uint64(0), head.Number // the answer is in [low, high)
	for high-low > 1 {
		middle := low + (high-low)/2
		ref, err := header(ctx, middle)
		if err != nil {
			return 0, err
		}
		if ref.Time.After(at) {
			high = middle
		} else {
			low = middle
		}
	}
	return low, nil
}
