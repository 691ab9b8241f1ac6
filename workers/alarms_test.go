package workers

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/store"
)

func TestAlarmsAreGaugesAndAreToldOnce(t *testing.T) {
	t.Parallel()
	registry := prometheus.NewRegistry()
	metrics, err := NewMetrics(registry)
	require.NoError(t, err)
	var log bytes.Buffer
	state := store.ChainAlarms{Name: "dev"}
	var failing error
	a := &alarms{
		list:    func(context.Context) ([]store.ChainAlarms, error) { return []store.ChainAlarms{state}, failing },
		metrics: metrics, log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	gauge := func(name string) (value int) {
		families, err := registry.Gather()
		require.NoError(t, err)
		for _, family := range families {
			if family.GetName() == "sluice_chain_"+name {
				return int(family.GetMetric()[0].GetGauge().GetValue())
			}
		}
		require.Fail(t, "there is no gauge", name)
		return 0
	}
	a.round(t.Context())
	require.Empty(t, log.String())
	require.Zero(t, gauge("halted"))

	state = store.ChainAlarms{Name: "dev", Halted: true, Quarantined: 2, QuarantinedFor: time.Hour, Rescans: 3, SecondLookFound: 4, Explained: 5, Untraced: 7, TracesGivenUp: 6, Refuted: 8, RefutedCredits: 9, Overdrawn: 10, TimesHeld: 11}
	a.round(t.Context())
	a.round(t.Context())
	require.Equal(t, 1, gauge("halted"))
	require.Equal(t, 2, gauge("quarantined_blocks"))
	require.Equal(t, 3600, gauge("quarantine_age_seconds"))
	require.Equal(t, 3, gauge("open_rescans"))
	require.Equal(t, 4, gauge("second_look_found"))
	require.Equal(t, 5, gauge("balance_findings_explained"))
	require.Equal(t, 7, gauge("untraced_blocks"))
	require.Equal(t, 6, gauge("traces_given_up_blocks"))
	require.Equal(t, 1, strings.Count(log.String(), "no node traced some blocks"))
	require.Equal(t, 8, gauge("refuted"))
	require.Equal(t, 9, gauge("refuted_credits"))
	require.Equal(t, 10, gauge("overdrawn_settlements"))
	require.Equal(t, 11, gauge("block_times_held"))
	require.Equal(t, 1, strings.Count(log.String(), "chain is halted"))
	require.Equal(t, 1, strings.Count(log.String(), "blocks are quarantined"))

	failing = errors.New("the database is away")
	a.round(t.Context())
	require.Contains(t, log.String(), "alarms cannot be read")
	state.Halted, failing = false, nil
	a.round(t.Context())
	require.Zero(t, gauge("halted"))
}
