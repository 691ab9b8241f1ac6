package api

import "regexp"

// scrub takes out of an error's text what may be a secret, before it is logged: URLs (which carry keys in paths and
// queries), API keys, webhook secrets and extended keys. No error should hold any; foreign ones sometimes do.
func scrub(text string) string {
	secrets := regexp.MustCompile(`[a-zA-Z][a-zA-Z0-9+.-]*://\S+|\b(sk_(test|live)_|whsec_)\S+|\b[xtyz](pub|prv)[1-9A-HJ-NP-Za-km-z]{20,}`)
	return secrets.ReplaceAllString(text, "[hidden]")
}
