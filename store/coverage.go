package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// cover adds the batch's blocks to the coverage of everything that was looked for in them.
func (t txn) cover(ctx context.Context, chain string, batch Batch) error {
	first, last := int64(batch.first().Number), int64(batch.last().Number)
	if batch.Native {
		err := t.q.CoverMethod(ctx, sqlc.CoverMethodParams{
			Chain: chain, Method: coverageMethodNative, First: first, Last: last, ByHash: batch.ByHash,
		})
		if err != nil {
			return fmt.Errorf("cover native transfers: %w", err)
		}
	}
	if err := t.coverTraces(ctx, chain, batch); err != nil {
		return err
	}
	if err := t.coverAnyToken(ctx, chain, batch.Blocks); err != nil {
		return err
	}
	if len(batch.Tokens) == 0 {
		return nil
	}
	contracts := make([][]byte, 0, len(batch.Tokens))
	seen := make(map[payment.Address]bool, len(batch.Tokens))
	for _, token := range batch.Tokens {
		if !seen[token] {
			seen[token] = true
			contracts = append(contracts, token.Bytes())
		}
	}
	err := t.q.CoverTokens(ctx, sqlc.CoverTokensParams{Chain: chain, First: first, Last: last, Contracts: contracts, ByHash: batch.ByHash})
	if err != nil {
		return fmt.Errorf("cover token transfers: %w", err)
	}
	return nil
}

// planBackfill asks for a rescan of every block up to the cursor that some asset needs and nobody looked at for it: a
// token that was enabled late, or while these very blocks were being read. The request id carries the epoch and the
// cursor, under whose lock this runs, so that a hole that a rescan failed to close is asked for again.
func (t txn) planBackfill(ctx context.Context, s ScanSession, cursor int64) error {
	holes, err := t.q.UnplannedHoles(ctx, sqlc.UnplannedHolesParams{Chain: s.Chain, First: int64(s.Start), Last: cursor})
	if err != nil {
		return fmt.Errorf("look for holes: %w", err)
	}
	for _, hole := range holes {
		_, err := t.q.InsertRescan(ctx, sqlc.InsertRescanParams{
			Chain: s.Chain, FromBlock: hole.First, ToBlock: hole.Last, Cause: string(RescanBackfill),
			RequestID:   fmt.Sprintf("backfill/%s/%d/%d/%d-%d", s.Chain, s.Epoch, cursor, hole.First, hole.Last),
			RequestedBy: recorderActor,
		})
		if err != nil {
			return fmt.Errorf("plan a backfill: %w", err)
		}
	}
	return nil
}

// Interval is a run of blocks, both ends included.
type Interval struct {
	First, Last uint64
}

// CoverageHoles lists what was not read of an interval for an asset.
func (db *DB) CoverageHoles(ctx context.Context, asset payment.AssetID, within Interval) ([]Interval, error) {
	method, contract := coverageMethodNative, []byte{}
	if !asset.IsNative() {
		method, contract = coverageMethodToken, asset.Contract.Bytes()
	}
	rows, err := db.q.CoverageHoles(ctx, sqlc.CoverageHolesParams{
		Chain: asset.Chain, Method: method, Contract: contract, First: int64(within.First), Last: int64(within.Last),
	})
	if err != nil {
		return nil, fmt.Errorf("read the coverage of %s: %w", asset, classify(err))
	}
	holes := make([]Interval, 0, len(rows))
	for _, row := range rows {
		holes = append(holes, Interval{First: uint64(row.First), Last: uint64(row.Last)})
	}
	return holes, nil
}
