package activities

import (
	"context"
	"errors"
	"fmt"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/chain/scan"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// StoreRecorder is the store as the scanner wants it. The two packages do not know each other; what they mean is the same.
type StoreRecorder struct {
	Store *store.Recorder
}

var _ scan.Recorder = StoreRecorder{}

// Begin implements scan.Recorder.
func (r StoreRecorder) Begin(ctx context.Context, name string) (scan.Session, error) {
	s, err := r.Store.Begin(ctx, name)
	return scan.Session{
		Chain: s.Chain, Epoch: s.Epoch, Identity: chain.Identity{ChainID: s.ChainID, Genesis: s.Genesis},
		Start: s.Start, Horizon: s.Horizon, BlockTime: s.BlockTime, MaxRange: s.MaxRange,
	}, translate(err)
}

// session turns a scanner's session back. What only the scanner needs is not looked at by the store.
func session(s scan.Session) store.ScanSession {
	return store.ScanSession{
		Chain: s.Chain, Epoch: s.Epoch, ChainID: s.Identity.ChainID, Genesis: s.Identity.Genesis,
		Start: s.Start, Horizon: s.Horizon, BlockTime: s.BlockTime, MaxRange: s.MaxRange,
	}
}

// Watch implements scan.Recorder.
func (r StoreRecorder) Watch(ctx context.Context, s scan.Session) (scan.Watch, error) {
	w, err := r.Store.Watch(ctx, session(s))
	if err != nil {
		return scan.Watch{}, translate(err)
	}
	watch := scan.Watch{Cursor: w.Cursor, Filter: chain.Filter{Native: w.Native, Tokens: w.Tokens, AnyToken: w.AnyToken, Traces: w.Traces}, Paused: w.Paused, Halted: w.Halted, Ranged: w.Ranged}
	for _, open := range w.Rescans {
		watch.Rescans = append(watch.Rescans, scan.Rescan{ID: open.ID, From: open.From, To: open.To, Next: open.Next, Requested: open.Requested})
	}
	if look := w.SecondLook; look != nil {
		watch.SecondLook = &scan.Rescan{From: look.From, To: look.To, Next: look.Next, Second: true, InRanges: look.InRanges, Urgent: look.Urgent}
	}
	return watch, nil
}

// ObserveHead implements scan.Recorder.
func (r StoreRecorder) ObserveHead(ctx context.Context, s scan.Session, head payment.BlockRef) error {
	return translate(r.Store.ObserveHead(ctx, session(s), head))
}

// ObserveFinal implements scan.Recorder.
func (r StoreRecorder) ObserveFinal(ctx context.Context, s scan.Session, final *payment.BlockRef) error {
	return translate(r.Store.ObserveFinal(ctx, session(s), final))
}

// Remembered implements scan.Recorder.
func (r StoreRecorder) Remembered(ctx context.Context, s scan.Session, below uint64, limit int) ([]payment.BlockRef, error) {
	blocks, err := r.Store.Remembered(ctx, session(s), below, limit)
	return blocks, translate(err)
}

// Known implements scan.Recorder.
func (r StoreRecorder) Known(ctx context.Context, s scan.Session, addresses []payment.Address) ([]payment.Address, error) {
	known, err := r.Store.Known(ctx, session(s), addresses)
	return known, translate(err)
}

// Record implements scan.Recorder.
func (r StoreRecorder) Record(ctx context.Context, s scan.Session, b scan.Batch) (scan.Recorded, error) {
	recorded, err := r.Store.Record(ctx, session(s), batch(b))
	return scan.Recorded(recorded), translate(err)
}

// Quarantine implements scan.Recorder.
func (r StoreRecorder) Quarantine(ctx context.Context, s scan.Session, b scan.Batch, reason string) error {
	return translate(r.Store.Quarantine(ctx, session(s), batch(b), reason))
}

// RecordRescan implements scan.Recorder.
func (r StoreRecorder) RecordRescan(ctx context.Context, s scan.Session, open scan.Rescan, b scan.Batch) (scan.Recorded, error) {
	recorded, err := r.Store.RecordRescan(ctx, session(s), openRescan(open), batch(b))
	return scan.Recorded(recorded), translate(err)
}

// LookLater implements scan.Recorder.
func (r StoreRecorder) LookLater(ctx context.Context, s scan.Session, open scan.Rescan) error {
	return translate(r.Store.LookLater(ctx, session(s), openRescan(open)))
}

func openRescan(r scan.Rescan) store.OpenRescan {
	return store.OpenRescan{ID: r.ID, From: r.From, To: r.To, Next: r.Next, Second: r.Second, Requested: r.Requested}
}

// batch leaves out what moved nothing, and says of the rest whether its receipt was read.
func batch(b scan.Batch) store.Batch {
	out := store.Batch{Native: b.Filter.Native, Tokens: b.Filter.Tokens, Blocks: seenBlocks(b.Blocks), ByHash: b.ByHash, Alone: b.Alone}
	for _, view := range b.Views {
		out.Views = append(out.Views, store.View{Operator: view.Operator, Blocks: seenBlocks(view.Blocks)})
	}
	return out
}

func seenBlocks(blocks []chain.Block) []store.SeenBlock {
	all := make([]store.SeenBlock, 0, len(blocks))
	for _, block := range blocks {
		seen := store.SeenBlock{BlockRef: block.BlockRef, AnyToken: block.AnyToken, Traced: block.Traced, Poisoned: block.Poisoned}
		for _, candidate := range block.Candidates {
			switch candidate.Resolution {
			case chain.Resolved:
				seen.Sightings = append(seen.Sightings, store.Sighting{Transfer: candidate.Transfer, Receipt: store.ReceiptRead})
			case chain.Unresolved:
				seen.Sightings = append(seen.Sightings, store.Sighting{Transfer: candidate.Transfer, Receipt: store.ReceiptUnread})
			case chain.Void:
			}
		}
		all = append(all, seen)
	}
	return all
}

// Ancestors implements scan.Recorder.
func (r StoreRecorder) Ancestors(ctx context.Context, s scan.Session, below uint64, limit int) ([]payment.BlockRef, error) {
	blocks, err := r.Store.Ancestors(ctx, session(s), below, limit)
	return blocks, translate(err)
}

// Rollback implements scan.Recorder.
func (r StoreRecorder) Rollback(ctx context.Context, s scan.Session, to payment.BlockRef) error {
	return translate(r.Store.Rollback(ctx, session(s), to))
}

// Halt implements scan.Recorder.
func (r StoreRecorder) Halt(ctx context.Context, s scan.Session, reason string) error {
	return translate(r.Store.Halt(ctx, session(s), reason))
}

// translate turns the store's refusals into the scanner's.
func translate(err error) error {
	unresolved, isUnresolved := errors.AsType[*store.UnresolvedError](err)
	switch {
	case err == nil:
		return nil
	case isUnresolved:
		return &scan.UnresolvedError{Recipients: unresolved.Recipients}
	case errors.Is(err, store.ErrFenced):
		return fmt.Errorf("%w: %w", scan.ErrFenced, err)
	case errors.Is(err, store.ErrParentMismatch):
		return fmt.Errorf("%w: %w", scan.ErrParentMismatch, err)
	case errors.Is(err, store.ErrHorizon):
		return fmt.Errorf("%w: %w", scan.ErrHorizon, err)
	case errors.Is(err, store.ErrFinal):
		return fmt.Errorf("%w: %w", scan.ErrFinal, err)
	case errors.Is(err, store.ErrHearsay):
		return fmt.Errorf("%w: %w", scan.ErrHearsay, err)
	case errors.Is(err, store.ErrContradiction):
		return fmt.Errorf("%w: %w", chain.ErrInconsistent, err)
	default:
		return err
	}
}
