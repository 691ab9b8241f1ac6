package store

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// A payment to a customer's address is allocated when it is first recorded: to one of his orders, as far as that still
// owes, and the rest is a deposit. The customer's address is locked for it, so that an order that gets the address meanwhile
// is either seen or younger than the block. Orders are paid on their own chain, whose cursor the recording transaction
// holds: of two recordings none allocates to the same order at once. The order's state is read under the order's lock.
//
// The choice is kept when the payment is mined again, for as much as it still carries. A payment that left the chain loses it to
// one that replaces it, and what is refuted loses it at once.

// inChainOrder sorts arrivals as the chain has them: by block, transaction and position, a transaction's own value before
// what its contracts sent.
func inChainOrder(a, b arrival) int {
	native := func(x arrival) int {
		if x.Native {
			return 0
		}
		return 1
	}
	return cmp.Or(
		cmp.Compare(a.block.Number, b.block.Number), cmp.Compare(a.TxIndex, b.TxIndex),
		cmp.Compare(native(a), native(b)), cmp.Compare(a.Position, b.Position))
}

// lockCustomers locks the customers' addresses among the recipients, before any order, and finds the orders that payments to
// them may be for.
func (p *placing) lockCustomers(ctx context.Context, arrivals []arrival) error {
	var addresses []string
	var earliest time.Time
	for _, a := range arrivals {
		if a.to.CustomerID == nil {
			continue
		}
		addresses = append(addresses, a.to.ID)
		if at := p.firstTime(a); earliest.IsZero() || at.Before(earliest) {
			earliest = at
		}
	}
	if len(addresses) == 0 {
		return nil
	}
	slices.Sort(addresses)
	addresses = slices.Compact(addresses)
	if _, err := p.q.LockAddresses(ctx, addresses); err != nil {
		return fmt.Errorf("lock customers' addresses: %w", err)
	}
	rows, err := p.q.PayableOrders(ctx, sqlc.PayableOrdersParams{Addresses: addresses, Chain: p.turn.chain, Earliest: earliest})
	if err != nil {
		return fmt.Errorf("look for customers' orders: %w", err)
	}
	p.payable = make(map[string][]payment.OrderID)
	for _, row := range rows {
		p.payable[row.AddressID] = append(p.payable[row.AddressID], payment.OrderID(row.ID))
	}
	p.awaited, err = p.q.AwaitedShares(ctx, sqlc.AwaitedSharesParams{Addresses: addresses, Chain: p.turn.chain})
	if err != nil {
		return fmt.Errorf("look for payments that may be replaced: %w", err)
	}
	return nil
}

// firstTime is the time that decides whether the arrival is on time: that of its first inclusion. What was said of it and is not
// true is none.
func (p *placing) firstTime(a arrival) time.Time {
	if known, ok := p.known[a.identity()]; ok && known.WasMined {
		return known.FirstIncludedAt
	}
	return payment.FirstSeen(a.block.Time, p.batch.now)
}

// allocation is for which order a payment to a customer's address is, and how much of it counts. No order: a deposit.
type allocation struct {
	order  *string
	amount payment.Amount
	// replaced is the payment whose place this one takes, if it takes one.
	replaced *sqlc.AwaitedSharesRow
	// waited: it was decided before, and the payment returns while it is waited for.
	waited bool
}

// allocate decides for which order the arrival is. paymentID is the payment that arrives once more, "" for a new one.
// Arrivals at an order's own address are for that order, and have no allocation.
func (p *placing) allocate(ctx context.Context, paymentID string, a arrival) (*allocation, error) {
	if a.to.CustomerID == nil {
		return nil, nil //nolint:nilnil // nothing is to be decided
	}
	orders := slices.Clone(p.payable[a.to.ID])
	kept, err := p.keptAllocation(ctx, paymentID, a)
	if err != nil {
		return nil, err
	}
	if kept != nil && kept.order != nil {
		orders = append(orders, payment.OrderID(*kept.order))
	}
	owed, err := p.owed(ctx, orders, paymentID)
	if err != nil {
		return nil, err
	}
	if kept != nil && p.holds(*kept, a, owed) {
		kept.amount = kept.amount.Min(a.Amount)
		return kept, nil
	}
	if taken, err := p.takeOver(ctx, paymentID, a); err != nil || taken != nil {
		return taken, err
	}
	var claims []payment.Claim
	for _, id := range p.payable[a.to.ID] {
		if order := p.orders[id]; p.takes(order, a) {
			claims = append(claims, payment.Claim{Order: id, Created: order.CreatedAt, Owed: owed[id]})
		}
	}
	id, amount := payment.Allocate(a.Amount, claims)
	return &allocation{order: optional(string(id)), amount: amount}, nil
}

// takes tells whether the arrival may be for the order, as the order is now.
func (p *placing) takes(order *orderRow, a arrival) bool {
	if !p.inTime(order, a) {
		return false
	}
	state := order.state()
	return state == payment.StateAwaitingPayment || state == payment.StateConfirming || state == payment.StateExpired
}

// inTime tells whether the arrival is money that the order asked for, from when it was opened to the end of its late window.
func (p *placing) inTime(order *orderRow, a arrival) bool {
	if order == nil || order.LateUntil == nil || order.AssetID != a.assetID || !a.counts(order) {
		return false
	}
	older := order.BirthBlock == nil || *order.BirthBlock < int64(a.block.Number)
	return older && !p.firstTime(a).After(*order.LateUntil)
}

// keptAllocation is what was decided about a payment that arrives once more; nil when nothing was, or when it is other money now.
func (p *placing) keptAllocation(ctx context.Context, paymentID string, a arrival) (*allocation, error) {
	if paymentID == "" {
		return nil, nil //nolint:nilnil // nothing was decided
	}
	row, err := p.q.AllocationOf(ctx, paymentID)
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return nil, nil //nolint:nilnil // it went to an order's own address before
	case err != nil:
		return nil, fmt.Errorf("read the allocation of payment %s: %w", paymentID, err)
	case row.AddressID != a.to.ID, row.AssetID != a.assetID:
		return nil, nil //nolint:nilnil // mined again as other money
	}
	kept := allocation{order: row.OrderID, waited: row.Waited}
	if row.Amount != nil {
		kept.amount = row.Amount.Amount
	}
	return &kept, nil
}

// holds tells whether what was decided still holds: a deposit stays one, and a share in an order stays while the payment is
// waited for, also in one that was cancelled. After that it is lost when the order was cancelled, or given to other money.
func (p *placing) holds(kept allocation, a arrival, owed map[payment.OrderID]payment.Amount) bool {
	if kept.order == nil {
		return true
	}
	order := p.orders[payment.OrderID(*kept.order)]
	if order == nil || !a.counts(order) {
		return false
	}
	return kept.waited || order.state() != payment.StateCancelled && !owed[order.id()].Less(kept.amount.Min(a.Amount))
}

// owed is what each order asks for less what is allocated to it, leaving out some payments.
func (p *placing) owed(ctx context.Context, ids []payment.OrderID, except ...string) (map[payment.OrderID]payment.Amount, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	owed := make(map[payment.OrderID]payment.Amount, len(ids))
	texts := make([]string, 0, len(ids))
	for _, id := range ids {
		if order := p.orders[id]; order != nil {
			owed[id] = order.Amount.Amount
		}
		texts = append(texts, string(id))
	}
	rows, err := p.q.AllocatedTo(ctx, sqlc.AllocatedToParams{Orders: texts, ExceptPayments: except})
	if err != nil {
		return nil, fmt.Errorf("sum up what is allocated: %w", err)
	}
	for _, row := range rows {
		id := payment.OrderID(row.OrderID)
		owed[id] = owed[id].SubFloor(row.Amount.Amount)
	}
	return owed, nil
}

// keep writes down what was decided. A payment that went to an order's own address when it was mined again has no
// allocation any more.
func (p *placing) keep(ctx context.Context, paymentID string, a arrival, decided *allocation, again bool) error {
	var err error
	switch {
	case decided != nil:
		params := sqlc.KeepAllocationParams{PaymentID: paymentID, AddressID: a.to.ID, AssetID: a.assetID, OrderID: decided.order}
		if decided.order != nil {
			amount := dbtype.Of(decided.amount)
			params.Amount = &amount
		}
		err = p.q.KeepAllocation(ctx, params)
	case again:
		err = p.q.ForgetAllocation(ctx, paymentID)
	}
	if err != nil {
		return fmt.Errorf("keep the allocation of payment %s: %w", paymentID, err)
	}
	return nil
}
