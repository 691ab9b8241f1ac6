package webhook_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/sluicepay/sluice/webhook"
)

// The default is the schedule of the specification; changing it is a decision about
// every merchant.
func TestDefaultScheduleIsPinned(t *testing.T) {
	t.Parallel()
	want := []time.Duration{
		0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
		5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
	}
	schedule := defaultSchedule(t)
	require.Equal(t, len(want), schedule.Attempts())
	for attempt, step := range want {
		delay, exhausted := schedule.Next("cbk_1", attempt, 0)
		require.False(t, exhausted)
		require.InDelta(t, step, delay, float64(step)/10, "attempt %d", attempt)
	}
	delay, exhausted := schedule.Next("cbk_1", len(want), 0)
	require.True(t, exhausted)
	require.Zero(t, delay)
	require.Equal(t, "0s,5s,5m0s,30m0s,2h0m0s,5h0m0s,10h0m0s,14h0m0s,20h0m0s,24h0m0s", schedule.String())
}

func TestParseSchedule(t *testing.T) {
	t.Parallel()
	for _, text := range []string{"0s", "0s, 50ms ,1s", strings.Repeat("1s,", 63) + "1s", "168h"} {
		schedule, err := webhook.ParseSchedule(text)
		require.NoError(t, err, text)
		again, err := webhook.ParseSchedule(schedule.String())
		require.NoError(t, err, text)
		require.Equal(t, schedule, again)
	}
	for _, text := range []string{"", ",", "0s,", "5", "-1s", "0s,-5s", "169h", "5 minutes", "1d", strings.Repeat("1s,", 64) + "1s"} {
		_, err := webhook.ParseSchedule(text)
		require.ErrorIs(t, err, webhook.ErrSchedule, "text %q", text)
	}
}

func TestScheduleText(t *testing.T) {
	t.Parallel()
	var schedule webhook.Schedule
	require.NoError(t, schedule.UnmarshalText([]byte("0s,1m")))
	require.Equal(t, 2, schedule.Attempts())
	text, err := schedule.MarshalText()
	require.NoError(t, err)
	require.Equal(t, "0s,1m0s", string(text))
	require.ErrorIs(t, schedule.UnmarshalText([]byte("soon")), webhook.ErrSchedule)
	require.Equal(t, 2, schedule.Attempts(), "a failed read leaves the value alone")
}

// A delay is the same whenever it is asked for, stays within a tenth of its step,
// and differs between callbacks.
func TestScheduleJitter(t *testing.T) {
	t.Parallel()
	schedule := defaultSchedule(t)
	rapid.Check(t, func(t *rapid.T) {
		id := rapid.String().Draw(t, "id")
		attempt := rapid.IntRange(0, schedule.Attempts()-1).Draw(t, "attempt")
		delay := schedule.Delay(id, attempt)
		if delay != schedule.Delay(id, attempt) {
			t.Fatal("the delay changed")
		}
		step := []time.Duration{
			0, 5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour,
			5 * time.Hour, 10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour,
		}[attempt]
		if delay < step-step/10 || delay > step+step/10 {
			t.Fatalf("%s is more than a tenth away from %s", delay, step)
		}
	})

	seen := make(map[time.Duration]bool)
	early, late := 0, 0
	for i := range 1000 {
		delay := schedule.Delay(fmt.Sprintf("cbk_%d", i), 3)
		seen[delay] = true
		if delay < 30*time.Minute {
			early++
		} else {
			late++
		}
	}
	require.Greater(t, len(seen), 990)
	require.InDelta(t, early, late, 200, "to both sides alike")
}

// A retried attempt never comes before the receiver asked for it, nor much later
// than the bound allows.
func TestScheduleRetryAfter(t *testing.T) {
	t.Parallel()
	schedule := defaultSchedule(t)
	rapid.Check(t, func(t *rapid.T) {
		asked := time.Duration(rapid.Int64().Draw(t, "asked"))
		recorded := rapid.IntRange(0, schedule.Attempts()-1).Draw(t, "recorded")
		delay, exhausted := schedule.Next("cbk_1", recorded, asked)
		if exhausted {
			t.Fatal("exhausted too early")
		}
		if delay < schedule.Delay("cbk_1", recorded) {
			t.Fatal("Retry-After shortened the wait")
		}
		if delay < min(asked, webhook.MaxRetryAfter) {
			t.Fatal("the attempt comes before the receiver asked for it")
		}
		if delay > webhook.MaxRetryAfter*11/10 {
			t.Fatal("Retry-After lengthened the wait beyond its bound")
		}
	})
}

func TestScheduleOutsideItsSteps(t *testing.T) {
	t.Parallel()
	schedule := defaultSchedule(t)
	require.Zero(t, schedule.Delay("cbk_1", -1))
	require.Zero(t, schedule.Delay("cbk_1", schedule.Attempts()))
	_, exhausted := schedule.Next("cbk_1", -5, 0)
	require.False(t, exhausted)
	_, exhausted = webhook.Schedule{}.Next("cbk_1", 0, time.Hour)
	require.True(t, exhausted, "no schedule, no attempts")
}

func defaultSchedule(t *testing.T) webhook.Schedule {
	t.Helper()
	schedule, err := webhook.ParseSchedule(webhook.DefaultSchedule)
	require.NoError(t, err)
	return schedule
}
