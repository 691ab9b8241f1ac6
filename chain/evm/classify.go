package evm

import (
	"compress/flate"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"

	"github.com/sluicepay/sluice/chain"
)

// JSON-RPC error codes that say something by themselves.
const (
	codeParse           = -32700
	codeInvalidRequest  = -32600
	codeMethodNotFound  = -32601
	codeNodeTimeout     = -32002 // geth
	codeAnswerTooLarge  = -32003 // geth, inside a batch
	codeLimitExceeded   = -32005 // EIP-1474; some providers use it for rates, some for results
	codeTooManyRequests = 429
	codePruned          = 4444 // EIP-4444: history that the node does not keep
)

// transportError names a failure of the connection without its text, which holds
// the URL.
func transportError(err error) error {
	if reason, ok := errors.AsType[chain.ReasonError](err); ok {
		return reason
	}
	switch {
	case errors.Is(err, context.Canceled):
		return context.Canceled
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, syscall.ETIMEDOUT):
		return chain.ErrTimeout
	case errors.Is(err, syscall.ECONNREFUSED):
		return fmt.Errorf("%w: connection refused", chain.ErrUnavailable)
	case isCutOff(err):
		return fmt.Errorf("%w: answer cannot be read to its end", chain.ErrMalformed)
	}
	if timeout, ok := errors.AsType[net.Error](err); ok && timeout.Timeout() {
		return chain.ErrTimeout
	}
	return fmt.Errorf("%w: connection failed", chain.ErrUnavailable)
}

func isCutOff(err error) bool {
	if _, ok := errors.AsType[flate.CorruptInputError](err); ok {
		return true
	}
	return errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, gzip.ErrHeader) || errors.Is(err, gzip.ErrChecksum)
}

// spelledOutError is an error that a node spelled out, by its name. Its text is fit for anybody.
type spelledOutError struct {
	*nodeError

	named error
}

func (e *spelledOutError) Error() string { return e.named.Error() }

// Unwrap returns the named error, and what the node said.
func (e *spelledOutError) Unwrap() []error { return []error{e.named, e.nodeError} }

// callError gives the error of a call its reason. The node's words are kept, as
// far as they are printable and no part of the URL.
func (s *Source) callError(method string, err error) error {
	failure, ok := errors.AsType[*nodeError](err)
	if !ok {
		return fmt.Errorf("%s: %w", method, transportError(err))
	}
	named := fmt.Errorf("%s: %w (status %d, code %d): %s", method, reasonOf(method, failure),
		failure.status, failure.code, s.scrub.clean(failure.message))
	if failure.after > 0 {
		named = &chain.RetryError{After: failure.after, Err: named}
	}
	return &spelledOutError{nodeError: failure, named: named}
}

// reasonOf reads what nodes and providers mean. They agree on nothing, so words
// decide; the more specific ones first, because "limit" and "range" are in most of
// them. Where it is unclear the wrong guess must do no harm: a range that is taken
// for too large is only asked for in smaller parts.
func reasonOf(method string, e *nodeError) chain.ReasonError {
	text := strings.ToLower(e.message)
	switch {
	case e.code == codeMethodNotFound || containsAny(text, "method not found", "does not exist/is not available"):
		return chain.ErrUnsupported
	case e.status == http.StatusTooManyRequests || e.code == codeTooManyRequests || isRate(text):
		return chain.ErrRateLimited
	case isUnknownBlock(text):
		return chain.ErrBlockUnknown
	case strings.Contains(text, "indexing is in progress"): // of transactions: geth, also while there is none to index
		return chain.ErrReceiptMissing
	case e.code == codePruned || isPruned(text):
		return chain.ErrUnsupported
	case e.code == codeAnswerTooLarge || e.status == http.StatusRequestEntityTooLarge || containsAny(text, "response too large", "batch too large", "response is too big"):
		return chain.ErrTooLarge
	case method == methodGetLogs && (e.code == codeLimitExceeded || e.code == codeNodeTimeout || isRange(text)):
		return chain.ErrRangeTooLarge
	case e.code == codeLimitExceeded:
		return chain.ErrRateLimited
	case containsAny(text, "not supported", "unsupported"), strings.HasPrefix(method, "debug_") && isNoTrace(e, text):
		return chain.ErrUnsupported
	case e.code == codeNodeTimeout || containsAny(text, "timed out", "timeout") || e.status == http.StatusGatewayTimeout:
		return chain.ErrTimeout
	default:
		return chain.ErrUnavailable
	}
}

func isRate(text string) bool {
	return isPace(text) || containsAny(text, "too many requests", "requests per", "request limit", "quota", "daily", "credits", "capacity")
}

// isPace is for what can mean nothing else than how often a node is asked.
func isPace(text string) bool {
	return containsAny(text, "rate limit", "rate-limit", "ratelimit", "request rate", "rate exceeded", "rate is limited",
		"per second", "compute units", "throughput")
}

// isPruned is for blocks that the node had and does not keep.
func isPruned(text string) bool {
	return containsAny(text, "pruned history", "history pruned", "history has been pruned", "history expired", "history is not available", "block is pruned")
}

func isUnknownBlock(text string) bool {
	return containsAny(text, "unknown block", "block not found", "header not found", "header for hash not found",
		"could not find block", "cannot find block", "beyond current head", "beyond the head", "block does not exist", "unfinalized")
}

// isNoTrace is for endpoints that do not trace, not for this customer, or not so far
// back because they keep no state of old blocks.
func isNoTrace(e *nodeError, text string) bool {
	return e.status == http.StatusForbidden || e.status == http.StatusUnauthorized || e.status == http.StatusNotFound ||
		containsAny(text, "not available", "not allowed", "not enabled", "disabled", "forbidden", "unauthorized", "upgrade",
			"archive", "historical state", "state not available", "state is not available", "missing trie node", "pruned",
			"tracer not found", "not whitelisted", "unknown method", "invalid method", "no such method")
}

func isRange(text string) bool {
	return containsAny(text, "range", "too many", "too large", "too big", "too wide", "limit", "exceed", "more than", "maximum", "max ",
		"query returned", "response size", "block span", "blocks distance", "timed out", "timeout", "up to")
}

func containsAny(text string, words ...string) bool {
	for _, word := range words {
		if strings.Contains(text, word) {
			return true
		}
	}
	return false
}
