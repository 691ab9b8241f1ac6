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
	InclusionPage(ctx context.Context, family payment.Family, chain string, block uint64, after payment.PaymentID, limit int) ([]store.RecordedInclusion, error)
	HeldAt(ctx context.Context, family payment.Family, assets []payment.AssetID, addresses []payment.AddressID, block uint64) ([]store.Held, error)
}

// Source is a node that tells balances, and whether a transfer is where it was recorded.
type Source interface {
	chain.Balancer
	chain.Verifier
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
	// Payments is how many recorded payments were looked for. Unseen are those that no node shows as they were recorded, at most MaxAddresses,
	// and Missing counts all of them.
	Payments int
	Unseen   []Unseen
	Missing  int
}

// Unseen is a payment that is not on the chain as it was recorded.
type Unseen struct {
	payment.InclusionRef

	Asset   payment.AssetID
	Amount  payment.Amount
	Outcome chain.Outcome // what the first node says of it
}

// OK tells whether the chain says of every address and of every payment what the books say.
func (r Report) OK() bool {
	if r.Missing > 0 {
		return false
	}
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

// Chain compares one chain. It asks for one balance per asset and issued address, and for each recorded payment. Witnesses are asked about payments
// that the source does not show: a node may have forgotten them. Errors: CodeUnknownChain when nothing of the chain was recorded; those of
// the source.
func Chain(ctx context.Context, books Books, source Source, name string, witnesses ...chain.Verifier) (Report, error) {
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
			return report, report.look(ctx, books, settings.Family, append([]chain.Verifier{source}, witnesses...))
		}
		after = ids[len(ids)-1]
	}
}

// look asks about every recorded payment. The sums of an address may agree while what they are made of does not.
func (r *Report) look(ctx context.Context, books Books, family payment.Family, nodes []chain.Verifier) error {
	after := payment.PaymentID("")
	for {
		recorded, err := books.InclusionPage(ctx, family, r.Chain, r.Block.Number, after, page)
		if err != nil {
			return err
		}
		for _, inclusion := range recorded {
			outcome, err := shown(ctx, nodes, inclusion)
			if err != nil {
				return fmt.Errorf("look for %s: %w", inclusion.Payment, err)
			}
			if outcome == chain.Included {
				continue
			}
			r.Missing++
			if len(r.Unseen) < MaxAddresses {
				r.Unseen = append(r.Unseen, Unseen{InclusionRef: inclusion.InclusionRef, Asset: inclusion.Asset, Amount: inclusion.Amount, Outcome: outcome})
			}
		}
		r.Payments += len(recorded)
		if len(recorded) < page {
			return nil
		}
		after = recorded[len(recorded)-1].Payment
	}
}

// shown is what the first node says of a payment, or Included when any does.
func shown(ctx context.Context, nodes []chain.Verifier, recorded store.RecordedInclusion) (chain.Outcome, error) {
	inclusion := chain.Inclusion{
		BlockNumber: recorded.Block.Number, BlockHash: recorded.Block.Hash, TxHash: recorded.TxHash, Native: recorded.Asset.IsNative(),
		Position: recorded.Position, From: recorded.From, To: recorded.To, Amount: recorded.Amount, Contract: recorded.Asset.Contract,
	}
	demand := chain.Demand{Evidence: payment.EvidenceSingle}
	first, err := nodes[0].CheckInclusion(ctx, inclusion, demand)
	if err != nil {
		return "", err
	}
	if first.Outcome == chain.NodeBehind {
		return "", chain.ErrBlockUnknown // it says nothing about the payment
	}
	for _, node := range nodes[1:] {
		if first.Outcome == chain.Included {
			break
		}
		if other, err := node.CheckInclusion(ctx, inclusion, demand); err == nil && other.Outcome == chain.Included {
			return chain.Included, nil
		}
	}
	return first.Outcome, nil
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
