package rpcpool

import (
	"context"
	"slices"
)

// SubscribeHeads implements chain.Source: it wakes when any of the endpoints that are there now does. The trusted head is
// the lowest one, so it is the last of them that matters, and nobody knows beforehand which one that will be.
func (p *Pool) SubscribeHeads(ctx context.Context) <-chan struct{} {
	p.mu.Lock()
	members := slices.Clone(p.members)
	p.mu.Unlock()
	wake := make(chan struct{}, 1)
	following := false
	for _, m := range members {
		own, end := context.WithCancel(ctx)
		heads := m.SubscribeHeads(own)
		if heads == nil {
			end()
			continue
		}
		following = true
		go func() {
			defer end()
			for {
				select {
				case <-own.Done():
					return
				case <-m.gone:
					return
				case <-heads:
				}
				select {
				case wake <- struct{}{}:
				default: // the last one was not taken yet
				}
			}
		}()
	}
	if !following {
		return nil
	}
	return wake
}
