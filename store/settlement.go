package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// Settlement is what a receipt check needs to know about a payment: what was recorded of its newest inclusion, and when
// that counts. It is read without a lock; Credit checks again.
type Settlement struct {
	PaymentID payment.PaymentID
	Inclusion int
	Status    payment.PaymentStatus
	// Canonical: the inclusion is on the canonical chain as far as it was recorded.
	Canonical bool
	// Credited: this inclusion is posted.
	Credited bool
	Dust     bool
	OrderID  payment.OrderID // "" when no order can take it

	Chain    string
	TxHash   payment.Hash
	Native   bool
	Position uint32
	LogIndex uint
	Asset    payment.Asset
	Amount   payment.Amount
	From, To payment.Address
	Block    payment.BlockRef // without its parent

	// Policy says when it counts: the strongest of the chain's, of the tiers that the amount at stake reaches, and on the
	// order's own chain of the order's.
	Policy payment.ConfirmationPolicy
	// Evidence is what a credit should rest on: what the amount asks for, and more once one operator's word has been taken for
	// as much as it may in an hour.
	Evidence  payment.Evidence
	BlockTime time.Duration
	// Halted is CodeChainHalted or CodeAssetHalted while nothing is credited, else "".
	Halted payment.Code
	// Paused: nothing is credited until somebody lets the chain go on.
	Paused bool
}

// LoadSettlement reads what a receipt check needs. Error: CodeNotFound.
func (db *DB) LoadSettlement(ctx context.Context, id payment.PaymentID) (Settlement, error) {
	s, err := txn{q: db.q, log: db.log}.settlement(ctx, id)
	return s, classify(err)
}

func (t txn) settlement(ctx context.Context, id payment.PaymentID) (Settlement, error) {
	newest, err := t.q.PaymentOrder(ctx, string(id))
	if err != nil {
		return Settlement{}, notFound(err, "payment")
	}
	row, err := t.inclusion(ctx, id, int(newest.Inclusion))
	if err != nil {
		return Settlement{}, err
	}
	s := Settlement{
		PaymentID: id, Inclusion: int(row.N), Status: payment.PaymentStatus(row.Status), Canonical: row.Canonical,
		Credited: deref(row.CreditedInclusion) == row.N, OrderID: payment.OrderID(deref(row.OrderID)),
		Dust:  row.Amount.Less(row.DustBelow.Amount),
		Chain: row.Chain, TxHash: payment.Hash(row.TxHash), Native: row.Native, Position: uint32(row.Position),
		LogIndex: uint(deref(row.LogIndex)), Asset: row.asset, Amount: row.Amount.Amount,
		Block:  payment.BlockRef{Number: uint64(row.BlockNumber), Hash: payment.Hash(row.BlockHash), Time: row.BlockTime.UTC()},
		Policy: row.required, BlockTime: milliseconds(row.BlockTimeMs), Halted: row.halted(),
		Paused: row.ChainPaused,
	}
	family := payment.Family(row.Family)
	if s.From, err = payment.AddressFromBytes(family, row.Sender); err != nil {
		return Settlement{}, fmt.Errorf("sender of payment %s: %w", id, err)
	}
	if s.To, err = payment.AddressFromBytes(family, row.Recipient); err != nil {
		return Settlement{}, fmt.Errorf("recipient of payment %s: %w", id, err)
	}
	if s.Evidence, err = t.wantedEvidence(ctx, row); err != nil || row.OrderID == nil {
		return s, err
	}
	order, err := t.q.OrderPolicy(ctx, *row.OrderID)
	if err != nil {
		return Settlement{}, notFound(err, "order")
	}
	if order.AssetID == row.AssetID {
		s.Dust = row.Amount.Less(order.DustBelow.Amount)
	}
	if order.Chain == row.Chain {
		s.Policy = s.Policy.Strongest(policyOf(order.Confirmations, order.FinalityTag))
	}
	return s, nil
}

// halted names what is halted, if something is.
func (p *inclusionRow) halted() payment.Code {
	switch {
	case p.ChainHaltedAt != nil:
		return payment.CodeChainHalted
	case p.AssetHaltedAt != nil:
		return payment.CodeAssetHalted
	default:
		return ""
	}
}

// lockPayment locks one payment. Error: CodeNotFound.
func (t txn) lockPayment(ctx context.Context, id payment.PaymentID) (sqlc.LockPaymentRow, error) {
	row, err := t.q.LockPayment(ctx, string(id))
	if err != nil {
		return row, notFound(err, "payment")
	}
	return row, nil
}
