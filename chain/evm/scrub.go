package evm

import (
	"net/url"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxNodeText bounds what is kept of a text that a node sent.
const maxNodeText = 200

// scrubber removes what a URL is made of from texts of strangers.
type scrubber struct {
	secrets []string // longest first
}

func newScrubber(urls ...*url.URL) *scrubber {
	var secrets []string
	for _, u := range urls {
		if u == nil {
			continue
		}
		secrets = append(secrets, u.String(), u.Host, u.Hostname(), u.User.Username(), u.RawQuery)
		if password, ok := u.User.Password(); ok {
			secrets = append(secrets, password)
		}
		secrets = append(secrets, strings.Split(u.Hostname(), ".")...)
		secrets = append(secrets, strings.Split(u.Path, "/")...)
		secrets = append(secrets, strings.Split(u.EscapedPath(), "/")...)
		for _, values := range u.Query() {
			secrets = append(secrets, values...)
		}
	}
	// Shorter pieces are words like "v3" or "eth", and no key.
	secrets = slices.DeleteFunc(secrets, func(s string) bool { return len(s) < 6 })
	slices.SortFunc(secrets, func(a, b string) int { return len(b) - len(a) })
	return &scrubber{secrets: slices.Compact(secrets)}
}

// clean makes a stranger's text fit for a log: secrets and control characters out,
// on one line, not long.
func (s *scrubber) clean(text string) string {
	text = strings.ToValidUTF8(text, "?")
	for _, secret := range s.secrets {
		text = strings.ReplaceAll(text, secret, "[redacted]")
	}
	text = printable(text)
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
