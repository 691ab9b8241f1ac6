package faultproxy_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/chain/chaintest/faultproxy"
)

func start(t *testing.T) (*faultproxy.Proxy, func(context.Context) error) {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "answer") }))
	t.Cleanup(server.Close)
	p, err := faultproxy.Start(server.Listener.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Close()) })
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	return p, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+p.Addr(), nil)
		require.NoError(t, err)
		response, err := client.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err == nil {
			require.Equal(t, "answer", string(body))
		}
		return err
	}
}

func TestCutEndsOldAndNewConnections(t *testing.T) {
	t.Parallel()
	p, get := start(t)
	require.NoError(t, get(t.Context()))
	p.Set(faultproxy.Cut)
	for range 3 { // the first of them on the connection that is open already
		require.Error(t, get(t.Context()))
	}
	p.Set(faultproxy.Pass)
	require.NoError(t, get(t.Context()))
}

func TestStallHoldsBackWhatItGoesOnWith(t *testing.T) {
	t.Parallel()
	p, get := start(t)
	require.NoError(t, get(t.Context()))
	p.Set(faultproxy.Stall)
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	require.ErrorIs(t, get(short), context.DeadlineExceeded)
	answered := make(chan error, 1)
	go func() { answered <- get(t.Context()) }()
	select {
	case err := <-answered:
		t.Fatalf("answered while stalled: %v", err)
	case <-time.After(50 * time.Millisecond): //nolint:forbidigo // nothing is to happen meanwhile
	}
	p.Set(faultproxy.Pass)
	require.NoError(t, <-answered)
}

func TestCutEndsWhatIsStalled(t *testing.T) {
	t.Parallel()
	p, get := start(t)
	p.Set(faultproxy.Stall)
	answered := make(chan error, 1)
	go func() { answered <- get(t.Context()) }()
	p.Set(faultproxy.Cut)
	require.Error(t, <-answered)
}
