package store

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
)

// rescanElsewhere asks for the blocks in which money for an order can be on chains that are not its own: an address is
// valid on every chain of its family. Where the other chains were when the address was made is known to within minutes, and
// the horizon below that is read as well.
func (t txn) rescanElsewhere(ctx context.Context, id payment.OrderID, by process.By, requestID string) error {
	rows, err := t.q.OrderElsewhere(ctx, string(id))
	if err != nil {
		return fmt.Errorf("look for other chains of the order: %w", err)
	}
	for _, row := range rows {
		if row.First > row.Last {
			continue
		}
		blocks := Interval{First: uint64(row.First), Last: uint64(row.Last)}
		if _, err := t.requestRescan(ctx, row.Chain, blocks, by, requestID+"/"+row.Chain); err != nil {
			return err
		}
	}
	return nil
}
