package webhook

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"time"

	"code.dny.dev/ssrf"
)

// azureMetadata is the one metadata service that lives at a public address; the
// others are link-local, shared or unique local and denied with their ranges.
var azureMetadata = netip.MustParsePrefix("168.63.129.16/32")

// newGuard builds the check of addresses: everything outside global unicast is
// denied, and within it every special-purpose range. Which ports are sensible is
// the URL check's affair.
func newGuard() *ssrf.Guardian {
	return ssrf.New(ssrf.WithAnyPort(), ssrf.WithDeniedV4Prefixes(azureMetadata))
}

// forbiddenAddr tells whether the guard would refuse to dial an address.
func forbiddenAddr(addr netip.Addr) bool {
	return newGuard().SafeAddr(addr) != nil
}

// dialError carries the outcome that a failure to connect means.
type dialError struct {
	outcome Outcome
	err     error
}

func (e *dialError) Error() string { return string(e.outcome) }
func (e *dialError) Unwrap() error { return e.err }

// dialer opens the connections of a Sender.
type dialer struct {
	timeout time.Duration
	net     net.Dialer
	tls     *tls.Config
}

// newDialer makes a dialer with the guard, which runs on each address that the
// resolver returned, between the socket's creation and its connect; or one without,
// for what a merchant was granted.
func newDialer(guarded bool, timeout time.Duration, resolver *net.Resolver, roots *x509.CertPool) *dialer {
	base := net.Dialer{Timeout: timeout, Resolver: resolver, ControlContext: counted(nil)}
	if guarded {
		base.ControlContext = counted(newGuard().Safe)
	}
	return &dialer{
		timeout: timeout, net: base,
		tls: &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots, NextProtos: []string{"http/1.1"}},
	}
}

// counted lets a socket connect when check does and the address is not busy.
func counted(check func(network, address string, raw syscall.RawConn) error) func(context.Context, string, string, syscall.RawConn) error {
	return func(ctx context.Context, network, address string, raw syscall.RawConn) error {
		if check != nil {
			if err := check(network, address, raw); err != nil {
				return err
			}
		}
		return claim(ctx, address, false)
	}
}

// dial connects to the host and port of a URL. Errors are *dialError.
func (d *dialer) dial(ctx context.Context, network, address string) (net.Conn, error) {
	conn, err := d.net.DialContext(ctx, network, address)
	if err != nil {
		return nil, &dialError{outcome: dialOutcome(err), err: err}
	}
	return conn, nil
}

// dialTLS connects and shakes hands, with the certificate verified for the URL's
// host. It bounds itself: the transport lets a dial go on after its request was
// given up, in case a later one can use the connection.
func (d *dialer) dialTLS(ctx context.Context, network, address string) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, d.timeout)
	defer cancel()
	raw, err := d.dial(ctx, network, address)
	if err != nil {
		return nil, err
	}
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		_ = raw.Close()
		return nil, &dialError{outcome: OutcomeRefusedTarget, err: err}
	}
	cfg := d.tls.Clone()
	cfg.ServerName = host
	conn := tls.Client(raw, cfg)
	if err := conn.HandshakeContext(ctx); err != nil {
		_ = raw.Close()
		outcome := OutcomeTLSError
		if isTimeout(err) {
			outcome = OutcomeTimeout
		}
		return nil, &dialError{outcome: outcome, err: err}
	}
	return conn, nil
}

// dialOutcome names why a dial failed.
func dialOutcome(err error) Outcome {
	var dns *net.DNSError
	switch {
	case errors.Is(err, ssrf.ErrProhibitedIP), errors.Is(err, ssrf.ErrProhibitedNetwork), errors.Is(err, ssrf.ErrInvalidHostPort):
		return OutcomeRefusedTarget
	case isTimeout(err):
		return OutcomeTimeout
	case errors.As(err, &dns):
		return OutcomeDNSError
	default:
		return OutcomeConnectionError
	}
}

func isTimeout(err error) bool {
	var timeout net.Error
	return errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout()
}
