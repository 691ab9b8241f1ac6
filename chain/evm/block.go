package evm

import (
	"context"
	"fmt"
	"maps"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const methodGetLogs = "eth_getLogs"

// body says how much of a block's transactions to ask for.
type body bool

const (
	headersOnly body = false // their hashes, which nodes always send
	withTxs     body = true
)

// body is what of a block's transactions is needed: traces are compared with them.
func (w watch) body() body { return body(w.native || w.traces) }

func blockByNumber(number uint64, txs body) *call {
	return &call{method: "eth_getBlockByNumber", args: []any{hexNumber(number), bool(txs)}}
}

func blockByHash(hash payment.Hash, txs body) *call {
	return &call{method: "eth_getBlockByHash", args: []any{hash, bool(txs)}}
}

func blockByTag(tag payment.Tag) *call {
	name := string(tag)
	if tag == payment.TagNone {
		name = "latest"
	}
	return &call{method: "eth_getBlockByNumber", args: []any{name, bool(headersOnly)}}
}

// block decodes the answer of one of the calls above.
func (s *Source) block(c *call) (*block, error) {
	b, err := decodeBlock(c.result)
	switch {
	case err == nil:
		b.ref.TimeBasis = s.timeBasis(c.result, b.ref)
		return b, nil
	case chain.Reason(err) == string(chain.ErrBlockUnknown):
		return nil, fmt.Errorf("%s: %w", c.method, err)
	default:
		return nil, s.malformed(c.method, err)
	}
}

// logCalls asks for the Transfers in a block or range: of the tokens, as many at
// once as allowed, or of every contract. No tokens, no call: an empty list of
// addresses would mean every contract there is.
func (s *Source) logCalls(place map[string]any, want watch) []*call {
	if want.any {
		filter := map[string]any{"topics": []any{s.topic}}
		maps.Copy(filter, place)
		return []*call{{method: methodGetLogs, args: []any{filter}}}
	}
	var calls []*call
	for start := 0; start < len(want.order); start += s.opts.MaxTokens {
		part := want.order[start:min(start+s.opts.MaxTokens, len(want.order))]
		addresses := make([]string, len(part))
		for i, token := range part {
			addresses[i] = token.Lower()
		}
		filter := map[string]any{"address": addresses, "topics": []any{s.topic}}
		maps.Copy(filter, place)
		calls = append(calls, &call{method: methodGetLogs, args: []any{filter}})
	}
	return calls
}

func inBlock(hash payment.Hash) map[string]any { return map[string]any{"blockHash": hash} }

func inRange(from, to uint64) map[string]any {
	return map[string]any{"fromBlock": hexNumber(from), "toBlock": hexNumber(to)}
}

// logs decodes the answers of logCalls into one list.
func (s *Source) logs(calls []*call) ([]rawLog, error) {
	var all []rawLog
	for _, c := range calls {
		if c.err != nil {
			return nil, c.err
		}
		logs, err := decodeLogs(c.result)
		if err != nil {
			return nil, s.malformed(c.method, err)
		}
		all = append(all, logs...)
	}
	return all, nil
}

// BlockByHash implements chain.Source.
func (s *Source) BlockByHash(ctx context.Context, hash payment.Hash, filter chain.Filter) (chain.Block, error) {
	want := newWatch(filter)
	want.any = want.any && s.anyInBlock.open()
	b, logs, err := s.readBlock(ctx, hash, want)
	if want.any && refused(err) {
		want.any = false
		if b, logs, err = s.readBlock(ctx, hash, want); err == nil {
			s.anyInBlock.shut()
		}
	}
	if err != nil {
		return chain.Block{}, err
	}
	return s.assemble(ctx, b, logs, want)
}

// readBlock reads a block and its logs in one batch.
func (s *Source) readBlock(ctx context.Context, hash payment.Hash, want watch) (*block, []rawLog, error) {
	asked := blockByHash(hash, want.body())
	logCalls := s.logCalls(inBlock(hash), want)
	if err := s.batch(ctx, s.opts.MaxBatch, append([]*call{asked}, logCalls...)...); err != nil {
		return nil, nil, err
	}
	// The block before the logs: a node that lacks the block may answer for its logs
	// with anything.
	if asked.err != nil {
		return nil, nil, asked.err
	}
	b, err := s.block(asked)
	if err != nil {
		return nil, nil, err
	}
	if b.ref.Hash != hash {
		return nil, nil, inconsistent("asked for block %s, got %s", hash, b.ref.Hash)
	}
	logs, err := s.logs(logCalls)
	return b, logs, err
}

// assemble checks the parts of a block against each other and makes them one.
func (s *Source) assemble(ctx context.Context, b *block, logs []rawLog, want watch) (chain.Block, error) {
	if err := b.checkLogs(logs); err != nil {
		return chain.Block{}, err
	}
	if len(logs) == 0 && s.mayHold(b.bloom, want) {
		if err := s.checkEmpty(ctx, b, want); err != nil {
			return chain.Block{}, err
		}
	}
	if want.body() == withTxs {
		if err := b.checkTxs(); err != nil {
			return chain.Block{}, err
		}
	}
	done := chain.Block{BlockRef: b.ref, AnyToken: want.any}
	done.Candidates, done.Poisoned = s.candidates(b, logs, want)
	if want.traces {
		internal, traced, err := s.trace(ctx, b)
		if err != nil {
			return chain.Block{}, err
		}
		done.Candidates, done.Traced = append(done.Candidates, internal...), traced
	}
	done.Candidates = inOrder(done.Candidates)
	return done, nil
}

// checkLogs makes sure that the logs are this block's and that each is there once.
func (b *block) checkLogs(logs []rawLog) error {
	seen := make(map[number]bool, len(logs))
	for i := range logs {
		l := &logs[i]
		switch {
		case l.Removed:
			return fmt.Errorf("%w: log %d of block %d was removed", chain.ErrReorged, *l.Index, b.ref.Number)
		case l.BlockHash != b.ref.Hash || uint64(*l.BlockNumber) != b.ref.Number:
			return fmt.Errorf("%w: log %d is of another block than %d", chain.ErrReorged, *l.Index, b.ref.Number)
		case seen[*l.Index]:
			return inconsistent("log %d of block %d appears twice", *l.Index, b.ref.Number)
		}
		// Some chains add logs of transactions that the block does not list, so only
		// one that is listed has to match; the receipt decides in the end.
		if at := uint64(*l.TxIndex); at < uint64(len(b.txs)) && b.txs[at].Hash != l.TxHash {
			return inconsistent("log %d of block %d names a transaction that is another", *l.Index, b.ref.Number)
		}
		seen[*l.Index] = true
	}
	return nil
}

// checkTxs makes sure that transactions were sent as asked for, and belong here.
func (b *block) checkTxs() error {
	for i := range b.txs {
		tx := &b.txs[i]
		if tx.Value == nil && tx.From == nil && tx.To == nil {
			return inconsistent("block %d lists hashes where transactions were asked for", b.ref.Number)
		}
		if !tx.BlockHash.IsZero() && tx.BlockHash != b.ref.Hash {
			return inconsistent("transaction %d of block %d is of another block", i, b.ref.Number)
		}
	}
	return nil
}

// mayHold tells whether the bloom filter admits a Transfer of a watched token. It
// errs on the side of yes.
func (s *Source) mayHold(bloom types.Bloom, want watch) bool {
	if s.opts.IgnoreBloom || bloom == (types.Bloom{}) || !bloom.Test(s.topic[:]) {
		return false
	}
	if want.any {
		return true
	}
	for _, token := range want.order {
		if bloom.Test([]byte(token.Raw)) {
			return true
		}
	}
	return false
}

// checkEmpty decides whether "no logs" can be true although the bloom filter
// admits some: it reads all logs of the block, which have to give that very bloom
// filter, and none of them may be a Transfer of a watched token.
func (s *Source) checkEmpty(ctx context.Context, b *block, want watch) error {
	all := &call{method: methodGetLogs, args: []any{inBlock(b.ref.Hash)}}
	if err := s.ask(ctx, all); err != nil {
		return err
	}
	logs, err := s.logs([]*call{all})
	if err != nil {
		return err
	}
	if err := b.checkLogs(logs); err != nil {
		return err
	}
	if bloomOf(logs) != b.bloom {
		return inconsistent("block %d has a bloom filter that its logs do not give", b.ref.Number)
	}
	for i := range logs {
		if l := &logs[i]; (want.any || want.tokens[l.Address.account]) && len(l.Topics) > 0 && l.Topics[0] == s.topic {
			return inconsistent("block %d has transfers that the node left out when asked for them", b.ref.Number)
		}
	}
	return nil
}

func bloomOf(logs []rawLog) types.Bloom {
	var bloom types.Bloom
	for i := range logs {
		bloom.Add([]byte(logs[i].Address.account.Raw))
		for _, topic := range logs[i].Topics {
			bloom.Add(topic[:])
		}
	}
	return bloom
}
