package evm

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/sluicepay/sluice/chain"
)

// call is one JSON-RPC call. A null answer leaves result as "null".
type call struct {
	method string
	args   []any
	result json.RawMessage
	err    error
}

// request is a call as it is sent.
type request struct {
	Version string `json:"jsonrpc"`
	ID      uint64 `json:"id"`
	Method  string `json:"method"`
	Params  []any  `json:"params"`
}

// answer is what came back for one call. What is left out is nil.
type answer struct {
	ID     json.RawMessage `json:"id"`
	Result json.RawMessage `json:"result"`
	Error  json.RawMessage `json:"error"`
}

// carrier takes a request to a node and brings back what it answers, through an intake. A failed HTTP status is a *nodeError.
type carrier interface {
	carry(ctx context.Context, request []byte, in *intake) ([]byte, error)
	close()
}

// send asks for all of the calls at once, or for the only one without a batch. It returns an error when none of them was
// answered by itself; what one call failed with is left in it.
func (s *Source) send(ctx context.Context, in *intake, calls []*call, single bool) error {
	if s.closed.Load() {
		return fmt.Errorf("%w: source is closed", chain.ErrUnavailable)
	}
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	last := s.ids.Add(uint64(len(calls)))
	first := last - uint64(len(calls)) + 1
	body, err := encode(calls, first, single)
	if err != nil {
		return err
	}
	raw, err := s.carrier.carry(limited, body, in)
	if err == nil {
		var answers []answer
		if answers, err = parse(raw); err == nil {
			err = s.deliver(calls, first, answers)
		}
	}
	switch {
	case err == nil:
		return nil
	case ctx.Err() != nil:
		return ctx.Err()
	default:
		return s.callError(strictest(calls), err)
	}
}

func encode(calls []*call, first uint64, single bool) ([]byte, error) {
	requests := make([]request, len(calls))
	for i, c := range calls {
		requests[i] = request{Version: "2.0", ID: first + uint64(i), Method: c.method, Params: c.args}
		if c.args == nil {
			requests[i].Params = []any{}
		}
	}
	if single {
		return json.Marshal(requests[0])
	}
	return json.Marshal(requests)
}

// parse reads a list of answers, or the only one.
func parse(raw []byte) ([]answer, error) {
	raw = bytes.TrimSpace(raw)
	if !utf8.Valid(raw) {
		return nil, fmt.Errorf("%w: answer is not UTF-8", chain.ErrMalformed)
	}
	answers := make([]answer, 1)
	var err error
	switch {
	case bytes.HasPrefix(raw, []byte("[")):
		err = json.Unmarshal(raw, &answers)
	case bytes.HasPrefix(raw, []byte("{")):
		err = json.Unmarshal(raw, &answers[0])
	default:
		return nil, fmt.Errorf("%w: answer is neither a list nor an object", chain.ErrMalformed)
	}
	if err != nil {
		return nil, fmt.Errorf("%w: answer is not the JSON of a batch", chain.ErrMalformed)
	}
	return answers, nil
}

// deliver gives each call its answer, by its id. An error that no single call can be given is that of all: one with another
// id or none, and one that stands alone although there were several calls. Nodes put what they have to say about a batch
// there.
func (s *Source) deliver(calls []*call, first uint64, answers []answer) error {
	mine := make([]*answer, len(calls))
	for i := range answers {
		at, ok := answers[i].of(first, len(calls))
		if failure := answers[i].failure(); failure != nil && (!ok || len(answers) == 1 && len(calls) > 1) {
			return failure
		}
		if ok && mine[at] == nil {
			mine[at] = &answers[i]
		}
	}
	for i, c := range calls {
		c.result, c.err = nil, nil
		if mine[i] == nil {
			c.err = fmt.Errorf("%s: %w: no answer to this call", c.method, chain.ErrMalformed)
			continue
		}
		failure := mine[i].failure()
		switch {
		case failure != nil:
			c.err = s.callError(c.method, failure)
		case mine[i].Result != nil:
			c.result = mine[i].Result
		case mayBeNull(c.method):
			c.result = json.RawMessage("null")
		default:
			c.err = fmt.Errorf("%s: %w: no result", c.method, chain.ErrMalformed)
		}
	}
	return nil
}

// mayBeNull tells of what a node may say that there is none. Some leave the result out instead. A list of logs is never null
// in this sense: "none" has to be said.
func mayBeNull(method string) bool {
	switch method {
	case "eth_getBlockByNumber", "eth_getBlockByHash", "eth_getTransactionReceipt", "eth_getTransactionByHash":
		return true
	default:
		return false
	}
}

// of tells which of the calls an answer is to.
func (a *answer) of(first uint64, calls int) (at int, ok bool) {
	id, err := strconv.ParseUint(string(a.ID), 10, 64)
	if err != nil || id < first || id-first >= uint64(calls) { //nolint:gosec // a length
		return 0, false
	}
	return int(id - first), true //nolint:gosec // below calls
}

// failure is the error that an answer holds, nil when it holds none. It is an object with a code and a message; or whatever
// a proxy puts there, which is taken for the message.
func (a *answer) failure() *nodeError {
	if isNull(a.Error) {
		return nil
	}
	var object struct {
		Code    json.RawMessage `json:"code"`
		Message json.RawMessage `json:"message"`
	}
	if json.Unmarshal(a.Error, &object) != nil {
		return &nodeError{message: textOf(a.Error)}
	}
	code, _, _ := strings.Cut(textOf(object.Code), ".")
	number, _ := strconv.Atoi(code) // 0, which means nothing, for a code that is no number
	return &nodeError{code: number, message: textOf(object.Message)}
}

// textOf is a JSON string, or else the JSON itself.
func textOf(raw json.RawMessage) string {
	var text string
	if json.Unmarshal(raw, &text) == nil {
		return text
	}
	return string(raw)
}

// strictest is the method by which the error of several calls is read: what is said of a range of logs means more than of
// the block that was asked for with it.
func strictest(calls []*call) string {
	for _, c := range calls {
		if c.method == methodGetLogs {
			return c.method
		}
	}
	return calls[0].method
}
