package webhook

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptrace"
	"net/url"
	"sync/atomic"
	"time"
)

// DefaultTimeout bounds one attempt: Standard Webhooks recommends 15 to 30
// seconds.
const DefaultTimeout = 15 * time.Second

// Bounds that no receiver can move.
const (
	excerptTimeout  = 2 * time.Second // how long a reply's body may hold up the attempt
	maxDrain        = 16 << 10        // read and dropped after the excerpt, to use the connection again
	maxReplyHeader  = 16 << 10
	maxIdleConns    = 256
	maxIdlePerHost  = 4
	idleConnTimeout = 30 * time.Second
	userAgent       = "Sluice-Webhook/1"
)

// ErrInterrupted is wrapped by the error of an attempt that ended because the
// caller's context did. Whether the merchant received it is unknown.
var ErrInterrupted = errors.New("webhook: attempt interrupted")

// Config configures a Sender. The zero value sends to the public Internet with
// DefaultTimeout.
type Config struct {
	// Timeout bounds one attempt from name resolution to the reply's header; zero
	// means DefaultTimeout.
	Timeout time.Duration
	// RootCAs verify receivers' certificates; nil means the system's.
	RootCAs *x509.CertPool
	// Resolver resolves names; nil means the system's.
	Resolver *net.Resolver
	// Now is the clock that signatures and Retry-After dates go by; nil means
	// time.Now.
	Now func() time.Time
}

// Message is one callback to deliver. Printed or logged, it shows its id only.
type Message struct {
	// ID becomes the webhook-id; it is the same for all attempts.
	ID string
	// Account is whose message it is: what one account has in flight takes no other's place.
	Account string
	// URL is the merchant's address as it was stored.
	URL string
	// Body is the JSON document that is signed and sent, byte for byte.
	Body []byte
	// Secrets sign the message: one, or two while a rotation lasts.
	Secrets []Secret
	// Targets are excepted from the guard, for this message's merchant.
	Targets Targets
}

// Format prints the id.
func (m Message) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, "callback "+m.ID) }

// LogValue logs the id.
func (m Message) LogValue() slog.Value { return slog.GroupValue(slog.String("id", m.ID)) }

// Sender makes attempts. It is safe for concurrent use; one is enough for a
// process. Close it to drop its idle connections.
type Sender struct {
	timeout time.Duration
	now     func() time.Time
	// Two pools of connections: what one merchant was granted is never used for
	// another, whose URL may name the same host.
	guarded, granted *http.Transport
	inflight         inflight
}

// NewSender makes a sender.
func NewSender(cfg Config) *Sender {
	if cfg.Timeout <= 0 {
		cfg.Timeout = DefaultTimeout
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Sender{timeout: cfg.Timeout, now: cfg.Now, guarded: newTransport(cfg, true), granted: newTransport(cfg, false)}
}

func newTransport(cfg Config, guarded bool) *http.Transport {
	d := newDialer(guarded, cfg.Timeout, cfg.Resolver, cfg.RootCAs)
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	return &http.Transport{
		Proxy:                  nil, // a proxy would resolve and dial where the guard cannot look
		DialContext:            d.dial,
		DialTLSContext:         d.dialTLS,
		DisableCompression:     true, // nothing is ever expanded
		MaxResponseHeaderBytes: maxReplyHeader,
		MaxIdleConns:           maxIdleConns,
		MaxIdleConnsPerHost:    maxIdlePerHost,
		IdleConnTimeout:        idleConnTimeout,
		Protocols:              protocols,
	}
}

// Close drops the idle connections. Attempts in flight go on.
func (s *Sender) Close() {
	s.guarded.CloseIdleConnections()
	s.granted.CloseIdleConnections()
}

// Send makes one attempt to deliver a message and says how it ended. It never
// returns an error for what the receiver or the network did.
//
// The errors are ErrInterrupted, when ctx ended before the attempt did, ErrBusy, and those
// of [NewSigner] and [Signer.Sign], when the message cannot be signed. In all of
// them there is no attempt to record.
func (s *Sender) Send(ctx context.Context, m Message) (Result, error) {
	signer, err := NewSigner(m.Secrets...)
	if err != nil {
		return Result{}, err
	}
	header, err := signer.Sign(m.ID, s.now(), m.Body)
	if err != nil {
		return Result{}, err
	}
	if err := ctx.Err(); err != nil {
		return Result{}, interrupted(ctx)
	}
	target, err := m.Targets.parseURL(m.URL)
	if err != nil {
		// It was stored under other rules, or written to the database by hand.
		return Result{Outcome: OutcomeRefusedTarget}, nil //nolint:nilerr // an outcome, not a failure to try
	}
	header.Set("Content-Type", "application/json")
	header.Set("User-Agent", userAgent)
	return s.attempt(ctx, target, header, m)
}

// attempt sends the request and reads what is kept of the reply. It calls the
// transport itself: an http.Client would follow redirects, keep cookies and put
// the URL into its errors.
func (s *Sender) attempt(ctx context.Context, target *url.URL, header http.Header, m Message) (Result, error) {
	attemptCtx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	attemptCtx, holding := s.inflight.begin(attemptCtx, m.Account)
	defer holding.end()
	var replied atomic.Bool
	traced := httptrace.WithClientTrace(attemptCtx, &httptrace.ClientTrace{
		GotConn:              func(got httptrace.GotConnInfo) { _ = claim(attemptCtx, got.Conn.RemoteAddr().String(), true) },
		GotFirstResponseByte: func() { replied.Store(true) },
	})
	req := (&http.Request{
		Method: http.MethodPost, URL: target, Host: target.Host, Header: header,
		Body: io.NopCloser(bytes.NewReader(m.Body)), ContentLength: int64(len(m.Body)),
		GetBody: func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(m.Body)), nil },
	}).WithContext(traced)

	start := time.Now()
	reply, err := s.transport(target, m.Targets).RoundTrip(req) //nolint:bodyclose // readReply closes it, see below
	result := Result{Latency: time.Since(start)}
	if err != nil {
		if ctx.Err() != nil {
			return Result{}, interrupted(ctx)
		}
		if errors.Is(err, ErrBusy) {
			return Result{}, ErrBusy
		}
		result.Outcome = failure(err, attemptCtx.Err() != nil, replied.Load())
		return result, nil
	}
	result.Status = reply.StatusCode
	result.Outcome = outcomeOfStatus(reply.StatusCode)
	if result.Outcome.Verdict() == VerdictRetry {
		result.RetryAfter = ParseRetryAfter(reply.Header.Get("Retry-After"), s.now())
	}
	if head := readHead(reply, cancel); len(head) > 0 {
		result.Excerpt = excerpt(head, secretsOf(target, reply, m.Secrets))
	}
	return result, nil
}

// transport is the pool of connections that a target is reached through.
func (s *Sender) transport(target *url.URL, targets Targets) *http.Transport {
	if host, port, err := hostPort(target); err == nil && targets.allows(host, port) {
		return s.granted
	}
	return s.guarded
}

// readHead reads the beginning of a reply's body, enough for the excerpt and what it is
// cleaned of, and closes it. A receiver that is slow with it is cut off, and what had
// come by then is kept.
func readHead(reply *http.Response, cancel context.CancelFunc) []byte {
	defer func() { _ = reply.Body.Close() }()
	if reply.StatusCode == http.StatusSwitchingProtocols {
		return nil // the body is the raw connection and has no end
	}
	defer time.AfterFunc(excerptTimeout, cancel).Stop()
	head, err := io.ReadAll(io.LimitReader(reply.Body, MaxExcerpt+MaxURL))
	if err == nil {
		_, _ = io.CopyN(io.Discard, reply.Body, maxDrain)
	}
	return head
}

// failure names why no reply came. The attempt's own deadline comes first: what it
// interrupts fails in many ways.
func failure(err error, timedOut, replied bool) Outcome {
	var dial *dialError
	switch {
	case timedOut || isTimeout(err):
		return OutcomeTimeout
	case errors.As(err, &dial):
		return dial.outcome
	case replied:
		return OutcomeBadReply
	default:
		return OutcomeConnectionError
	}
}

func interrupted(ctx context.Context) error {
	return fmt.Errorf("%w: %w", ErrInterrupted, ctx.Err())
}
