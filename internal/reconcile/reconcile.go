package reconcile

import (
	"context"
	"fmt"
	"math/big"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// Books is what the comparison needs of the store.
type Books interface {
	GetChain(ctx context.Context, name string) (store.Chain, error)
	ListAssets(ctx context.Context, chain string) ([]store.AssetInfo, error)
	RecordedBlock(ctx context.Context, chain string) (payment.BlockRef, error)
	AddressPage(ctx context.Context, chain string, after payment.AddressID, limit int) ([]payment.AddressID, error)
	HeldAt(ctx context.Context, family payment.Family, assets []payment.AssetID, addresses []payment.AddressID, block uint64) ([]store.Held, error)
}

// Asset is the outcome for one asset, in base units.
type Asset struct {
	ID       payment.AssetID
	Code     string
	Decimals uint8
	// OnChain is what the addresses hold together, and Custody, Findings and Live what the books say of it: posted, the
	// part of that which no payment explains, and not posted.
	OnChain, Custody, Findings, Live *big.Int
	// Difference is what is on the chain beyond what the books say.
	Difference *big.Int
	// Addresses are those that differ, at most MaxAddresses, and Differ counts all of them.
	Addresses []Address
	Differ    int
}

// Address is an address that holds more or less than the books say.
type Address struct {
	ID         payment.AddressID
	Address    payment.Address
	Difference *big.Int
}

// Report is the outcome for one chain.
type Report struct {
	Chain     string
	Block     payment.BlockRef
	Addresses int // compared
	Assets    []Asset
}

// OK tells whether the chain says of every address what the books say.
func (r Report) OK() bool {
	for _, asset := range r.Assets {
		if asset.Differ > 0 {
			return false
		}
	}
	return true
}

// MaxAddresses is how many addresses that differ are listed of an asset.
const MaxAddresses = 100

// page is how many addresses are asked for at once.
const page = 200

// Chain compares one chain. It asks for one balance per asset and issued address. Errors: CodeUnknownChain when nothing of the
// chain was recorded; those of the source.
func Chain(ctx context.Context, books Books, source chain.Balancer, name string) (Report, error) {
	settings, err := books.GetChain(ctx, name)
	if err != nil {
		return Report{}, err
	}
	assets, err := books.ListAssets(ctx, name)
	if err != nil {
		return Report{}, err
	}
	report := Report{Chain: name}
	if report.Block, err = books.RecordedBlock(ctx, name); err != nil {
		return Report{}, err
	}
	for _, info := range assets {
		report.Assets = append(report.Assets, Asset{
			ID: info.ID, Code: info.Symbol, Decimals: info.Decimals,
			OnChain: new(big.Int), Custody: new(big.Int), Findings: new(big.Int), Live: new(big.Int), Difference: new(big.Int),
		})
	}
	after := payment.AddressID("")
	for {
		ids, err := books.AddressPage(ctx, name, after, page)
		if err != nil {
			return Report{}, err
		}
		for i := range report.Assets {
			if err := report.Assets[i].compare(ctx, books, source, settings.Family, ids, report.Block); err != nil {
				return Report{}, fmt.Errorf("compare %s: %w", report.Assets[i].ID, err)
			}
		}
		report.Addresses += len(ids)
		if len(ids) < page {
			return report, nil
		}
		after = ids[len(ids)-1]
	}
}

// compare adds a page of addresses.
func (a *Asset) compare(
	ctx context.Context, books Books, source chain.Balancer, family payment.Family, ids []payment.AddressID, block payment.BlockRef,
) error {
	held, err := books.HeldAt(ctx, family, []payment.AssetID{a.ID}, ids, block.Number)
	if err != nil {
		return err
	}
	if len(held) == 0 {
		return nil
	}
	addresses := make([]payment.Address, len(held))
	for i, h := range held {
		addresses[i] = h.Address
	}
	balances, err := source.Balances(ctx, block, a.ID.Contract, addresses)
	if err != nil {
		return err
	}
	if len(balances) != len(held) {
		return fmt.Errorf("%w: %d balances of %d addresses", chain.ErrInconsistent, len(balances), len(held))
	}
	for i, h := range held {
		difference := h.Difference(balances[i]).Big()
		a.OnChain.Add(a.OnChain, balances[i].Big())
		a.Custody.Add(a.Custody, h.Custody.Big())
		a.Findings.Add(a.Findings, h.Findings.Big())
		a.Live.Add(a.Live, h.Live.Big())
		a.Difference.Add(a.Difference, difference)
		if difference.Sign() == 0 {
			continue
		}
		a.Differ++
		if len(a.Addresses) < MaxAddresses {
			a.Addresses = append(a.Addresses, Address{ID: h.AddressID, Address: h.Address, Difference: difference})
		}
	}
	return nil
}
