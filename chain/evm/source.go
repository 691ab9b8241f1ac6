package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"sync/atomic"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

var (
	_ chain.Source      = (*Source)(nil)
	_ chain.TokenReader = (*Source)(nil)
	_ chain.Verifier    = (*Source)(nil)
)

// Source reads one endpoint. It is safe for concurrent use.
type Source struct {
	opts  Options
	url   *url.URL
	ws    *url.URL // nil: no new heads
	scrub *scrubber
	topic word // of a Transfer

	carrier carrier
	closed  atomic.Bool
	ids     atomic.Uint64 // given to calls so far
	batches batchLimit
	large   chan struct{} // holds a token while a large answer is held

	anyInBlock, anyInRange gate // for the Transfers of every contract
	traces                 gate
	proofs                 gate
	ladder                 ladder
	headers                headerProofs
}

// New checks the options and returns a source that connects when it is first
// used. It returns an error for a URL that is none; the error does not quote it.
func New(opts Options) (*Source, error) {
	opts = opts.withDefaults()
	s := &Source{opts: opts, topic: keccak([]byte(transferEvent)), large: make(chan struct{}, 1)}
	var err error
	if s.url, err = parseURL(opts.URL); err != nil {
		return nil, err
	}
	switch {
	case opts.WSURL != "":
		if s.ws, err = parseURL(opts.WSURL); err != nil {
			return nil, err
		}
		if !isWebSocket(s.ws) {
			return nil, errURL
		}
	case isWebSocket(s.url):
		s.ws = s.url
	}
	s.scrub = newScrubber(s.url, s.ws)
	s.carrier = &overWebSocket{url: s.url}
	if !isWebSocket(s.url) {
		s.carrier = newOverHTTP(s.url, opts.Transport)
	}
	s.anyInBlock.pause, s.anyInRange.pause, s.traces.pause, s.headers.pause = opts.Reprobe, opts.Reprobe, opts.Reprobe, opts.Reprobe
	for _, h := range s.ladder.habits() {
		h.pause = opts.Reprobe
	}
	return s, nil
}

// Close drops the connections. Calls fail afterwards.
func (s *Source) Close() {
	s.closed.Store(true)
	s.carrier.close()
}

// ask is batch for calls that all have to succeed.
func (s *Source) ask(ctx context.Context, calls ...*call) error {
	if err := s.batch(ctx, s.opts.MaxBatch, calls...); err != nil {
		return err
	}
	if err := firstError(calls); err != nil {
		return answered{err}
	}
	return nil
}

func firstError(calls []*call) error {
	for _, c := range calls {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

// malformed is the error for an answer that cannot be read.
func (s *Source) malformed(method string, err error) error {
	return fmt.Errorf("%s: %w: %s", method, chain.ErrMalformed, s.scrub.clean(err.Error()))
}

func inconsistent(format string, args ...any) error {
	return fmt.Errorf("%w: %s", chain.ErrInconsistent, fmt.Sprintf(format, args...))
}

// Identity implements chain.Source.
func (s *Source) Identity(ctx context.Context) (chain.Identity, error) {
	id := &call{method: "eth_chainId"}
	first := blockByNumber(0, headersOnly)
	if err := s.batch(ctx, s.opts.MaxBatch, id, first); err != nil {
		return chain.Identity{}, err
	}
	if id.err != nil {
		return chain.Identity{}, id.err
	}
	var chainID number
	if err := json.Unmarshal(id.result, &chainID); err != nil || chainID == 0 {
		return chain.Identity{}, s.malformed(id.method, errors.Join(err, errHex))
	}
	genesis, err := s.genesis(first)
	return chain.Identity{ChainID: uint64(chainID), Genesis: genesis}, err
}

// genesis reads the hash of block 0. It is zero when the node says that it does not have it, in whatever words: it has others.
func (s *Source) genesis(first *call) (payment.Hash, error) {
	err := first.err
	if err == nil {
		var b *block
		b, err = s.block(first)
		switch {
		case err == nil && b.ref.Number != 0:
			return payment.Hash{}, inconsistent("asked for block 0, got %d", b.ref.Number)
		case err == nil:
			return b.ref.Hash, nil
		}
	}
	for _, without := range []chain.ReasonError{chain.ErrBlockUnknown, chain.ErrUnsupported, chain.ErrUnavailable} {
		if errors.Is(err, without) {
			return payment.Hash{}, nil
		}
	}
	return payment.Hash{}, err
}

// Head implements chain.Source.
func (s *Source) Head(ctx context.Context, tag payment.Tag) (payment.BlockRef, error) {
	return s.header(ctx, blockByTag(tag))
}

// HeaderByNumber implements chain.Source.
func (s *Source) HeaderByNumber(ctx context.Context, number uint64) (payment.BlockRef, error) {
	ref, err := s.header(ctx, blockByNumber(number, headersOnly))
	if err == nil && ref.Number != number {
		return payment.BlockRef{}, inconsistent("asked for block %d, got %d", number, ref.Number)
	}
	return ref, err
}

// HeaderByHash implements chain.Source.
func (s *Source) HeaderByHash(ctx context.Context, hash payment.Hash) (payment.BlockRef, error) {
	ref, err := s.header(ctx, blockByHash(hash, headersOnly))
	if err == nil && ref.Hash != hash {
		return payment.BlockRef{}, inconsistent("asked for block %s, got %s", hash, ref.Hash)
	}
	return ref, err
}

func (s *Source) header(ctx context.Context, c *call) (payment.BlockRef, error) {
	if err := s.ask(ctx, c); err != nil {
		return payment.BlockRef{}, err
	}
	block, err := s.block(c)
	if err != nil {
		return payment.BlockRef{}, err
	}
	return block.ref, nil
}
