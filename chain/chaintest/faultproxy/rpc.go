package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"sync"
	"time"
)

// RPC stands in front of a node's JSON-RPC over HTTP and reads along: it changes
// questions and answers as its faults say. WebSockets are for Proxy. Its methods may be
// called concurrently.
type RPC struct {
	target string
	server *http.Server
	done   chan struct{}
	addr   string
	client *http.Client

	mu     sync.Mutex
	faults []Fault
	calls  map[string]int
}

// Fault is one thing that goes wrong, in up to three places.
type Fault struct {
	// Ask changes a question before the node sees it.
	Ask func(*Call)
	// Answer changes the answer to one call.
	Answer func(*Call)
	// Send changes the answer as a whole, after every Answer.
	Send func(*Exchange)
}

// Call is a question with its answer. Method and Params stay as they were asked, as far as an Ask does not change them.
type Call struct {
	Method string
	Params []any
	// Result is decoded JSON with json.Number for numbers; Error takes its place when it is not nil.
	Result any
	Error  *Error

	id json.RawMessage
}

// Error is a JSON-RPC error.
type Error struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

// Exchange is an answer on its way back.
type Exchange struct {
	Calls []*Call
	Batch bool
	// Status and Header go with it; Status 0 is 200.
	Status int
	Header http.Header
	// Body, when it is not nil, is sent instead of the calls.
	Body []byte
	// Edit changes the bytes that are sent.
	Edit func([]byte) []byte
	// Pause is how long to wait between any two bytes.
	Pause time.Duration
}

// StartRPC opens a proxy for the node at target, an HTTP URL. The caller must Close it.
func StartRPC(target string) (*RPC, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p := &RPC{
		target: target, addr: listener.Addr().String(), done: make(chan struct{}), calls: map[string]int{},
		client: &http.Client{Transport: &http.Transport{}},
	}
	p.server = &http.Server{Handler: http.HandlerFunc(p.serve), ReadHeaderTimeout: time.Minute}
	go func() {
		defer close(p.done)
		_ = p.server.Serve(listener) // until Close
	}()
	return p, nil
}

// URL is the proxy's address.
func (p *RPC) URL() string { return "http://" + p.addr }

// Set replaces the faults; none lets everything through.
func (p *RPC) Set(faults ...Fault) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.faults = faults
}

// Calls counts the calls of a method so far.
func (p *RPC) Calls(method string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[method]
}

// Close ends the proxy.
func (p *RPC) Close() error {
	err := p.server.Close()
	<-p.done
	p.client.CloseIdleConnections()
	return err
}

func (p *RPC) serve(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away
	}
	x := &Exchange{Header: http.Header{}}
	if x.Calls, x.Batch, err = decodeCalls(body); err != nil {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	faults := p.note(x.Calls)
	for _, f := range faults {
		for _, c := range x.Calls {
			if f.Ask != nil {
				f.Ask(c)
			}
		}
	}
	if err := p.forward(r.Context(), x.Calls); err != nil {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	for _, f := range faults {
		for _, c := range x.Calls {
			if f.Answer != nil {
				f.Answer(c)
			}
		}
	}
	for _, f := range faults {
		if f.Send != nil {
			f.Send(x)
		}
	}
	x.send(w, r)
}

func (p *RPC) note(calls []*Call) []Fault {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range calls {
		p.calls[c.Method]++
	}
	return slices.Clone(p.faults)
}

type message struct {
	Version string          `json:"jsonrpc"`
	ID      json.RawMessage `json:"id"`
	Method  string          `json:"method,omitempty"`
	Params  []any           `json:"params,omitempty"`
	Result  any             `json:"result,omitempty"`
	Error   *Error          `json:"error,omitempty"`
}

func decode(data []byte, into any) error {
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.UseNumber()
	return decoder.Decode(into)
}

func decodeCalls(body []byte) (calls []*Call, batch bool, err error) {
	var messages []message
	if batch = bytes.HasPrefix(bytes.TrimSpace(body), []byte("[")); batch {
		err = decode(body, &messages)
	} else {
		messages = make([]message, 1)
		err = decode(body, &messages[0])
	}
	for _, m := range messages {
		calls = append(calls, &Call{Method: m.Method, Params: m.Params, id: m.ID})
	}
	return calls, batch, err
}

// forward asks the node everything in one batch.
func (p *RPC) forward(ctx context.Context, calls []*Call) error {
	asked := make([]message, len(calls))
	for i, c := range calls {
		id, _ := json.Marshal(i) // a number
		asked[i] = message{Version: "2.0", ID: id, Method: c.Method, Params: c.Params}
	}
	body, err := json.Marshal(asked)
	if err != nil {
		return err
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, p.target, bytes.NewReader(body))
	if err != nil {
		return err
	}
	request.Header.Set("Content-Type", "application/json")
	response, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	answer, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	var answers []message
	if err := decode(answer, &answers); err != nil {
		return err
	}
	for _, m := range answers {
		var i int
		if err := json.Unmarshal(m.ID, &i); err != nil || i < 0 || i >= len(calls) {
			return fmt.Errorf("the node answers with the id %s", m.ID)
		}
		calls[i].Result, calls[i].Error = m.Result, m.Error
	}
	return nil
}

func (x *Exchange) encode() []byte {
	messages := make([]map[string]any, len(x.Calls))
	for i, c := range x.Calls {
		messages[i] = map[string]any{"jsonrpc": "2.0", "id": c.id, "result": c.Result}
		if c.Error != nil {
			delete(messages[i], "result")
			messages[i]["error"] = c.Error
		}
	}
	var what any = messages
	if !x.Batch && len(messages) > 0 {
		what = messages[0]
	}
	body, err := json.Marshal(what)
	if err != nil {
		panic(fmt.Sprintf("faultproxy: %v", err)) // a fault put something in that is no JSON
	}
	return body
}

func (x *Exchange) send(w http.ResponseWriter, r *http.Request) {
	body := x.Body
	if body == nil {
		body = x.encode()
	}
	if x.Edit != nil {
		body = x.Edit(body)
	}
	w.Header().Set("Content-Type", "application/json")
	for key, values := range x.Header {
		w.Header()[key] = values
	}
	if x.Status != 0 {
		w.WriteHeader(x.Status)
	}
	if x.Pause == 0 {
		_, _ = w.Write(body) // the client went away
		return
	}
	tick := time.NewTicker(x.Pause)
	defer tick.Stop()
	for _, b := range body {
		_, _ = w.Write([]byte{b})
		_ = http.NewResponseController(w).Flush()
		select {
		case <-r.Context().Done():
			return
		case <-tick.C:
		}
	}
}
