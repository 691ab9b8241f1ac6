package store

import (
	"bytes"
	"context"
	"slices"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// A payer who speeds a transaction up signs it again: same sender, asset and amount, another hash. While the first is in a block
// the second cannot be; after a reorganisation it may be mined in the first one's stead. What is read of a transfer has no nonce,
// so the rule goes by what it moves: a payment that comes while an equal one is missing takes its place in the order. Should
// both be mined after all, the one that comes second is allocated anew, and which of two equal payments is whose is no matter.

// takeOver finds the place of a missing payment that the arrival takes: of several equal ones, that of the first in the chain
// that the arrival can take. nil: of none. paymentID is the payment that arrives once more, "" for a new one.
func (p *placing) takeOver(ctx context.Context, paymentID string, a arrival) (*allocation, error) {
	for _, missing := range p.awaited {
		order := p.orders[payment.OrderID(missing.OrderID)]
		if missing.ID == paymentID || !a.equals(missing) || !p.inTime(order, a) || order.state() == payment.StateCancelled {
			continue
		}
		owed, err := p.owed(ctx, []payment.OrderID{order.id()}, paymentID, missing.ID)
		if err != nil {
			return nil, err
		}
		if !owed[order.id()].Less(missing.Share.Amount) {
			return &allocation{order: &missing.OrderID, amount: missing.Share.Amount, replaced: &missing}, nil
		}
	}
	return nil, nil //nolint:nilnil // it replaces nothing
}

// equals tells whether the arrival moves what the missing payment moved: from the same sender to the same address, as much of
// the same asset.
func (a arrival) equals(missing sqlc.AwaitedSharesRow) bool {
	return a.to.ID == missing.AddressID && a.assetID == missing.AssetID && a.Amount == missing.Amount.Amount &&
		bytes.Equal(a.From.Bytes(), missing.Sender)
}

// letGo stops waiting for the payment that was replaced, after its order has the one that took its place: it is allocated
// anew if it is mined again.
func (p *placing) letGo(ctx context.Context, decided *allocation) error {
	if decided == nil || decided.replaced == nil {
		return nil
	}
	gone := decided.replaced
	p.returned(gone.ID)
	return p.giveUp(ctx, sqlc.EndedReturnsRow{ID: gone.ID, OrderID: &gone.OrderID, Inclusion: gone.Inclusion})
}

// returned says that the payment is not waited for any more.
func (p *placing) returned(id string) {
	p.awaited = slices.DeleteFunc(p.awaited, func(row sqlc.AwaitedSharesRow) bool { return row.ID == id })
}
