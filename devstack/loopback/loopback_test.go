package loopback_test

import (
	"net"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/devstack/loopback"
)

func TestFreePorts(t *testing.T) {
	t.Parallel()
	ports, err := loopback.FreePorts(50)
	require.NoError(t, err)
	require.Len(t, ports, 50)
	seen := make(map[int]bool)
	for _, port := range ports {
		require.False(t, seen[port])
		require.True(t, loopback.Free(port))
		seen[port] = true
	}
}

func TestTakenPort(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", loopback.Addr(0))
	require.NoError(t, err)
	defer func() { _ = listener.Close() }()
	port := listener.Addr().(*net.TCPAddr).Port //nolint:forcetypeassert // a TCP listener has a TCP address
	require.False(t, loopback.Free(port))
	_, err = net.Listen("tcp", loopback.Addr(port))
	require.True(t, loopback.InUse(err))
}
