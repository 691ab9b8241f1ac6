package evm

import (
	"errors"
	"net/http"
	"net/url"
	"time"
)

// Options name an endpoint and bound its use. Only URL is required.
type Options struct {
	// URL is the endpoint: http, https, ws or wss. It may hold a key.
	URL string
	// WSURL is a WebSocket endpoint of the same node for new heads; empty uses URL
	// when that is one, and otherwise goes without.
	WSURL string
	// Timeout bounds each JSON-RPC batch. Default 15 s.
	Timeout time.Duration
	// MaxAnswer bounds the bytes of each answer, decompressed. Default 32 MiB.
	MaxAnswer int64
	// MaxBatch is the most calls in one JSON-RPC batch. Default 50.
	MaxBatch int
	// MaxTokens is the most contracts in one eth_getLogs. Default 500; geth and
	// java-tron refuse more than 1,000.
	MaxTokens int
	// IgnoreBloom is for chains whose bloom filters are wrong. All zeros and all ones
	// are ignored anyway.
	IgnoreBloom bool
	// Transport carries HTTP requests; nil takes a copy of http.DefaultTransport.
	Transport http.RoundTripper
	// Reprobe is how long an endpoint is not asked again for an optional part of a
	// block that it refused. Default 10 min.
	Reprobe time.Duration
	// Silence is how long a subscription may stay silent before it is made anew.
	// Default 2 min.
	Silence time.Duration
}

var errURL = errors.New("endpoint must be an absolute http, https, ws or wss URL")

func (o Options) withDefaults() Options {
	if o.Timeout <= 0 {
		o.Timeout = 15 * time.Second
	}
	if o.MaxAnswer <= 0 {
		o.MaxAnswer = 32 << 20
	}
	if o.MaxBatch <= 0 {
		o.MaxBatch = 50
	}
	if o.MaxTokens <= 0 {
		o.MaxTokens = 500
	}
	if o.Reprobe <= 0 {
		o.Reprobe = 10 * time.Minute
	}
	if o.Silence <= 0 {
		o.Silence = 2 * time.Minute
	}
	return o
}

// parseURL returns errURL instead of url.Parse's error, which quotes the URL.
func parseURL(raw string) (*url.URL, error) {
	u, err := url.Parse(raw)
	if err != nil || u.Host == "" {
		return nil, errURL
	}
	switch u.Scheme {
	case "http", "https", "ws", "wss":
		return u, nil
	default:
		return nil, errURL
	}
}

func isWebSocket(u *url.URL) bool { return u.Scheme == "ws" || u.Scheme == "wss" }
