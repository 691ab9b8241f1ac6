package evm

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ethereum/go-ethereum/core/types"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

// maxTime is the last second of the year 9999: later timestamps are nonsense, and
// fit neither RFC 3339 nor a database.
const maxTime = 253402300799

var (
	errMissing = errors.New("a required field is missing")
	errNull    = errors.New("null instead of a list")
)

// rawBlock, rawTx, rawLog and rawReceipt are the node's JSON, as far as it is read.
type rawBlock struct {
	Number       *number    `json:"number"`
	Hash         word       `json:"hash"`
	ParentHash   *word      `json:"parentHash"`
	Timestamp    *number    `json:"timestamp"`
	LogsBloom    byteString `json:"logsBloom"`
	Transactions []rawTx    `json:"transactions"`
}

type rawTx struct {
	Hash      word      `json:"hash"`
	From      *address  `json:"from"`
	To        *address  `json:"to"`
	Value     *quantity `json:"value"`
	BlockHash word      `json:"blockHash"`
}

// UnmarshalJSON reads a whole transaction, or only its hash.
func (t *rawTx) UnmarshalJSON(data []byte) error {
	if trimmed := bytes.TrimSpace(data); len(trimmed) > 0 && trimmed[0] == '"' {
		return json.Unmarshal(trimmed, &t.Hash)
	}
	type plain rawTx // without this method
	return json.Unmarshal(data, (*plain)(t))
}

type rawLog struct {
	Address     *address   `json:"address"`
	Topics      []word     `json:"topics"`
	Data        byteString `json:"data"`
	BlockHash   word       `json:"blockHash"`
	BlockNumber *number    `json:"blockNumber"`
	TxHash      word       `json:"transactionHash"`
	TxIndex     *number    `json:"transactionIndex"`
	Index       *number    `json:"logIndex"`
	Removed     bool       `json:"removed"`
}

type rawReceipt struct {
	TxHash      word       `json:"transactionHash"`
	TxIndex     *number    `json:"transactionIndex"`
	BlockHash   word       `json:"blockHash"`
	BlockNumber *number    `json:"blockNumber"`
	Status      *number    `json:"status"`
	LogsBloom   byteString `json:"logsBloom"`
	Logs        []rawLog   `json:"logs"`
}

// block is a decoded block.
type block struct {
	ref   payment.BlockRef
	bloom types.Bloom // zero when it says nothing
	txs   []rawTx
}

// decodeBlock reads a block. It returns ErrBlockUnknown for null, which is how nodes
// answer for blocks that they do not have.
func decodeBlock(raw json.RawMessage) (*block, error) {
	if isNull(raw) {
		return nil, chain.ErrBlockUnknown
	}
	var b rawBlock
	if err := json.Unmarshal(raw, &b); err != nil {
		return nil, err
	}
	switch {
	case b.Number == nil || b.ParentHash == nil || b.Timestamp == nil || b.Hash.IsZero():
		return nil, errMissing
	case uint64(*b.Timestamp) > maxTime:
		return nil, errors.New("timestamp after the year 9999")
	}
	bloom, err := decodeBloom(b.LogsBloom)
	if err != nil {
		return nil, err
	}
	for i := range b.Transactions {
		if b.Transactions[i].Hash.IsZero() {
			return nil, fmt.Errorf("transaction %d: %w", i, errMissing)
		}
	}
	return &block{
		ref: payment.BlockRef{
			Number: uint64(*b.Number),
			Hash:   b.Hash,
			Parent: *b.ParentHash,
			Time:   time.Unix(int64(*b.Timestamp), 0).UTC(), //nolint:gosec // bounded by maxTime
		},
		bloom: bloom,
		txs:   b.Transactions,
	}, nil
}

// decodeBloom returns the zero bloom filter, which says nothing, also for one that
// is missing or has every bit set.
func decodeBloom(raw []byte) (types.Bloom, error) {
	switch {
	case len(raw) == 0:
		return types.Bloom{}, nil
	case len(raw) != types.BloomByteLength:
		return types.Bloom{}, fmt.Errorf("bloom filter: %w", errLength)
	case bytes.Count(raw, []byte{0xff}) == len(raw):
		return types.Bloom{}, nil
	}
	return types.BytesToBloom(raw), nil
}

// decodeLogs reads the answer of eth_getLogs. It returns errNull for null, which some nodes mean for "none", and others for "not
// known".
func decodeLogs(raw json.RawMessage) ([]rawLog, error) {
	switch {
	case len(raw) == 0:
		return nil, errMissing
	case isNull(raw):
		return nil, errNull
	}
	var logs []rawLog
	if err := json.Unmarshal(raw, &logs); err != nil {
		return nil, err
	}
	return logs, checkLogs(logs)
}

func checkLogs(logs []rawLog) error {
	for i := range logs {
		l := &logs[i]
		if l.Address == nil || l.BlockNumber == nil || l.TxIndex == nil || l.Index == nil || l.BlockHash.IsZero() || l.TxHash.IsZero() {
			return fmt.Errorf("log %d: %w", i, errMissing)
		}
		if *l.TxIndex > maxIndex || *l.Index > maxIndex {
			return fmt.Errorf("log %d: %w", i, errNumber)
		}
	}
	return nil
}

// maxIndex bounds indices of transactions and logs, far above any block's.
const maxIndex = 1<<31 - 1

// decodeReceipt reads a receipt. It returns ErrReceiptMissing for null.
func decodeReceipt(raw json.RawMessage) (*rawReceipt, error) {
	if isNull(raw) {
		return nil, chain.ErrReceiptMissing
	}
	var r rawReceipt
	if err := json.Unmarshal(raw, &r); err != nil {
		return nil, err
	}
	return &r, r.check()
}

// decodeReceipts reads all receipts of a block. It returns ErrReceiptMissing for null.
func decodeReceipts(raw json.RawMessage) ([]*rawReceipt, error) {
	if isNull(raw) {
		return nil, chain.ErrReceiptMissing
	}
	var list []*rawReceipt
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	for i, r := range list {
		if r == nil {
			return nil, chain.ErrReceiptMissing
		}
		if err := r.check(); err != nil {
			return nil, fmt.Errorf("receipt %d: %w", i, err)
		}
	}
	return list, nil
}

func (r *rawReceipt) check() error {
	if r.TxHash.IsZero() || r.BlockHash.IsZero() || r.BlockNumber == nil || r.Status == nil {
		return errMissing
	}
	return checkLogs(r.Logs)
}

func isNull(raw json.RawMessage) bool {
	trimmed := bytes.TrimSpace(raw)
	return len(trimmed) == 0 || bytes.Equal(trimmed, []byte("null"))
}
