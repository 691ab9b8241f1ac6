package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// identity is what makes a payment one: it survives being mined again.
type identity struct {
	tx       payment.Hash
	native   bool
	position uint32
}

// arrival is a transfer to an address of ours, in an asset that is or was enabled.
type arrival struct {
	Sighting
	block   payment.BlockRef
	to      sqlc.MatchRecipientsRow
	assetID string
}

func (a arrival) identity() identity { return identity{a.TxHash, a.Native, a.Position} }

// arrivals matches the recipients of all transfers, in a statement of its own: it begins after the blocks were fetched,
// so every address that a payer can have known by then is committed and found, in whatever order ids were given out.
func (t txn) arrivals(ctx context.Context, turn chainTurn, batch Batch) ([]arrival, error) {
	recipients := make(map[payment.Address]sqlc.MatchRecipientsRow)
	var raw [][]byte
	for _, block := range batch.Blocks {
		for _, seen := range block.Sightings {
			if _, ok := recipients[seen.To]; !ok && seen.To.Family == turn.family {
				recipients[seen.To] = sqlc.MatchRecipientsRow{}
				raw = append(raw, seen.To.Bytes())
			}
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	rows, err := t.q.MatchRecipients(ctx, sqlc.MatchRecipientsParams{Family: string(turn.family), Recipients: raw})
	if err != nil {
		return nil, fmt.Errorf("match recipients: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	for _, row := range rows {
		recipients[payment.Address{Family: turn.family, Raw: string(row.Bytes)}] = row
	}
	if err := unresolved(batch, recipients); err != nil {
		return nil, err
	}
	return t.known(ctx, turn, batch, recipients)
}

// unresolved returns an UnresolvedError for transfers to addresses of ours whose receipts were not read.
func unresolved(batch Batch, ours map[payment.Address]sqlc.MatchRecipientsRow) error {
	missing := make(map[payment.Address]bool)
	for _, block := range batch.Blocks {
		for _, seen := range block.Sightings {
			if seen.Receipt != ReceiptRead && ours[seen.To].ID != "" {
				missing[seen.To] = true
			}
		}
	}
	if len(missing) == 0 {
		return nil
	}
	recipients := make([]payment.Address, 0, len(missing))
	for address := range missing {
		recipients = append(recipients, address)
	}
	slices.SortFunc(recipients, func(a, b payment.Address) int { return cmp.Compare(a.Raw, b.Raw) })
	return &UnresolvedError{Recipients: recipients}
}

// known keeps the transfers to addresses of ours whose asset has a row, enabled or not. Others are written down apart: they
// are no payments until somebody enables their token. Transfers of nothing are ignored: they poison address books.
func (t txn) known(ctx context.Context, turn chainTurn, batch Batch, ours map[payment.Address]sqlc.MatchRecipientsRow) ([]arrival, error) {
	rows, err := t.q.WatchedAssets(ctx, turn.chain)
	if err != nil {
		return nil, fmt.Errorf("read the assets: %w", err)
	}
	assets := make(map[string]bool, len(rows))
	for _, row := range rows {
		assets[row.ID] = true
	}
	var arrivals []arrival
	twice := make(map[identity]bool)
	for _, block := range batch.Blocks {
		for _, seen := range block.Sightings {
			to := ours[seen.To]
			if to.ID == "" || seen.Amount.IsZero() {
				continue
			}
			a := arrival{Sighting: seen, block: block.BlockRef, to: to, assetID: seen.Asset(turn.chain).String()}
			if twice[a.identity()] {
				return nil, fmt.Errorf("%w: transfer %s/%d twice", ErrContradiction, a.TxHash, a.Position)
			}
			twice[a.identity()] = true
			if !assets[a.assetID] {
				if err := t.unknownToken(ctx, turn.chain, a); err != nil {
					return nil, err
				}
				continue
			}
			arrivals = append(arrivals, a)
		}
	}
	return arrivals, nil
}

// maxUnknownTransfers is how many transfers of one unknown contract are kept in full; after that they are counted.
const maxUnknownTransfers = 100

func (t txn) unknownToken(ctx context.Context, chain string, a arrival) error {
	contract := a.Contract.Bytes()
	err := t.q.CountUnknownTransfer(ctx, sqlc.CountUnknownTransferParams{
		Chain: chain, TxHash: a.TxHash[:], Position: int32(a.Position), Contract: contract, AddressID: a.to.ID,
		RawAmount: dbtype.Of(a.Amount), BlockNumber: int64(a.block.Number), BlockHash: a.block.Hash[:],
		MaxRows: maxUnknownTransfers,
	})
	if err != nil {
		return fmt.Errorf("note a transfer of an unknown token: %w", err)
	}
	return nil
}
