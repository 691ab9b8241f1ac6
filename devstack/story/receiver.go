package story

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"github.com/sluicepay/sluice/devstack/loopback"
)

// hookPath is where the merchant takes callbacks.
const hookPath = "/webhooks"

// callback is one event as the merchant received it, its signature verified.
type callback struct {
	ID   string // the webhook-id; the same event keeps it when it is sent again
	Type string
	Data struct {
		Order   order         `json:"order"`
		Payment *orderPayment `json:"payment"`
	}
	at time.Time // when it arrived
}

// receiver is the merchant's server for callbacks.
type receiver struct {
	server *http.Server
	url    string
	done   chan struct{}
	// changed is signalled after every callback; one waiting signal is enough.
	changed chan struct{}

	mu     sync.Mutex
	verify *standardwebhooks.Webhook
	seen   map[string]bool
	byID   map[string][]callback // per order, in the order of arrival
	failed error                 // the first callback that was not what it should be
}

// listen opens the receiver on a port. It refuses callbacks until trust gives it the secret.
func listen(port int) (*receiver, error) {
	listener, err := net.Listen("tcp", loopback.Addr(port))
	if err != nil {
		return nil, fmt.Errorf("open the merchant's webhook receiver (is another demo playing?): %w", err)
	}
	r := &receiver{
		url:     "http://" + loopback.Addr(port) + hookPath,
		done:    make(chan struct{}),
		changed: make(chan struct{}, 1),
		seen:    make(map[string]bool),
		byID:    make(map[string][]callback),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+hookPath, r.receive)
	r.server = &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		defer close(r.done)
		_ = r.server.Serve(listener)
	}()
	return r, nil
}

func (r *receiver) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if r.server.Shutdown(ctx) != nil {
		_ = r.server.Close()
	}
	<-r.done
}

// trust sets the secret that callbacks are signed with.
func (r *receiver) trust(secret string) error {
	verify, err := standardwebhooks.NewWebhook(secret)
	if err != nil {
		return fmt.Errorf("use the endpoint's secret: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.verify = verify
	return nil
}

func (r *receiver) receive(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(io.LimitReader(request.Body, maxAnswer))
	if err == nil {
		err = r.take(request.Header, body)
	}
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

var errNotYet = errors.New("the merchant does not know its secret yet")

func (r *receiver) take(header http.Header, body []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.verify == nil {
		return errNotYet // a callback of an earlier play; it is sent again
	}
	event := callback{ID: header.Get(standardwebhooks.HeaderWebhookID), at: time.Now()}
	err := r.verify.Verify(body, header)
	if err == nil {
		err = json.Unmarshal(body, &event)
	}
	defer r.signal()
	if err != nil {
		if r.failed == nil {
			r.failed = fmt.Errorf("a callback is not what it should be: %w", err)
		}
		return err
	}
	if !r.seen[event.ID] {
		r.seen[event.ID] = true
		id := event.Data.Order.ID
		r.byID[id] = append(r.byID[id], event)
	}
	return nil
}

func (r *receiver) signal() {
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

// received lists an order's callbacks in the order of arrival, each once. The error is the first callback, of any
// order, that was not properly signed.
func (r *receiver) received(orderID string) ([]callback, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]callback{}, r.byID[orderID]...), r.failed
}
