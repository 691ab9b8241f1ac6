package evm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"github.com/sluicepay/sluice/chain"
	"github.com/sluicepay/sluice/payment"
)

const (
	methodTraceBlock = "debug_traceBlockByHash"
	methodTraceTx    = "debug_traceTransaction"
)

// maxTraced is the most blocks that a range may have when each of them is traced: a
// trace is large, and a node takes its time for it.
const maxTraced = 64

// briefly is how many times shorter than usual an endpoint is left alone that can
// trace, or may be able to, and did not this time.
const briefly = 10

var errTrace = errors.New("trace does not fit the block")

// frame is a call of a transaction as the callTracer tells it, as far as it is read.
type frame struct {
	Type  string    `json:"type"`
	From  *address  `json:"from"`
	To    *address  `json:"to"`
	Value *quantity `json:"value"`
	Error string    `json:"error"`
	Calls []frame   `json:"calls"`
}

// tracedTx is a transaction's part of a block's trace. Older nodes leave its hash out.
type tracedTx struct {
	TxHash word   `json:"txHash"`
	Result *frame `json:"result"`
	Error  string `json:"error"`
}

func callTracer() map[string]string { return map[string]string{"tracer": "callTracer"} }

// trace reads the internal transfers of a block, and tells whether it could. That it
// could not is no error: the endpoint is left alone for a while, and the block says
// that it was not traced.
func (s *Source) trace(ctx context.Context, b *block) (found []chain.Candidate, traced bool, err error) {
	if len(b.txs) == 0 {
		return nil, true, nil
	}
	if !s.traces.open() {
		return nil, false, nil
	}
	asked := &call{method: methodTraceBlock, args: []any{b.ref.Hash, callTracer()}}
	err = s.ask(ctx, asked)
	if err == nil {
		found, err = decodeTrace(asked.result, b)
	}
	switch {
	case err == nil:
		return found, true, nil
	case ctx.Err() != nil:
		return nil, false, ctx.Err()
	case errors.Is(err, chain.ErrUnsupported):
		s.traces.shut()
	case errors.Is(err, chain.ErrTooLarge):
		// This block is too large; the next one need not be.
	default:
		s.traces.shutFor(s.opts.Reprobe / briefly)
	}
	return nil, false, nil
}

// decodeTrace reads the answer to debug_traceBlockByHash. Every transaction of the
// block has to be there, in order: a position in the trace of another transaction
// would be the identity of another payment.
func decodeTrace(raw json.RawMessage, b *block) ([]chain.Candidate, error) {
	var list []tracedTx
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, err
	}
	if len(list) != len(b.txs) {
		return nil, fmt.Errorf("%w: %d traces of %d transactions", errTrace, len(list), len(b.txs))
	}
	var found []chain.Candidate
	for i := range list {
		traced, tx := &list[i], &b.txs[i]
		switch {
		case traced.Error != "" || traced.Result == nil:
			return nil, fmt.Errorf("%w: transaction %d was not traced", errTrace, i)
		case traced.TxHash.IsZero() && !traced.Result.isRootOf(tx):
			return nil, fmt.Errorf("%w: trace %d is of another transaction", errTrace, i)
		case !traced.TxHash.IsZero() && traced.TxHash != tx.Hash:
			return nil, fmt.Errorf("%w: trace %d is of another transaction", errTrace, i)
		}
		transfers, err := traced.Result.transfers()
		if err != nil {
			return nil, err
		}
		for _, t := range transfers {
			if t.From == t.To {
				continue // counted, and moves nothing
			}
			t.TxHash, t.TxIndex = tx.Hash, uint(i)
			// The trace succeeded down to this frame, so the transaction did.
			found = append(found, chain.Candidate{Transfer: t, Resolution: chain.Resolved})
		}
	}
	return found, nil
}

// isRootOf tells whether the frame is the transaction's own call.
func (f *frame) isRootOf(tx *rawTx) bool {
	if f.From == nil || tx.From == nil || f.From.account != tx.From.account || f.amount() != amountOf(tx.Value) {
		return false
	}
	return tx.To == nil || f.To != nil && f.To.account == tx.To.account
}

func (f *frame) amount() payment.Amount { return amountOf(f.Value) }

func amountOf(q *quantity) payment.Amount {
	if q == nil {
		return payment.Amount{}
	}
	return q.amount
}

// transfers lists what the calls below a transaction's own call moved, in the order
// in which it happened, and numbers it from 1. All of it is listed, whoever received
// it, because the number is a payment's identity. What failed moved nothing, nor did
// anything below it, whatever those frames say.
func (f *frame) transfers() ([]payment.Transfer, error) {
	var found []payment.Transfer
	if f.Error != "" {
		return nil, nil
	}
	for i := range f.Calls {
		if err := f.Calls[i].collect(&found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (f *frame) collect(found *[]payment.Transfer) error {
	if f.Error != "" {
		return nil
	}
	moves, err := f.moves()
	if err != nil {
		return err
	}
	if moves {
		*found = append(*found, payment.Transfer{
			Native: true, Position: uint32(len(*found)) + 1, //nolint:gosec // bounded by the size of an answer
			From: f.From.account, To: f.To.account, Amount: f.amount(),
		})
	}
	for i := range f.Calls {
		if err := f.Calls[i].collect(found); err != nil {
			return err
		}
	}
	return nil
}

// moves tells whether a frame that did not fail credits its recipient. DELEGATECALL
// and CALLCODE carry a value too, and run somebody's code with it: nothing moves.
func (f *frame) moves() (bool, error) {
	switch strings.ToUpper(f.Type) {
	case "DELEGATECALL", "CALLCODE", "STATICCALL":
		return false, nil
	case "CALL", "CREATE", "CREATE2", "SELFDESTRUCT":
	default:
		return false, fmt.Errorf("%w: frame of an unknown type", errTrace)
	}
	if f.amount().IsZero() {
		return false, nil
	}
	if f.From == nil || f.To == nil {
		return false, fmt.Errorf("%w: %w in a frame", errTrace, errMissing)
	}
	return true, nil
}

// internalContent compares a recorded internal transfer with the transaction's trace
// now. It returns ErrUnsupported when the endpoint does not trace.
func (s *Source) internalContent(ctx context.Context, recorded payment.Transfer) (chain.Outcome, error) {
	asked := &call{method: methodTraceTx, args: []any{recorded.TxHash, callTracer()}}
	if err := s.ask(ctx, asked); err != nil {
		return "", err
	}
	var root *frame
	if err := json.Unmarshal(asked.result, &root); err != nil {
		return "", s.malformed(asked.method, err)
	}
	if root == nil {
		return chain.MissingReceipt, nil
	}
	if root.Error != "" {
		return "", inconsistent("transaction %s has a receipt of success and a trace of failure", recorded.TxHash)
	}
	transfers, err := root.transfers()
	if err != nil {
		return "", s.malformed(asked.method, err)
	}
	at := uint64(recorded.Position) - 1
	if at >= uint64(len(transfers)) {
		return chain.ContentChanged, nil
	}
	if seen := transfers[at]; seen.From != recorded.From || seen.To != recorded.To || seen.Amount != recorded.Amount {
		return chain.ContentChanged, nil
	}
	return chain.Included, nil
}
