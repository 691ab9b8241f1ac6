package evm

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/ethereum/go-ethereum/rpc"
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

// refused learns from the refusal of a batch of so many calls. It tells whether less can be
// asked for.
func (b *batchLimit) refused(calls int, altogether bool, now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.single {
		return false
	}
	if calls == 1 || altogether {
		b.most, b.single = 1, true
	} else {
		b.most = max(calls/2, 1)
	}
	b.changed = now
	return true
}

// batch makes the calls in as few JSON-RPC batches as allowed, in order, at most
// limit in each, and in smaller ones, or one by one, where the endpoint refuses those. It
// returns an error when a whole batch failed; a failure of one call alone is left in it.
func (s *Source) batch(ctx context.Context, limit int, calls ...*call) error {
	for len(calls) > 0 {
		size, single := s.batches.size(limit, time.Now())
		size = min(size, len(calls))
		part, send := calls[:size], s.send
		if single {
			send = s.sendSingly
		}
		err := send(ctx, part)
		if err != nil {
			refusal, altogether := refusesBatch(err)
			if refusal && s.batches.refused(size, altogether, time.Now()) {
				continue
			}
			return err
		}
		calls = calls[size:]
	}
	return nil
}

// refusesBatch tells whether an error means that there were too many calls in a batch, or
// that there may be none altogether.
func refusesBatch(err error) (refusal, altogether bool) {
	failure, ok := errors.AsType[*batchError](err)
	if !ok {
		return false, false
	}
	text := strings.ToLower(failure.message)
	if !strings.Contains(text, "batch") {
		return failure.status == http.StatusRequestEntityTooLarge, false
	}
	return true, containsAny(text, "not supported", "unsupported", "not allowed", "disabled", "not enabled", "no batch")
}

// batchError is an error that the node spelled out for a batch as a whole.
type batchError struct {
	*nodeError

	named error
}

func (e *batchError) Error() string { return e.named.Error() }

// Unwrap returns the error by its reason.
func (e *batchError) Unwrap() error { return e.named }

// wholeBatch names the error of a batch, and keeps what the node said about it.
func (s *Source) wholeBatch(method string, err error) error {
	named := s.callError(method, err)
	if failure, ok := errors.AsType[*nodeError](err); ok {
		return &batchError{nodeError: failure, named: named}
	}
	return named
}

// sendSingly sends calls without a batch, one after the other.
func (s *Source) sendSingly(ctx context.Context, calls []*call) error {
	limited, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	client, err := s.connect(limited)
	if err != nil {
		return err
	}
	for _, c := range calls {
		err := client.CallContext(limited, &c.result, c.method, c.args...)
		switch {
		case err == nil:
		case ctx.Err() != nil:
			return ctx.Err()
		case isAnswer(err):
			c.err = s.callError(c.method, err)
		default:
			return s.callError(c.method, err)
		}
	}
	return nil
}

// isAnswer tells an error that the node answered a call with from one of the connection.
func isAnswer(err error) bool {
	if failure, ok := errors.AsType[*nodeError](err); ok {
		return failure.status == 0
	}
	_, ok := errors.AsType[rpc.Error](err)
	return ok
}
