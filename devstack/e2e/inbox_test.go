package e2e_test

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
	"github.com/stretchr/testify/require"
)

// delivery is one request that reached a receiver.
type delivery struct {
	ID   string // webhook-id
	Type string
	Data struct {
		Order   order
		Payment *paymentView
	}
	// answered is the status that the receiver gave.
	answered int
}

// inbox is a merchant's receiver. It verifies every request with the official library and keeps all of them, also those
// that it answered with an error.
type inbox struct {
	url string
	// answer decides the status of the n-th request of an event, from 1. It may block, until ctx ends with the request.
	answer func(d delivery, n int, done <-chan struct{}) int

	mu      sync.Mutex
	verify  *standardwebhooks.Webhook
	got     []delivery
	under   int // requests that are being answered
	wrong   []string
	changed chan struct{} // closed and replaced at every change
}

// newInbox serves on one of the world's receivers until the test ends.
func (w *world) newInbox(t *testing.T) *inbox {
	t.Helper()
	in := &inbox{
		changed: make(chan struct{}),
		answer:  func(delivery, int, <-chan struct{}) int { return http.StatusNoContent },
	}
	var listener net.Listener
	select {
	case listener = <-w.receivers:
	default:
		t.Fatal("the world has no receiver left: raise maxReceivers")
	}
	in.url = "http://" + listener.Addr().String() + "/hooks"
	server := &http.Server{Handler: in, ReadHeaderTimeout: 10 * time.Second}
	var served sync.WaitGroup
	served.Go(func() { _ = server.Serve(listener) })
	t.Cleanup(func() {
		_ = server.Close()
		served.Wait()
	})
	return in
}

// trust sets the secret that requests are signed with.
func (in *inbox) trust(t *testing.T, secret string) {
	t.Helper()
	verify, err := standardwebhooks.NewWebhook(secret)
	require.NoError(t, err)
	in.mu.Lock()
	defer in.mu.Unlock()
	in.verify = verify
}

// ServeHTTP takes one request.
func (in *inbox) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	d := delivery{ID: r.Header.Get(standardwebhooks.HeaderWebhookID)}
	if err == nil {
		err = in.check(r, body)
	}
	if err == nil {
		err = json.Unmarshal(body, &d)
	}
	if err != nil {
		in.change(func() { in.wrong = append(in.wrong, err.Error()) })
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var n int
	in.change(func() { in.under, n = in.under+1, in.count(d.ID)+1 })
	d.answered = in.answer(d, n, r.Context().Done())
	in.change(func() { in.under, in.got = in.under-1, append(in.got, d) })
	w.WriteHeader(d.answered)
}

func (in *inbox) check(r *http.Request, body []byte) error {
	in.mu.Lock()
	verify := in.verify
	in.mu.Unlock()
	return verify.Verify(body, r.Header)
}

func (in *inbox) change(do func()) {
	in.mu.Lock()
	defer in.mu.Unlock()
	do()
	close(in.changed)
	in.changed = make(chan struct{})
}

// count is how often an event was received. The caller holds mu.
func (in *inbox) count(id string) int {
	n := 0
	for _, d := range in.got {
		if d.ID == id {
			n++
		}
	}
	return n
}

// of lists an order's requests in the order of their answers, with a channel that is closed at the next change.
func (in *inbox) of(orderID string) (all []delivery, next <-chan struct{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, d := range in.got {
		if d.Data.Order.ID == orderID {
			all = append(all, d)
		}
	}
	return all, in.changed
}

// accepted lists the types of an order's events that were taken, in order.
func (in *inbox) accepted(orderID string) (types []string, next <-chan struct{}) {
	all, next := in.of(orderID)
	types = []string{}
	for _, d := range all {
		if d.answered/100 == 2 {
			types = append(types, d.Type)
		}
	}
	return types, next
}

// unanswered is how many requests wait for their answer, with a channel that is closed at the next change.
func (in *inbox) unanswered() (n int, next <-chan struct{}) {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.under, in.changed
}

// requireClean checks that nothing came that was not signed as it should be.
func (in *inbox) requireClean(t *testing.T) {
	t.Helper()
	in.mu.Lock()
	defer in.mu.Unlock()
	require.Empty(t, in.wrong)
}
