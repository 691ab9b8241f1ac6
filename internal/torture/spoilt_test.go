package torture_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/chain/chaintest"
	"github.com/sluicepay/sluice/internal/torture/model"
)

// spoilt is what a chain's nodes refuse to show for ever, or have wrong for ever.
type spoilt struct {
	refused map[string]*spoil // by hash
	nulls   bool              // null for no logs
	flooded bool              // bloom filters admit what is not there
}

// spoil is in which ways a block is not shown, and by how many of the operators.
type spoil struct {
	block     *model.Block
	ways      []string
	operators int
	refuse    func(*chaintest.Answer)
}

// The ways in which a block is shown.
const (
	wayRange    = "range"
	wayLogs     = "logs"
	wayContract = "logs of one contract"
	wayReceipts = "receipts of the block"
	wayReceipt  = "receipts one by one"
	wayBlock    = "the block in full"
	wayTx       = "transactions one by one"
)

func ways() []string {
	return []string{wayRange, wayLogs, wayContract, wayReceipts, wayReceipt, wayBlock, wayTx}
}

// way tells how a call asks for a block, "" when it does not.
func (s *spoil) way(a *chaintest.Answer) string {
	if len(a.Params) == 0 {
		return ""
	}
	first, hash := string(a.Params[0]), s.block.ID
	full := len(a.Params) > 1 && string(a.Params[1]) == "true"
	ofTx := slices.ContainsFunc(s.block.Txs, func(tx model.Tx) bool { return strings.Contains(first, tx.ID) })
	switch {
	case a.Method == "eth_getLogs" && strings.Contains(first, hash) && strings.Count(first, `"0x`) > 3:
		return wayLogs
	case a.Method == "eth_getLogs" && strings.Contains(first, hash):
		return wayContract
	case a.Method == "eth_getLogs" && s.inside(a.Params[0]),
		a.Method == "eth_getBlockByNumber" && full && first == fmt.Sprintf(`"0x%x"`, s.block.Number):
		return wayRange
	case a.Method == "eth_getBlockReceipts" && strings.Contains(first, hash):
		return wayReceipts
	case a.Method == "eth_getTransactionReceipt" && ofTx:
		return wayReceipt
	case a.Method == "eth_getBlockByHash" && full && strings.Contains(first, hash):
		return wayBlock
	case a.Method == "eth_getTransactionByHash" && ofTx:
		return wayTx
	default:
		return ""
	}
}

// inside tells whether a filter is for a range that holds the block.
func (s *spoil) inside(filter json.RawMessage) bool {
	var span struct{ FromBlock, ToBlock string }
	if json.Unmarshal(filter, &span) != nil || span.FromBlock == "" {
		return false
	}
	from, err1 := strconv.ParseUint(strings.TrimPrefix(span.FromBlock, "0x"), 16, 64)
	to, err2 := strconv.ParseUint(strings.TrimPrefix(span.ToBlock, "0x"), 16, 64)
	return err1 == nil && err2 == nil && from <= s.block.Number && s.block.Number <= to
}

// with adds to what goes wrong with an operator's node what is spoilt there.
func (s *spoilt) with(operator int, faults chaintest.Faults) chaintest.Faults {
	if len(s.refused) == 0 && !s.nulls {
		return faults
	}
	also := faults.Answer
	faults.Answer = func(a *chaintest.Answer) {
		if also != nil {
			also(a)
		}
		if a.Method == "eth_getLogs" && s.nulls && a.Error == nil && fmt.Sprint(a.Result) == "[]" {
			a.Result = nil
		}
		for _, b := range s.refused {
			if operator < b.operators && slices.Contains(b.ways, b.way(a)) {
				b.refuse(a)
			}
		}
	}
	return faults
}

// oddities draws what a chain's nodes have wrong for ever.
func (h *history) oddities(n *node) {
	n.refused = map[string]*spoil{}
	if n.nulls = h.often("null for no logs", 20); n.nulls {
		h.tally.add("null for no logs", 1)
	}
	if n.flooded = h.often("wrong blooms", 20); n.flooded {
		h.tally.add("wrong blooms", 1)
	}
}

// bloom gives a block the filter that its nodes show.
func (n *node) bloom(block *chaintest.FakeBlock) {
	for i := range block.Bloom {
		if n.flooded && (uint64(i)*7+block.Number)%3 > 0 {
			block.Bloom[i] = 0xfe
		}
	}
}

// refusal draws what a node says instead of an answer.
func (h *history) refusal() func(*chaintest.Answer) {
	refusal := rapid.SampledFrom([]chaintest.RPCError{
		{Code: -32000, Message: "query returns too many logs, narrow your filter: 20000"},
		{Code: -32011, Message: "no pagination: count: 20"},
		{Code: -32003, Message: "response too large"},
		{Code: -32005, Message: "limit exceeded"},
		{Code: -32000, Message: "internal error"},
		{Code: -32601, Message: "the method does not exist/is not available"},
		{},
	}).Draw(h.rt.T, "refusal")
	return func(a *chaintest.Answer) {
		a.Result, a.Error = "unreadable", nil
		if refusal.Code != 0 {
			a.Result, a.Error = nil, &refusal
		}
	}
}

// spoil has nodes refuse to show a new block in some ways, or in all. The chain is read on all the same.
func (h *history) spoil() {
	n := h.node()
	n.mine(h.transactions(n))
	s := &spoil{block: n.head(), operators: h.draw("operators", 1, len(n.fakes)), refuse: h.refusal()}
	for _, way := range ways() {
		if h.often(way, 60) {
			s.ways = append(s.ways, way)
		}
	}
	if h.often("in every way", 30) {
		s.ways = ways()
		h.tally.add("spoilt in every way", 1)
	}
	if s.operators < len(n.fakes) {
		h.tally.add("spoilt for one operator", 1)
	}
	h.tally.add("spoilt", 1)
	n.refused[s.block.ID] = s
	for range h.draw("blocks after", 1, 6) {
		n.mine(h.transactions(n))
	}
	if n.lying() || n.paused || h.model.Halted(n.name) {
		return
	}
	h.scan(n, calmScan())
	require.Equal(h.rt, n.head().ID, h.model.Cursor(n.name).ID, "a block keeps the chain from going on")
}

// healAll has every node show every block again.
func (h *history) healAll() {
	for _, n := range h.nodes {
		clear(n.refused)
	}
}

// outage has every node refuse to show any block, while it goes on telling of new ones. None is given up on.
func (h *history) outage() {
	n := h.node()
	for range h.draw("blocks", 1, 8) {
		n.mine(h.transactions(n))
	}
	h.tally.add("outage", 1)
	refuse := h.refusal()
	h.scan(n, scanFault{steps: h.draw("steps", 10, 40), others: 1, outage: true, node: chaintest.Faults{Answer: func(a *chaintest.Answer) {
		full := len(a.Params) > 1 && string(a.Params[1]) == "true"
		if a.Method == "eth_getLogs" || strings.Contains(a.Method, "eceipt") || full || a.Method == "eth_getTransactionByHash" {
			refuse(a)
		}
	}}})
}
