package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/ethereum/go-ethereum/common"
	"github.com/ethereum/go-ethereum/core/types"
	"github.com/ethereum/go-ethereum/trie"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// A block's hash is that of its header, and the header holds the roots of its
// transactions and receipts. So whoever has all transactions and receipts of a block
// can compute its hash, and a node that changes a single byte of one would have to
// find another block with the same hash.

// selfTestBlocks is how many of the newest blocks are looked at for one to test an
// endpoint's encoding with: it has to have transactions.
const selfTestBlocks = 16

// unprovable is how many times longer than for another refusal an endpoint is left
// alone whose blocks do not prove themselves.
const unprovable = 6

var (
	// errUnencodable: the block holds a transaction of a type whose encoding is not known.
	errUnencodable = errors.New("a type whose encoding is not known")
	// errNoProof: the parts do not give the block's hash.
	errNoProof = errors.New("parts do not hash to the block")
)

// proven is a block whose transactions and receipts give its hash.
type proven struct {
	header   *types.Header
	txs      types.Transactions
	receipts types.Receipts
}

// Provable tells whether the endpoint's blocks prove themselves: whether the receipts
// and transactions that it serves for a recent block give that block's hash. It is
// found out by trying. Chains with transactions, receipts or headers of their own kind
// answer no. Without a recent block that has transactions the answer is no as well.
func (s *Source) Provable(ctx context.Context) (bool, error) {
	return s.selfTest(ctx, nil)
}

// selfTest is Provable by another block than one.
func (s *Source) selfTest(ctx context.Context, except *payment.Hash) (bool, error) {
	head, err := s.Head(ctx, payment.TagNone)
	if err != nil {
		return false, err
	}
	for n := head.Number; n > 0 && head.Number-n < selfTestBlocks; n-- {
		asked := blockByNumber(n, withTxs)
		if err := s.ask(ctx, asked); err != nil {
			return false, err
		}
		b, err := s.block(asked)
		if err != nil {
			return false, err
		}
		if len(b.txs) == 0 || except != nil && b.ref.Hash == *except {
			continue
		}
		switch _, err = s.prove(ctx, b.ref.Hash); {
		case err == nil:
			return true, nil
		case errors.Is(err, errNoProof), errors.Is(err, errUnencodable), errors.Is(err, chain.ErrUnsupported):
			return false, nil
		default:
			return false, err
		}
	}
	return false, nil
}

// prove reads all of a block and proves it. Beside errUnencodable and errNoProof it
// returns ErrUnsupported and the other reasons of a source.
func (s *Source) prove(ctx context.Context, hash payment.Hash) (*proven, error) {
	block := blockByHash(hash, withTxs)
	receipts := &call{method: methodBlockReceipts, args: []any{hash}}
	if err := s.ask(ctx, block, receipts); err != nil {
		return nil, err
	}
	if isNull(block.result) || isNull(receipts.result) {
		return nil, fmt.Errorf("%s: %w", block.method, chain.ErrBlockUnknown)
	}
	if err := checkTypes(block.result, receipts.result); err != nil {
		return nil, err
	}
	p := &proven{header: new(types.Header)}
	var body struct {
		Transactions types.Transactions `json:"transactions"`
	}
	for _, part := range []struct {
		raw  json.RawMessage
		into any
	}{{block.result, p.header}, {block.result, &body}, {receipts.result, &p.receipts}} {
		if err := json.Unmarshal(part.raw, part.into); err != nil {
			return nil, fmt.Errorf("%w: %s", errNoProof, s.scrub.clean(err.Error()))
		}
	}
	p.txs = body.Transactions
	return p, p.check(hash)
}

// checkTypes returns errUnencodable for a block with a transaction or receipt of a
// type that go-ethereum does not know: it would encode those as nothing.
func checkTypes(block, receipts json.RawMessage) error {
	type typed struct {
		Type *number `json:"type"`
	}
	var inBlock struct {
		Transactions []typed `json:"transactions"`
	}
	var inReceipts []typed
	if err := errors.Join(json.Unmarshal(block, &inBlock), json.Unmarshal(receipts, &inReceipts)); err != nil {
		return fmt.Errorf("%w: %w", errNoProof, errMissing)
	}
	for _, t := range append(inBlock.Transactions, inReceipts...) {
		if t.Type == nil {
			continue // legacy, or a node of before there were types
		}
		switch *t.Type {
		case types.LegacyTxType, types.AccessListTxType, types.DynamicFeeTxType, types.BlobTxType, types.SetCodeTxType:
		default:
			return errUnencodable
		}
	}
	return nil
}

// check returns errNoProof unless the parts give the hash.
func (p *proven) check(hash payment.Hash) error {
	for _, tx := range p.txs {
		if tx == nil {
			return fmt.Errorf("%w: %w", errNoProof, errMissing)
		}
	}
	for _, r := range p.receipts {
		if r == nil {
			return fmt.Errorf("%w: %w", errNoProof, errMissing)
		}
	}
	hasher := trie.NewListHasher()
	switch {
	case len(p.txs) != len(p.receipts):
		return fmt.Errorf("%w: %d receipts of %d transactions", errNoProof, len(p.receipts), len(p.txs))
	case p.header.Hash() != common.Hash(hash):
		return fmt.Errorf("%w: header", errNoProof)
	case types.DeriveSha(p.txs, hasher) != p.header.TxHash:
		return fmt.Errorf("%w: transactions", errNoProof)
	case types.DeriveSha(p.receipts, hasher) != p.header.ReceiptHash:
		return fmt.Errorf("%w: receipts", errNoProof)
	}
	return nil
}

// evidence says what an inclusion that was found rests on. A proof that is not
// possible leaves one operator's word. An internal transfer is in no receipt, so
// nothing proves it.
func (s *Source) evidence(ctx context.Context, inclusion chain.Inclusion, least payment.Evidence) (payment.Evidence, error) {
	internal := inclusion.Native && inclusion.Position > 0
	if internal || !least.AtLeast(payment.EvidenceSelfConsistent) {
		return payment.EvidenceSingle, nil
	}
	block, err := s.proof(ctx, inclusion.BlockHash)
	switch {
	case err != nil:
		return "", err
	case block == nil:
		return payment.EvidenceSingle, nil
	case !s.holds(block, inclusion):
		return "", inconsistent("block %d proves itself and does not hold %s/%d", inclusion.BlockNumber, inclusion.TxHash, inclusion.Position)
	}
	return payment.EvidenceSelfConsistent, nil
}

// proof proves a block, or returns nil when that is not possible. One that should be possible, because a recent block proves
// itself, and fails is ErrInconsistent.
func (s *Source) proof(ctx context.Context, hash payment.Hash) (*proven, error) {
	if !s.proofs.open() {
		return nil, nil //nolint:nilnil // that there is no proof is no error
	}
	block, err := s.prove(ctx, hash)
	switch {
	case err == nil:
		return block, nil
	case errors.Is(err, errUnencodable):
		return nil, nil //nolint:nilnil // this block; others may do
	case errors.Is(err, chain.ErrUnsupported):
		s.proofs.shutFor(unprovable * s.opts.Reprobe)
		return nil, nil //nolint:nilnil // as above
	case !errors.Is(err, errNoProof):
		return nil, err
	}
	able, testErr := s.selfTest(ctx, &hash)
	switch {
	case testErr != nil:
		return nil, testErr
	case able:
		return nil, inconsistent("block %s: %s", hash, err)
	}
	s.proofs.shutFor(unprovable * s.opts.Reprobe)
	return nil, nil //nolint:nilnil // as above
}

// holds tells whether a proven block holds the transfer.
func (s *Source) holds(p *proven, inclusion chain.Inclusion) bool {
	for i, tx := range p.txs {
		if tx.Hash() != common.Hash(inclusion.TxHash) {
			continue
		}
		receipt := p.receipts[i]
		switch {
		case receipt.Status != types.ReceiptStatusSuccessful || p.header.Number.Uint64() != inclusion.BlockNumber:
			return false
		case inclusion.Native:
			return paysNative(tx, inclusion)
		case uint64(inclusion.Position) >= uint64(len(receipt.Logs)):
			return false
		}
		l := receipt.Logs[inclusion.Position]
		found := rawLog{Data: l.Data, Address: &address{accountOf(l.Address)}}
		for _, topic := range l.Topics {
			found.Topics = append(found.Topics, word(topic))
		}
		return s.sameTransfer(&found, payment.Transfer{
			Contract: inclusion.Contract, From: inclusion.From, To: inclusion.To, Amount: inclusion.Amount,
		})
	}
	return false
}

func paysNative(tx *types.Transaction, inclusion chain.Inclusion) bool {
	from, err := types.Sender(types.LatestSignerForChainID(tx.ChainId()), tx)
	if err != nil || tx.To() == nil {
		return false
	}
	amount, err := payment.AmountFromBytes(tx.Value().Bytes())
	return err == nil && amount == inclusion.Amount && accountOf(from) == inclusion.From && accountOf(*tx.To()) == inclusion.To
}

func accountOf(a common.Address) payment.Address {
	return payment.Address{Family: payment.FamilyEVM, Raw: string(a[:])}
}
