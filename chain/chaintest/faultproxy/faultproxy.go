// Package faultproxy stands in front of a node, or any other TCP server, and fails when it is told to.
package faultproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
)

// Mode is how a proxy treats connections.
type Mode int

// The modes.
const (
	// Pass carries everything through.
	Pass Mode = iota
	// Cut resets every connection, those that are open included: the server is gone.
	Cut
	// Stall accepts connections and carries nothing: the server hangs. Connections that were open stay open.
	Stall
)

// Proxy listens on the loopback address. Its methods may be called concurrently.
type Proxy struct {
	target   string
	listener net.Listener

	mu      sync.Mutex
	mode    Mode
	changed chan struct{} // closed when the mode changes
	conns   map[net.Conn]struct{}
	closed  bool
	all     sync.WaitGroup
}

// Start opens a proxy for target, a host:port, on a free port. The caller must Close it.
func Start(target string) (*Proxy, error) {
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("start the proxy: %w", err)
	}
	p := &Proxy{target: target, listener: listener, changed: make(chan struct{}), conns: map[net.Conn]struct{}{}}
	p.all.Go(p.accept)
	return p, nil
}

// Addr is the proxy's host:port.
func (p *Proxy) Addr() string { return p.listener.Addr().String() }

// Set changes the mode.
func (p *Proxy) Set(mode Mode) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.mode = mode
	close(p.changed)
	p.changed = make(chan struct{})
	if mode == Cut {
		p.reset()
	}
}

// Close ends the proxy and every connection, and returns when nothing of it runs.
func (p *Proxy) Close() error {
	p.mu.Lock()
	p.closed = true
	close(p.changed)
	p.changed = make(chan struct{})
	p.reset()
	err := p.listener.Close()
	p.mu.Unlock()
	p.all.Wait()
	return err
}

// reset drops all connections. The caller holds mu.
func (p *Proxy) reset() {
	for conn := range p.conns {
		abort(conn)
	}
}

// abort closes a connection so that the peer sees a reset, not an end.
func abort(conn net.Conn) {
	if tcp, ok := conn.(*net.TCPConn); ok {
		_ = tcp.SetLinger(0)
	}
	_ = conn.Close()
}

// look returns the mode and what is closed when it changes.
func (p *Proxy) look() (mode Mode, changed <-chan struct{}, closed bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.mode, p.changed, p.closed
}

// keep takes a connection into account, or refuses it when there is to be none.
func (p *Proxy) keep(conn net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed || p.mode == Cut {
		abort(conn)
		return false
	}
	p.conns[conn] = struct{}{}
	return true
}

func (p *Proxy) drop(conn net.Conn) {
	p.mu.Lock()
	delete(p.conns, conn)
	p.mu.Unlock()
	_ = conn.Close()
}

func (p *Proxy) accept() {
	for {
		conn, err := p.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		if p.keep(conn) {
			p.all.Go(func() { p.serve(conn) })
		}
	}
}

// serve carries one connection both ways until either end closes it.
func (p *Proxy) serve(near net.Conn) {
	defer p.drop(near)
	far, err := (&net.Dialer{}).DialContext(context.Background(), "tcp", p.target)
	if err != nil {
		return
	}
	if !p.keep(far) {
		return
	}
	defer p.drop(far)
	back := make(chan struct{})
	go func() {
		defer close(back)
		p.carry(near, far)
	}()
	p.carry(far, near)
	<-back
}

// carry copies from one side to the other, holding back what it has while the proxy stalls, and closes both at the end.
func (p *Proxy) carry(to, from net.Conn) {
	defer func() { _, _ = to.Close(), from.Close() }()
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		if n > 0 && !p.write(to, buffer[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *Proxy) write(to io.Writer, data []byte) bool {
	for {
		mode, changed, closed := p.look()
		switch {
		case closed || mode == Cut:
			return false
		case mode == Pass:
			_, err := to.Write(data)
			return err == nil
		}
		<-changed
	}
}
