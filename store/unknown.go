package store

import (
	"context"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store/internal/sqlc"
)

// maxUnknownTransfers is how many transfers of one unknown contract are kept in full; after that they are counted.
const maxUnknownTransfers = 100

// coverageMethodAnyToken says that transfers of tokens that are not enabled were looked for.
const coverageMethodAnyToken = "any_token"

// strangers are transfers to addresses of ours in tokens that nobody enabled, as they are gathered from a batch. They are not
// money: whoever pays us in one may be paying, or advertising. So a flood of them must cost little. Of each contract only as
// many are held as are kept, the rest is numbers, and what is written is as much as there are contracts and blocks.
//
// A log's index in its block stands for the position: the rows are of one block's hash, and nobody reads a receipt for them.
type strangers struct {
	counts map[strangeKey]int64
	first  map[string]int // rows held, by contract
	rows   sqlc.KeepUnknownTransfersParams
}

type strangeKey struct {
	contract string
	block    uint64
}

func (s *strangers) add(a arrival) {
	if s.counts == nil {
		s.counts, s.first = map[strangeKey]int64{}, map[string]int{}
	}
	s.counts[strangeKey{a.Contract.Raw, a.block.Number}]++
	if s.first[a.Contract.Raw] == maxUnknownTransfers {
		return
	}
	s.first[a.Contract.Raw]++
	s.rows.Contracts = append(s.rows.Contracts, a.Contract.Bytes())
	s.rows.TxHashes = append(s.rows.TxHashes, a.TxHash[:])
	s.rows.Positions = append(s.rows.Positions, int32(a.LogIndex))
	s.rows.AddressIds = append(s.rows.AddressIds, a.to.ID)
	s.rows.Amounts = append(s.rows.Amounts, a.Amount.String())
	s.rows.Numbers = append(s.rows.Numbers, int64(a.block.Number))
	s.rows.Hashes = append(s.rows.Hashes, a.block.Hash[:])
}

// note writes down what was gathered, for blocks in which nobody looked before: reading a block again adds nothing. It must run
// before the batch is covered.
func (s *strangers) note(ctx context.Context, t txn, chain string) error {
	if len(s.counts) == 0 {
		return nil
	}
	s.rows.Chain, s.rows.MaxRows = chain, maxUnknownTransfers
	if err := t.q.KeepUnknownTransfers(ctx, s.rows); err != nil {
		return fmt.Errorf("keep transfers of unknown tokens: %w", err)
	}
	counts := sqlc.CountUnknownTransfersParams{Chain: chain}
	for key, n := range s.counts {
		counts.Contracts = append(counts.Contracts, []byte(key.contract))
		counts.Blocks = append(counts.Blocks, int64(key.block))
		counts.Counts = append(counts.Counts, n)
	}
	if err := t.q.CountUnknownTransfers(ctx, counts); err != nil {
		return fmt.Errorf("count transfers of unknown tokens: %w", err)
	}
	return nil
}

// askedFor tells which sightings the batch looked for by name: the coin and its tokens. Others were found by looking for the
// transfers of every contract.
func (b Batch) askedFor() func(Sighting) bool {
	tokens := make(map[payment.Address]bool, len(b.Tokens))
	for _, token := range b.Tokens {
		tokens[token] = true
	}
	return func(s Sighting) bool { return s.Native || tokens[s.Contract] }
}

// countPoisonings counts transfers of nothing to addresses of ours. They poison address books: the next payer copies the
// sender's address, which looks like his own. A block that is read again is not counted again.
func (t txn) countPoisonings(ctx context.Context, chain string, batch Batch, ours map[payment.Address]sqlc.MatchRecipientsRow) error {
	n := int64(0)
	for _, block := range batch.Blocks {
		for _, to := range block.Poisoned {
			if ours[to].ID != "" {
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	if err := t.q.CountPoisonings(ctx, sqlc.CountPoisoningsParams{Chain: chain, N: n}); err != nil {
		return fmt.Errorf("count transfers of nothing: %w", err)
	}
	return nil
}

// countPlayMoney counts transfers of test money to live addresses. A block that is read again is not counted again.
func (t txn) countPlayMoney(ctx context.Context, chain string, batch Batch, live map[payment.Address]bool) error {
	n := int64(0)
	for _, block := range batch.Blocks {
		for _, seen := range block.Sightings {
			if live[seen.To] && !seen.Amount.IsZero() {
				n++
			}
		}
	}
	if n == 0 {
		return nil
	}
	if err := t.q.CountPlayMoney(ctx, sqlc.CountPlayMoneyParams{Chain: chain, N: n}); err != nil {
		return fmt.Errorf("count test money at live addresses: %w", err)
	}
	return nil
}

// coverAnyToken adds the blocks of the batch that were read in full for every contract.
func (t txn) coverAnyToken(ctx context.Context, chain string, blocks []SeenBlock) error {
	for i := 0; i < len(blocks); i++ {
		if !blocks[i].AnyToken {
			continue
		}
		first := i
		for i+1 < len(blocks) && blocks[i+1].AnyToken {
			i++
		}
		err := t.q.CoverMethod(ctx, sqlc.CoverMethodParams{
			Chain: chain, Method: coverageMethodAnyToken, First: int64(blocks[first].Number), Last: int64(blocks[i].Number),
		})
		if err != nil {
			return fmt.Errorf("cover transfers of every token: %w", err)
		}
	}
	return nil
}

// UnknownContract is a token that nobody enabled and that was sent to addresses of ours.
type UnknownContract struct {
	Chain    string
	Contract payment.Address
	// Transfers counts all; Addresses only those of the transfers that are kept in full.
	Transfers, Addresses uint64
	FirstSeen            time.Time
}

// UnknownContracts lists at most limit contracts that are not enabled, of one chain or for "" of all, the busiest first.
func (db *DB) UnknownContracts(ctx context.Context, chain string, limit int) ([]UnknownContract, error) {
	rows, err := db.q.UnknownContracts(ctx, sqlc.UnknownContractsParams{Chain: optional(chain), MaxRows: int32(limit)})
	if err != nil {
		return nil, fmt.Errorf("read unknown tokens: %w", classify(err))
	}
	list := make([]UnknownContract, len(rows))
	for i, row := range rows {
		contract, err := payment.AddressFromBytes(payment.Family(row.Family), row.Contract)
		if err != nil {
			return nil, fmt.Errorf("unknown contract on chain %s: %w", row.Chain, err)
		}
		list[i] = UnknownContract{
			Chain: row.Chain, Contract: contract, Transfers: uint64(row.Transfers), Addresses: uint64(row.Addresses), FirstSeen: row.FirstSeen,
		}
	}
	return list, nil
}

// StrangeCounts are what came to addresses of ours on a chain and is no money.
type StrangeCounts struct {
	Chain string
	// Poisonings are transfers of nothing, in any token that is looked for.
	Poisonings uint64
	// Dust are payments that were dust when they were first recorded.
	Dust uint64
	// PlayMoney are transfers of test money to live addresses.
	PlayMoney                          uint64
	UnknownTransfers, UnknownContracts uint64
}

// StrangeCounts reads them for every chain, by name.
func (db *DB) StrangeCounts(ctx context.Context) ([]StrangeCounts, error) {
	rows, err := db.q.StrangeCounts(ctx)
	if err != nil {
		return nil, fmt.Errorf("count what is no money: %w", classify(err))
	}
	counts := make([]StrangeCounts, len(rows))
	for i, row := range rows {
		counts[i] = StrangeCounts{
			Chain: row.Chain, Poisonings: uint64(row.Poisonings), Dust: uint64(row.Dust), PlayMoney: uint64(row.PlayMoney),
			UnknownTransfers: uint64(row.UnknownTransfers), UnknownContracts: uint64(row.UnknownContracts),
		}
	}
	return counts, nil
}
