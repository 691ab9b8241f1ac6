package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/jackc/pgx/v5"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store/internal/dbtype"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// BalanceRound is what to compare next: what addresses hold of the chain's own coin after a block.
type BalanceRound struct {
	Block     payment.BlockRef
	Addresses []payment.Address

	asset payment.AssetID
	ids   []payment.AddressID
	since []int64 // the newest block up to which the balance is explained, by address
}

// BalancesDue picks at most limit addresses, those that were compared longest ago: of those for whom some block was not traced
// since their balance last agreed, because elsewhere internal transfers are seen themselves; and of those with a shortfall, or a
// finding that nobody explained. Error: ErrFenced is not told; recording the round does.
func (r *Recorder) BalancesDue(ctx context.Context, s ScanSession, limit int) (BalanceRound, error) {
	block, err := r.db.q.BalanceBlock(ctx, sqlc.BalanceBlockParams{Chain: s.Chain, Epoch: s.Epoch})
	switch {
	case errors.Is(err, pgx.ErrNoRows):
		return BalanceRound{}, nil
	case err != nil:
		return BalanceRound{}, fmt.Errorf("find a block to compare balances at: %w", classify(err))
	}
	round := BalanceRound{
		Block: payment.BlockRef{Number: uint64(block.Number), Hash: payment.Hash(block.Hash), Time: block.BlockTime},
		asset: payment.NativeAsset(s.Chain),
	}
	rows, err := r.db.q.BalancesDue(ctx, sqlc.BalancesDueParams{
		AssetID: round.asset.String(), Block: block.Number, Untraced: block.Untraced, MaxRows: int32(limit),
	})
	if err != nil {
		return BalanceRound{}, fmt.Errorf("find addresses to compare: %w", classify(err))
	}
	for _, row := range rows {
		address, err := payment.AddressFromBytes(payment.Family(row.Family), row.Bytes)
		if err != nil {
			return BalanceRound{}, fmt.Errorf("address %s: %w", row.AddressID, err)
		}
		round.Addresses = append(round.Addresses, address)
		round.ids = append(round.ids, payment.AddressID(row.AddressID))
		round.since = append(round.since, row.AgreedBlock)
	}
	return round, nil
}

// BalancesCompared says what a round came to.
type BalancesCompared struct {
	Findings   int // more was there than recorded: posted to suspense
	Shortfalls int // less was there than recorded: an alarm
}

// RecordBalances compares what was seen with what is recorded, in one transaction with the recording of blocks held off.
// More than recorded is a finding; less is remembered and logged as an error. A round about a block that is not recorded any
// more changes nothing, and so does one that was recorded before. Error: ErrFenced.
func (r *Recorder) RecordBalances(ctx context.Context, s ScanSession, round BalanceRound, seen []payment.Amount) (BalancesCompared, error) {
	if len(seen) != len(round.Addresses) {
		return BalancesCompared{}, fmt.Errorf("%d balances for %d addresses: %w", len(seen), len(round.Addresses), ErrContradiction)
	}
	var result BalancesCompared
	err := r.db.tx(ctx, func(ctx context.Context, t txn) error {
		result = BalancesCompared{}
		turn, err := t.turn(ctx, s)
		if err != nil {
			return err
		}
		number := int64(round.Block.Number)
		rows, err := t.q.ChainBlocksBetween(ctx, sqlc.ChainBlocksBetweenParams{Chain: s.Chain, First: number, Last: number})
		if err != nil {
			return fmt.Errorf("look for the block of the balances: %w", err)
		}
		if len(rows) != 1 || !bytes.Equal(rows[0].Hash, round.Block.Hash[:]) {
			return nil
		}
		held, err := heldAt(ctx, t.q, turn.family, []payment.AssetID{round.asset}, round.ids, round.Block.Number)
		if err != nil {
			return err
		}
		byID := make(map[payment.AddressID]Held, len(held))
		for _, h := range held {
			byID[h.AddressID] = h
		}
		for i, id := range round.ids {
			if err := t.compare(ctx, round, i, byID[id].Difference(seen[i]), &result); err != nil {
				return fmt.Errorf("compare the balance of %s: %w", id, err)
			}
		}
		return nil
	})
	return result, err
}

// compare writes down what the difference of one address of the round means.
func (t txn) compare(ctx context.Context, round BalanceRound, i int, difference Signed, result *BalancesCompared) error {
	id, block := string(round.ids[i]), int64(round.Block.Number)
	shortfall, explained := payment.Amount{}, true
	switch difference.Sign() {
	case 1:
		made, err := t.postFinding(ctx, sqlc.PostFindingParams{
			AddressID: id, AssetID: round.asset.String(), Since: round.since[i], Block: block, Hash: round.Block.Hash[:],
			Difference: dbtype.Signed{Int: difference.Big()},
		})
		if err != nil {
			return err
		}
		explained = made
		if made {
			result.Findings++
			t.log.ErrorContext(ctx, "an address holds more than was recorded: the difference is in suspense",
				"chain", round.asset.Chain, "address", id, "block", block, "difference", difference.String())
		}
	case -1:
		shortfall = atMostThereCanBe(new(big.Int).Neg(difference.Big()))
		result.Shortfalls++
		explained = false
		t.log.ErrorContext(ctx, "an address holds less than was recorded", "chain", round.asset.Chain, "address", id,
			"block", block, "difference", difference.String())
	}
	return t.q.BalanceChecked(ctx, sqlc.BalanceCheckedParams{
		AddressID: id, AssetID: round.asset.String(), Block: block, Shortfall: dbtype.Of(shortfall), Explained: explained,
	})
}

// postFinding posts a finding, and reports false when there is one of that block already or the database refuses it: what cannot be true
// of one address, such as more than there can be, keeps no other from being compared. It is logged as an error with every round.
func (t txn) postFinding(ctx context.Context, params sqlc.PostFindingParams) (made bool, err error) {
	err = pgx.BeginFunc(ctx, t.raw, func(savepoint pgx.Tx) error {
		made, err = t.q.WithTx(savepoint).PostFinding(ctx, params)
		return err
	})
	switch {
	case err == nil:
		return made, nil
	case outOfRange(err):
		t.log.ErrorContext(ctx, "the difference of a balance cannot be posted", "address", params.AddressID, "block", params.Block,
			"difference", params.Difference.String(), "error", err)
		return false, nil
	default:
		return false, fmt.Errorf("post the finding: %w", err)
	}
}

// atMostThereCanBe is a sum as an amount. Payments that a node made up may sum up to more than one can be.
func atMostThereCanBe(sum *big.Int) payment.Amount {
	amount, err := payment.AmountFromBig(sum)
	if err != nil {
		amount, _ = payment.AmountFromBig(new(big.Int).Sub(new(big.Int).Lsh(big.NewInt(1), 256), big.NewInt(1)))
	}
	return amount
}

// consumeFindings gives back what was found of a payment before it was known, so that its custody is not there twice. What a
// person had settled of that is taken back from where it went; if the merchant has less than nothing available after that, a review asks
// somebody to look. The payment is locked and its credit is posted.
func (t txn) consumeFindings(ctx context.Context, about *inclusionRow) error {
	consumed, err := t.q.ConsumeFindings(ctx, sqlc.ConsumeFindingsParams{PaymentID: about.ID, Inclusion: about.N})
	if err != nil {
		return fmt.Errorf("consume what was found of payment %s: %w", about.ID, err)
	}
	if consumed.Sign() <= 0 {
		return nil
	}
	t.log.InfoContext(ctx, "a finding was a payment", "payment", about.ID, "amount", consumed.String())
	_, err = t.audit(ctx, deed{
		By:     process.By{Actor: engineActor, Reason: "a payment in its interval was proven"},
		Action: "ledger.finding_explained", Subject: about.ID, RequestID: fmt.Sprintf("%s/%d/finding_explained", about.ID, about.N),
		Detail: map[string]any{"amount": consumed.String(), "asset": about.AssetID, "inclusion": about.N},
	})
	if err != nil {
		return err
	}
	return t.reviewOverdraft(ctx, about.Chain, lostPayment{
		id: about.ID, orderID: about.OrderID, merchantID: about.MerchantID, inclusion: about.N,
	})
}
