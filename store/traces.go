package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Nodes trace, or do not, or fail to for a while. What was not traced is asked for again as soon as a node traces, within
// these bounds: a trace is dear, and a block that no node manages to trace must not be asked for for ever.
const (
	// traceWindow is how far back.
	traceWindow = 24 * time.Hour
	// traceStep is how often the same blocks.
	traceStep = time.Hour
	// maxTracePlans is how many runs of blocks at once.
	maxTracePlans = 16
)

// coverageMethodTraces is reading internal transfers. No order waits for it: not every chain has a node that can.
const coverageMethodTraces = "traces"

// coverTraces adds those of the batch's blocks that were traced to the coverage of internal transfers.
func (t txn) coverTraces(ctx context.Context, chain string, batch Batch) error {
	for i := 0; i < len(batch.Blocks); i++ {
		if !batch.Blocks[i].Traced {
			continue
		}
		first := batch.Blocks[i].Number
		for i+1 < len(batch.Blocks) && batch.Blocks[i+1].Traced {
			i++
		}
		err := t.q.CoverMethod(ctx, sqlc.CoverMethodParams{
			Chain: chain, Method: coverageMethodTraces, First: int64(first), Last: int64(batch.Blocks[i].Number),
		})
		if err != nil {
			return fmt.Errorf("cover internal transfers: %w", err)
		}
	}
	return nil
}

// planTraces asks for a rescan of blocks that were recorded without a trace, when the newest one has one: a node traces
// again, or the first one that does was added.
func (t txn) planTraces(ctx context.Context, s ScanSession, batch Batch) error {
	last := batch.last()
	if !last.Traced {
		return nil
	}
	step := max(1, uint64(traceStep/max(s.BlockTime, time.Millisecond)))
	window := step * uint64(traceWindow/traceStep)
	first := s.Start
	if last.Number > window {
		// In whole steps, so that the oldest run of blocks is not another one with every block.
		first = max(first, (last.Number-window)/step*step)
	}
	holes, err := t.q.UnplannedTraceHoles(ctx, sqlc.UnplannedTraceHolesParams{
		Chain: s.Chain, First: int64(first), Last: int64(last.Number), MaxRows: maxTracePlans,
	})
	if err != nil {
		return fmt.Errorf("look for blocks without a trace: %w", err)
	}
	for _, hole := range holes {
		_, err := t.q.InsertRescan(ctx, sqlc.InsertRescanParams{
			Chain: s.Chain, FromBlock: hole.First, ToBlock: hole.Last, Cause: string(RescanBackfill),
			RequestID:   fmt.Sprintf("traces/%s/%d-%d/%d", s.Chain, hole.First, hole.Last, last.Time.Unix()/int64(traceStep.Seconds())),
			RequestedBy: recorderActor,
		})
		if err != nil {
			return fmt.Errorf("plan to trace blocks again: %w", err)
		}
	}
	return nil
}

// untraced counts the blocks that no node traced, by chain.
func (db *DB) untraced(ctx context.Context) (map[string]sqlc.UntracedBlocksRow, error) {
	// A step more: the oldest run of blocks that is asked for begins at a whole one.
	rows, err := db.q.UntracedBlocks(ctx, (traceWindow + traceStep).Milliseconds())
	if err != nil {
		return nil, fmt.Errorf("count blocks that were not traced: %w", classify(err))
	}
	untraced := make(map[string]sqlc.UntracedBlocksRow, len(rows))
	for _, row := range rows {
		untraced[row.Name] = row
	}
	return untraced, nil
}

// TraceChain has the chain's nodes asked for internal transfers, which is how it begins. Doing it again changes nothing.
// Error: CodeUnknownChain.
func (db *DB) TraceChain(ctx context.Context, chain string, by process.By, requestID string) error {
	return db.control(ctx, chain, deed{By: by, Action: "chain.trace", RequestID: requestID}, (*sqlc.Queries).TraceChain)
}

// UntraceChain ends that: internal transfers are not looked for. Doing it again changes nothing. Error: CodeUnknownChain.
func (db *DB) UntraceChain(ctx context.Context, chain string, by process.By, requestID string) error {
	return db.control(ctx, chain, deed{By: by, Action: "chain.untrace", RequestID: requestID}, (*sqlc.Queries).UntraceChain)
}
