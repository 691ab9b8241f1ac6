// Package loopback hands out TCP ports on 127.0.0.1 for servers that must be told their port before they start.
package loopback

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"syscall"
)

// Host is the only address the local stack listens on.
const Host = "127.0.0.1"

// Ports are looked for below the range from which systems take the local ends of outgoing connections (32768 and above
// on Linux): a port from up there would be lost as soon as it is free for a moment.
const (
	lowest  = 10000
	highest = 32767
)

// Addr is port on the loopback address.
func Addr(port int) string { return net.JoinHostPort(Host, strconv.Itoa(port)) }

// FreePorts returns n different ports that nothing listens on. All are held at once while they are picked, so they
// never repeat within one call; another process may still take one before it is used, so a server that fails to bind
// asks again.
func FreePorts(n int) ([]int, error) {
	ports := make([]int, 0, n)
	first := rand.IntN(highest - lowest + 1) // so that parallel tests do not look at the same ports
	for i := range highest - lowest + 1 {
		if len(ports) == n {
			return ports, nil
		}
		port := lowest + (first+i)%(highest-lowest+1)
		listener, err := net.Listen("tcp", Addr(port))
		if err != nil {
			continue
		}
		defer func() { _ = listener.Close() }()
		ports = append(ports, port)
	}
	return nil, fmt.Errorf("no %d free ports from %d to %d", n, lowest, highest)
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
