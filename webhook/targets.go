package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ErrTarget is wrapped by every error of ParseTargets.
var ErrTarget = errors.New("webhook: invalid entry in the list of allowed callback targets")

// Targets is the list of callback targets that the guard lets through although
// they are inside the operator's network, for a merchant system that runs next to
// this one. An entry is an exact host and port and matches a callback URL that
// spells the same host and port; it is never a range, a wildcard or a switch. An
// entry that is an address does not cover names that resolve to it. The zero value
// lets nothing through. It is safe for concurrent use.
type Targets struct {
	allowed map[string]struct{}
}

// ParseTargets reads a comma-separated list of host:port, with IPv6 addresses in
// brackets. An empty list is no exception at all. Errors wrap ErrTarget.
func ParseTargets(list string) (Targets, error) {
	var t Targets
	if strings.TrimSpace(list) == "" {
		return t, nil
	}
	t.allowed = make(map[string]struct{})
	for i, entry := range strings.Split(list, ",") {
		host, port, err := net.SplitHostPort(strings.TrimSpace(entry))
		if err != nil || !validPort(port) || !validTargetHost(host) {
			return Targets{}, fmt.Errorf("%w: entry %d is not an exact host:port", ErrTarget, i+1)
		}
		t.allowed[targetKey(host, port)] = struct{}{}
	}
	return t, nil
}

// UnmarshalText reads a list from configuration, as ParseTargets does.
func (t *Targets) UnmarshalText(text []byte) error {
	parsed, err := ParseTargets(string(text))
	if err != nil {
		return err
	}
	*t = parsed
	return nil
}

// allows tells whether a host and port, as a URL spells them, are on the list.
func (t Targets) allows(host, port string) bool {
	_, ok := t.allowed[targetKey(host, port)]
	return ok
}

// targetKey folds case only: resolving or rewriting the host here would make one
// entry stand for several spellings.
func targetKey(host, port string) string {
	return net.JoinHostPort(strings.ToLower(host), port)
}

func validTargetHost(host string) bool {
	if addr, err := netip.ParseAddr(host); err == nil {
		return addr.Zone() == ""
	}
	return validHostname(strings.ToLower(host))
}

// validPort takes 1 to 65535 without leading zeros.
func validPort(port string) bool {
	n, err := strconv.ParseUint(port, 10, 16)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == port
}

// validHostname takes lower-case ASCII names of letters, digits, hyphens and
// underscores, without a trailing dot.
func validHostname(name string) bool {
	if name == "" || len(name) > 253 {
		return false
	}
	for label := range strings.SplitSeq(name, ".") {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, c := range []byte(label) {
			switch {
			case c >= 'a' && c <= 'z', c >= '0' && c <= '9', c == '-', c == '_':
			default:
				return false
			}
		}
	}
	return true
}
