package evm

import (
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sync"

	"github.com/gorilla/websocket"

	"github.com/sluicepay/sluice/chain"
)

// mostIdle is how many connections are kept for the next requests.
const mostIdle = 4

// overWebSocket carries requests over WebSocket connections, one at a time over each: so an answer is to the request before
// it, and a connection on which anything failed is not used again.
type overWebSocket struct {
	url *url.URL

	mu     sync.Mutex
	idle   []*websocket.Conn
	closed bool
}

func (o *overWebSocket) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.closed = true
	o.drop()
}

// drop closes the idle connections. The caller holds the lock.
func (o *overWebSocket) drop() {
	for _, conn := range o.idle {
		_ = conn.Close() // nobody uses it
	}
	o.idle = nil
}

func (o *overWebSocket) carry(ctx context.Context, body []byte, in *intake) ([]byte, error) {
	if conn := o.take(); conn != nil {
		raw, came, err := o.exchange(ctx, conn, body, in)
		if err == nil || came || ctx.Err() != nil {
			return raw, err
		}
		// It was closed while nobody used it, and the others are likely to have been.
		o.mu.Lock()
		o.drop()
		o.mu.Unlock()
	}
	conn, err := dialWebSocket(ctx, o.url)
	if err != nil {
		return nil, err
	}
	raw, _, err := o.exchange(ctx, conn, body, in)
	return raw, err
}

func (o *overWebSocket) take() *websocket.Conn {
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.idle) == 0 {
		return nil
	}
	conn := o.idle[len(o.idle)-1]
	o.idle = slices.Delete(o.idle, len(o.idle)-1, len(o.idle))
	return conn
}

// exchange sends a request and reads the answer. It tells whether anything came back.
func (o *overWebSocket) exchange(ctx context.Context, conn *websocket.Conn, body []byte, in *intake) (raw []byte, came bool, err error) {
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() }) // ends what waits for it
	defer func() {
		o.mu.Lock()
		defer o.mu.Unlock()
		if stop() && err == nil && !o.closed && len(o.idle) < mostIdle {
			o.idle = append(o.idle, conn)
			return
		}
		_ = conn.Close() // what failed on it is known
	}()
	if err := conn.WriteMessage(websocket.TextMessage, body); err != nil {
		return nil, false, orEnded(ctx, err)
	}
	_, message, err := conn.NextReader()
	if err != nil {
		return nil, false, orEnded(ctx, err)
	}
	raw, err = in.read(ctx, message)
	return raw, true, orEnded(ctx, err)
}

// orEnded is the context's error where that is why another one came.
func orEnded(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return ctx.Err()
	}
	return err
}

// dialWebSocket connects. A status that refuses it is a *nodeError. Messages are read as they come and not unpacked:
// compression is not offered.
func dialWebSocket(ctx context.Context, u *url.URL) (*websocket.Conn, error) {
	header := http.Header{}
	bare := *u
	if u.User != nil {
		bare.User = nil
		password, _ := u.User.Password()
		header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	dialer := websocket.Dialer{Proxy: http.ProxyFromEnvironment}
	conn, response, err := dialer.DialContext(ctx, bare.String(), header)
	switch {
	case ctx.Err() != nil:
		return nil, ctx.Err()
	case err != nil && response != nil:
		defer func() { _ = response.Body.Close() }() // gorilla has read what it keeps of it
		failure := failureOf(response)
		if failure.status == http.StatusSwitchingProtocols { // and then it was no WebSocket after all
			return nil, fmt.Errorf("%w: no WebSocket", chain.ErrMalformed)
		}
		return nil, failure
	case err != nil:
		return nil, err
	}
	return conn, nil
}
