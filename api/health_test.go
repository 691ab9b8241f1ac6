package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/api"
)

func (k *kit) ready(t testing.TB) (int, api.Health) {
	t.Helper()
	r := k.request(t, http.MethodGet, "/readyz", "")
	r.Header.Del("Authorization")
	a := k.do(t, r)
	var health api.Health
	require.NoError(t, json.Unmarshal([]byte(a.body), &health))
	return a.status, health
}

func TestReady(t *testing.T) {
	t.Parallel()
	k := setup(t, func(c *api.Config) { c.SchemaVersion = 1 })
	status, health := k.ready(t)
	require.Equal(t, http.StatusOK, status)
	require.Equal(t, api.Health{Status: "ok", Checks: map[string]api.HealthStatus{
		"database": "ok", "schema": "ok", "temporal": "ok", "workers": "ok",
	}, Chains: map[string]api.ChainHealth{"dev": "ok", "other": "ok"}}, health)
}

func TestNotReady(t *testing.T) {
	t.Parallel()
	longAgo := time.Now().Add(-5 * time.Minute)
	for check, change := range map[string]func(*api.Config){
		"database": func(c *api.Config) { c.Store = deafStore{c.Store} },
		"schema":   func(c *api.Config) { c.SchemaVersion = 1 << 40 },
		"temporal": func(c *api.Config) { c.Temporal.(*fakeTemporal).healthErr = errAway },
		"workers":  func(c *api.Config) { c.Temporal.(*fakeTemporal).lastPoll = &longAgo },
	} {
		t.Run(check, func(t *testing.T) {
			t.Parallel()
			k := setup(t, change)
			status, health := k.ready(t)
			require.Equal(t, http.StatusServiceUnavailable, status)
			require.Equal(t, api.HealthStatusUnavailable, health.Status)
			for name, got := range health.Checks {
				require.Equal(t, name == check, got == api.HealthStatusUnavailable, name)
			}
			require.Equal(t, http.StatusOK, k.get(t, "/healthz").status, "it is alive all the same")
		})
	}
}

// deafStore does not answer within any time.
type deafStore struct{ api.Store }

func (deafStore) Ping(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// However often it is asked, the parts are asked about once a second.
func TestReadinessIsShared(t *testing.T) {
	t.Parallel()
	k := setup(t)
	began := time.Now()
	var all sync.WaitGroup
	for range 100 {
		all.Go(func() { k.ready(t) })
	}
	all.Wait()
	seconds := int(time.Since(began)/time.Second) + 1
	k.temporal.mu.Lock()
	defer k.temporal.mu.Unlock()
	require.LessOrEqual(t, k.temporal.checks, seconds)
}
