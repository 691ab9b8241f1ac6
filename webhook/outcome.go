package webhook

import (
	"net/http"
	"time"
)

// Outcome names how an attempt ended. The package documentation says what follows
// from each.
type Outcome string

// The outcomes of an attempt.
const (
	OutcomeDelivered       Outcome = "delivered"
	OutcomeGone            Outcome = "gone"
	OutcomeRedirect        Outcome = "redirect"
	OutcomeRetry           Outcome = "retry"
	OutcomeRefusedTarget   Outcome = "refused_target"
	OutcomeDNSError        Outcome = "dns_error"
	OutcomeConnectionError Outcome = "connection_error"
	OutcomeTLSError        Outcome = "tls_error"
	OutcomeTimeout         Outcome = "timeout"
	OutcomeBadReply        Outcome = "bad_reply"
)

// Outcomes lists every outcome, in the order of the package documentation.
func Outcomes() []Outcome {
	return []Outcome{
		OutcomeDelivered, OutcomeGone, OutcomeRedirect, OutcomeRetry, OutcomeRefusedTarget,
		OutcomeDNSError, OutcomeConnectionError, OutcomeTLSError, OutcomeTimeout, OutcomeBadReply,
	}
}

// Verdict is what an outcome asks of the caller.
type Verdict string

// The verdicts: the callback is settled; the endpoint asked never to be called
// again; another attempt is due by the schedule.
const (
	VerdictSettled Verdict = "settled"
	VerdictDisable Verdict = "disable_endpoint"
	VerdictRetry   Verdict = "retry"
)

// Verdict returns what the outcome asks of the caller.
func (o Outcome) Verdict() Verdict {
	switch o {
	case OutcomeDelivered:
		return VerdictSettled
	case OutcomeGone:
		return VerdictDisable
	default:
		return VerdictRetry
	}
}

// Result is what one attempt led to. It holds no URL and no secret.
type Result struct {
	Outcome Outcome
	// Status is the reply's HTTP status, 0 when no reply header arrived.
	Status int
	// Latency is the time from the start of the attempt to the reply's header, or
	// to the failure.
	Latency time.Duration
	// Excerpt is the beginning of the reply's body, at most MaxExcerpt bytes of
	// valid UTF-8 without control and bidirectional characters; what it repeats of
	// the signing secrets, and of the tokens in the URL, is masked. It is the
	// receiver's text: escape it wherever it is shown.
	Excerpt string
	// RetryAfter is the wait the reply asked for, between 0 and MaxRetryAfter; 0
	// when it asked for none, or when the outcome leaves nothing to retry.
	RetryAfter time.Duration
}

// outcomeOfStatus names the outcome of a reply by its status.
func outcomeOfStatus(status int) Outcome {
	switch {
	case status >= http.StatusOK && status < http.StatusMultipleChoices:
		return OutcomeDelivered
	case status == http.StatusGone:
		return OutcomeGone
	case status >= http.StatusMultipleChoices && status < http.StatusBadRequest:
		return OutcomeRedirect
	default:
		return OutcomeRetry
	}
}
