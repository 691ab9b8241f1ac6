package webhook_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/x509"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/internal/await"
	"github.com/sluicepay/sluice/webhook"
)

const testBody = `{"type":"order.paid","timestamp":"2026-01-02T03:04:05Z","data":{}}`

// What arrives is exactly what was asked for, and the official library verifies it.
func TestSendDelivers(t *testing.T) {
	t.Parallel()
	type arrived struct {
		method, path, query string
		header              http.Header
		body                []byte
	}
	got := make(chan arrived, 1)
	receiver := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got <- arrived{r.Method, r.URL.Path, r.URL.RawQuery, r.Header, body}
		w.WriteHeader(http.StatusNoContent)
	})
	older, newer := webhook.NewSecret(), webhook.NewSecret()
	sender := newSender(t, webhook.Config{})
	result, err := sender.Send(t.Context(), webhook.Message{
		ID: "evt_1", URL: receiver.URL + "/hooks/a?b=c", Body: []byte(testBody), Secrets: []webhook.Secret{older, newer}, Targets: receiver.allowed(t),
	})
	require.NoError(t, err)
	require.Equal(t, webhook.OutcomeDelivered, result.Outcome)
	require.Equal(t, http.StatusNoContent, result.Status)
	require.Positive(t, result.Latency)
	require.Empty(t, result.Excerpt)

	request := <-got
	require.Equal(t, http.MethodPost, request.method)
	require.Equal(t, "/hooks/a", request.path)
	require.Equal(t, "b=c", request.query)
	require.Equal(t, testBody, string(request.body))
	require.Equal(t, "application/json", request.header.Get("Content-Type"))
	require.Equal(t, "Sluice-Webhook/1", request.header.Get("User-Agent"))
	require.Equal(t, "evt_1", request.header.Get("webhook-id"))
	require.Empty(t, request.header.Get("Accept-Encoding"), "a compressed reply would only be thrown away")
	require.NoError(t, verifier(t, older).Verify(request.body, request.header))
	require.NoError(t, verifier(t, newer).Verify(request.body, request.header))
}

func TestSendByStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status     int
		retryAfter string
		outcome    webhook.Outcome
		verdict    webhook.Verdict
		wait       time.Duration
	}{
		{200, "60", webhook.OutcomeDelivered, webhook.VerdictSettled, 0},
		{201, "", webhook.OutcomeDelivered, webhook.VerdictSettled, 0},
		{299, "", webhook.OutcomeDelivered, webhook.VerdictSettled, 0},
		{300, "", webhook.OutcomeRedirect, webhook.VerdictRetry, 0},
		{304, "", webhook.OutcomeRedirect, webhook.VerdictRetry, 0},
		{400, "", webhook.OutcomeRetry, webhook.VerdictRetry, 0},
		{404, "", webhook.OutcomeRetry, webhook.VerdictRetry, 0},
		{410, "60", webhook.OutcomeGone, webhook.VerdictDisable, 0},
		{429, "120", webhook.OutcomeRetry, webhook.VerdictRetry, 2 * time.Minute},
		{500, "", webhook.OutcomeRetry, webhook.VerdictRetry, 0},
		{503, "never", webhook.OutcomeRetry, webhook.VerdictRetry, 0},
		{503, "99999999999999999999999", webhook.OutcomeRetry, webhook.VerdictRetry, webhook.MaxRetryAfter},
		{599, "1", webhook.OutcomeRetry, webhook.VerdictRetry, time.Second},
	}
	for _, tt := range tests {
		receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
			if tt.retryAfter != "" {
				w.Header().Set("Retry-After", tt.retryAfter)
			}
			w.WriteHeader(tt.status)
			_, _ = io.WriteString(w, "said so")
		})
		result := send(t, webhook.Config{}, receiver.URL, receiver.allowed(t))
		require.Equal(t, tt.outcome, result.Outcome, "status %d", tt.status)
		require.Equal(t, tt.verdict, result.Outcome.Verdict(), "status %d", tt.status)
		require.Equal(t, tt.status, result.Status)
		require.Equal(t, tt.wait, result.RetryAfter, "status %d", tt.status)
		if tt.status != http.StatusNotModified { // which has no body
			require.Equal(t, "said so", result.Excerpt, "status %d", tt.status)
		}
	}
}

func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	elsewhere := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for _, status := range []int{301, 302, 303, 307, 308} {
		receiver := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL, status)
		})
		result := send(t, webhook.Config{}, receiver.URL, targets(t, receiver.host(), elsewhere.host()))
		require.Equal(t, webhook.OutcomeRedirect, result.Outcome)
		require.Equal(t, status, result.Status)
	}
	require.Zero(t, elsewhere.connections.Load())
}

// A receiver that never finishes its header costs the timeout and no more.
func TestSlowHeaderTimesOut(t *testing.T) {
	t.Parallel()
	for name, talk := range map[string]func(net.Conn, <-chan struct{}){
		"silent": func(_ net.Conn, done <-chan struct{}) { <-done },
		"dripping": func(c net.Conn, done <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Slow: ")
			drip(c, done)
		},
		"provisional for ever": func(c net.Conn, done <-chan struct{}) {
			_, _ = io.WriteString(c, "HTTP/1.1 102 Processing\r\n\r\n")
			<-done
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newRawReceiver(t, talk)
			start := time.Now()
			result := send(t, webhook.Config{Timeout: 200 * time.Millisecond}, "http://"+receiver+"/", targets(t, receiver))
			require.Equal(t, webhook.OutcomeTimeout, result.Outcome)
			require.Zero(t, result.Status)
			require.GreaterOrEqual(t, result.Latency, 200*time.Millisecond)
			require.Less(t, time.Since(start), await.Broken)
		})
	}
}

func TestSlowHandshakeTimesOut(t *testing.T) {
	t.Parallel()
	receiver := newRawReceiver(t, func(_ net.Conn, done <-chan struct{}) { <-done })
	result := send(t, webhook.Config{Timeout: 200 * time.Millisecond}, "https://"+receiver+"/", targets(t, receiver))
	require.Equal(t, webhook.OutcomeTimeout, result.Outcome)
}

// The status decides. A body that drips for ever is cut off and what came is kept.
func TestSlowBodyIsCutOff(t *testing.T) {
	t.Parallel()
	receiver := newRawReceiver(t, func(c net.Conn, done <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 500 Oops\r\nContent-Length: 1000000\r\n\r\nbegun")
		drip(c, done)
	})
	start := time.Now()
	result := send(t, webhook.Config{Timeout: 300 * time.Millisecond}, "http://"+receiver+"/", targets(t, receiver))
	require.Equal(t, webhook.OutcomeRetry, result.Outcome)
	require.Equal(t, 500, result.Status)
	require.True(t, strings.HasPrefix(result.Excerpt, "begun"), result.Excerpt)
	require.Less(t, time.Since(start), await.Broken)
}

// A reply without end is read to its bound, whatever the timeout allows.
func TestHugeReplyIsBounded(t *testing.T) {
	t.Parallel()
	var written atomic.Int64
	ended := make(chan struct{})
	receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		defer close(ended)
		chunk := bytes.Repeat([]byte("x"), 64<<10)
		for {
			n, err := w.Write(chunk)
			written.Add(int64(n))
			if err != nil {
				return
			}
		}
	})
	result := send(t, webhook.Config{}, receiver.URL, receiver.allowed(t))
	require.Equal(t, webhook.OutcomeDelivered, result.Outcome)
	require.Equal(t, strings.Repeat("x", webhook.MaxExcerpt), result.Excerpt)
	<-ended // the connection was closed, not drained
	require.Less(t, written.Load(), int64(64<<20))
}

func TestHugeHeaderIsRefused(t *testing.T) {
	t.Parallel()
	receiver := newRawReceiver(t, func(c net.Conn, _ <-chan struct{}) {
		_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nX-Huge: "+strings.Repeat("x", 1<<20)+"\r\n\r\n")
	})
	result := send(t, webhook.Config{}, "http://"+receiver+"/", targets(t, receiver))
	require.Equal(t, webhook.OutcomeBadReply, result.Outcome)
}

// A compressed reply stays compressed, so a small one cannot become a large one.
func TestCompressedReplyIsNotExpanded(t *testing.T) {
	t.Parallel()
	var bomb bytes.Buffer
	z := gzip.NewWriter(&bomb)
	_, _ = z.Write(bytes.Repeat([]byte("bomb"), 4<<20))
	require.NoError(t, z.Close())
	receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		_, _ = w.Write(bomb.Bytes())
	})
	result := send(t, webhook.Config{}, receiver.URL, receiver.allowed(t))
	require.Equal(t, webhook.OutcomeDelivered, result.Outcome)
	require.LessOrEqual(t, len(result.Excerpt), webhook.MaxExcerpt)
	require.NotContains(t, result.Excerpt, "bombbomb")
}

func TestBrokenReplies(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		reply string
		want  webhook.Outcome
	}{
		"closed without a word": {"", webhook.OutcomeConnectionError},
		"another protocol":      {"220 smtp.example.com ESMTP\r\n", webhook.OutcomeBadReply},
		"ends in the header":    {"HTTP/1.1 200 OK\r\nContent-Le", webhook.OutcomeBadReply},
		"switching protocols":   {"HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\nhello", webhook.OutcomeRetry},
		"shorter than declared": {"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nshort", webhook.OutcomeDelivered},
		"smuggled length":       {"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", webhook.OutcomeBadReply},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			receiver := newRawReceiver(t, func(c net.Conn, _ <-chan struct{}) { _, _ = io.WriteString(c, tt.reply) })
			result := send(t, webhook.Config{}, "http://"+receiver+"/", targets(t, receiver))
			require.Equal(t, tt.want, result.Outcome)
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	address := listener.Addr().String()
	require.NoError(t, listener.Close())
	result := send(t, webhook.Config{}, "http://"+address+"/", targets(t, address))
	require.Equal(t, webhook.OutcomeConnectionError, result.Outcome)
}

func TestTLSIsVerified(t *testing.T) {
	t.Parallel()
	var requests atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { requests.Add(1) }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	host := strings.TrimPrefix(server.URL, "https://")
	_, port, err := net.SplitHostPort(host)
	require.NoError(t, err)
	roots := x509.NewCertPool()
	roots.AddCert(server.Certificate())

	require.Equal(t, webhook.OutcomeTLSError, send(t, webhook.Config{}, server.URL, targets(t, host)).Outcome,
		"a certificate of an unknown authority")
	resolver := newResolver(t, mustAddr("127.0.0.1"))
	other := "shop.example.org:" + port
	require.Equal(t, webhook.OutcomeTLSError,
		send(t, webhook.Config{RootCAs: roots, Resolver: resolver.client}, "https://"+other+"/", targets(t, other)).Outcome,
		"a certificate for another name")
	require.Zero(t, requests.Load())

	own := "example.com:" + port // httptest's certificate names it
	for _, hostport := range []string{host, own} {
		result := send(t, webhook.Config{RootCAs: roots, Resolver: resolver.client}, "https://"+hostport+"/", targets(t, hostport))
		require.Equal(t, webhook.OutcomeDelivered, result.Outcome, hostport)
	}

	plain := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	require.Equal(t, webhook.OutcomeTLSError, send(t, webhook.Config{}, "https://"+plain.host()+"/", plain.allowed(t)).Outcome,
		"no TLS at all")
}

// One attempt after the other uses one connection; a burst leaves a bounded number.
func TestConnectionsAreReused(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, strings.Repeat("a reply longer than the excerpt ", 100))
	})
	sender := newSender(t, webhook.Config{})
	for range 20 {
		require.Equal(t, webhook.OutcomeDelivered, sendWith(t, sender, receiver.URL, receiver.allowed(t)).Outcome)
	}
	require.EqualValues(t, 1, receiver.connections.Load())
}

// The environment's proxies could reach what the guard denies, so they are not asked.
func TestEnvironmentProxyIsIgnored(t *testing.T) {
	proxy := newReceiver(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusOK) })
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy", "ALL_PROXY"} {
		t.Setenv(name, proxy.URL)
	}
	resolver := newResolver(t, mustAddr("10.0.0.1"))
	for _, scheme := range []string{"http", "https"} {
		result := send(t, webhook.Config{Resolver: resolver.client}, scheme+"://shop.example.com/")
		require.Equal(t, webhook.OutcomeRefusedTarget, result.Outcome)
	}
	require.Zero(t, proxy.connections.Load())
}

// An attempt that the caller cut short is no attempt, and its error says nothing about
// the target.
func TestInterruptedIsNoAttempt(t *testing.T) {
	t.Parallel()
	arrived := make(chan struct{})
	receiver := newRawReceiver(t, func(_ net.Conn, done <-chan struct{}) { close(arrived); <-done })
	ctx, cancel := context.WithCancel(t.Context())
	go func() { <-arrived; cancel() }()
	sender := newSender(t, webhook.Config{})
	message := webhook.Message{
		ID: "evt_1", URL: "http://" + receiver + "/canary", Body: []byte(testBody), Secrets: []webhook.Secret{webhook.NewSecret()},
		Targets: targets(t, receiver),
	}
	_, err := sender.Send(ctx, message)
	require.ErrorIs(t, err, webhook.ErrInterrupted)
	require.ErrorIs(t, err, context.Canceled)
	require.NotContains(t, err.Error(), receiver)
	require.NotContains(t, err.Error(), "canary")

	_, err = sender.Send(ctx, message) // already over
	require.ErrorIs(t, err, webhook.ErrInterrupted)
}

func TestSendRefusesUnsignedMessages(t *testing.T) {
	t.Parallel()
	receiver := newReceiver(t, func(http.ResponseWriter, *http.Request) {})
	sender := newSender(t, webhook.Config{})
	_, err := sender.Send(t.Context(), webhook.Message{ID: "evt_1", URL: receiver.URL, Targets: receiver.allowed(t)})
	require.ErrorIs(t, err, webhook.ErrNoSecrets)
	_, err = sender.Send(t.Context(), webhook.Message{URL: receiver.URL, Secrets: []webhook.Secret{webhook.NewSecret()}, Targets: receiver.allowed(t)})
	require.ErrorIs(t, err, webhook.ErrMessageID)
	require.Zero(t, receiver.connections.Load())
}

// The timestamp that is signed is the attempt's, by the sender's clock.
func TestSendUsesItsClock(t *testing.T) {
	t.Parallel()
	stamps := make(chan string, 1)
	receiver := newReceiver(t, func(w http.ResponseWriter, r *http.Request) {
		stamps <- r.Header.Get("webhook-timestamp")
		w.Header().Set("Retry-After", "Fri, 02 Jan 2026 03:05:05 GMT")
		w.WriteHeader(http.StatusServiceUnavailable)
	})
	at := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	result := send(t, webhook.Config{Now: func() time.Time { return at }}, receiver.URL, receiver.allowed(t))
	require.Equal(t, "1767323045", <-stamps)
	require.Equal(t, time.Minute, result.RetryAfter)
}
