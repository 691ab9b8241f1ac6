package webhook

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/bits"
	"strconv"
	"strings"
	"time"
)

// DefaultSchedule is the retry schedule that Standard Webhooks recommends: the
// wait before each attempt, counted from the end of the one before it.
const DefaultSchedule = "0s,5s,5m,30m,2h,5h,10h,14h,20h,24h"

// MaxRetryAfter bounds how far a reply's Retry-After can push the next attempt.
const MaxRetryAfter = 24 * time.Hour

const (
	maxScheduleSteps = 64
	maxScheduleStep  = 7 * 24 * time.Hour
	jitterPerMille   = 100 // a tenth, to either side
)

// ErrSchedule is wrapped by every error of ParseSchedule.
var ErrSchedule = errors.New("webhook: invalid callback schedule")

// Schedule says when each attempt of a callback is made. The zero value has no
// attempts; make one with [ParseSchedule].
type Schedule struct {
	steps []time.Duration
}

// ParseSchedule reads a comma-separated list of durations, one for each attempt:
// "0s,5s,5m". It takes 1 to 64 steps between zero and seven days. Errors wrap
// ErrSchedule.
func ParseSchedule(text string) (Schedule, error) {
	fields := strings.Split(text, ",")
	if len(fields) > maxScheduleSteps {
		return Schedule{}, fmt.Errorf("%w: more than %d steps", ErrSchedule, maxScheduleSteps)
	}
	steps := make([]time.Duration, 0, len(fields))
	for i, field := range fields {
		step, err := time.ParseDuration(strings.TrimSpace(field))
		if err != nil {
			return Schedule{}, fmt.Errorf("%w: step %d is no duration such as 5m", ErrSchedule, i+1)
		}
		if step < 0 || step > maxScheduleStep {
			return Schedule{}, fmt.Errorf("%w: step %d is not between 0 and %s", ErrSchedule, i+1, maxScheduleStep)
		}
		steps = append(steps, step)
	}
	return Schedule{steps: steps}, nil
}

// UnmarshalText reads a schedule from configuration, as ParseSchedule does.
func (s *Schedule) UnmarshalText(text []byte) error {
	parsed, err := ParseSchedule(string(text))
	if err != nil {
		return err
	}
	*s = parsed
	return nil
}

// MarshalText writes what UnmarshalText reads.
func (s Schedule) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// String returns the steps as a list that ParseSchedule reads.
func (s Schedule) String() string {
	texts := make([]string, 0, len(s.steps))
	for _, step := range s.steps {
		texts = append(texts, step.String())
	}
	return strings.Join(texts, ",")
}

// Attempts returns how many attempts the schedule allows.
func (s Schedule) Attempts() int { return len(s.steps) }

// Delay returns how long to wait before an attempt, counted from 0, with a jitter
// of at most a tenth to either side. The jitter is a function of the callback and
// the attempt alone: asking again gives the same answer, and callbacks that failed
// together do not come back together. An attempt outside the schedule has no
// delay.
func (s Schedule) Delay(callbackID string, attempt int) time.Duration {
	if attempt < 0 || attempt >= len(s.steps) {
		return 0
	}
	step := s.steps[attempt]
	spread := step * jitterPerMille / 1000
	return step - spread + fraction(callbackID, attempt, 2*spread)
}

// Next says what follows after a number of recorded attempts: the wait before the
// next one, or that the schedule is exhausted. A reply's Retry-After (zero when it
// named none, bounded by MaxRetryAfter) can only lengthen the wait; its jitter is
// added, never taken away, so that no attempt comes before the receiver asked for
// it.
func (s Schedule) Next(callbackID string, attemptsRecorded int, retryAfter time.Duration) (delay time.Duration, exhausted bool) {
	if attemptsRecorded >= len(s.steps) {
		return 0, true
	}
	attemptsRecorded = max(attemptsRecorded, 0)
	delay = s.Delay(callbackID, attemptsRecorded)
	if retryAfter > 0 {
		asked := min(retryAfter, MaxRetryAfter)
		asked += fraction(callbackID, attemptsRecorded, asked*jitterPerMille/1000)
		delay = max(delay, asked)
	}
	return delay, false
}

// fraction picks a duration in [0, whole) by a hash of the callback and the
// attempt.
func fraction(callbackID string, attempt int, whole time.Duration) time.Duration {
	if whole <= 0 {
		return 0
	}
	sum := sha256.Sum256([]byte(callbackID + "/" + strconv.Itoa(attempt)))
	drawn, _ := bits.Mul64(binary.BigEndian.Uint64(sum[:8]), uint64(whole))
	return time.Duration(drawn) //nolint:gosec // below whole
}
