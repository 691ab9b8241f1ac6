package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// recorderActor is the actor of what recording plans and does by itself.
const recorderActor = "recorder"

// Recorder writes down what is seen on chains. A chain has one cursor: the last block that is fully recorded. Every write
// locks the cursor's row first and checks the session's epoch there, so of several runners of one chain only the newest
// one writes, and recording, rescans and rollbacks of a chain never overlap.
//
// Every method may be repeated with the same arguments without a second effect. Errors other than those named with a
// method mean "try again".
type Recorder struct {
	db *DB
}

// NewRecorder makes a Recorder.
func NewRecorder(db *DB) *Recorder { return &Recorder{db: db} }

// Begin starts a session: those before it are fenced from now on. Error: CodeUnknownChain.
func (r *Recorder) Begin(ctx context.Context, chain string) (ScanSession, error) {
	var session ScanSession
	err := r.db.tx(ctx, func(ctx context.Context, t txn) error {
		row, err := t.q.ScanChain(ctx, chain)
		if err != nil {
			return unknownChain(err)
		}
		raised, err := t.q.RaiseEpoch(ctx, chain)
		if err != nil {
			return fmt.Errorf("raise the epoch of chain %s: %w", chain, err)
		}
		session = ScanSession{
			Chain: row.Name, Epoch: raised.Epoch, ChainID: uint64(row.ChainID), Start: uint64(row.StartBlock),
			Horizon: uint64(row.Horizon), BlockTime: milliseconds(row.BlockTimeMs), MaxRange: uint64(row.MaxRange),
		}
		copy(session.Genesis[:], row.GenesisHash)
		return nil
	})
	return session, err
}

// Watch reads what there is to do. Error: ErrFenced.
func (r *Recorder) Watch(ctx context.Context, s ScanSession) (Watch, error) {
	state, err := r.db.q.WatchState(ctx, s.Chain)
	if err != nil {
		return Watch{}, fmt.Errorf("read the cursor of chain %s: %w", s.Chain, classify(err))
	}
	if state.Epoch != s.Epoch {
		return Watch{}, ErrFenced
	}
	watch := Watch{Paused: state.Paused, Halted: state.Halted, AnyToken: state.AnyToken}
	if err := r.watchedAssets(ctx, s, payment.Family(state.Family), &watch); err != nil {
		return Watch{}, err
	}
	watch.Traces = watch.Native && state.Traces
	if state.BlockNumber == nil {
		return watch, nil
	}
	watch.Cursor = &payment.BlockRef{
		Number: uint64(*state.BlockNumber), Hash: payment.Hash(state.BlockHash), Time: *state.BlockTime,
	}
	if state.ParentHash != nil {
		watch.Cursor.Parent = payment.Hash(state.ParentHash)
	}
	rescans, err := r.db.q.OpenRescans(ctx, sqlc.OpenRescansParams{
		Chain: s.Chain, CursorBlock: *state.BlockNumber, MaxRows: maxOpenRescans,
	})
	if err != nil {
		return Watch{}, fmt.Errorf("read the rescans of chain %s: %w", s.Chain, classify(err))
	}
	for _, row := range rescans {
		watch.Rescans = append(watch.Rescans, OpenRescan{
			ID: row.ID, From: uint64(row.FromBlock), To: uint64(row.ToBlock), Next: uint64(row.NextBlock),
			Requested: row.Requested,
		})
	}
	return watch, r.secondLook(ctx, s, &watch)
}

// maxOpenRescans is how many rescans are shown to a runner at once. It does one at a time, and passes over those that fail:
// there have to be more of them than blocks that cannot be read.
const maxOpenRescans = 1000

func (r *Recorder) watchedAssets(ctx context.Context, s ScanSession, family payment.Family, watch *Watch) error {
	assets, err := r.db.q.WatchedAssets(ctx, s.Chain)
	if err != nil {
		return fmt.Errorf("read the assets of chain %s: %w", s.Chain, classify(err))
	}
	for _, asset := range assets {
		if asset.Contract == nil {
			watch.Native = true
			continue
		}
		contract, err := payment.AddressFromBytes(family, asset.Contract)
		if err != nil {
			return fmt.Errorf("contract of asset %s: %w", asset.ID, err)
		}
		watch.Tokens = append(watch.Tokens, contract)
	}
	return nil
}

// ObserveHead remembers how far the chain is, to tell how far recording lags. It never moves the cursor. Error: ErrFenced.
func (r *Recorder) ObserveHead(ctx context.Context, s ScanSession, head payment.BlockRef) error {
	rows, err := r.db.q.ObserveHead(ctx, sqlc.ObserveHeadParams{
		Chain: s.Chain, Epoch: s.Epoch, Number: int64(head.Number), HeadTime: head.Time,
	})
	if err != nil {
		return fmt.Errorf("observe the head of chain %s: %w", s.Chain, classify(err))
	}
	if rows == 0 {
		return ErrFenced
	}
	return nil
}

// Known returns those of the addresses that were issued, as of now, and to which what comes on this chain is money. It only saves reading
// receipts: Record decides.
func (r *Recorder) Known(ctx context.Context, s ScanSession, addresses []payment.Address) ([]payment.Address, error) {
	raw := make([][]byte, len(addresses))
	for i, address := range addresses {
		raw[i] = address.Bytes()
	}
	rows, err := r.db.q.MatchRecipients(ctx, sqlc.MatchRecipientsParams{Chain: s.Chain, Recipients: raw})
	if err != nil {
		return nil, fmt.Errorf("look up recipients on chain %s: %w", s.Chain, classify(err))
	}
	var known []payment.Address
	for _, row := range rows {
		if row.TakesMoney {
			known = append(known, payment.Address{Family: payment.Family(row.Family), Raw: string(row.Bytes)})
		}
	}
	return known, nil
}

// Ancestors returns remembered blocks at or below a height, newest first. All canonical blocks down to the horizon are
// remembered.
func (r *Recorder) Ancestors(ctx context.Context, s ScanSession, below uint64, limit int) ([]payment.BlockRef, error) {
	rows, err := r.db.q.RememberedBlocks(ctx, sqlc.RememberedBlocksParams{
		Chain: s.Chain, Below: int64(below), MaxRows: int32(limit),
	})
	if err != nil {
		return nil, fmt.Errorf("read the recorded blocks of chain %s: %w", s.Chain, classify(err))
	}
	blocks := make([]payment.BlockRef, 0, len(rows))
	for _, row := range rows {
		blocks = append(blocks, payment.BlockRef{
			Number: uint64(row.Number), Hash: payment.Hash(row.Hash), Parent: payment.Hash(row.ParentHash), Time: row.BlockTime,
		})
	}
	return blocks, nil
}

// Halt stops crediting on the chain until a person resumes it; recording goes on. reason is a code, for support to read.
// Doing it again keeps the first reason. Error: ErrFenced.
func (r *Recorder) Halt(ctx context.Context, s ScanSession, reason string) error {
	return r.db.tx(ctx, func(ctx context.Context, t txn) error {
		if _, err := t.turn(ctx, s); err != nil {
			return err
		}
		if _, err := t.q.HaltChain(ctx, sqlc.HaltChainParams{Name: s.Chain, Reason: reason}); err != nil {
			return fmt.Errorf("halt chain %s: %w", s.Chain, err)
		}
		return nil
	})
}

// chainTurn is a chain under the lock of its cursor, by the newest session.
type chainTurn struct {
	chain         string
	family        payment.Family
	horizon       int64
	confirmations int64
	start         int64
	halted        bool
	final         *int64 // the newest block that the chain called final
	// cursor is the last recorded block; hash is nil before the first.
	number int64
	hash   []byte
	time   *time.Time
}

// turn locks the cursor and checks the epoch. Error: ErrFenced.
func (t txn) turn(ctx context.Context, s ScanSession) (chainTurn, error) {
	row, err := t.q.LockCursor(ctx, s.Chain)
	if err != nil {
		return chainTurn{}, fmt.Errorf("lock the cursor of chain %s: %w", s.Chain, err)
	}
	if row.Epoch != s.Epoch {
		return chainTurn{}, ErrFenced
	}
	return chainTurn{
		chain: s.Chain, family: payment.Family(row.Family), horizon: int64(row.Horizon), confirmations: int64(row.Confirmations),
		start: row.StartBlock, halted: row.Halted, final: row.FinalNumber, number: deref(row.BlockNumber), hash: row.BlockHash, time: row.BlockTime,
	}, nil
}
