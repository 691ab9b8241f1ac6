package webhook_test

import (
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/webhook"
)

// receiver is an HTTP server on loopback that counts its connections.
type receiver struct {
	*httptest.Server
	connections atomic.Int64
}

func newReceiver(t *testing.T, handle http.HandlerFunc) *receiver {
	t.Helper()
	r := &receiver{Server: httptest.NewUnstartedServer(handle)}
	r.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			r.connections.Add(1)
		}
	}
	r.Start()
	t.Cleanup(r.Close)
	return r
}

func (r *receiver) host() string { return strings.TrimPrefix(r.URL, "http://") }

func (r *receiver) port() string { return r.host()[strings.LastIndexByte(r.host(), ':')+1:] }

func (r *receiver) allowed(t *testing.T) webhook.Targets {
	t.Helper()
	return targets(t, r.host())
}

// newRawReceiver listens on loopback, reads a little of each request and lets talk
// write what it likes; the channel closes when the test ends. It returns host:port.
func newRawReceiver(t *testing.T, talk func(net.Conn, <-chan struct{})) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			running.Go(func() {
				defer func() { _ = conn.Close() }()
				_, _ = conn.Read(make([]byte, 4096))
				talk(conn, done)
			})
		}
	})
	t.Cleanup(func() { close(done); _ = listener.Close(); running.Wait() })
	return listener.Addr().String()
}

// drip writes a byte every few milliseconds until the peer or the test has enough.
func drip(conn net.Conn, done <-chan struct{}) {
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			if _, err := conn.Write([]byte(".")); err != nil {
				return
			}
		}
	}
}

func newSender(t *testing.T, cfg webhook.Config) *webhook.Sender {
	t.Helper()
	sender := webhook.NewSender(cfg)
	t.Cleanup(sender.Close)
	return sender
}

// send makes one attempt for a merchant who was granted the targets, if any.
func send(t *testing.T, cfg webhook.Config, url string, granted ...webhook.Targets) webhook.Result {
	t.Helper()
	sender := newSender(t, cfg)
	defer sender.Close() // before the receiver closes, which waits for its connections
	return sendWith(t, sender, url, granted...)
}

func sendWith(t *testing.T, sender *webhook.Sender, url string, granted ...webhook.Targets) webhook.Result {
	t.Helper()
	message := webhook.Message{ID: "evt_1", URL: url, Body: []byte(testBody), Secrets: []webhook.Secret{webhook.NewSecret()}}
	if len(granted) > 0 {
		message.Targets = granted[0]
	}
	result, err := sender.Send(t.Context(), message)
	require.NoError(t, err)
	require.Contains(t, webhook.Outcomes(), result.Outcome)
	return result
}

func targets(t *testing.T, list ...string) webhook.Targets {
	t.Helper()
	parsed, err := webhook.NewTargets(list)
	require.NoError(t, err)
	return parsed
}

func mustAddr(text string) netip.Addr { return netip.MustParseAddr(text) }
