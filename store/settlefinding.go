package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// BalanceFinding is money on the chain that no payment explains.
type BalanceFinding struct {
	ID      int64
	Asset   payment.Asset
	Address payment.Address
	// Merchant and Mode are whose address it is, and Order or Customer what it was made for.
	Merchant payment.MerchantID
	Mode     payment.Mode
	Order    payment.OrderID
	Customer string
	// The money came after block After and not after block Block.
	After   int64
	Block   uint64
	FoundAt time.Time
	// Amount is what is left of it.
	Amount payment.Amount
	// SettledTo is the kind of account that a person moved it to, "" while it is in suspense.
	SettledTo string
	// Missing is how much less than recorded, findings included, the newest comparison of the address showed, at CheckedAt.
	Missing   payment.Amount
	CheckedAt time.Time
}

// ListFindings lists at most limit findings that something is left of, the oldest first; those that a person has settled only
// when asked for.
func (db *DB) ListFindings(ctx context.Context, settled bool, limit int) ([]BalanceFinding, error) {
	rows, err := db.q.ReadFindings(ctx, sqlc.ReadFindingsParams{Settled: settled, MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("list findings: %w", classify(err))
	}
	list := make([]BalanceFinding, len(rows))
	for i, row := range rows {
		asset, err := assetOf(row.Chain, row.Family, row.Contract, row.Code, row.Decimals)
		if err != nil {
			return nil, fmt.Errorf("asset of finding %d: %w", row.ID, err)
		}
		address, err := payment.AddressFromBytes(payment.Family(row.Family), row.Bytes)
		if err != nil {
			return nil, fmt.Errorf("address of finding %d: %w", row.ID, err)
		}
		list[i] = BalanceFinding{
			ID: row.ID, Asset: asset, Address: address, Merchant: payment.MerchantID(row.MerchantID), Mode: payment.Mode(row.Mode),
			Order: payment.OrderID(deref(row.OrderID)), Customer: deref(row.CustomerID),
			After: row.AfterBlock, Block: uint64(row.Block), FoundAt: row.CreatedAt, Amount: row.Unexplained.Amount,
			SettledTo: deref(row.SettledTo), Missing: deref(row.Shortfall).Amount, CheckedAt: deref(row.CheckedAt),
		}
	}
	return list, nil
}

// FindingDestination says what a person decides about a finding.
type FindingDestination string

// Where a finding can go.
const (
	// FindingMerchant: it was paid to the merchant whose address it is at, who may have it.
	FindingMerchant FindingDestination = "merchant"
	// FindingDust: too little to bother.
	FindingDust FindingDestination = "dust"
	// FindingFees: our own money, put there for network fees.
	FindingFees FindingDestination = "fees"
	// FindingLoss: nobody's. It is set against what is lost elsewhere.
	FindingLoss FindingDestination = "loss"
	// FindingWithdraw: it is not there. Its posting is taken back.
	FindingWithdraw FindingDestination = "withdraw"
)

// SettleFinding does what a person decided about what is left of a finding, with its audit row. It needs a DB that was opened as
// the role that owns the ledger: the application may move no money that no payment brought. It creates no custody. Whatever a
// payment explains later is taken back from there when that is credited.
//
// It reports whether the same request was carried out before, which changes nothing. An empty request id is a request of its
// own. Errors: CodeNotFound; CodeInvalidParameter for another destination, without an actor or a reason, when the request's name was used for
// something else, or when nothing is left to settle; CodePaymentLive when a payment was recorded that explains it; CodeChainHalted; CodeStale
// when the newest comparison shows less than recorded, or, to withdraw it, when none of the last hour shows that it is not there.
func (db *DB) SettleFinding(ctx context.Context, id int64, to FindingDestination, by process.By, requestID string) (already bool, err error) {
	switch to {
	case FindingMerchant, FindingDust, FindingFees, FindingLoss, FindingWithdraw:
	default:
		return false, payment.E(payment.CodeInvalidParameter, "to", "a finding goes to merchant, dust, fees, loss or withdraw")
	}
	if by.Actor == "" || by.Reason == "" {
		return false, payment.E(payment.CodeInvalidParameter, "reason", "moving money by hand needs to say who and why")
	}
	err = db.tx(ctx, func(ctx context.Context, t txn) error {
		outcome, err := t.q.SettleFinding(ctx, sqlc.SettleFindingParams{
			ID: id, Destination: string(to), Reason: by.Reason, Actor: by.Actor, RequestID: optional(requestID),
		})
		if err != nil {
			return fmt.Errorf("settle finding %d: %w", id, err)
		}
		already = outcome == "already"
		if err := refusedToSettle(outcome); err != nil || already {
			return err
		}
		return t.tellOverdrawnByFindings(ctx)
	})
	return already, err
}

// refusedToSettle is the error that an outcome of ledger_settle_finding stands for.
func refusedToSettle(outcome string) error {
	switch outcome {
	case "settled", "already":
		return nil
	case "not_found":
		return payment.E(payment.CodeNotFound, "id", "no such finding")
	case "other_request":
		return payment.E(payment.CodeInvalidParameter, "request_id", "this request id was used for something else")
	case "explained":
		return payment.E(payment.CodeInvalidParameter, "id", "payments explain all of it: nothing is left to settle")
	case "withdrawn":
		return payment.E(payment.CodeInvalidParameter, "id", "it was withdrawn")
	case "settled_before":
		return payment.E(payment.CodeInvalidParameter, "id", "it was settled before")
	case "halted":
		return payment.E(payment.CodeChainHalted, "id", "its chain or its asset is halted")
	case "payment_live":
		return payment.E(payment.CodePaymentLive, "id", "a payment was recorded that explains it, and takes it back when it is credited")
	case "short":
		return payment.E(payment.CodeStale, "id", "the newest comparison shows less at the address than is recorded: withdraw it, or find out first where money went")
	case "not_shown":
		return payment.E(payment.CodeStale, "id", "no comparison of the last hour shows that it is not there")
	default:
		return payment.E(payment.CodeInternal, "", "unknown outcome %q", outcome)
	}
}
