package evm

import (
	"context"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// maxTopics is how many alternatives nodes take for one topic.
const maxTopics = 1000

// TransfersTo implements chain.TokenSweeper. Each question for logs goes in one batch
// with one for the last block, so that a node that lags does not answer with nothing.
func (s *Source) TransfersTo(ctx context.Context, from, to uint64, recipients []payment.Address) ([]chain.FoundTransfer, error) {
	var found []chain.FoundTransfer
	for start := 0; start < len(recipients); start += maxTopics {
		part, err := s.transfersTo(ctx, from, to, recipients[start:min(start+maxTopics, len(recipients))])
		if err != nil {
			return nil, smaller(err)
		}
		found = append(found, part...)
	}
	return found, nil
}

func (s *Source) transfersTo(ctx context.Context, from, to uint64, recipients []payment.Address) ([]chain.FoundTransfer, error) {
	ours, topics := make(map[payment.Address]bool, len(recipients)), make([]word, len(recipients))
	for i, recipient := range recipients {
		ours[recipient], topics[i] = true, wordOfAddress(recipient)
	}
	filter := inRange(from, to)
	filter["topics"] = []any{s.topic, nil, topics}
	last, asked := blockByNumber(to, false), &call{method: methodGetLogs, args: []any{filter}}
	if err := s.batch(ctx, s.opts.MaxBatch, last, asked); err != nil {
		return nil, err
	}
	if last.err != nil {
		return nil, last.err
	}
	end, err := s.block(last)
	if err != nil {
		return nil, err
	}
	if end.ref.Number != to {
		return nil, inconsistent("asked for block %d, got %d", to, end.ref.Number)
	}
	logs, err := s.list(asked)
	if err != nil {
		return nil, err
	}
	var found []chain.FoundTransfer
	for i := range logs {
		number := uint64(*logs[i].BlockNumber)
		if number < from || number > to {
			return nil, inconsistent("log of block %d outside the range asked for", number)
		}
		transfer, skipped := transferOfLog(&logs[i], s.topic)
		if skipped == "" && ours[transfer.To] {
			found = append(found, chain.FoundTransfer{BlockNumber: number, BlockHash: logs[i].BlockHash, Transfer: transfer})
		}
	}
	return found, nil
}
