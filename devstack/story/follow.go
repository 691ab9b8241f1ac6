package story

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/sluicepay/sluice/devstack/term"
)

// lookEvery is how often the API is asked while an order is followed.
const lookEvery = 100 * time.Millisecond

// scene is one order and what the watcher has been told of it.
type scene struct {
	api   *client
	hooks *receiver
	out   *term.Printer
	order order
	began time.Time

	told     int            // callbacks shown
	payments map[string]int // confirmations shown per payment
	credited map[string]bool
}

func newScene(api *client, hooks *receiver, out *term.Printer, o order, began time.Time) *scene {
	return &scene{
		api: api, hooks: hooks, out: out, order: o, began: began,
		payments: make(map[string]int), credited: make(map[string]bool),
	}
}

// ending is how an order is to end: its state, and the callbacks that have arrived by then, in this order.
type ending struct {
	state  string
	events []string
	within time.Duration
}

// follow shows what happens to the order until it has ended as it should.
func (s *scene) follow(ctx context.Context, want ending) error {
	deadline := time.NewTimer(want.within)
	defer deadline.Stop()
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		if err := s.look(ctx); err != nil {
			return err
		}
		reached, err := s.reached(want)
		if err != nil || reached {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-deadline.C:
			return fmt.Errorf("order %s is %s after %s with %d of %d callbacks; it should have ended as %s",
				s.order.ID, s.order.State, want.within, s.told, len(want.events), want.state)
		case <-ticker.C:
		case <-s.hooks.changed:
		}
	}
}

// look asks the API and the inbox, and shows what is new. Callbacks come last: they tell of what the API already shows.
func (s *scene) look(ctx context.Context) error {
	// The inbox first: what it tells of is then certainly in the API's answer.
	events, err := s.hooks.received(s.order.ID)
	if err != nil {
		return err
	}
	found, err := s.api.order(ctx, s.order.ID)
	if err != nil {
		return err
	}
	payments, err := s.api.payments(ctx, s.order.ID)
	if err != nil {
		return err
	}
	for _, p := range payments {
		s.showPayment(p)
	}
	if found.State != s.order.State {
		s.out.Row(s.at(), "order is now "+found.State, "")
	}
	s.order = found
	for _, event := range events[s.told:] {
		s.out.Good(after(event.at.Sub(s.began)), "callback "+event.Type, "signature verified")
	}
	s.told = len(events)
	return nil
}

// showPayment shows a payment's progress. Blocks come faster than looks now and then: every confirmation gets its line
// all the same.
func (s *scene) showPayment(p orderPayment) {
	shown, known := s.payments[p.ID]
	if !known {
		s.out.Row(s.at(), "payment detected: "+p.Amount+" "+p.Asset, fmt.Sprintf("block %d", p.BlockNumber))
	}
	credited := p.State == "credited"
	reached := min(p.Confirmations, p.ConfirmationsRequired)
	if credited {
		reached = p.ConfirmationsRequired
	}
	for ; shown < reached; shown++ {
		s.out.Row(s.at(), fmt.Sprintf("confirmation %d of %d", shown+1, p.ConfirmationsRequired), "")
	}
	s.payments[p.ID] = shown
	if credited && !s.credited[p.ID] {
		s.credited[p.ID] = true
		s.out.Good(s.at(), "credited: "+p.Amount+" "+p.Asset, "")
	}
}

// at is the time since the order was posted, as a label.
func (s *scene) at() string { return after(time.Since(s.began)) }

func after(d time.Duration) string { return fmt.Sprintf("+%7s", term.Seconds(max(d, 0))) }

func (s *scene) reached(want ending) (bool, error) {
	events, err := s.hooks.received(s.order.ID)
	if err != nil {
		return false, err
	}
	var got []string
	for _, event := range events {
		got = append(got, event.Type)
	}
	if len(got) > len(want.events) || !slices.Equal(got, want.events[:len(got)]) {
		return false, fmt.Errorf("order %s: callbacks came as %v, not as %v", s.order.ID, got, want.events)
	}
	if s.order.State != want.state || len(got) < len(want.events) || s.told < len(got) {
		return false, nil
	}
	if last := events[len(events)-1].Data.Order.State; last != want.state {
		return false, fmt.Errorf("order %s: the last callback says %s, the API says %s", s.order.ID, last, want.state)
	}
	return true, nil
}
