package webhook

import (
	"net/http"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// MaxExcerpt is how many bytes of a reply's body are kept.
const MaxExcerpt = 1024

// ParseRetryAfter reads the value of a Retry-After header: a number of seconds or
// an HTTP date. It returns 0 for a value that is neither, or that lies in the
// past, and never more than MaxRetryAfter.
func ParseRetryAfter(value string, now time.Time) time.Duration {
	value = strings.TrimSpace(value)
	if value == "" {
		return 0
	}
	if isDigits(value) {
		return retryAfterSeconds(value)
	}
	at, err := http.ParseTime(value)
	if err != nil {
		return 0
	}
	return min(max(at.Sub(now), 0), MaxRetryAfter)
}

// retryAfterSeconds reads digits of any length without overflowing.
func retryAfterSeconds(digits string) time.Duration {
	var seconds time.Duration
	for _, c := range []byte(digits) {
		seconds = seconds*10 + time.Duration(c-'0')
		if seconds > MaxRetryAfter/time.Second {
			return MaxRetryAfter
		}
	}
	return seconds * time.Second //nolint:durationcheck // seconds is a count so far
}

// sanitize makes the beginning of a reply fit to be stored and shown: invalid
// UTF-8 becomes U+FFFD, line ends and tabs become spaces, and control, format
// (bidirectional and invisible ones among them), private and unassigned
// characters go. The result has at most MaxExcerpt bytes and ends on a whole
// character.
func sanitize(body []byte) string {
	var out strings.Builder
	for len(body) > 0 {
		r, size := utf8.DecodeRune(body)
		body = body[size:]
		switch {
		case r == '\n' || r == '\r' || r == '\t' || r == '\u2028' || r == '\u2029':
			r = ' '
		case r == utf8.RuneError: // also what an invalid byte decodes to
		case !unicode.IsGraphic(r):
			continue
		}
		if out.Len()+utf8.RuneLen(r) > MaxExcerpt {
			break
		}
		out.WriteRune(r)
	}
	return strings.TrimSpace(out.String())
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
