package evm

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const (
	methodGetLogs       = "eth_getLogs"
	methodTransaction   = "eth_getTransactionByHash"
	methodBlockReceipts = "eth_getBlockReceipts"
)

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
	return s.logCallsOf(place, want, s.opts.MaxTokens)
}

// logCallsOf is logCalls with so many tokens at once.
func (s *Source) logCallsOf(place map[string]any, want watch, most int) []*call {
	if want.any {
		filter := map[string]any{"topics": []any{s.topic}}
		maps.Copy(filter, place)
		return []*call{{method: methodGetLogs, args: []any{filter}}}
	}
	var calls []*call
	for part := range slices.Chunk(want.order, most) {
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

// logs decodes the answers of logCalls into one list. unsaid: null was among them, which is no list.
func (s *Source) logs(calls []*call) (all []rawLog, unsaid bool, err error) {
	for _, c := range calls {
		if c.err != nil {
			return nil, false, c.err
		}
		logs, err := decodeLogs(c.result)
		switch {
		case errors.Is(err, errNull):
			unsaid = true
		case err != nil:
			return nil, false, s.malformed(c.method, err)
		}
		all = append(all, logs...)
	}
	return all, unsaid, nil
}

// list decodes an answer that has to be a list.
func (s *Source) list(c *call) ([]rawLog, error) {
	logs, unsaid, err := s.logs([]*call{c})
	if unsaid {
		err = s.malformed(c.method, errNull)
	}
	return logs, err
}

// assemble checks the parts of a block against each other and makes them one. The logs were checked.
func (s *Source) assemble(ctx context.Context, b *block, logs []rawLog, want watch) (chain.Block, error) {
	if len(logs) == 0 && s.mayHold(b.bloom, want) {
		var err error
		if logs, err = s.doubted(ctx, b, want); err != nil {
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

// checkLogs makes sure that the logs are this block's and that each is there once. A log that is marked as removed is left out
// beside its twin that is not, which some nodes keep; any other says that the answer is not about the block as it is.
func (b *block) checkLogs(logs []rawLog) ([]rawLog, error) {
	live := make(map[number]*rawLog, len(logs))
	kept := make([]rawLog, 0, len(logs))
	for i := range logs {
		l := &logs[i]
		switch {
		case l.BlockHash != b.ref.Hash || uint64(*l.BlockNumber) != b.ref.Number:
			return nil, inconsistent("log %d is of another block than %d", *l.Index, b.ref.Number)
		case l.Removed:
			continue
		case live[*l.Index] != nil:
			return nil, inconsistent("log %d of block %d appears twice", *l.Index, b.ref.Number)
		}
		// Some chains add logs of transactions that the block does not list, so only
		// one that is listed has to match; the receipt decides in the end.
		if at := uint64(*l.TxIndex); at < uint64(len(b.txs)) && b.txs[at].Hash != l.TxHash {
			return nil, inconsistent("log %d of block %d names a transaction that is another", *l.Index, b.ref.Number)
		}
		live[*l.Index] = l
		kept = append(kept, *l)
	}
	for i := range logs {
		if l := &logs[i]; l.Removed && !l.twin(live[*l.Index]) {
			return nil, inconsistent("log %d of block %d was removed", *l.Index, b.ref.Number)
		}
	}
	return kept, nil
}

// twin tells whether another log is the same one, removed or not.
func (l *rawLog) twin(other *rawLog) bool {
	return other != nil && l.same(other) && l.BlockHash == other.BlockHash && *l.BlockNumber == *other.BlockNumber && *l.TxIndex == *other.TxIndex
}

// same tells whether two logs of one block say the same at the same place.
func (l *rawLog) same(other *rawLog) bool {
	return l.Address.account == other.Address.account && slices.Equal(l.Topics, other.Topics) && bytes.Equal(l.Data, other.Data) &&
		l.TxHash == other.TxHash && *l.Index == *other.Index
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
// errs on the side of yes, except that a filter of zeros says nothing.
func (s *Source) mayHold(bloom types.Bloom, want watch) bool {
	return !s.opts.IgnoreBloom && bloom != (types.Bloom{}) && admits(bloom, s.topic, want)
}

// admits tells whether a bloom filter admits a Transfer of a watched token.
func admits(bloom types.Bloom, topic word, want watch) bool {
	if !bloom.Test(topic[:]) {
		return false
	}
	return want.any || slices.ContainsFunc(want.order, func(token payment.Address) bool { return bloom.Test([]byte(token.Raw)) })
}

// doubted decides about "no logs" where the bloom filter admits some. The filter is a hint that may be wrong, or admit more than
// there is. All logs of the block are asked for: if they give the filter, they are what it stands for. If not, the receipts are
// believed, whatever the filter says.
func (s *Source) doubted(ctx context.Context, b *block, want watch) ([]rawLog, error) {
	all, err := s.unfiltered(ctx, b)
	if err == nil && bloomOf(all) == b.bloom {
		return want.watched(all), nil
	}
	if err != nil && !s.climbs(ctx, b.ref.Hash, err) {
		return nil, err
	}
	logs, failed := s.logsOfReceipts(ctx, b, want)
	switch {
	case failed == nil:
		return logs, nil
	case err == nil && len(all)+len(b.txs) == 0 && errors.Is(failed, chain.ErrUnsupported):
		return nil, nil // no transactions, no logs: nothing else can be asked
	case err != nil:
		return nil, err
	default:
		return nil, fmt.Errorf("%w: block %d has a bloom filter that its logs do not give: %w", chain.ErrInconsistent, b.ref.Number, failed)
	}
}

// unfiltered reads all logs of a block.
func (s *Source) unfiltered(ctx context.Context, b *block) ([]rawLog, error) {
	all := &call{method: methodGetLogs, args: []any{inBlock(b.ref.Hash)}}
	if err := s.ask(ctx, all); err != nil {
		return nil, err
	}
	logs, err := s.list(all)
	if err != nil {
		return nil, err
	}
	return b.checkLogs(logs)
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
