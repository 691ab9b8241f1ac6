package api

import "regexp"

// mask stands where a secret was.
const mask = "[hidden]"

// scrub takes out of a text what may be a secret, before it is logged or repeated: URLs (which carry keys in paths and
// queries), API keys, webhook secrets and extended keys. No error should hold any; foreign ones sometimes do, and clients
// put them in all places.
func scrub(text string) string {
	secrets := regexp.MustCompile(`(?i)[a-z][a-z0-9+.-]*://\S+|(sk_(test|live)_|whsec_)\S+|[xtyz](pub|prv)[1-9a-z]{20,}`)
	return secrets.ReplaceAllString(text, mask)
}
