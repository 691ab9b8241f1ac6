package store

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/sluicepay/sluice/payment"
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
	block payment.BlockRef
	// to is the address, with the chain's mode. One that was made in the other mode is nobody's in particular of its merchant.
	to      sqlc.MatchRecipientsRow
	assetID string
	// dustBelow is what the asset calls dust today.
	dustBelow payment.Amount
}

func (a arrival) identity() identity { return identity{a.TxHash, a.Native, a.Position} }

// arrivals matches the recipients of all transfers, in a statement of its own: it begins after the blocks were fetched,
// so every address that a payer can have known by then is committed and found, in whatever order ids were given out.
func (t txn) arrivals(ctx context.Context, turn chainTurn, batch Batch, mode placeMode) ([]arrival, error) {
	recipients := make(map[payment.Address]sqlc.MatchRecipientsRow)
	var raw [][]byte
	add := func(to payment.Address) {
		if _, ok := recipients[to]; !ok && to.Family == turn.family {
			recipients[to] = sqlc.MatchRecipientsRow{}
			raw = append(raw, to.Bytes())
		}
	}
	for _, blocks := range batch.everyView() {
		for _, block := range blocks {
			for _, seen := range block.Sightings {
				add(seen.To)
			}
			for _, to := range block.Poisoned {
				add(to)
			}
		}
	}
	if len(raw) == 0 {
		return nil, nil
	}
	rows, err := t.q.MatchRecipients(ctx, sqlc.MatchRecipientsParams{Chain: turn.chain, Recipients: raw})
	if err != nil {
		return nil, fmt.Errorf("match recipients: %w", err)
	}
	if len(rows) == 0 {
		return nil, nil
	}
	live := make(map[payment.Address]bool) // on a chain of test money
	for _, row := range rows {
		address := payment.Address{Family: turn.family, Raw: string(row.Bytes)}
		if !row.TakesMoney {
			live[address] = true
			continue
		}
		if !row.OwnMode {
			row.OrderID, row.CustomerID = nil, nil
		}
		recipients[address] = row
	}
	if err := unresolved(batch, recipients); err != nil {
		return nil, err
	}
	if mode == placeRecorded {
		if err := t.countPoisonings(ctx, turn.chain, batch, recipients); err != nil {
			return nil, err
		}
		if err := t.countPlayMoney(ctx, turn.chain, batch, live); err != nil {
			return nil, err
		}
	}
	return t.known(ctx, turn, batch, recipients)
}

// unresolved returns an UnresolvedError for transfers to addresses of ours whose receipts were not read. Nobody reads those of
// tokens that were not asked for by name.
func unresolved(batch Batch, ours map[payment.Address]sqlc.MatchRecipientsRow) error {
	missing, askedFor := make(map[payment.Address]bool), batch.askedFor()
	for _, blocks := range batch.everyView() {
		for _, block := range blocks {
			for _, seen := range block.Sightings {
				if seen.Receipt != ReceiptRead && ours[seen.To].ID != "" && askedFor(seen) {
					missing[seen.To] = true
				}
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
// are no payments until somebody enables their token. Transfers of nothing are ignored. One whose token was enabled since the
// block was read is left to the backfill: its receipt was not read.
func (t txn) known(ctx context.Context, turn chainTurn, batch Batch, ours map[payment.Address]sqlc.MatchRecipientsRow) ([]arrival, error) {
	rows, err := t.q.WatchedAssets(ctx, turn.chain)
	if err != nil {
		return nil, fmt.Errorf("read the assets: %w", err)
	}
	assets := make(map[string]payment.Amount, len(rows))
	for _, row := range rows {
		assets[row.ID] = row.DustBelow.Amount
	}
	var arrivals []arrival
	var unknown strangers
	twice := make(map[identity]bool)
	for _, block := range batch.Blocks {
		for _, seen := range block.Sightings {
			to := ours[seen.To]
			if to.ID == "" || seen.Amount.IsZero() {
				continue
			}
			a := arrival{Sighting: seen, block: block.BlockRef, to: to, assetID: seen.Asset(turn.chain).String()}
			var watched bool
			if a.dustBelow, watched = assets[a.assetID]; !watched {
				if block.AnyToken {
					unknown.add(a)
				}
				continue
			}
			if seen.Receipt != ReceiptRead {
				continue
			}
			if twice[a.identity()] {
				return nil, fmt.Errorf("%w: transfer %s/%d twice", ErrContradiction, a.TxHash, a.Position)
			}
			twice[a.identity()] = true
			arrivals = append(arrivals, a)
		}
	}
	return arrivals, unknown.note(ctx, t, turn.chain)
}
