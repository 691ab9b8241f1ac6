package payment_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sluicepay/sluice/payment"
)

func TestWhatIsBelievedOfABlocksTime(t *testing.T) {
	t.Parallel()
	clock := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	bounds := payment.TimeBounds{NotBefore: clock.Add(-time.Minute), NotAfter: clock.Add(payment.ClockSlack)}
	for name, tc := range map[string]struct {
		said    time.Time
		basis   payment.TimeBasis
		bounds  payment.TimeBounds
		want    time.Time
		altered bool
	}{
		"one word within the bounds":      {said: clock, bounds: bounds, want: clock},
		"at the bounds":                   {said: clock.Add(payment.ClockSlack), bounds: bounds, want: clock.Add(payment.ClockSlack)},
		"one word from the future":        {said: clock.Add(48 * time.Hour), bounds: bounds, want: bounds.NotAfter, altered: true},
		"one word before its parent":      {said: clock.Add(-48 * time.Hour), bounds: bounds, want: bounds.NotBefore, altered: true},
		"disputed":                        {said: clock.Add(48 * time.Hour), basis: payment.TimeDisputed, bounds: bounds, want: bounds.NotAfter, altered: true},
		"agreed":                          {said: clock.Add(-48 * time.Hour), basis: payment.TimeAgreed, bounds: bounds, want: clock.Add(-48 * time.Hour)},
		"proven":                          {said: clock.Add(48 * time.Hour), basis: payment.TimeProven, bounds: bounds, want: clock.Add(48 * time.Hour)},
		"a parent that is believed later": {said: clock, bounds: payment.TimeBounds{NotBefore: clock.Add(time.Hour), NotAfter: clock}, want: clock.Add(time.Hour), altered: true},
		"nothing is known":                {said: clock, want: clock},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			believed, altered := payment.BlockRef{Time: tc.said, TimeBasis: tc.basis}.BelievedTime(tc.bounds)
			require.Equal(t, tc.want, believed)
			require.Equal(t, tc.altered, altered)
		})
	}
	require.Equal(t, clock, payment.FirstSeen(clock, clock.Add(time.Hour)), "read after an outage")
	require.Equal(t, clock, payment.FirstSeen(clock.Add(time.Hour), clock), "told to be from the future")
}
