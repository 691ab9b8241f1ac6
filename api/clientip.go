package api

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"
)

// clientIP is who sent a request: the peer, unless it is a trusted proxy; then whom the proxies say they forward for.
// X-Forwarded-For is read from the right, where the nearest proxy wrote, and only as far as the proxies are trusted: what
// stands further left, the client may have written itself. The zero Addr is nobody known.
func clientIP(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := peer.Addr().Unmap().WithZone("")
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !containsIP(trusted, address) {
			break
		}
		next, err := netip.ParseAddr(strings.TrimSpace(hop))
		if err != nil {
			break
		}
		address = next.Unmap().WithZone("")
	}
	return address
}

func containsIP(prefixes []netip.Prefix, address netip.Addr) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Contains(address) })
}
