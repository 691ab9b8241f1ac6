package scan

import "time"

// Policy bounds how the scanner goes about a chain. A zero field takes its
// default.
type Policy struct {
	// NearHead is how many of the newest blocks are read one by one; what is below is
	// read in ranges. Default 32.
	NearHead uint64
	// MaxRange is the most blocks asked for at once; Session.MaxRange lowers it.
	// Default 500.
	MaxRange uint64
	// MaxBatch is the most candidates recorded in one transaction, as long as that is
	// more than one block. Default 5,000.
	MaxBatch int
	// MinPoll and MaxPoll bound the poll interval, which is the chain's block time.
	// Defaults 250 ms and 15 s.
	MinPoll, MaxPoll time.Duration
	// MinBackoff and MaxBackoff bound the wait after a failure, which doubles with each
	// one in a row. Defaults 250 ms and 30 s. A node that asks for more gets it, up to
	// MaxRetryAfter, default 2 min.
	MinBackoff, MaxBackoff, MaxRetryAfter time.Duration
	// MaxRescanBackoff takes the place of MaxBackoff for a rescan, each of which waits by
	// itself. Default 5 min.
	MaxRescanBackoff time.Duration
	// A block that cannot be read is given up on after this many failures over at least
	// this time, while those beside it are answered for. Defaults 20 and 2 min.
	QuarantineFailures int
	QuarantineAfter    time.Duration
	// FinalEvery is the time between two questions about what is final. Default 30 s.
	FinalEvery time.Duration
	// A second look waits until it is about SecondLookBlocks blocks, or SecondLookEvery has passed since the last one, unless
	// an open order waits for it; there are never two within SecondLookPause. Defaults 32, 5 min and 1 s.
	SecondLookBlocks                 uint64
	SecondLookEvery, SecondLookPause time.Duration
	// Beside other work a second look is about SecondLookMost blocks at most, and it never takes longer than SecondLookTimeout:
	// new blocks wait for it. Defaults 100 and 20 s.
	SecondLookMost    uint64
	SecondLookTimeout time.Duration
	// Where internal transfers cannot be seen, at most BalanceBudget balances are compared each BalanceEvery, when there
	// is nothing else to do. Defaults 100 and 1 min.
	BalanceBudget int
	BalanceEvery  time.Duration
}

func (p Policy) withDefaults() Policy {
	setDefault(&p.NearHead, 32)
	setDefault(&p.MaxRange, 500)
	setDefault(&p.MaxBatch, 5_000)
	setDefault(&p.MinPoll, 250*time.Millisecond)
	setDefault(&p.MaxPoll, 15*time.Second)
	setDefault(&p.MinBackoff, 250*time.Millisecond)
	setDefault(&p.MaxBackoff, 30*time.Second)
	setDefault(&p.MaxRetryAfter, 2*time.Minute)
	setDefault(&p.MaxRescanBackoff, 5*time.Minute)
	setDefault(&p.QuarantineFailures, 20)
	setDefault(&p.QuarantineAfter, 2*time.Minute)
	setDefault(&p.FinalEvery, 30*time.Second)
	setDefault(&p.SecondLookBlocks, 32)
	setDefault(&p.SecondLookEvery, 5*time.Minute)
	setDefault(&p.SecondLookPause, time.Second)
	setDefault(&p.SecondLookMost, 100)
	setDefault(&p.SecondLookTimeout, 20*time.Second)
	setDefault(&p.BalanceBudget, 100)
	setDefault(&p.BalanceEvery, time.Minute)
	return p
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

func (p Policy) poll(blockTime time.Duration) time.Duration {
	return min(max(blockTime, p.MinPoll), p.MaxPoll)
}

// backoff is the wait after the n-th failure in a row, n from 1.
func (p Policy) backoff(n int, asked time.Duration) time.Duration {
	wait := p.MinBackoff
	for range n - 1 {
		if wait >= p.MaxBackoff {
			break
		}
		wait *= 2
	}
	return max(min(wait, p.MaxBackoff), min(asked, p.MaxRetryAfter))
}

// rescanBackoff is the wait after a rescan's n-th failure in a row.
func (p Policy) rescanBackoff(n int, asked time.Duration) time.Duration {
	p.MaxBackoff = p.MaxRescanBackoff
	return p.backoff(n, asked)
}
