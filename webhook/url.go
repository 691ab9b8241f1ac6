package webhook

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/sluicepay/sluice/payment"
)

// MaxURL is the longest callback URL that is taken, in bytes.
const MaxURL = 2048

// paramCallbackURL is the request field that URL errors point at.
const paramCallbackURL = "callback_url"

// lowestOpenPort is the first port that is taken besides 80 and 443: below it are
// the ports of mail, name and login services, which no merchant listens on.
const lowestOpenPort = 1024

// internalSuffixes are names that by standard or habit never leave a network.
var internalSuffixes = []string{
	"localhost", "localdomain", "local", "internal", "intranet", "lan", "home", "corp", "private", "home.arpa",
}

// ValidateURL checks a callback URL with no target excepted; see
// [Targets.ValidateURL].
func ValidateURL(raw string) error { return Targets{}.ValidateURL(raw) }

// ValidateURL checks a callback URL before it is stored. It looks at the text only
// and resolves nothing: what a name points to is checked each time it is dialled.
//
// It returns a *payment.Error with param callback_url and one of two codes:
// invalid_callback_url for what is no plain absolute http or https URL (it has
// credentials or a fragment, is longer than MaxURL, holds characters outside ASCII
// or an unusual port), and callback_target_forbidden for a host that is, encodes or
// names a place inside a network. The error does not repeat the URL.
func (t Targets) ValidateURL(raw string) error {
	_, err := t.parseURL(raw)
	return err
}

// parseURL checks as ValidateURL does and returns the URL.
func (t Targets) parseURL(raw string) (*url.URL, error) {
	if len(raw) > MaxURL {
		return nil, invalidURL("is longer than %d bytes", MaxURL)
	}
	for _, c := range []byte(raw) {
		if c <= ' ' || c >= 0x7f || c == '\\' {
			return nil, invalidURL("holds a space, a control character, a backslash or a character outside ASCII")
		}
	}
	u, err := url.Parse(raw)
	if err != nil {
		return nil, invalidURL("is not a URL") // url.Parse's error repeats the text
	}
	switch {
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, invalidURL("must begin with http:// or https://")
	case u.Opaque != "" || u.Host == "":
		return nil, invalidURL("has no host")
	case u.User != nil:
		return nil, invalidURL("must not hold credentials")
	case strings.Contains(raw, "#"):
		return nil, invalidURL("must not have a fragment")
	}
	if err := t.checkHost(u); err != nil {
		return nil, err
	}
	return u, nil
}

// checkHost checks the host and port of a URL that is otherwise fine.
func (t Targets) checkHost(u *url.URL) error {
	host, port, err := hostPort(u)
	if err != nil {
		return err
	}
	if t.allows(host, port) {
		return nil
	}
	if n, _ := strconv.Atoi(port); n < lowestOpenPort && n != 80 && n != 443 {
		return invalidURL("must use port 80, 443 or one from %d: lower ones belong to services that are no web servers, such as mail", lowestOpenPort)
	}
	if addr, err := netip.ParseAddr(host); err == nil {
		if addr.Zone() != "" || forbiddenAddr(addr) {
			return forbiddenTarget("points at an address that is not public: loopback, private, link-local, or in a form that hides one")
		}
		return nil
	}
	return checkName(strings.ToLower(host))
}

// checkName refuses names that mean the machine itself or its network, and those
// that a resolver would read as a number.
func checkName(name string) error {
	if !validHostname(name) {
		return invalidURL("has a host that is no plain name (write international names in their xn-- form, without a trailing dot)")
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if isDigits(last) || strings.HasPrefix(last, "0x") {
		return forbiddenTarget("writes an address in an unusual form")
	}
	for _, suffix := range internalSuffixes {
		if name == suffix || strings.HasSuffix(name, "."+suffix) {
			return forbiddenTarget("names a host inside a network")
		}
	}
	if last == name {
		return forbiddenTarget("names a host without a domain")
	}
	return nil
}

// hostPort splits a URL's host as written and adds the scheme's port.
func hostPort(u *url.URL) (host, port string, err error) {
	host, port = u.Hostname(), u.Port()
	switch {
	case port == "" && strings.HasSuffix(u.Host, ":"):
		return "", "", invalidURL("has an empty port")
	case port == "" && u.Scheme == "https":
		port = "443"
	case port == "":
		port = "80"
	case !validPort(port):
		return "", "", invalidURL("has a port outside 1 to 65535")
	}
	return host, port, nil
}

func invalidURL(format string, args ...any) error {
	return payment.E(payment.CodeInvalidCallbackURL, paramCallbackURL, "callback_url "+format, args...)
}

func forbiddenTarget(message string) error {
	return payment.E(payment.CodeCallbackTargetForbidden, paramCallbackURL, "callback_url %s", message)
}
