package store

import (
	"context"
	"fmt"
	"math/big"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Held is what the books say that an address holds of an asset on chain at a block.
type Held struct {
	AddressID payment.AddressID
	Address   payment.Address
	Asset     payment.AssetID
	// Custody is what is posted, Findings the part of it that no payment explains. Live is what was recorded and is not
	// posted yet, or never will be.
	Custody, Live, Findings Signed
	// Total is what the chain should say: custody and live money, less what was posted of later blocks, and less what is
	// both a finding and a payment that will consume it when it is credited.
	Total Signed
}

// RecordedBlock is the last block that is fully recorded on a chain. Error: CodeUnknownChain when there is none.
func (db *DB) RecordedBlock(ctx context.Context, chain string) (payment.BlockRef, error) {
	row, err := db.q.CursorBlock(ctx, chain)
	if err != nil {
		return payment.BlockRef{}, unknownChain(err)
	}
	return payment.BlockRef{Number: uint64(deref(row.BlockNumber)), Hash: payment.Hash(row.BlockHash)}, nil
}

// AddressPage lists issued addresses that a chain can pay to, by id, after the given one. An address that is issued while the
// pages are read may be left out.
func (db *DB) AddressPage(ctx context.Context, chain string, after payment.AddressID, limit int) ([]payment.AddressID, error) {
	rows, err := db.q.AddressPage(ctx, sqlc.AddressPageParams{Chain: chain, After: string(after), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list addresses of chain %s: %w", chain, classify(err))
	}
	ids := make([]payment.AddressID, len(rows))
	for i, id := range rows {
		ids[i] = payment.AddressID(id)
	}
	return ids, nil
}

// RecordedInclusion is what is recorded as being on a chain of one payment.
type RecordedInclusion struct {
	payment.InclusionRef

	Block    payment.BlockRef // without its parent and time
	TxHash   payment.Hash
	Position uint32
	Asset    payment.AssetID
	From, To payment.Address
	Amount   payment.Amount
}

// InclusionPage lists what is recorded of a chain up to a block, by payment, after the given one.
func (db *DB) InclusionPage(
	ctx context.Context, family payment.Family, chain string, block uint64, after payment.PaymentID, limit int,
) ([]RecordedInclusion, error) {
	rows, err := db.q.InclusionPage(ctx, sqlc.InclusionPageParams{Chain: chain, Block: int64(block), After: string(after), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list payments of chain %s: %w", chain, classify(err))
	}
	list := make([]RecordedInclusion, len(rows))
	for i, row := range rows {
		r := RecordedInclusion{
			InclusionRef: payment.InclusionRef{Payment: payment.PaymentID(row.PaymentID), Inclusion: int(row.N)},
			Block:        payment.BlockRef{Number: uint64(row.BlockNumber), Hash: payment.Hash(row.BlockHash)},
			TxHash:       payment.Hash(row.TxHash), Position: uint32(row.Position), Amount: row.Amount.Amount,
		}
		err := r.Asset.UnmarshalText([]byte(row.AssetID))
		if err == nil {
			r.From, err = payment.AddressFromBytes(family, row.Sender)
		}
		if err == nil {
			r.To, err = payment.AddressFromBytes(family, row.Recipient)
		}
		if err != nil {
			return nil, fmt.Errorf("payment %s: %w", row.PaymentID, err)
		}
		list[i] = r
	}
	return list, nil
}

// HeldAt says what addresses should hold of assets of one chain after a block at or below the cursor, as of one moment, by
// asset and address.
func (db *DB) HeldAt(ctx context.Context, family payment.Family, assets []payment.AssetID, addresses []payment.AddressID, block uint64) ([]Held, error) {
	return heldAt(ctx, db.q, family, assets, addresses, block)
}

func heldAt(
	ctx context.Context, q *sqlc.Queries, family payment.Family, assets []payment.AssetID, addresses []payment.AddressID, block uint64,
) ([]Held, error) {
	if len(assets) == 0 || len(addresses) == 0 {
		return nil, nil
	}
	params := sqlc.HeldAtParams{Chain: assets[0].Chain, Block: int64(block)}
	byID := make(map[string]payment.AssetID, len(assets))
	for _, asset := range assets {
		params.Assets = append(params.Assets, asset.String())
		byID[asset.String()] = asset
	}
	for _, id := range addresses {
		params.Addresses = append(params.Addresses, string(id))
	}
	rows, err := q.HeldAt(ctx, params)
	if err != nil {
		return nil, fmt.Errorf("sum up what addresses hold: %w", classify(err))
	}
	list := make([]Held, 0, len(rows))
	for _, row := range rows {
		address, err := payment.AddressFromBytes(family, row.Bytes)
		if err != nil {
			return nil, fmt.Errorf("address %s: %w", row.AddressID, err)
		}
		total := new(big.Int).Add(row.Custody.Int, row.Live.Int)
		total.Sub(total, row.Later.Int).Sub(total, row.Doubled.Int)
		list = append(list, Held{
			AddressID: payment.AddressID(row.AddressID), Address: address, Asset: byID[row.AssetID],
			Custody: signedOf(row.Custody.Int), Live: signedOf(row.Live.Int), Findings: signedOf(row.Findings.Int), Total: signedOf(total),
		})
	}
	return list, nil
}

// Difference is what an address holds on chain beyond what the books say; negative when there is less.
func (h Held) Difference(onChain payment.Amount) Signed {
	return signedOf(new(big.Int).Sub(onChain.Big(), &h.Total.v))
}
