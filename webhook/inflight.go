package webhook

import (
	"context"
	"errors"
	"net/netip"
	"sync"
)

// ErrBusy is wrapped by the error of an attempt that was not begun, because the address that its server resolves to has as many
// requests in flight as it may. Many names and ports can be one address, which no URL shows.
var ErrBusy = errors.New("webhook: the address is busy")

// How many requests of this process may be in flight to one address: of one account, and in all.
const (
	accountAddressMost = 8
	addressMost        = 64
)

// inflight counts requests by the address that they were dialled to.
type inflight struct {
	mu     sync.Mutex
	counts map[lane]int
}

// lane is one account's requests to an address, or with no account everybody's.
type lane struct {
	account string
	address netip.Addr
}

// held are the addresses that one attempt counts for.
type held struct {
	in        *inflight
	account   string
	addresses map[netip.Addr]bool
	ended     bool
}

type heldKey struct{}

// begin returns a context whose connections count for an account until end is called.
func (in *inflight) begin(ctx context.Context, account string) (attempt context.Context, h *held) {
	h = &held{in: in, account: account, addresses: map[netip.Addr]bool{}}
	return context.WithValue(ctx, heldKey{}, h), h
}

// claim counts the attempt of a context for an address, once. Error: ErrBusy, unless it has a connection already.
func claim(ctx context.Context, address string, connected bool) error {
	h, ok := ctx.Value(heldKey{}).(*held)
	at, err := netip.ParseAddrPort(address)
	if !ok || err != nil {
		return nil //nolint:nilerr // not an attempt of ours, or no address of the Internet
	}
	return h.claim(at.Addr().Unmap().WithZone(""), connected)
}

func (h *held) claim(address netip.Addr, connected bool) error {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	own, all := lane{h.account, address}, lane{address: address}
	switch {
	case h.ended || h.addresses[address]: // a dial that outlives its attempt counts for nobody
		return nil
	case !connected && (h.in.counts[own] >= accountAddressMost || h.in.counts[all] >= addressMost):
		return ErrBusy
	}
	if h.in.counts == nil {
		h.in.counts = map[lane]int{}
	}
	h.addresses[address] = true
	h.in.counts[own]++
	h.in.counts[all]++
	return nil
}

// end gives back what the attempt counted for.
func (h *held) end() {
	h.in.mu.Lock()
	defer h.in.mu.Unlock()
	h.ended = true
	for address := range h.addresses {
		for _, l := range []lane{{h.account, address}, {address: address}} {
			if h.in.counts[l]--; h.in.counts[l] == 0 {
				delete(h.in.counts, l)
			}
		}
	}
}
