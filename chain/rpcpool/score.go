package rpcpool

import "time"

// How fast the averages follow: one in so many of a new value counts.
const (
	latencyShare = 5
	errorShare   = 8
)

// perMille is one whole.
const perMille = 1000

// oftenFails is the share of failures from which on others are asked first.
const oftenFails = perMille / 4

// slowestFactor bounds what slowness takes from an endpoint's weight: it stays measured, so that it can become quick again.
const slowestFactor = 10

// score is how an endpoint has done lately. The zero value knows nothing. It is guarded by the pool.
type score struct {
	latency time.Duration // average of header reads, whose cost is the same everywhere
	failing int64         // average share of questions that failed, in thousandths
}

func (s *score) took(d time.Duration) {
	if s.latency == 0 {
		s.latency = max(d, 1)
		return
	}
	s.latency += (d - s.latency) / latencyShare
}

func (s *score) succeeded() { s.failing -= (s.failing + errorShare - 1) / errorShare }

func (s *score) failed() { s.failing += (perMille - s.failing) / errorShare }

// share is an endpoint's part in a draw: its weight, less for errors and for being slower than the quickest one. It is
// positive for every positive weight.
func (s *score) share(weight int, quickest time.Duration) int64 {
	slower := int64(perMille)
	if s.latency > 0 && quickest > 0 {
		slower = max(perMille*int64(quickest)/int64(s.latency), perMille/slowestFactor)
	}
	return max(int64(weight)*(perMille-s.failing)*min(slower, perMille)/perMille, 1)
}
