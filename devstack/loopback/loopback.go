// Package loopback hands out TCP ports on 127.0.0.1 for servers that must be told their port before they start.
package loopback

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// Host is the only address the local stack listens on.
const Host = "127.0.0.1"

// Addr is port on the loopback address.
func Addr(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }

// FreePorts returns n different ports that nothing listens on. All are held at once while they are picked, so they
// never repeat within one call; another process may still take one before it is used, so a server that fails to bind
// asks again.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	for range n {
		listener, err := net.Listen("tcp", Addr(0))
		if err != nil {
			return nil, fmt.Errorf("look for a free port: %w", err)
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, listener.Addr().(*net.TCPAddr).Port)
	}
	return ports, nil
}

// Free tells whether a server could listen on port now.
func Free(port int) bool {
	listener, err := net.Listen("tcp", Addr(port))
	if err != nil {
		return false
	}
	_ = listener.Close()
	return true
}

// InUse tells whether err is a server's complaint that its port was taken in the meantime.
func InUse(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }
