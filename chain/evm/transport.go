package evm

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/sluicepay/sluice/chain"
)

// guard is the HTTP transport under the JSON-RPC client. It reads each answer to
// its end, bounded, and turns what the client would misread or quote into errors of
// this package: failed statuses, oversized answers, invalid UTF-8, and a single
// error object as the answer to a batch.
type guard struct {
	next      http.RoundTripper
	maxAnswer int64
}

// nodeError is an error that the node spelled out. Its text is a stranger's: it is
// scrubbed before anybody sees it.
type nodeError struct {
	code    int
	message string
	status  int // HTTP status, 0 when it was 2xx or there was none
	after   time.Duration
}

func (e *nodeError) Error() string  { return e.message }
func (e *nodeError) ErrorCode() int { return e.code }

// RoundTrip implements http.RoundTripper.
func (g *guard) RoundTrip(request *http.Request) (*http.Response, error) {
	response, err := g.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // read to the end or given up: nothing to learn from it
	body, err := io.ReadAll(io.LimitReader(response.Body, g.maxAnswer+1))
	switch {
	case err != nil:
		return nil, err
	case int64(len(body)) > g.maxAnswer:
		return nil, fmt.Errorf("%w: more than %d bytes", chain.ErrTooLarge, g.maxAnswer)
	}
	if failure := failureOf(response, body); failure != nil {
		return nil, failure
	}
	switch {
	case len(body) == 0:
		return nil, fmt.Errorf("%w: answer is empty", chain.ErrMalformed)
	case !utf8.Valid(body):
		return nil, fmt.Errorf("%w: answer is not UTF-8", chain.ErrMalformed)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}

// CloseIdleConnections passes http.Client.CloseIdleConnections on.
func (g *guard) CloseIdleConnections() {
	if closer, ok := g.next.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}

// failureOf returns the error that an HTTP answer as a whole is, or nil when it is
// the array that a batch is answered with.
func failureOf(response *http.Response, body []byte) error {
	failure := &nodeError{after: retryAfter(response.Header.Get("Retry-After"), time.Now())}
	failed := response.StatusCode < 200 || response.StatusCode > 299
	if failed {
		failure.status = response.StatusCode
	}
	var answer struct {
		Error *struct {
			Code    int    `json:"code"`
			Message string `json:"message"`
		} `json:"error"`
	}
	trimmed := bytes.TrimSpace(body)
	isObject := len(trimmed) > 0 && trimmed[0] == '{'
	if isObject && json.Unmarshal(trimmed, &answer) == nil && answer.Error != nil {
		failure.code, failure.message = answer.Error.Code, answer.Error.Message
		return failure
	}
	if failed {
		return failure
	}
	return nil
}

// retryAfter reads the header, seconds or a date; 0 when it says nothing useful.
func retryAfter(header string, now time.Time) time.Duration {
	if seconds, err := strconv.ParseInt(header, 10, 32); err == nil {
		return max(0, time.Duration(seconds)*time.Second)
	}
	if at, err := http.ParseTime(header); err == nil {
		return max(0, at.Sub(now))
	}
	return 0
}
