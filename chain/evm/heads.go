package evm

import (
	"context"
	"encoding/json"
	"time"
)

// Waits between two attempts to subscribe.
const (
	minResubscribe = time.Second
	maxResubscribe = 30 * time.Second
)

// SubscribeHeads implements chain.Source: a goroutine that ends with ctx keeps one
// subscription alive. It uses a connection of its own, so that a subscription that
// breaks disturbs no calls.
func (s *Source) SubscribeHeads(ctx context.Context) <-chan struct{} {
	if s.ws == nil {
		return nil
	}
	wake := make(chan struct{}, 1)
	go func() {
		wait := minResubscribe
		for ctx.Err() == nil {
			if s.followHeads(ctx, wake) {
				wait = minResubscribe
			}
			pause := time.NewTimer(wait)
			select {
			case <-ctx.Done():
				pause.Stop()
				return
			case <-pause.C:
			}
			wait = min(2*wait, maxResubscribe)
		}
	}()
	return wake
}

// followHeads passes heads on until the subscription breaks or stays silent for
// too long. It tells whether there was any head.
func (s *Source) followHeads(ctx context.Context, wake chan<- struct{}) bool {
	dialCtx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	client, err := s.dial(dialCtx, s.ws)
	if err != nil {
		return false
	}
	defer client.Close()
	heads := make(chan json.RawMessage, 16) // what is in them does not matter
	subscription, err := client.EthSubscribe(dialCtx, heads, "newHeads")
	if err != nil {
		return false
	}
	defer subscription.Unsubscribe()
	silence := time.NewTimer(s.opts.Silence)
	defer silence.Stop()
	// One wake-up at once: blocks may have come while there was no subscription.
	for alive := false; ; alive = true {
		select {
		case wake <- struct{}{}:
		default: // the last one was not taken yet
		}
		select {
		case <-ctx.Done():
			return alive
		case <-subscription.Err(): //nolint:errcheck // whatever broke it, the caller subscribes again
			return alive
		case <-silence.C:
			return alive
		case <-heads:
			silence.Reset(s.opts.Silence)
		}
	}
}
