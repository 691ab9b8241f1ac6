package chaintest

import (
	"bytes"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

type rpcRequest struct {
	ID     json.RawMessage   `json:"id"`
	Method string            `json:"method"`
	Params []json.RawMessage `json:"params"`
}

func (f *Fake) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	f.mu.Lock()
	answer := f.answerAll(body)
	intercept := f.faults.HTTP
	f.mu.Unlock()
	if intercept != nil && intercept(w, r, answer) {
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(answer) // the client went away
}

func (f *Fake) answerAll(body []byte) []byte {
	if trimmed := bytes.TrimSpace(body); len(trimmed) > 0 && trimmed[0] == '{' {
		var request rpcRequest
		if json.Unmarshal(trimmed, &request) != nil {
			return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`)
		}
		return f.answer(request)
	}
	var requests []rpcRequest
	if json.Unmarshal(body, &requests) != nil {
		return []byte(`{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"parse error"}}`)
	}
	batch := make([]json.RawMessage, len(requests))
	for i, request := range requests {
		batch[i] = f.answer(request)
	}
	if f.faults.Batch != nil {
		batch = f.faults.Batch(batch)
	}
	return mustJSON(batch)
}

func (f *Fake) answer(request rpcRequest) []byte {
	f.calls[request.Method]++
	a := &Answer{Method: request.Method, Params: request.Params}
	f.call(a)
	if f.faults.Answer != nil {
		f.faults.Answer(a)
	}
	message := map[string]any{"jsonrpc": "2.0", "id": request.ID}
	if a.Error != nil {
		message["error"] = a.Error
	} else {
		message["result"] = a.Result
	}
	return mustJSON(message)
}

func mustJSON(v any) []byte {
	data, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Sprintf("chaintest: %v", err))
	}
	return data
}

func (f *Fake) call(a *Answer) {
	switch a.Method {
	case "debug_traceBlockByHash":
		f.traceBlock(a)
	case "debug_traceTransaction":
		f.traceTx(a)
	case "eth_chainId":
		a.Result = hexOf(f.chainID)
	case "eth_getBlockByNumber":
		block := f.visible(f.numbered(param[string](a, 0)))
		if block != nil && block.Number < f.kept {
			a.Error = f.pruned
			return
		}
		a.Result = f.blockJSON(block, param[bool](a, 1))
	case "eth_getBlockByHash":
		a.Result = f.blockJSON(f.visible(f.byHash[param[payment.Hash](a, 0)]), param[bool](a, 1))
	case "eth_getLogs":
		f.getLogs(a)
	case "eth_getTransactionReceipt":
		a.Result = f.receiptJSON(param[payment.Hash](a, 0))
	case "eth_getTransactionByHash":
		if block, i := f.find(param[payment.Hash](a, 0)); block != nil {
			a.Result = txJSON(block, i)
		}
	case "eth_getCode":
		a.Result = hexBytes(f.tokens[f.account(a, 0)].Code)
	case "eth_getStorageAt":
		a.Result = f.tokens[f.account(a, 0)].Storage[param[string](a, 1)]
	case "eth_call":
		f.ethCall(a)
	case "eth_getBlockReceipts":
		f.getBlockReceipts(a)
	default:
		a.Error = unknownMethod(a.Method)
	}
}

func param[T any](a *Answer, i int) T {
	var v T
	if i < len(a.Params) {
		_ = json.Unmarshal(a.Params[i], &v) // the zero value finds nothing
	}
	return v
}

func (f *Fake) account(a *Answer, i int) payment.Address {
	return parseAccount(param[string](a, i))
}

func parseAccount(text string) payment.Address {
	raw, _ := hex.DecodeString(strings.TrimPrefix(text, "0x")) // a wrong one is nobody's address
	return payment.Address{Family: payment.FamilyEVM, Raw: string(raw)}
}

// top is the number of the newest block that is not hidden.
func (f *Fake) top() uint64 {
	shown := f.shown()
	head := shown[len(shown)-1].Number
	return head - min(head, f.faults.Lag)
}

func (f *Fake) visible(block *FakeBlock) *FakeBlock {
	if block == nil || block.Number > f.top() {
		return nil
	}
	return block
}

func (f *Fake) numbered(name string) *FakeBlock {
	var number uint64
	switch name {
	case "latest":
		number = f.top()
	case "safe", "finalized":
		number = f.tagged(name)
	default:
		var err error
		if number, err = strconv.ParseUint(strings.TrimPrefix(name, "0x"), 16, 64); err != nil {
			return nil
		}
	}
	shown := f.shown()
	if number >= uint64(len(shown)) {
		return nil
	}
	return shown[number]
}

func (f *Fake) blockJSON(block *FakeBlock, full bool) any {
	if block == nil {
		return nil
	}
	txs := make([]any, len(block.Txs))
	for i := range block.Txs {
		txs[i] = block.Txs[i].Hash
		if full {
			txs[i] = txJSON(block, i)
		}
	}
	fields := map[string]any{
		"number":       hexOf(block.Number),
		"hash":         block.Hash,
		"parentHash":   block.Parent,
		"timestamp":    hexInt(block.Time.Unix()),
		"logsBloom":    hexBytes(block.Bloom),
		"transactions": txs,
		"mixHash":      payment.Hash{}, // a field that nobody reads
	}
	maps.Copy(fields, block.Extra)
	return fields
}

func txJSON(block *FakeBlock, i int) map[string]any {
	tx := block.Txs[i]
	fields := map[string]any{
		"hash": tx.Hash, "from": tx.From.Lower(), "to": nil, "value": hexOf(tx.Value), "type": "0x2",
		"blockHash": block.Hash, "blockNumber": hexOf(block.Number), "transactionIndex": hexInt(int64(i)),
	}
	if !tx.To.IsZero() {
		fields["to"] = tx.To.Lower()
	}
	maps.Copy(fields, tx.Extra)
	return fields
}

func logsJSON(block *FakeBlock, i int) []map[string]any {
	logs := []map[string]any{}
	for n, log := range block.Txs[i].Logs {
		topics := log.Topics
		if topics == nil {
			topics = []payment.Hash{}
		}
		logs = append(logs, map[string]any{
			"address": log.Address.Lower(), "topics": topics, "data": hexBytes(log.Data),
			"blockHash": block.Hash, "blockNumber": hexOf(block.Number), "removed": false,
			"transactionHash": block.Txs[i].Hash, "transactionIndex": hexInt(int64(i)),
			"logIndex": hexInt(int64(block.logStart[i] + n)),
		})
	}
	return logs
}

// find looks a transaction up in the canonical chain, as far as it is visible.
func (f *Fake) find(hash payment.Hash) (*FakeBlock, int) {
	for _, block := range f.shown()[:f.top()+1] {
		for i, tx := range block.Txs {
			if tx.Hash == hash {
				return block, i
			}
		}
	}
	return nil, 0
}

func (f *Fake) receiptJSON(hash payment.Hash) any {
	block, i := f.find(hash)
	if block == nil {
		return nil
	}
	return receiptOf(block, i)
}

func receiptOf(block *FakeBlock, i int) map[string]any {
	status := uint64(1)
	if block.Txs[i].Failed {
		status = 0
	}
	return map[string]any{
		"transactionHash": block.Txs[i].Hash, "transactionIndex": hexInt(int64(i)), "blockHash": block.Hash,
		"blockNumber": hexOf(block.Number), "status": hexOf(status), "logs": logsJSON(block, i),
	}
}

type logFilter struct {
	BlockHash *payment.Hash `json:"blockHash"`
	From      string        `json:"fromBlock"`
	To        string        `json:"toBlock"`
	Address   []string      `json:"address"`
	Topics    []topicSet    `json:"topics"`
}

// topicSet are the alternatives for one topic: one, several, or (nil) anything.
type topicSet []payment.Hash

// UnmarshalJSON implements json.Unmarshaler.
func (s *topicSet) UnmarshalJSON(data []byte) error {
	if len(data) > 0 && data[0] == '[' {
		return json.Unmarshal(data, (*[]payment.Hash)(s))
	}
	var one *payment.Hash
	if err := json.Unmarshal(data, &one); err != nil || one == nil {
		return err
	}
	*s = topicSet{*one}
	return nil
}

func (f *Fake) getLogs(a *Answer) {
	filter := param[logFilter](a, 0)
	if f.faults.MaxAddresses > 0 && len(filter.Address) > f.faults.MaxAddresses {
		a.Error = &RPCError{Code: -32602, Message: "exceed max addresses or topics per search position"}
		return
	}
	var blocks []*FakeBlock
	if filter.BlockHash != nil {
		blocks = append(blocks, f.visible(f.byHash[*filter.BlockHash]))
	} else {
		blocks = f.rangeOf(filter, a)
	}
	if a.Error != nil {
		return
	}
	logs := []map[string]any{}
	for _, block := range blocks {
		if block == nil {
			if !f.faults.EmptyAhead {
				a.Error = &RPCError{Code: -32000, Message: "unknown block"}
				return
			}
			continue
		}
		for i, tx := range block.Txs {
			all := logsJSON(block, i)
			for n := range tx.Logs {
				if filter.matches(tx.Logs[n]) {
					logs = append(logs, all[n])
				}
			}
		}
	}
	a.Result = logs
}

func (f *Fake) rangeOf(filter logFilter, a *Answer) []*FakeBlock {
	from, err1 := strconv.ParseUint(strings.TrimPrefix(filter.From, "0x"), 16, 64)
	to, err2 := strconv.ParseUint(strings.TrimPrefix(filter.To, "0x"), 16, 64)
	if err1 != nil || err2 != nil || from > to {
		a.Error = &RPCError{Code: -32602, Message: "invalid block range params"}
		return nil
	}
	if f.faults.MaxRange > 0 && to-from+1 > f.faults.MaxRange {
		a.Error = &RPCError{Code: -32000, Message: f.faults.RangeMessage}
		return nil
	}
	var blocks []*FakeBlock
	for n := from; n <= to; n++ {
		blocks = append(blocks, f.visible(f.numbered(hexOf(n))))
	}
	return blocks
}

func (l logFilter) matches(log FakeLog) bool {
	if len(l.Address) > 0 && !slices.Contains(l.Address, log.Address.Lower()) {
		return false
	}
	for i, topic := range l.Topics {
		if topic != nil && (i >= len(log.Topics) || !slices.Contains(topic, log.Topics[i])) {
			return false
		}
	}
	return true
}

func (f *Fake) ethCall(a *Answer) {
	call := param[struct{ To, Data string }](a, 0)
	token := f.tokens[parseAccount(call.To)]
	var out []byte
	switch call.Data {
	case "0x313ce567":
		out = token.Decimals
	case "0x95d89b41":
		out = token.Symbol
	case "0x0e136b19":
		out = token.Deprecated
	case "0x5c60da1b":
		if token.Implementation != (payment.Hash{}) {
			out = token.Implementation[:]
		}
	}
	if out == nil && len(token.Code) > 0 {
		a.Error = &RPCError{Code: 3, Message: "execution reverted"}
		return
	}
	a.Result = hexBytes(out)
}

func hexOf(n uint64) string { return "0x" + strconv.FormatUint(n, 16) }

func hexInt(n int64) string { return "0x" + strconv.FormatInt(n, 16) }

func hexBytes(b []byte) string { return "0x" + hex.EncodeToString(b) }
