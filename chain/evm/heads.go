package evm

import (
	"context"
	"time"

	"github.com/gorilla/websocket"
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

// mostOfHead bounds a message of a subscription.
const mostOfHead = 1 << 20

// followHeads passes heads on until the subscription breaks or stays silent for
// too long. It tells whether there was any head.
func (s *Source) followHeads(ctx context.Context, wake chan<- struct{}) bool {
	dialCtx, cancel := context.WithTimeout(ctx, s.opts.Timeout)
	defer cancel()
	conn, err := dialWebSocket(dialCtx, s.ws)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // whatever broke it, the caller subscribes again
	defer context.AfterFunc(ctx, func() { _ = conn.Close() })()
	conn.SetReadLimit(mostOfHead)
	if !s.subscribes(conn) {
		return false
	}
	// One wake-up at once: blocks may have come while there was no subscription.
	for alive := false; ; alive = true {
		select {
		case wake <- struct{}{}:
		default: // the last one was not taken yet
		}
		if _, err := message(conn, s.opts.Silence); err != nil {
			return alive
		}
	}
}

// subscribes asks for new heads, and tells whether the node agrees.
func (s *Source) subscribes(conn *websocket.Conn) bool {
	body, err := encode([]*call{{method: "eth_subscribe", args: []any{"newHeads"}}}, 1, true)
	if err != nil || conn.WriteMessage(websocket.TextMessage, body) != nil {
		return false
	}
	raw, err := message(conn, s.opts.Timeout)
	if err != nil {
		return false
	}
	answers, err := parse(raw)
	return err == nil && len(answers) == 1 && answers[0].failure() == nil && !isNull(answers[0].Result)
}

// message reads the next message, if it comes in time. What is in that of a head does not matter.
func message(conn *websocket.Conn, within time.Duration) ([]byte, error) {
	if err := conn.SetReadDeadline(time.Now().Add(within)); err != nil {
		return nil, err
	}
	_, raw, err := conn.ReadMessage()
	return raw, err
}
