package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// RescanCause says why a range is read again.
type RescanCause string

// The causes of a rescan.
const (
	RescanRequested  RescanCause = "requested"
	RescanBackfill   RescanCause = "backfill"
	RescanSecondLook RescanCause = "second_look"
	RescanQuarantine RescanCause = "quarantine"
)

// Rescan is a range to read again and how far that has come.
type Rescan struct {
	ID       int64
	Chain    string
	From, To uint64 // both included
	Next     uint64 // the first block that is not read again yet
	Cause    RescanCause
	Finished bool
	// Again: the same request was made before.
	Again bool
}

// RequestRescan asks for blocks of a chain to be read again. Blocks above the cursor are left out: they will be read
// anyway. The request's id makes it one request, however often it is made; it is audited.
// Errors: CodeUnknownChain; CodeInvalidParameter when nothing of the range was recorded yet.
func (db *DB) RequestRescan(ctx context.Context, chain string, blocks Interval, by process.By, requestID string) (Rescan, error) {
	var rescan Rescan
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		clipped, err := t.recordedPart(ctx, chain, blocks)
		if err != nil {
			return err
		}
		rescan, err = t.requestRescan(ctx, chain, clipped, by, requestID)
		return err
	})
	return rescan, err
}

// RequestOrderRescan asks for the blocks in which an order's payments can be: since its address was handed out, on every
// enabled chain of the address's family, or a part of that on the order's own chain when last is not zero. It returns the
// rescan of the order's own chain. Errors: those of RequestRescan; CodeNotFound;
// CodeOrderState when the order has no address.
func (db *DB) RequestOrderRescan(ctx context.Context, id payment.OrderID, blocks Interval, by process.By, requestID string) (Rescan, error) {
	var rescan Rescan
	err := db.tx(ctx, func(ctx context.Context, t txn) error {
		order, err := t.q.RescanOrder(ctx, string(id))
		if err != nil {
			return notFound(err, "order")
		}
		if !order.HasAddress {
			return payment.E(payment.CodeOrderState, "", "the order has no address yet")
		}
		if blocks.Last == 0 {
			blocks.Last = ^uint64(0) >> 1
			if err := t.rescanElsewhere(ctx, id, by, requestID); err != nil {
				return err
			}
		}
		blocks.First = max(blocks.First, uint64(deref(order.BirthBlock)))
		clipped, err := t.recordedPart(ctx, order.Chain, blocks)
		if err != nil {
			return err
		}
		rescan, err = t.requestRescan(ctx, order.Chain, clipped, by, requestID)
		return err
	})
	return rescan, err
}

// recordedPart cuts an interval to what was recorded of it.
func (t txn) recordedPart(ctx context.Context, chain string, blocks Interval) (Interval, error) {
	row, err := t.q.RecordedSpan(ctx, chain)
	if err != nil {
		return Interval{}, unknownChain(err)
	}
	if row.BlockNumber == nil {
		return Interval{}, payment.E(payment.CodeInvalidParameter, "from", "nothing of this chain was recorded yet")
	}
	blocks.First = max(blocks.First, uint64(row.StartBlock))
	blocks.Last = min(blocks.Last, uint64(*row.BlockNumber))
	if blocks.First > blocks.Last {
		return Interval{}, payment.E(payment.CodeInvalidParameter, "from", "nothing of these blocks was recorded yet")
	}
	return blocks, nil
}

func (t txn) requestRescan(ctx context.Context, chain string, blocks Interval, by process.By, requestID string) (Rescan, error) {
	inserted, err := t.q.InsertRescan(ctx, sqlc.InsertRescanParams{
		Chain: chain, FromBlock: int64(blocks.First), ToBlock: int64(blocks.Last), Cause: string(RescanRequested),
		RequestID: requestID, RequestedBy: by.Actor,
	})
	if err != nil {
		return Rescan{}, fmt.Errorf("ask for a rescan: %w", err)
	}
	if inserted == 1 {
		_, err := t.audit(ctx, deed{
			By: by, Action: "chain.rescan", Subject: chain, RequestID: requestID,
			Detail: map[string]any{"from": blocks.First, "to": blocks.Last},
		})
		if err != nil {
			return Rescan{}, err
		}
	}
	row, err := t.q.RescanByRequest(ctx, requestID)
	if err != nil {
		return Rescan{}, fmt.Errorf("read the rescan: %w", err)
	}
	return Rescan{
		ID: row.ID, Chain: row.Chain, From: uint64(row.FromBlock), To: uint64(row.ToBlock), Next: uint64(row.NextBlock),
		Cause: RescanCause(row.Cause), Finished: row.Finished, Again: inserted == 0,
	}, nil
}

// advanceRescan moves a rescan behind the batch. A batch that does not reach further than it has come changes nothing.
func (t txn) advanceRescan(ctx context.Context, chain string, id int64, batch Batch) error {
	_, err := t.q.AdvanceRescan(ctx, sqlc.AdvanceRescanParams{
		ID: id, Chain: chain, FirstBlock: int64(batch.first().Number), NextBlock: int64(batch.last().Number) + 1,
	})
	if err != nil {
		return fmt.Errorf("advance rescan %d: %w", id, err)
	}
	return t.lookAgainLater(ctx, chain, id, batch)
}
