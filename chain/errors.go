package chain

import (
	"context"
	"errors"
	"time"
)

// ReasonError names why a source could not answer. The names go into logs,
// metrics and heartbeats: they are added, never renamed.
type ReasonError string

// Reasons that pass by themselves: ask again later.
const (
	// ErrUnavailable: the node did not answer, or answered with a failure of its own.
	ErrUnavailable ReasonError = "unavailable"
	// ErrTimeout: the node did not answer in time.
	ErrTimeout ReasonError = "timeout"
	// ErrRateLimited: the node wants to be asked less often; see RetryAfter.
	ErrRateLimited ReasonError = "rate_limited"
	// ErrBlockUnknown: the node has no such block: it lags behind, or the block was
	// reorganised away and forgotten. Find the block by its number again.
	ErrBlockUnknown ReasonError = "block_unknown"
	// ErrReceiptMissing: the node has the block and not yet the receipt.
	ErrReceiptMissing ReasonError = "receipt_missing"
	// ErrReorged: the chain changed while it was read, so the parts do not fit.
	ErrReorged ReasonError = "reorged"
)

// Reasons that the caller has to act upon.
const (
	// ErrRangeTooLarge: the node refuses so many blocks or results at once.
	ErrRangeTooLarge ReasonError = "range_too_large"
	// ErrUnsupported: the node does not know the method or the tag.
	ErrUnsupported ReasonError = "unsupported"
	// ErrInconsistent: the answer contradicts itself: the node lies or is broken.
	ErrInconsistent ReasonError = "inconsistent"
	// ErrDisagreement: operators contradict each other about a block that each has.
	ErrDisagreement ReasonError = "operators_disagree"
	// ErrMalformed: the answer cannot be read: no JSON, invalid UTF-8, a number above
	// 2^256-1, a hash of the wrong length, a missing or unmatched part of a batch.
	ErrMalformed ReasonError = "malformed"
	// ErrTooLarge: the answer exceeds the size limit.
	ErrTooLarge ReasonError = "answer_too_large"
	// ErrNoToken: there is no contract at the address, or it does not answer like a token.
	ErrNoToken ReasonError = "no_token"
	// ErrWrongChain: the node's chain id or genesis block is another chain's.
	ErrWrongChain ReasonError = "wrong_chain"
)

// Error is the reason's name.
func (e ReasonError) Error() string { return string(e) }

// Reason names the failure in err's chain: a ReasonError, "canceled" or
// "timeout" for a context's end, "internal" for anything else, "" for nil.
func Reason(err error) string {
	if err == nil {
		return ""
	}
	if reason, ok := errors.AsType[ReasonError](err); ok {
		return string(reason)
	}
	switch {
	case errors.Is(err, context.Canceled):
		return "canceled"
	case errors.Is(err, context.DeadlineExceeded):
		return string(ErrTimeout)
	default:
		return "internal"
	}
}

// RetryError adds to another error how long the node asked to be left alone.
type RetryError struct {
	After time.Duration
	Err   error
}

// Error is the text of the error inside.
func (e *RetryError) Error() string { return e.Err.Error() }

// Unwrap returns the error inside.
func (e *RetryError) Unwrap() error { return e.Err }

// RetryAfter is how long the node asked to be left alone, 0 when it did not say.
func RetryAfter(err error) time.Duration {
	if retry, ok := errors.AsType[*RetryError](err); ok {
		return retry.After
	}
	return 0
}
