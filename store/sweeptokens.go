package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// TokenSweep is a run of final blocks in which nobody looked for tokens that are not enabled.
type TokenSweep struct {
	Chain  string
	Family payment.Family
	Interval
}

// NextTokenSweep returns the lowest piece of a chain to look through for tokens that are not enabled, no longer than one request
// may be. It tells false when there is none. Near the head these tokens are looked for block by block; what is left are blocks that were
// read in ranges, or by nodes that refuse such questions.
func (db *DB) NextTokenSweep(ctx context.Context, chain string) (TokenSweep, bool, error) {
	row, err := db.q.SweepDue(ctx, chain)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return TokenSweep{}, false, nil
	case err != nil:
		return TokenSweep{}, false, fmt.Errorf("look for blocks to sweep: %w", classify(err))
	}
	last := min(row.Last, row.First+int64(row.MaxRange)-1)
	return TokenSweep{
		Chain: chain, Family: payment.Family(row.Family), Interval: Interval{First: uint64(row.First), Last: uint64(last)},
	}, true, nil
}

// IssuedAddresses reads every address that was ever handed out and that the sweep's chain can pay to, a page at a time, in the order of their ids: those behind
// after, at most limit. It returns the id to go on behind, "" at the end.
func (db *DB) IssuedAddresses(ctx context.Context, sweep TokenSweep, after string, limit int) ([]payment.Address, string, error) {
	rows, err := db.q.IssuedAddresses(ctx, sqlc.IssuedAddressesParams{Chain: sweep.Chain, After: after, MaxRows: int32(limit)})
	if err != nil {
		return nil, "", fmt.Errorf("list addresses: %w", classify(err))
	}
	addresses := make([]payment.Address, len(rows))
	for i, row := range rows {
		addresses[i] = payment.Address{Family: sweep.Family, Raw: string(row.Bytes)}
	}
	if len(rows) < limit {
		return addresses, "", nil
	}
	return addresses, rows[len(rows)-1].ID, nil
}

// SweptTransfer is a transfer that a sweep has found. Its position is not known.
type SweptTransfer struct {
	payment.Transfer
	Block payment.BlockRef // without its parent and time
}

// RecordTokenSweep writes down what was found in a piece, in one transaction, and that somebody looked. Transfers of tokens that have
// an asset are found as payments: one that was not, although it was looked for, says that a node left it out, and has its block read
// again. Blocks that were looked through meanwhile are not counted again.
func (db *DB) RecordTokenSweep(ctx context.Context, sweep TokenSweep, found []SweptTransfer) error {
	return db.tx(ctx, func(ctx context.Context, t txn) error {
		cursor, err := t.q.LockCursor(ctx, sweep.Chain) // recording and undoing wait
		if err != nil {
			return fmt.Errorf("lock the cursor of chain %s: %w", sweep.Chain, err)
		}
		if cursor.BlockNumber == nil || uint64(*cursor.BlockNumber) < sweep.Last {
			return nil // they were undone; a later sweep looks again
		}
		batch := Batch{}
		for _, transfer := range found {
			batch.Blocks = append(batch.Blocks, SeenBlock{
				BlockRef: transfer.Block, AnyToken: true, Sightings: []Sighting{{Transfer: transfer.Transfer}},
			})
		}
		if err := t.readMissed(ctx, sweep.Chain, found); err != nil {
			return err
		}
		turn := chainTurn{chain: sweep.Chain, family: sweep.Family}
		if len(batch.Blocks) > 0 {
			if _, err := t.arrivals(ctx, turn, batch, placeRescanned); err != nil {
				return err
			}
		}
		err = t.q.CoverMethod(ctx, sqlc.CoverMethodParams{
			Chain: sweep.Chain, Method: coverageMethodAnyToken, First: int64(sweep.First), Last: int64(sweep.Last),
		})
		if err != nil {
			return fmt.Errorf("cover what was swept: %w", err)
		}
		return nil
	})
}

// readMissed plans to read blocks again, by hash, in which a sweep has found transfers that were looked for and never recorded.
func (t txn) readMissed(ctx context.Context, chain string, found []SweptTransfer) error {
	params := sqlc.SweptUnrecordedParams{Chain: chain}
	for _, transfer := range found {
		params.Contracts = append(params.Contracts, transfer.Contract.Bytes())
		params.TxHashes = append(params.TxHashes, transfer.TxHash[:])
		params.LogIndices = append(params.LogIndices, int32(transfer.LogIndex))
		params.Recipients = append(params.Recipients, transfer.To.Bytes())
		params.Numbers = append(params.Numbers, int64(transfer.Block.Number))
		params.Hashes = append(params.Hashes, transfer.Block.Hash[:])
	}
	rows, err := t.q.SweptUnrecorded(ctx, params)
	if err != nil {
		return fmt.Errorf("compare a sweep with what was recorded: %w", err)
	}
	by := process.By{Actor: recorderActor, Reason: "a search by recipient shows a transfer that was not recorded"}
	for _, row := range rows {
		t.log.ErrorContext(ctx, "a search by recipient shows a transfer that was not recorded: a node left it out, its block is read again",
			"chain", chain, "block", row.Number)
		at := Interval{First: uint64(row.Number), Last: uint64(row.Number)}
		if _, err := t.requestRescan(ctx, chain, at, by, fmt.Sprintf("swept/%s/%d/%x", chain, row.Number, row.Hash)); err != nil {
			return err
		}
	}
	return nil
}
