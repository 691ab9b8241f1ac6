package evm

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// nodeError is an error that the node spelled out. Its text is a stranger's: it is
// scrubbed before anybody sees it.
type nodeError struct {
	code    int
	message string
	status  int // HTTP status, 0 when it was 2xx or there was none
	after   time.Duration
}

func (e *nodeError) Error() string { return e.message }

// mostOfFailure bounds what is read of the body of a failed status.
const mostOfFailure = 64 << 10

// overHTTP carries requests by POST.
type overHTTP struct {
	url    string
	client *http.Client
}

func newOverHTTP(u *url.URL, next http.RoundTripper) *overHTTP {
	if next == nil {
		next = http.DefaultTransport
		if standard, ok := next.(*http.Transport); ok {
			next = standard.Clone()
		}
	}
	return &overHTTP{url: u.String(), client: &http.Client{
		Transport: next,
		// A redirect would carry the request, and a key in its path, elsewhere.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}}
}

func (h *overHTTP) close() { h.client.CloseIdleConnections() }

func (h *overHTTP) carry(ctx context.Context, body []byte, in *intake) ([]byte, error) {
	asked, err := http.NewRequestWithContext(ctx, http.MethodPost, h.url, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	asked.Header.Set("Content-Type", "application/json")
	asked.Header.Set("Accept", "application/json")
	response, err := h.client.Do(asked)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }() // read to the end or given up: nothing to learn from it
	if response.StatusCode < 200 || response.StatusCode > 299 {
		return nil, failureOf(response)
	}
	return in.read(ctx, response.Body)
}

// failureOf reads a failed status, with the first error that its body holds, if any.
func failureOf(response *http.Response) *nodeError {
	failure := &nodeError{}
	body, _ := io.ReadAll(io.LimitReader(response.Body, mostOfFailure)) // the status says enough
	answers, _ := parse(body)
	for i := range answers {
		if found := answers[i].failure(); found != nil {
			failure = found
			break
		}
	}
	failure.status, failure.after = response.StatusCode, retryAfter(response.Header.Get("Retry-After"), time.Now())
	return failure
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
