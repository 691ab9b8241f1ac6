package main

import (
	"net/netip"
	"net/url"
	"strings"

	"golang.org/x/net/publicsuffix"
)

// maxOperator is the longest name of an operator.
const maxOperator = 64

// operators are who runs each node: as given, or after the domain in its URL. Two URLs of one domain are one operator.
func (e chainEnable) operators() []string {
	names := make([]string, len(e.RPC))
	for i, raw := range e.RPC {
		if len(e.Operator) > 0 {
			names[i] = e.Operator[min(i, len(e.Operator)-1)]
		} else {
			names[i] = operatorOf(raw)
		}
	}
	return names
}

// operatorOf names who runs a node after the domain that its URL is registered under. What stands before that may be a key,
// and is left out: so is a path. An address without a domain is its own name.
func operatorOf(raw string) string {
	parsed, err := url.Parse(raw)
	if err != nil || parsed.Hostname() == "" {
		return "unknown"
	}
	host := strings.ToLower(strings.TrimSuffix(parsed.Hostname(), "."))
	if _, err := netip.ParseAddr(host); err == nil {
		return host
	}
	domain := registrable(host)
	return domain[max(0, len(domain)-maxOperator):]
}

// registrable is the part of a host name that somebody has registered with a public registry. Names below which a company
// hands out names itself, as hosting providers do, are that company's: calling two of its customers one operator only asks
// for one operator more.
func registrable(host string) string {
	for {
		suffix, icann := publicsuffix.PublicSuffix(host)
		if icann || !strings.Contains(suffix, ".") {
			domain, err := publicsuffix.EffectiveTLDPlusOne(host)
			if err != nil {
				return host
			}
			return domain
		}
		if suffix == host {
			_, suffix, _ = strings.Cut(host, ".")
		}
		host = suffix
	}
}
