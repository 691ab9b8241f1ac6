package payment

import "time"

// TimeBasis says what a block's time rests on.
type TimeBasis string

// What a block's time can rest on.
const (
	// TimeClaimed: one operator said so.
	TimeClaimed TimeBasis = ""
	// TimeDisputed: operators said different times, and no two of them the same.
	TimeDisputed TimeBasis = "disputed"
	// TimeAgreed: two operators said the same.
	TimeAgreed TimeBasis = "agreed"
	// TimeProven: the header that holds the time gives the block's hash.
	TimeProven TimeBasis = "proven"
)

// Established tells whether a time is believed as it is.
func (b TimeBasis) Established() bool { return b == TimeAgreed || b == TimeProven }

// ClockSlack is how far ahead of our own clock a block's time may be on one operator's word.
const ClockSlack = 2 * time.Minute

// TimeBounds are the times that a block cannot be before or after. The zero time bounds nothing.
type TimeBounds struct {
	NotBefore time.Time // the believed time of a block below it
	NotAfter  time.Time
}

// BelievedTime is the time that every rule uses which needs this block's time: what is proven or agreed, else what was said, kept
// within the bounds. Where the bounds contradict each other NotBefore counts: a chain's time does not go back. altered tells whether
// the block was said to have another time.
func (r BlockRef) BelievedTime(bounds TimeBounds) (believed time.Time, altered bool) {
	believed = r.Time
	if r.TimeBasis.Established() {
		return believed, false
	}
	if !bounds.NotAfter.IsZero() && believed.After(bounds.NotAfter) {
		believed = bounds.NotAfter
	}
	if believed.Before(bounds.NotBefore) {
		believed = bounds.NotBefore
	}
	return believed, !believed.Equal(r.Time)
}

// FirstSeen is the time by which a payment is on time or late: the earlier of its block's believed time and the time at which it was
// first recorded. Whoever says that a block is from the future makes nobody late.
func FirstSeen(believed, recorded time.Time) time.Time {
	if recorded.Before(believed) {
		return recorded
	}
	return believed
}
