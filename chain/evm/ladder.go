package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// A block is read in one of several ways. What an endpoint refuses in one, whatever it calls that, it is asked for in the next: all
// contracts at once, one contract at a time, the block's receipts; and the block as a whole, or its transactions one by one. So a
// block that is too large for a question, or that a node has a wrong answer for, is read all the same.

// habitual is how many blocks in a row have to be refused in one way, and read in another, before the first is left alone for a
// while: one large block says nothing about the next.
const habitual = 3

// habit remembers that an endpoint refuses a way of asking for block after block.
type habit struct {
	gate

	row int // refusals in a row of blocks that were read otherwise
}

// learn takes note of how a block was read that was asked for in this way too.
func (h *habit) learn(refused bool) {
	h.mu.Lock()
	if !refused {
		h.row = 0
	} else {
		h.row++
	}
	shut := h.row >= habitual
	if shut {
		h.row = habitual - 1 // when it opens again, one refusal is enough
	}
	h.mu.Unlock()
	if shut {
		h.shut()
	}
}

// ladder is what is known about the ways in which an endpoint answers.
type ladder struct {
	filtered, byContract, receipts, whole habit

	mu     sync.Mutex
	failed [8]payment.Hash // blocks that could not be read lately
	next   int
}

func (l *ladder) habits() []*habit {
	return []*habit{&l.filtered, &l.byContract, &l.receipts, &l.whole}
}

// again tells whether a block failed before, and remembers that it has.
func (l *ladder) again(hash payment.Hash) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if slices.Contains(l.failed[:], hash) {
		return true
	}
	l.failed[l.next%len(l.failed)] = hash
	l.next++
	return false
}

// answered marks an error that the endpoint spelled out for a single call, or that its answer is: that is about the block.
type answered struct{ error }

func (e answered) Unwrap() error { return e.error }

// climbs tells whether a block is to be asked for in another way after an error. An error that may be about the endpoint and not
// about the block has to come twice: another endpoint may answer at once what this one would be asked for in vain.
func (s *Source) climbs(ctx context.Context, hash payment.Hash, err error) bool {
	_, isAnswer := errors.AsType[answered](err)
	is := func(reason chain.ReasonError) bool { return errors.Is(err, reason) }
	switch {
	case ctx.Err() != nil:
		return false
	case is(chain.ErrRateLimited), is(chain.ErrBlockUnknown), is(chain.ErrReceiptMissing), is(chain.ErrReorged),
		!isAnswer && (is(chain.ErrUnavailable) || is(chain.ErrTimeout)):
		return s.ladder.again(hash)
	default:
		return true
	}
}

// telling is the error to return when nothing else is asked: the first refusal, unless the last says what has to be done.
func telling(refusal, err error) error {
	if refusal == nil || errors.Is(err, chain.ErrRateLimited) || errors.Is(err, context.Canceled) {
		return err
	}
	return refusal
}

// BlockByHash implements chain.Source. The block and its logs are asked for in one batch, where that is how the endpoint answers.
func (s *Source) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	want := newWatch(filter)
	want.any = want.any && s.anyInBlock.open()
	var block *call
	var asked, logs []*call
	if !bool(want.body()) || s.ladder.whole.open() {
		block = blockByHash(hash, want.body())
		asked = append(asked, block)
	}
	if want.any || s.ladder.filtered.open() {
		logs = s.logCalls(inBlock(hash), want)
		asked = append(asked, logs...)
	}
	if err := s.batch(ctx, s.opts.MaxBatch, asked...); err != nil {
		if !s.climbs(ctx, hash, err) {
			return chain.Block{}, err
		}
		block, logs = nil, nil // each alone
	}
	b, err := s.wholeBlock(ctx, hash, want.body(), block)
	if err != nil {
		return chain.Block{}, err
	}
	found, want, err := s.climb(ctx, b, want, logs)
	if err != nil {
		return chain.Block{}, err
	}
	return s.assemble(ctx, b, found, want)
}

// wholeBlock decodes a block that was asked for together with its logs. Where that is nil or failed, the block is asked for alone,
// and then by its parts; by its parts first where the endpoint is in the habit of refusing it.
func (s *Source) wholeBlock(ctx context.Context, hash payment.Hash, txs body, asked *call) (*block, error) {
	habit := &s.ladder.whole
	together := func() (*block, error) { return s.blockNamed(asked, hash) }
	alone := func() (*block, error) { return s.oneBlock(ctx, hash, txs) }
	inParts := func() (*block, error) {
		b, err := s.blockInParts(ctx, hash)
		if err == nil {
			habit.learn(true)
		}
		return b, err
	}
	var ways []func() (*block, error)
	switch {
	case asked != nil && bool(txs):
		ways = append(ways, together, alone, inParts)
	case asked != nil:
		ways = append(ways, together, alone)
	case !bool(txs):
		ways = append(ways, alone)
	case habit.open():
		ways = append(ways, alone, inParts)
	default:
		ways = append(ways, inParts, alone)
	}
	var refusal error
	for _, way := range ways {
		b, err := way()
		switch {
		case err == nil:
			return b, nil
		case !s.climbs(ctx, hash, err):
			return nil, telling(refusal, err)
		case refusal == nil:
			refusal = err
		}
	}
	return nil, refusal
}

// blockInParts reads a block's header and its transactions one by one.
func (s *Source) blockInParts(ctx context.Context, hash payment.Hash) (*block, error) {
	b, err := s.oneBlock(ctx, hash, headersOnly)
	if err != nil {
		return nil, err
	}
	return b, s.transactions(ctx, b)
}

// oneBlock reads a block and nothing else.
func (s *Source) oneBlock(ctx context.Context, hash payment.Hash, txs body) (*block, error) {
	asked := blockByHash(hash, txs)
	if err := s.ask(ctx, asked); err != nil {
		return nil, err
	}
	return s.blockNamed(asked, hash)
}

// blockNamed decodes the answer of blockByHash.
func (s *Source) blockNamed(asked *call, hash payment.Hash) (*block, error) {
	if asked.err != nil {
		return nil, answered{asked.err}
	}
	b, err := s.block(asked)
	if err == nil && b.ref.Hash != hash {
		return nil, inconsistent("asked for block %s, got %s", hash, b.ref.Hash)
	}
	if full := len(asked.args) > 1 && asked.args[1] == true; err == nil && full {
		if err = b.checkTxs(); err == nil {
			s.ladder.whole.learn(false)
		}
	}
	return b, err
}

// transactions completes a block that lists hashes only.
func (s *Source) transactions(ctx context.Context, b *block) error {
	calls := make([]*call, len(b.txs))
	for i := range b.txs {
		calls[i] = &call{method: methodTransaction, args: []any{b.txs[i].Hash}}
	}
	if err := s.ask(ctx, calls...); err != nil {
		return err
	}
	txs := make([]rawTx, len(calls))
	for i, c := range calls {
		if err := json.Unmarshal(c.result, &txs[i]); err != nil {
			return s.malformed(c.method, err)
		}
		if txs[i].Hash != b.txs[i].Hash || txs[i].BlockHash != b.ref.Hash {
			return inconsistent("transaction %d of block %d cannot be had", i, b.ref.Number)
		}
	}
	b.txs = txs
	return nil
}

// way is one of the ways to ask for the logs of a block.
type way struct {
	habit *habit
	read  func(ctx context.Context, b *block, want watch) ([]rawLog, error)
}

// climb reads the logs of a block in whatever way the endpoint answers. asked are the calls of the first way, empty when it was not
// asked yet. It returns what was looked for in the end.
func (s *Source) climb(ctx context.Context, b *block, want watch, asked []*call) ([]rawLog, watch, error) {
	if len(want.order) == 0 && !want.any {
		return nil, want, nil
	}
	if want.any {
		logs, err := s.filteredLogs(ctx, b, want, asked)
		if err == nil {
			return logs, want, nil
		}
		if !s.climbs(ctx, b.ref.Hash, err) && !refused(err) {
			return nil, want, err
		}
		want.any = false
		logs, want, err = s.climb(ctx, b, want, nil)
		if err == nil {
			s.anyInBlock.shut()
		}
		return logs, want, err
	}
	var refusal error
	var refusing []*habit
	for _, w := range s.ways(want, asked) {
		logs, err := w.read(ctx, b, want)
		if err == nil {
			for _, h := range refusing {
				h.learn(true)
			}
			w.habit.learn(false)
			return logs, want, nil
		}
		if !s.climbs(ctx, b.ref.Hash, err) {
			return nil, want, telling(refusal, err)
		}
		refusing = append(refusing, w.habit)
		if refusal == nil {
			refusal = err
		}
	}
	return nil, want, refusal
}

// ways lists how to ask for logs, those last that the endpoint is in the habit of refusing.
func (s *Source) ways(want watch, asked []*call) []way {
	if errors.Is(firstError(asked), chain.ErrTooLarge) {
		asked = nil // alone: together with the block it may have been too much
	}
	filtered := func(ctx context.Context, b *block, want watch) ([]rawLog, error) {
		return s.filteredLogs(ctx, b, want, asked)
	}
	all := []way{{&s.ladder.filtered, filtered}}
	if len(want.order) > 1 {
		all = append(all, way{&s.ladder.byContract, s.logsByContract})
	}
	all = append(all, way{&s.ladder.receipts, s.logsOfReceipts})
	slices.SortStableFunc(all, func(a, b way) int {
		switch openA, openB := a.habit.open(), b.habit.open(); {
		case openA == openB:
			return 0
		case openA:
			return -1
		default:
			return 1
		}
	})
	return all
}

// filteredLogs asks for the logs of a block by its hash and as many contracts at once as allowed, unless that was asked already.
func (s *Source) filteredLogs(ctx context.Context, b *block, want watch, asked []*call) ([]rawLog, error) {
	if len(asked) == 0 {
		asked = s.logCalls(inBlock(b.ref.Hash), want)
		if err := s.batch(ctx, s.opts.MaxBatch, asked...); err != nil {
			return nil, err
		}
	}
	return s.logsOfCalls(ctx, b, want, asked)
}

// mostLogs is how many logs of one block are kept when it is asked for in several answers, each as large as one may be.
const mostLogs = 1 << 16

// logsByContract asks for one contract at a time. Few of them at once: the answer may be too large for two.
func (s *Source) logsByContract(ctx context.Context, b *block, want watch) ([]rawLog, error) {
	calls := s.logCallsOf(inBlock(b.ref.Hash), want, 1)
	var all []rawLog
	for part := range slices.Chunk(calls, 1+len(calls)/s.opts.MaxBatch) {
		if err := s.batch(ctx, len(part), part...); err != nil {
			return nil, err
		}
		logs, err := s.logsOfCalls(ctx, b, want, part)
		if err != nil {
			return nil, err
		}
		for _, c := range part {
			c.result = nil // decoded: not to be held with the next answers
		}
		if all = append(all, logs...); len(all) > mostLogs {
			return nil, answered{fmt.Errorf("%w: more than %d logs of one block", chain.ErrTooLarge, mostLogs)}
		}
	}
	return all, nil
}

// logsOfCalls decodes answers about one block, and makes sure that they are about it. Null says nothing: it is taken for none where
// the block's own hash proves that there are none.
func (s *Source) logsOfCalls(ctx context.Context, b *block, want watch, calls []*call) ([]rawLog, error) {
	logs, unsaid, err := s.logs(calls)
	if err == nil {
		logs, err = b.checkLogs(logs)
	}
	if err != nil {
		return nil, answered{err}
	}
	if unsaid {
		proven, err := s.provenEmpty(ctx, want, b)
		switch {
		case err != nil:
			return nil, err
		case !proven[0]:
			return nil, answered{s.malformed(methodGetLogs, errNull)}
		}
	}
	return logs, nil
}

// provenEmpty tells of which blocks it is proven that they hold no Transfer of a watched token: their bloom filters, which the
// blocks' hashes stand for, do not admit one. That an endpoint has not indexed a block yet changes nothing about it.
func (s *Source) provenEmpty(ctx context.Context, want watch, blocks ...*block) ([]bool, error) {
	proven := make([]bool, len(blocks))
	if s.opts.IgnoreBloom {
		return proven, nil
	}
	calls := make([]*call, len(blocks))
	for i, b := range blocks {
		calls[i] = blockByHash(b.ref.Hash, headersOnly)
	}
	if err := s.ask(ctx, calls...); err != nil {
		return nil, err
	}
	for i, b := range blocks {
		var header types.Header
		if json.Unmarshal(calls[i].result, &header) == nil && payment.Hash(header.Hash()) == b.ref.Hash {
			proven[i] = !admits(header.Bloom, s.topic, want)
		}
	}
	return proven, nil
}
