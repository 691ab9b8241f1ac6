package rpcpool

import "time"

// What is learnt from refusals for asking too often.
const (
	// limitShortest and limitLongest bound how long an endpoint is left alone that did not say how long it wants to be.
	limitShortest = time.Second
	limitLongest  = time.Minute
	// limitAsked bounds what an endpoint may ask for.
	limitAsked = 10 * time.Minute
	// budgetFloor is the least rate that is learnt, in calls a minute.
	budgetFloor = 30
	// budgetWindow is how far back the rate is measured that was too much.
	budgetWindow = 10 * time.Second
	// budgetGrowth is after how long without a refusal the rate is tried a quarter higher.
	budgetGrowth = 30 * time.Second
	// budgetBurst is how many seconds of the rate may be spent at once.
	budgetBurst = 5
)

// budget is how often an endpoint may be asked: without a limit until it refuses, then at a rate somewhat below the one
// that it refused, which grows again, up to there and beyond, as long as it does not refuse once more. Whoever asks may go
// into debt, because what a question costs is only known roughly: the next one waits for the debt to be paid. The zero
// value has no limit. It is guarded by the pool.
type budget struct {
	blocked  time.Time     // asks for nothing until then
	pause    time.Duration // for how long it was blocked the last time
	rate     int64         // calls a minute; 0: no limit
	refused  int64         // the rate that was refused the last time
	tokens   int64         // thousandths of a call
	filled   time.Time     // when tokens were last added
	grown    time.Time     // when the rate last changed
	spent    int64         // calls since the window began
	window   time.Time
	lastSpan int64 // calls in the window before
}

// admits tells whether a question may be asked now, and how long until it may otherwise.
func (b *budget) admits(now time.Time) (bool, time.Duration) {
	if now.Before(b.blocked) {
		return false, b.blocked.Sub(now)
	}
	if b.rate == 0 {
		return true, 0
	}
	b.fill(now)
	if b.tokens > 0 {
		return true, 0
	}
	missing := 1 - b.tokens // thousandths of a call
	return false, time.Duration(missing) * time.Minute / time.Duration(1000*b.rate)
}

// fill adds the tokens of the time that has passed, and lets the rate grow.
func (b *budget) fill(now time.Time) {
	passed := min(max(now.Sub(b.filled), 0), time.Minute)
	if added := int64(passed * time.Duration(b.rate) / (time.Minute / 1000)); added > 0 {
		b.tokens, b.filled = min(b.tokens+added, b.burst()), now
	}
	for now.Sub(b.grown) >= budgetGrowth && b.rate > 0 {
		b.grown = b.grown.Add(budgetGrowth)
		b.rate += max(b.rate/4, 1)
		if b.rate > 4*b.refused {
			b.rate = 0 // the limit is somebody else's, or was lifted
		}
	}
}

func (b *budget) burst() int64 { return max(b.rate*1000*budgetBurst/60, 1000) }

// spend takes note of so many calls.
func (b *budget) spend(now time.Time, calls int) {
	if now.Sub(b.window) >= budgetWindow {
		b.lastSpan, b.spent = b.spent, 0
		if now.Sub(b.window) >= 2*budgetWindow {
			b.lastSpan = 0
		}
		b.window = now
	}
	b.spent += int64(calls)
	if b.rate > 0 {
		b.tokens -= 1000 * int64(calls)
	}
}

// limited learns from a refusal. after is how long the endpoint asked to be left alone, 0 when it did not say.
func (b *budget) limited(now time.Time, after time.Duration) {
	if now.Before(b.blocked) {
		return // an answer to a question that was asked before the refusal
	}
	if after > 0 {
		b.pause = min(after, limitAsked)
	} else {
		b.pause = min(max(2*b.pause, limitShortest), limitLongest)
	}
	b.blocked = now.Add(b.pause)
	span := max(now.Sub(b.window), time.Second)
	measured := max(b.spent*int64(time.Minute/span), b.lastSpan*int64(time.Minute/budgetWindow))
	if b.rate > 0 {
		measured = min(measured, b.rate)
	}
	b.refused = max(measured, budgetFloor)
	b.rate = max(b.refused*7/10, budgetFloor)
	b.tokens, b.filled, b.grown = b.burst(), b.blocked, b.blocked
}

// answered forgets how long the last pause was.
func (b *budget) answered() { b.pause = 0 }
