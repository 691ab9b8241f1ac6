// Package redact takes secrets out of texts that strangers wrote: the errors of nodes and the replies of receivers, which
// like to repeat the URL that they were called by.
package redact

import (
	"encoding/base64"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strings"
)

// Mask stands where a secret was.
const Mask = "[redacted]"

// minLength is the shortest text that is taken for a secret. Shorter pieces of URLs are words like "v3" or "eth".
const minLength = 6

// Redactor knows some secrets. The zero value knows none.
type Redactor struct{ secrets *regexp.Regexp }

// New knows secrets as they are and as they are written in URLs, HTML and JSON, in any case. Of overlapping ones the longest
// counts; those that are shorter than a few letters are left out.
func New(secrets ...string) Redactor {
	var spellings []string
	for _, secret := range secrets {
		spellings = append(spellings, secret, url.QueryEscape(secret), url.PathEscape(secret), html.EscapeString(secret), inJSON(secret))
	}
	spellings = slices.DeleteFunc(spellings, func(s string) bool { return len(s) < minLength })
	if len(spellings) == 0 {
		return Redactor{}
	}
	slices.SortFunc(spellings, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	spellings = slices.Compact(spellings)
	for i, s := range spellings {
		spellings[i] = regexp.QuoteMeta(strings.ToValidUTF8(s, "?"))
	}
	return Redactor{secrets: regexp.MustCompile("(?i)" + strings.Join(spellings, "|"))}
}

func inJSON(text string) string {
	quoted, err := json.Marshal(text)
	if err != nil {
		return text
	}
	return string(quoted[1 : len(quoted)-1])
}

// Clean masks the secrets in a text.
func (r Redactor) Clean(text string) string { return r.CleanHead(text, len(text)) }

// CleanHead is what is left of the first n bytes of a text once its secrets are masked. A secret that only begins among
// them is masked too, if the text goes on to its end.
func (r Redactor) CleanHead(text string, n int) string {
	n = min(n, len(text))
	if r.secrets == nil {
		return text[:n]
	}
	var out strings.Builder
	end := 0
	for _, at := range r.secrets.FindAllStringIndex(text, -1) {
		if at[0] >= n {
			break
		}
		out.WriteString(text[end:at[0]])
		out.WriteString(Mask)
		end = at[1]
	}
	if end < n {
		out.WriteString(text[end:n])
	}
	return out.String()
}

// Credentials are what of a URL lets somebody in, as it is and as it is written in the URL: user and password, what is sent
// in their place, the query and its values.
func Credentials(u *url.URL) []string {
	secrets := []string{u.RawQuery}
	if u.User != nil {
		password, _ := u.User.Password()
		secrets = append(secrets, u.User.String(), u.User.Username(), password,
			base64.StdEncoding.EncodeToString([]byte(u.User.Username()+":"+password)))
	}
	for _, values := range u.Query() {
		secrets = append(secrets, values...)
	}
	for pair := range strings.SplitSeq(u.RawQuery, "&") {
		_, value, _ := strings.Cut(pair, "=")
		secrets = append(secrets, value)
	}
	return secrets
}
