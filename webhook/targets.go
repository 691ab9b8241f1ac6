package webhook

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// ErrTarget is wrapped by every error of NewTargets and ParseTarget.
var ErrTarget = errors.New("webhook: invalid entry in the list of allowed callback targets")

// Targets is the list of callback targets that the guard lets through for one
// merchant although they are inside the operator's network, for a merchant system
// that runs next to this one. An entry is an exact host and port and matches a callback URL that
// spells the same host and port; it is never a range, a wildcard or a switch. An
// entry that is an address does not cover names that resolve to it. The zero value
// lets nothing through. It is safe for concurrent use.
type Targets struct {
	allowed map[string]struct{}
}

// NewTargets reads a list of host:port, with IPv6 addresses in brackets. An empty
// list is no exception at all. Errors wrap ErrTarget.
func NewTargets(list []string) (Targets, error) {
	var t Targets
	for i, entry := range list {
		key, err := ParseTarget(entry)
		if err != nil {
			return Targets{}, fmt.Errorf("entry %d: %w", i+1, err)
		}
		if t.allowed == nil {
			t.allowed = make(map[string]struct{})
		}
		t.allowed[key] = struct{}{}
	}
	return t, nil
}

// ParseTarget returns an exact host:port in the one spelling in which it is kept.
// Errors wrap ErrTarget.
func ParseTarget(entry string) (string, error) {
	host, port, err := net.SplitHostPort(strings.TrimSpace(entry))
	if err != nil || !validPort(port) || !validTargetHost(host) {
		return "", fmt.Errorf("%w: not an exact host:port", ErrTarget)
	}
	return targetKey(host, port), nil
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
