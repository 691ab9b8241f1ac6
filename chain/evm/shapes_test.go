package evm

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/gorilla/websocket"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain"
)

// shape is an answer that was met somewhere, and what it has to be taken for. A new one is a new row.
type shape struct {
	name   string
	method string // of every call; default: a block by its number
	calls  int    // default: 2
	status int    // default: 200
	after  string // the Retry-After header
	zip    bool
	body   string // $1, $2, … stand for the ids of the calls
	want   chain.ReasonError
}

const (
	fine      = chain.ReasonError("")
	someBlock = `{"number":"0x10","hash":"` + hash1 + `","parentHash":"` + hash2 + `","timestamp":"0x65000000","transactions":[]}`
	geths     = `{"code":-32600,"message":"batch too large"}`
)

// shapes lists them: first those that concern a batch as a whole, then those of single calls, then what is no JSON-RPC.
func shapes() []shape {
	ok := `{"jsonrpc":"2.0","id":$1,"result":` + someBlock + `}`
	return []shape{
		{name: "answers", body: `[` + ok + `,{"jsonrpc":"2.0","id":$2,"result":` + someBlock + `}]`},
		{name: "answers in another order", body: `[{"id":$2,"result":` + someBlock + `},` + ok + `]`},
		{name: "zipped answers", zip: true, body: `[{"id":$2,"result":` + someBlock + `},` + ok + `]`},
		{name: "an answer that is no list", calls: 1, body: ok},
		{name: "null beside answers", calls: 1, body: `[null,` + ok + `]`},

		{name: "batch too large, object", body: `{"jsonrpc":"2.0","id":null,"error":` + geths + `}`, want: chain.ErrTooLarge},
		{name: "batch too large, go-ethereum", body: `[{"jsonrpc":"2.0","id":$1,"error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "batch too large, Erigon", body: `[{"jsonrpc":"2.0","id":null,"error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "batch too large, without an id", body: `[{"jsonrpc":"2.0","error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "batch too large, to each call", body: `[{"id":$1,"error":` + geths + `},{"id":$2,"error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "413", status: 413, want: chain.ErrTooLarge},
		{name: "413 with a page", status: 413, body: `<html>Request Entity Too Large</html>`, want: chain.ErrTooLarge},
		{name: "400 with an object", status: 400, body: `{"error":` + geths + `}`, want: chain.ErrTooLarge},
		{name: "400 with a list", status: 400, body: `[{"id":null,"error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "400 with the first call's", status: 400, body: `[{"id":$1,"error":` + geths + `}]`, want: chain.ErrTooLarge},
		{name: "rate of the batch", body: `[{"id":null,"error":{"code":429,"message":"batch requests are rate limited"}}]`, want: chain.ErrRateLimited},
		{name: "one error for all", body: `[{"id":$1,"error":{"code":-32000,"message":"header not found"}}]`, want: chain.ErrBlockUnknown},
		{name: "range, for the whole batch", method: methodGetLogs, body: `{"error":{"code":-32000,"message":"block range is too wide"}}`, want: chain.ErrRangeTooLarge},

		{name: "project rate, in a batch", method: methodGetLogs, calls: 1,
			body: `[{"id":$1,"error":{"code":-32005,"message":"project ID request rate exceeded","data":{"see":"https://infura.io"}}}]`, want: chain.ErrRateLimited},
		{name: "project rate, of a block", body: `[` + ok + `,{"id":$2,"error":{"code":-32005,"message":"project ID request rate exceeded"}}]`, want: chain.ErrRateLimited},
		{name: "limit exceeded, of a block", calls: 1, body: `[{"id":$1,"error":{"code":-32005,"message":"limit exceeded"}}]`, want: chain.ErrRateLimited},
		{name: "limit exceeded, of logs", method: methodGetLogs, calls: 1, body: `[{"id":$1,"error":{"code":-32005,"message":"limit exceeded"}}]`, want: chain.ErrRangeTooLarge},
		{name: "too many logs in a block", method: methodGetLogs, calls: 1,
			body: `[{"id":$1,"error":{"code":-32000,"message":"query returns too many logs, narrow your filter: 20000"}}]`, want: chain.ErrRangeTooLarge},
		{name: "a full block refused", calls: 1, body: `[{"id":$1,"error":{"code":-32011,"message":"pagination count: 20"}}]`, want: chain.ErrUnavailable},
		{name: "an answer refused", calls: 1, body: `[{"id":$1,"error":{"code":-32003,"message":"response too large"}}]`, want: chain.ErrTooLarge},
		{name: "pruned", calls: 1, body: `[{"id":$1,"error":{"code":4444,"message":"pruned history unavailable"}}]`, want: chain.ErrUnsupported},
		{name: "unfinalized", method: methodTraceBlock, calls: 1, body: `[{"id":$1,"error":{"code":-32000,"message":"cannot query unfinalized data"}}]`, want: chain.ErrBlockUnknown},
		{name: "a code in words", calls: 1, body: `[{"id":$1,"error":{"code":"-32601","message":"no"}}]`, want: chain.ErrUnsupported},
		{name: "a code with a point", calls: 1, body: `[{"id":$1,"error":{"code":429.0,"message":"no"}}]`, want: chain.ErrRateLimited},
		{name: "a code of a provider", calls: 1, body: `[{"id":$1,"error":{"code":"TOO_MANY","message":"too many requests"}}]`, want: chain.ErrRateLimited},
		{name: "an error in words", calls: 1, body: `[{"id":$1,"error":"header not found"}]`, want: chain.ErrBlockUnknown},
		{name: "an error in words, object", body: `{"error":"too many requests, slow down"}`, want: chain.ErrRateLimited},
		{name: "an error that is a number", calls: 1, body: `[{"id":$1,"error":17}]`, want: chain.ErrUnavailable},
		{name: "an error that is a list", calls: 1, body: `[{"id":$1,"error":[{"message":"too many requests"}]}]`, want: chain.ErrRateLimited},
		{name: "an error that is empty", calls: 1, body: `[{"id":$1,"error":{}}]`, want: chain.ErrUnavailable},
		{name: "a message that is none", calls: 1, body: `[{"id":$1,"error":{"code":-32000,"message":{"text":"header not found"}}}]`, want: chain.ErrBlockUnknown},
		{name: "an error that is null", calls: 1, body: `[{"id":$1,"error":null,"result":` + someBlock + `}]`},
		{name: "a result beside an error", calls: 1, body: `[{"id":$1,"error":{"code":-32000,"message":"header not found"},"result":` + someBlock + `}]`, want: chain.ErrBlockUnknown},

		{name: "null for a block", calls: 1, body: `[{"id":$1,"result":null}]`, want: chain.ErrBlockUnknown},
		{name: "no result for a block", calls: 1, body: `[{"jsonrpc":"2.0","id":$1}]`, want: chain.ErrBlockUnknown},
		{name: "no result for logs", method: methodGetLogs, calls: 1, body: `[{"jsonrpc":"2.0","id":$1}]`, want: chain.ErrMalformed},
		{name: "a block that is a list", calls: 1, body: `[{"id":$1,"result":[]}]`, want: chain.ErrMalformed},
		{name: "a block that is a number", calls: 1, body: `[{"id":$1,"result":7}]`, want: chain.ErrMalformed},
		{name: "a block that is empty", calls: 1, body: `[{"id":$1,"result":{}}]`, want: chain.ErrMalformed},
		{name: "logs that are an object", method: methodGetLogs, calls: 1, body: `[{"id":$1,"result":{}}]`, want: chain.ErrMalformed},
		{name: "logs that are words", method: methodGetLogs, calls: 1, body: `[{"id":$1,"result":"none"}]`, want: chain.ErrMalformed},
		{name: "logs of null", method: methodGetLogs, calls: 1, body: `[{"id":$1,"result":[null]}]`, want: chain.ErrMalformed},
		{name: "no logs", method: methodGetLogs, calls: 1, body: `[{"id":$1,"result":[]}]`},

		{name: "another id", calls: 1, body: `[{"id":99999,"result":` + someBlock + `}]`, want: chain.ErrMalformed},
		{name: "an id in words", calls: 1, body: `[{"id":"$1","result":` + someBlock + `}]`, want: chain.ErrMalformed},
		{name: "an id that is an object", calls: 1, body: `[{"id":{},"result":` + someBlock + `}]`, want: chain.ErrMalformed},
		{name: "no id", calls: 1, body: `[{"result":` + someBlock + `}]`, want: chain.ErrMalformed},
		{name: "an error with another id", calls: 1, body: `[{"id":99999,"error":{"code":429,"message":"slow down"}}]`, want: chain.ErrRateLimited},
		{name: "one answer twice", body: `[` + ok + `,` + ok + `]`, want: chain.ErrMalformed},
		{name: "one answer only", body: `[` + ok + `]`, want: chain.ErrMalformed},
		{name: "a notification", calls: 1, body: `{"method":"eth_subscription","params":{}}`, want: chain.ErrMalformed},

		{name: "nothing", want: chain.ErrMalformed},
		{name: "space", body: " \n", want: chain.ErrMalformed},
		{name: "an empty list", body: `[]`, want: chain.ErrMalformed},
		{name: "an empty object", body: `{}`, want: chain.ErrMalformed},
		{name: "null", body: `null`, want: chain.ErrMalformed},
		{name: "a number", body: `7`, want: chain.ErrMalformed},
		{name: "a list of numbers", body: `[7,8]`, want: chain.ErrMalformed},
		{name: "half an answer", body: `[{"id":$1,"res`, want: chain.ErrMalformed},
		{name: "more than an answer", body: `[` + ok + `] and more`, want: chain.ErrMalformed},
		{name: "a page", body: `<!DOCTYPE html><html>"hello"</html>`, want: chain.ErrMalformed},
		{name: "no UTF-8", body: "[{\"id\":$1,\"result\":\"\xff\"}]", want: chain.ErrMalformed},
		{name: "deep lists", body: strings.Repeat("[", 100_000), want: chain.ErrMalformed},
		{name: "deep objects", body: `[{"id":$1,"result":` + strings.Repeat(`{"calls":[`, 50_000), want: chain.ErrMalformed},
		{name: "many small parts", zip: true, method: methodGetLogs, calls: 1, body: `[{"id":$1,"result":[` + strings.Repeat(`{},`, 1<<20) + `{}]}]`, want: chain.ErrTooLarge},

		{name: "moved", status: 301, want: chain.ErrUnavailable},
		{name: "moved for now", status: 307, body: `<html>elsewhere</html>`, want: chain.ErrUnavailable},
		{name: "not modified", status: 304, want: chain.ErrUnavailable},
		{name: "403 with a page", status: 403, body: `<html>no</html>`, want: chain.ErrUnavailable},
		{name: "429", status: 429, after: "7", want: chain.ErrRateLimited},
		{name: "429 with a list", status: 429, after: "7", body: `[{"id":null,"error":{"code":-32000,"message":"batch"}}]`, want: chain.ErrRateLimited},
		{name: "502 with a page", status: 502, body: `<html>Bad Gateway</html>`, want: chain.ErrUnavailable},
		{name: "503 with words", status: 503, after: "7", body: `{"error":"batch service unavailable"}`, want: chain.ErrUnavailable},
		{name: "504", status: 504, want: chain.ErrTimeout},
	}
}

// shaped is what a shape is to calls with these ids.
func (s shape) shaped(ids []json.RawMessage) []byte {
	var pairs []string
	for i := range max(len(ids), s.calls, 2) {
		id := "777" // of a call that is not in this batch
		if i < len(ids) {
			id = string(ids[i])
		}
		pairs = append(pairs, fmt.Sprintf("$%d", i+1), id)
	}
	return []byte(strings.NewReplacer(pairs...).Replace(s.body))
}

// idsOf reads the ids of a request.
func idsOf(request []byte) []json.RawMessage {
	type id struct {
		ID json.RawMessage `json:"id"`
	}
	var several []id
	if json.Unmarshal(request, &several) != nil {
		several = make([]id, 1)
		_ = json.Unmarshal(request, &several[0])
	}
	ids := make([]json.RawMessage, len(several))
	for i := range several {
		ids[i] = several[i].ID
	}
	return ids
}

// ServeHTTP answers every request in this shape, over a WebSocket if that is asked for.
func (s shape) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if websocket.IsWebSocketUpgrade(r) {
		conn, err := (&websocket.Upgrader{}).Upgrade(w, r, nil)
		if err != nil {
			return
		}
		defer conn.Close()
		for {
			_, request, err := conn.ReadMessage()
			if err != nil || conn.WriteMessage(websocket.TextMessage, s.shaped(idsOf(request))) != nil {
				return
			}
		}
	}
	request, _ := io.ReadAll(r.Body)
	body := s.shaped(idsOf(request))
	if s.after != "" {
		w.Header().Set("Retry-After", s.after)
	}
	if s.zip && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		w.Header().Set("Content-Encoding", "gzip")
		var packed bytes.Buffer
		z := gzip.NewWriter(&packed)
		_, _ = z.Write(body)
		_ = z.Close()
		body = packed.Bytes()
	}
	if s.status != 0 {
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(s.status)
	}
	_, _ = w.Write(body)
}

// outcome asks for as many blocks, or logs, and tells what comes of it.
func (s shape) outcome(t *testing.T, source *Source) error {
	t.Helper()
	method := s.method
	if method == "" {
		method = "eth_getBlockByNumber"
	}
	calls := make([]*call, max(s.calls, 1))
	if s.calls == 0 {
		calls = make([]*call, 2)
	}
	for i := range calls {
		calls[i] = &call{method: method, args: []any{"0x10", false}}
	}
	err := source.ask(t.Context(), calls...)
	for _, c := range calls {
		if err == nil && method == methodGetLogs {
			_, _, err = source.logs([]*call{c})
		} else if err == nil {
			_, err = source.block(c)
		}
	}
	return err
}

func TestShapes(t *testing.T) {
	t.Parallel()
	for _, s := range shapes() {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(s)
			t.Cleanup(server.Close)
			urls := []string{server.URL}
			if s.status == 0 && s.name != "no UTF-8" { // a WebSocket's own rule, and it has no status
				urls = append(urls, "ws"+strings.TrimPrefix(server.URL, "http"))
			}
			for _, url := range urls {
				source, err := New(Options{URL: url, Timeout: 20 * time.Second})
				require.NoError(t, err)
				t.Cleanup(source.Close)
				err = s.outcome(t, source)
				if s.want == fine {
					require.NoError(t, err, url)
					continue
				}
				require.ErrorIs(t, err, s.want, url)
				require.Equal(t, string(s.want), chain.Reason(err))
				if s.after != "" {
					require.Equal(t, 7*time.Second, chain.RetryAfter(err))
				}
			}
		})
	}
}
