package e2e_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"
)

// relay stands between Sluice and a node as one operator's endpoint. It understands what is asked, so that it can break off at a
// certain question, or answer it with a lie.
type relay struct {
	target string
	server *httptest.Server

	mu   sync.Mutex
	down bool
	// breaks decides whether the relay goes down when it is asked for a method. It is called with mu held.
	breaks func(method string) bool
	// lie replaces the result of a call.
	lie func(method string, params, result json.RawMessage) json.RawMessage
}

func newRelay(t *testing.T, target string) *relay {
	t.Helper()
	r := &relay{target: target}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

// change changes how it behaves.
func (r *relay) change(do func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	do()
}

// question is a call as far as the relay cares.
type question struct {
	ID     json.RawMessage `json:"id"`
	Method string          `json:"method"`
	Params json.RawMessage `json:"params"`
}

// ServeHTTP passes one request on, single or batch.
func (r *relay) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	batch := bytes.HasPrefix(bytes.TrimSpace(body), []byte("["))
	questions := make([]question, 1)
	if batch {
		err = json.Unmarshal(body, &questions)
	} else {
		err = json.Unmarshal(body, &questions[0])
	}
	if err != nil || r.isDown(questions) {
		panic(http.ErrAbortHandler) // the connection breaks off
	}
	response, err := http.Post(r.target, "application/json", bytes.NewReader(body))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	_, _ = w.Write(r.falsify(questions, answer, batch))
}

// isDown also lets the relay break at one of them.
func (r *relay) isDown(questions []question) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, q := range questions {
		if r.breaks != nil && r.breaks(q.Method) {
			r.down = true
		}
	}
	return r.down
}

func (r *relay) falsify(questions []question, answer []byte, batch bool) []byte {
	r.mu.Lock()
	lie := r.lie
	r.mu.Unlock()
	if lie == nil {
		return answer
	}
	answers := make([]map[string]json.RawMessage, 1)
	var err error
	if batch {
		err = json.Unmarshal(answer, &answers)
	} else {
		err = json.Unmarshal(answer, &answers[0])
	}
	if err != nil {
		return answer
	}
	for _, a := range answers {
		i := slices.IndexFunc(questions, func(q question) bool { return bytes.Equal(q.ID, a["id"]) })
		if i >= 0 && a["result"] != nil {
			a["result"] = lie(questions[i].Method, questions[i].Params, a["result"])
		}
	}
	var changed []byte
	if batch {
		changed, err = json.Marshal(answers)
	} else {
		changed, err = json.Marshal(answers[0])
	}
	if err != nil {
		return answer
	}
	return changed
}
