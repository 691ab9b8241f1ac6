package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"sync"

	"github.com/ethereum/go-ethereum/rpc"

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
	http  *http.Client

	anyInBlock, anyInRange gate // for the Transfers of every contract
	traces                 gate
	proofs                 gate
	headers                headerProofs
	batches                batchLimit

	mu     sync.Mutex
	client *rpc.Client // nil until first used
	closed bool
}

// New checks the options and returns a source that connects when it is first
// used. It returns an error for a URL that is none; the error does not quote it.
func New(opts Options) (*Source, error) {
	opts = opts.withDefaults()
	s := &Source{opts: opts, topic: keccak([]byte(transferEvent))}
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
	s.http = httpClient(opts)
	s.anyInBlock.pause, s.anyInRange.pause, s.traces.pause, s.headers.pause = opts.Reprobe, opts.Reprobe, opts.Reprobe, opts.Reprobe
	return s, nil
}

func httpClient(opts Options) *http.Client {
	next := opts.Transport
	if next == nil {
		next = http.DefaultTransport
		if standard, ok := next.(*http.Transport); ok {
			next = standard.Clone()
		}
	}
	return &http.Client{
		Transport: &guard{next: next, maxAnswer: opts.MaxAnswer},
		// A redirect would carry the request, and a key in its path, elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

// Close drops the connections. Calls fail afterwards.
func (s *Source) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	if s.client != nil {
		s.client.Close()
	}
	s.http.CloseIdleConnections()
}

// connect returns the client. Over HTTP that needs no connection; a WebSocket
// client connects once here and reconnects by itself later.
func (s *Source) connect(ctx context.Context) (*rpc.Client, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, fmt.Errorf("%w: source is closed", chain.ErrUnavailable)
	}
	if s.client != nil {
		return s.client, nil
	}
	client, err := s.dial(ctx, s.url)
	if err != nil {
		return nil, err
	}
	s.client = client
	return client, nil
}

func (s *Source) dial(ctx context.Context, u *url.URL) (*rpc.Client, error) {
	client, err := rpc.DialOptions(ctx, u.String(),
		rpc.WithHTTPClient(s.http),
		rpc.WithWebsocketMessageSizeLimit(s.opts.MaxAnswer),
	)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", transportError(err))
	}
	return client, nil
}

// call is one JSON-RPC call of a batch. A null answer leaves result as "null".
type call struct {
	method string
	args   []any
	result json.RawMessage
	err    error
}

// ask is batch for calls that all have to succeed.
func (s *Source) ask(ctx context.Context, calls ...*call) error {
	if err := s.batch(ctx, s.opts.MaxBatch, calls...); err != nil {
		return err
	}
	return firstError(calls)
}

func firstError(calls []*call) error {
	for _, c := range calls {
		if c.err != nil {
			return c.err
		}
	}
	return nil
}

func (s *Source) send(ctx context.Context, calls []*call) error {
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	client, err := s.connect(limited)
	if err != nil {
		return err
	}
	elems := make([]rpc.BatchElem, len(calls))
	for i, c := range calls {
		elems[i] = rpc.BatchElem{Method: c.method, Args: c.args, Result: &c.result}
	}
	if err := client.BatchCallContext(limited, elems); err != nil {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		return s.wholeBatch(calls[0].method, err)
	}
	for i, c := range calls {
		if elems[i].Error != nil {
			c.err = s.callError(c.method, elems[i].Error)
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
	genesis := blockByNumber(0, headersOnly)
	if err := s.ask(ctx, id, genesis); err != nil {
		return chain.Identity{}, err
	}
	var chainID number
	if err := json.Unmarshal(id.result, &chainID); err != nil || chainID == 0 {
		return chain.Identity{}, s.malformed(id.method, errors.Join(err, errHex))
	}
	block, err := s.block(genesis)
	if err != nil {
		return chain.Identity{}, err
	}
	return chain.Identity{ChainID: uint64(chainID), Genesis: block.ref.Hash}, nil
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
