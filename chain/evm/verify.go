package evm

import (
	"context"
	"encoding/json"
	"errors"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// checkCalls are the questions of one check, in the order in which they are asked:
// the head first, so that the depth is never overstated.
type checkCalls struct {
	latest    *call
	tagged    *call // nil when no tag is needed
	receipt   *call
	tx        *call // nil for tokens
	canonical *call
}

func newCheckCalls(inclusion chain.Inclusion, needed payment.Tag) checkCalls {
	c := checkCalls{
		latest:    blockByTag(payment.TagNone),
		receipt:   receiptOf(inclusion.TxHash),
		canonical: blockByNumber(inclusion.BlockNumber, headersOnly),
	}
	if needed != payment.TagNone {
		c.tagged = blockByTag(needed)
	}
	if inclusion.Native && inclusion.Position == 0 {
		c.tx = &call{method: methodTransaction, args: []any{inclusion.TxHash}}
	}
	return c
}

func (c checkCalls) all() []*call {
	calls := []*call{c.latest}
	if c.tagged != nil {
		calls = append(calls, c.tagged)
	}
	calls = append(calls, c.receipt)
	if c.tx != nil {
		calls = append(calls, c.tx)
	}
	return append(calls, c.canonical)
}

// CheckInclusion implements chain.Verifier.
func (s *Source) CheckInclusion(ctx context.Context, inclusion chain.Inclusion, demand chain.Demand) (chain.Check, error) {
	calls := newCheckCalls(inclusion, demand.Tag)
	if err := s.batch(ctx, s.opts.MaxBatch, calls.all()...); err != nil {
		return chain.Check{}, err
	}
	heads, err := s.heads(calls, demand.Tag)
	if err != nil {
		return chain.Check{}, err
	}
	check := chain.Check{Heads: heads}
	if check.Outcome, err = s.place(ctx, calls, inclusion, heads); err != nil {
		return chain.Check{}, err
	}
	if check.Outcome == chain.Included {
		if check.Outcome, err = s.content(ctx, calls, inclusion); err != nil {
			return chain.Check{}, err
		}
	}
	if check.Outcome == chain.Included {
		check.Depth = heads.Depth(inclusion.BlockNumber)
		if check.Evidence, err = s.evidence(ctx, inclusion, demand.Evidence); err != nil {
			return chain.Check{}, err
		}
	}
	return check, nil
}

func (s *Source) heads(calls checkCalls, needed payment.Tag) (payment.Heads, error) {
	if calls.latest.err != nil {
		return payment.Heads{}, calls.latest.err
	}
	latest, err := s.block(calls.latest)
	if err != nil {
		return payment.Heads{}, err
	}
	heads := payment.Heads{Latest: latest.ref.Number}
	if calls.tagged == nil {
		return heads, nil
	}
	tagged, err := s.taggedHead(calls.tagged)
	if err != nil {
		return payment.Heads{}, err
	}
	switch needed {
	case payment.TagSafe:
		heads.Safe = tagged
	case payment.TagFinalized:
		heads.Finalized = tagged
	case payment.TagNone:
	}
	return heads, nil
}

// taggedHead is 0 while the node has no such block yet: no policy is met by that.
func (s *Source) taggedHead(c *call) (uint64, error) {
	if c.err != nil {
		if errors.Is(c.err, chain.ErrBlockUnknown) {
			return 0, nil
		}
		return 0, c.err
	}
	b, err := s.block(c)
	switch {
	case errors.Is(err, chain.ErrBlockUnknown):
		return 0, nil
	case err != nil:
		return 0, err
	}
	return b.ref.Number, nil
}

// place decides whether the inclusion's block is canonical and holds the
// transaction.
func (s *Source) place(ctx context.Context, calls checkCalls, inclusion chain.Inclusion, heads payment.Heads) (chain.Outcome, error) {
	if heads.Latest < inclusion.BlockNumber {
		return chain.NodeBehind, nil
	}
	if calls.canonical.err != nil {
		return "", calls.canonical.err
	}
	canonical, err := s.block(calls.canonical)
	switch {
	case errors.Is(err, chain.ErrBlockUnknown):
		return chain.NodeBehind, nil
	case err != nil:
		return "", err
	case canonical.ref.Number != inclusion.BlockNumber:
		return "", inconsistent("asked for block %d, got %d", inclusion.BlockNumber, canonical.ref.Number)
	case canonical.ref.Hash != inclusion.BlockHash:
		return chain.NotCanonical, nil
	}
	if calls.receipt.err != nil {
		return "", calls.receipt.err
	}
	receipt, err := s.receipt(ctx, calls.receipt, inclusion.TxHash)
	switch {
	case errors.Is(err, chain.ErrReceiptMissing):
		return chain.MissingReceipt, nil
	case err != nil:
		return "", err
	case receipt.BlockHash != inclusion.BlockHash:
		return chain.NotCanonical, nil
	case uint64(*receipt.BlockNumber) != inclusion.BlockNumber:
		return "", inconsistent("receipt of %s names block %s by another number", inclusion.TxHash, inclusion.BlockHash)
	case *receipt.Status != statusSuccess:
		return chain.Reverted, nil
	}
	return chain.Included, nil
}

// content compares the transfer itself. The receipt was checked by place.
func (s *Source) content(ctx context.Context, calls checkCalls, inclusion chain.Inclusion) (chain.Outcome, error) {
	transfer := payment.Transfer{
		TxHash: inclusion.TxHash, Position: inclusion.Position, Native: inclusion.Native, Contract: inclusion.Contract,
		From: inclusion.From, To: inclusion.To, Amount: inclusion.Amount,
	}
	switch {
	case inclusion.Native && inclusion.Position > 0:
		return s.internalContent(ctx, transfer)
	case inclusion.Native:
		return s.nativeContent(calls.tx, inclusion, transfer)
	}
	receipt, err := s.receipt(ctx, calls.receipt, inclusion.TxHash)
	if err != nil {
		return "", err
	}
	at := uint64(inclusion.Position)
	if at >= uint64(len(receipt.Logs)) || !s.sameTransfer(&receipt.Logs[at], transfer) {
		return chain.ContentChanged, nil
	}
	return chain.Included, nil
}

func (s *Source) nativeContent(c *call, inclusion chain.Inclusion, recorded payment.Transfer) (chain.Outcome, error) {
	if c.err != nil {
		return "", c.err
	}
	if isNull(c.result) {
		return chain.MissingReceipt, nil
	}
	var tx rawTx
	if err := json.Unmarshal(c.result, &tx); err != nil {
		return "", s.malformed(c.method, err)
	}
	if tx.Hash != inclusion.TxHash || tx.BlockHash != inclusion.BlockHash {
		return "", inconsistent("transaction %s and its receipt are of different blocks", inclusion.TxHash)
	}
	seen, skipped := transferOfTx(&tx, 0)
	if skipped != "" || seen.From != recorded.From || seen.To != recorded.To || seen.Amount != recorded.Amount {
		return chain.ContentChanged, nil
	}
	return chain.Included, nil
}
