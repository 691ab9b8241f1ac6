package evm

import (
	"net/url"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/sluicepay/sluice/internal/redact"
)

// maxNodeText bounds what is kept of a text that a node sent.
const maxNodeText = 200

// scrubber removes what a URL is made of from texts of strangers.
type scrubber struct{ secrets redact.Redactor }

func newScrubber(urls ...*url.URL) *scrubber {
	var secrets []string
	for _, u := range urls {
		if u == nil {
			continue
		}
		secrets = append(secrets, u.String(), u.Host, u.Hostname())
		secrets = append(secrets, redact.Credentials(u)...)
		secrets = append(secrets, strings.Split(u.Hostname(), ".")...)
		secrets = append(secrets, strings.Split(u.Path, "/")...)
		secrets = append(secrets, strings.Split(u.EscapedPath(), "/")...)
	}
	return &scrubber{secrets: redact.New(secrets...)}
}

// clean makes a stranger's text fit for a log: control characters and secrets out,
// on one line, not long. Control characters go first: taking one out from within a
// secret would put that together again.
func (s *scrubber) clean(text string) string {
	text = s.secrets.Clean(printable(strings.ToValidUTF8(text, "?")))
	if len(text) > maxNodeText {
		cut := maxNodeText
		for !utf8.RuneStart(text[cut]) {
			cut--
		}
		text = text[:cut] + "…"
	}
	return text
}

// printable removes control, formatting (bidirectional among them) and private
// characters, and makes one space of each run of white space.
func printable(text string) string {
	text = strings.Join(strings.Fields(text), " ")
	return strings.Map(func(r rune) rune {
		if r == ' ' || unicode.IsPrint(r) {
			return r
		}
		return -1
	}, text)
}
