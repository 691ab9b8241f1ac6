package webhook

import (
	"net/http"
	"net/url"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/sluicepay/sluice/internal/redact"
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

// excerpt makes the beginning of a reply fit to be stored and shown: at most
// MaxExcerpt bytes of whole characters, without secrets. Invisible characters go
// first: taking one out from within a secret would put that together again.
func excerpt(head []byte, secrets redact.Redactor) string {
	text := secrets.CleanHead(sanitize(head), MaxExcerpt)
	text = strings.ToValidUTF8(text[:min(len(text), MaxExcerpt)], "") // a character that was cut
	return strings.TrimSpace(text)
}

// secretsOf knows what a receiver should not have repeated: what lets callers in at
// its URL, or at the one that it redirects to, and the secrets that sign. Support
// needs none of them to see what is wrong.
func secretsOf(target *url.URL, reply *http.Response, signing []Secret) redact.Redactor {
	secrets := capabilities(target)
	if location := reply.Header.Get("Location"); location != "" {
		if next, err := target.Parse(location); err == nil {
			secrets = append(secrets, capabilities(next)...)
		} else {
			secrets = append(secrets, location)
		}
	}
	for _, s := range signing {
		secrets = append(secrets, s.Reveal(), strings.TrimPrefix(s.Reveal(), secretPrefix))
	}
	return redact.New(secrets...)
}

// tokenLength is the length from which a part of a path is taken for a token. Shorter
// ones are mostly words.
const tokenLength = 16

// capabilities are the parts of a URL of which whoever knows them may call it.
func capabilities(u *url.URL) []string {
	secrets := redact.Credentials(u)
	for _, path := range []string{u.Path, u.EscapedPath()} {
		for part := range strings.SplitSeq(path, "/") {
			if len(part) >= tokenLength {
				secrets = append(secrets, part)
			}
		}
	}
	return secrets
}

// sanitize makes text of bytes: invalid UTF-8 becomes U+FFFD, line ends and tabs
// become spaces, and control, format (bidirectional and invisible ones among them),
// private and unassigned characters go.
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
		out.WriteRune(r)
	}
	return out.String()
}

func isDigits(s string) bool {
	for _, c := range []byte(s) {
		if c < '0' || c > '9' {
			return false
		}
	}
	return s != ""
}
