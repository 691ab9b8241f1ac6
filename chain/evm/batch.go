package evm

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"time"
)

// relearn is after how long an endpoint is tried with batches twice as large as those
// that it took so far.
const relearn = 10 * time.Minute

// batchLimit is how many calls an endpoint takes at once, as far as it has refused. The
// zero value knows no limit.
type batchLimit struct {
	mu      sync.Mutex
	most    int  // 0: no limit
	single  bool // not even a batch of one: calls are sent as they are
	changed time.Time
}

// size bounds a batch, and tells whether calls are to be sent without one.
func (b *batchLimit) size(wanted int, now time.Time) (size int, single bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.most > 0 && now.Sub(b.changed) >= relearn {
		b.most, b.single, b.changed = 2*b.most, false, now
	}
	if b.most > 0 {
		wanted = min(wanted, b.most)
	}
	return wanted, b.single
}

// refused learns from the refusal of a batch of so many calls, in the words of the node. It tells whether less can be asked
// for.
func (b *batchLimit) refused(calls int, words string, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	stated := statedLimit(words, calls)
	switch {
	case b.single:
		return false
	case stated > 0:
		b.most = stated
	case calls == 1 || containsAny(words, "not supported", "unsupported", "not allowed", "disabled", "not enabled", "no batch"):
		b.most, b.single = 1, true
	default:
		b.most = calls / 2
	}
	b.changed = now
	return true
}

var numbers = regexp.MustCompile(`\b[0-9]{1,6}\b`)

// statedLimit is the number of calls that the refusal of so many says may be in a batch, 0 when it does not say: the largest
// below what was asked for.
func statedLimit(words string, calls int) int {
	stated := 0
	for _, digits := range numbers.FindAllString(words, -1) {
		if n, _ := strconv.Atoi(digits); n < calls {
			stated = max(stated, n)
		}
	}
	return stated
}

// batch makes the calls in as few JSON-RPC batches as allowed, in order, at most
// limit in each, and in smaller ones, or one by one, where the endpoint refuses those. It
// returns an error when a whole batch failed; a failure of one call alone is left in it.
func (s *Source) batch(ctx context.Context, limit int, calls ...*call) error {
	in := s.newIntake()
	defer in.close()
	for len(calls) > 0 {
		size, single := s.batches.size(limit, time.Now())
		size = min(size, len(calls))
		err := s.send(ctx, in, calls[:size], single)
		if refusal := refusalOfBatch(calls[:size], err); refusal != nil {
			if s.batches.refused(size, strings.ToLower(refusal.message), time.Now()) {
				continue
			}
		} else if size > 1 && err == nil && tooLargeTogether(calls[:size]) {
			limit = size / 2 // this time: it is these answers, and not their number
			continue
		}
		if err != nil {
			return err
		}
		calls = calls[size:]
	}
	return nil
}

// refusalOfBatch is what the node said when it means that there were too many calls in a batch, or that there may be none
// altogether: instead of all answers, or as that of a call.
func refusalOfBatch(calls []*call, err error) *nodeError {
	if failure, ok := errors.AsType[*nodeError](err); ok {
		if refusesBatch(failure, len(calls)) {
			return failure
		}
		return nil
	}
	for _, c := range calls {
		if failure, ok := errors.AsType[*nodeError](c.err); err == nil && ok && refusesBatch(failure, 1) {
			return failure
		}
	}
	return nil
}

// refusesBatch reads an error that so many calls were answered with.
func refusesBatch(e *nodeError, calls int) bool {
	text := strings.ToLower(e.message)
	switch {
	case e.status == http.StatusTooManyRequests || e.code == codeTooManyRequests || isPace(text):
		return false
	case e.status == http.StatusRequestEntityTooLarge:
		return true
	case e.status >= http.StatusInternalServerError:
		return false
	case strings.Contains(text, "batch"):
		return true
	}
	// What is answered to a list by those who know no lists, and by those who count without a word for it.
	return calls > 1 && (e.code == codeInvalidRequest || e.code == codeParse ||
		strings.Contains(text, "requests") && statedLimit(text, calls) > 0)
}

// tooLargeTogether tells whether calls were refused because the answers were too large, which may be those before them.
func tooLargeTogether(calls []*call) bool {
	for _, c := range calls {
		if failure, ok := errors.AsType[*nodeError](c.err); ok && failure.code == codeAnswerTooLarge {
			return true
		}
	}
	return false
}
