package story

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"

	"github.com/sluicepay/sluice/devstack/term"
)

// What is asked for in the three orders.
const (
	unpaidAmount = "1.00"
	tokenAmount  = "25.00"
	nativeAmount = "0.01"
)

// How long the orders run, and how long their ends are waited for before something must be broken: a paid order takes a few
// blocks, the unpaid one its whole life (the shortest that the API takes) and the blocks that prove that its time has passed.
const (
	shortLife  = 60 * time.Second
	paidLife   = 15 * time.Minute
	paidWithin = 5 * time.Minute
	endsWithin = shortLife + paidWithin
)

var (
	paidEvents    = []string{"order.created", "order.payment_detected", "order.paid"}
	expiredEvents = []string{"order.created", "order.expired"}
)

// play is one performance.
type play struct {
	world World
	out   *term.Printer
	hooks *receiver
	api   *client
}

// Play plays the story and prints it. The error says what did not happen as it should.
func Play(ctx context.Context, w World, out *term.Printer) error {
	hooks, err := listen(w.Receiver)
	if err != nil {
		return err
	}
	defer hooks.close()
	p := &play{world: w, out: out, hooks: hooks}
	if err := p.cast(ctx); err != nil {
		return err
	}
	unpaid, err := p.unpaid(ctx)
	if err != nil {
		return err
	}
	if err := p.paid(ctx, "Second order: paid in a token", w.First, w.First.TokenCode, tokenAmount); err != nil {
		return err
	}
	if err := p.paid(ctx, "Third order: paid in the coin of another chain", w.Second, w.Second.Native, nativeAmount); err != nil {
		return err
	}
	if err := p.expired(ctx, unpaid); err != nil {
		return err
	}
	return p.books(ctx)
}

// cast introduces the merchant.
func (p *play) cast(ctx context.Context) error {
	m, back, err := p.world.enter(ctx, p.hooks.url)
	if err != nil {
		return err
	}
	if err := p.hooks.trust(m.Secret); err != nil {
		return err
	}
	p.api = newClient(p.world.API, m.Key)
	if !back {
		p.out.Title("A merchant opens", "")
		p.out.Row("merchant", m.ID, "")
		p.out.Row("API key", masked(m.Key), "kept in "+p.world.Memory)
		p.out.Row("webhooks", m.Endpoint, "verified with the Standard Webhooks library")
		return nil
	}
	p.out.Title("The merchant is back", "")
	p.out.Row("merchant", m.ID, "")
	p.out.Row("webhooks", m.Endpoint, "verified with the Standard Webhooks library")
	earlier, err := p.api.orders(ctx)
	if err != nil {
		return err
	}
	for _, o := range earlier[:min(len(earlier), shownBefore)] {
		p.out.Row("earlier order", o.ID, o.Amount+" "+o.Asset+", "+o.State)
	}
	if more := len(earlier) - shownBefore; more > 0 {
		p.out.Row("", fmt.Sprintf("and %d more", more), "")
	}
	return nil
}

// shownBefore is how many of the merchant's earlier orders are listed.
const shownBefore = 6

// masked shows enough of a key to recognise it.
func masked(key string) string {
	if len(key) < 16 {
		return "…"
	}
	return key[:12] + "…"
}

// post creates an order and shows it, up to the first callback.
func (p *play) post(ctx context.Context, title string, on Chain, asset, amount string, life time.Duration) (*scene, error) {
	p.out.Title(title, amount+" "+asset+" on "+on.Name)
	began := time.Now()
	created, err := p.api.postOrder(ctx, "demo-"+rand.Text(), orderRequest{
		Chain: on.Name, Asset: asset, Amount: amount,
		ExpiresIn: int(life / time.Second),
		Reference: "demo", Metadata: map[string]string{"played": time.Now().UTC().Format(time.RFC3339)},
	})
	if err != nil {
		return nil, err
	}
	s := newScene(p.api, p.hooks, p.out, created, began)
	p.out.Row(s.at(), "posted "+created.ID, created.State)
	p.out.Row("", "pay to "+created.Address, "until "+created.ExpiresAt.Local().Format(time.TimeOnly))
	if page := p.world.page(created.ID); page != "" {
		p.out.Row("", page, "")
	}
	return s, s.follow(ctx, ending{state: "awaiting_payment", events: []string{"order.created"}, within: paidWithin})
}

// paid plays an order that is paid exactly.
func (p *play) paid(ctx context.Context, title string, on Chain, asset, amount string) error {
	payer, err := on.fund(ctx, tokenAmount)
	if err != nil {
		return err
	}
	defer payer.close()
	s, err := p.post(ctx, title, on, asset, amount, paidLife)
	if err != nil {
		return err
	}
	tx, err := payer.pay(ctx, s.order)
	if err != nil {
		return err
	}
	p.out.Row(s.at(), "the payer sends "+amount+" "+asset, "transaction "+tx[:10]+"…")
	if err := s.follow(ctx, ending{state: "paid", events: paidEvents, within: paidWithin}); err != nil {
		return err
	}
	if len(s.credited) != 1 || s.order.Received != s.order.Amount {
		return fmt.Errorf("order %s over %s was credited %d payments and says that it received %s",
			s.order.ID, s.order.Amount, len(s.credited), s.order.Received)
	}
	return nil
}

// unpaid posts the order that nobody pays.
func (p *play) unpaid(ctx context.Context) (*scene, error) {
	s, err := p.post(ctx, "First order: nobody will pay it", p.world.First, p.world.First.TokenCode, unpaidAmount, shortLife)
	if err != nil {
		return nil, err
	}
	p.out.Row("", "its end is shown at the end", "")
	return s, nil
}

// expired shows the end of the order that nobody paid.
func (p *play) expired(ctx context.Context, s *scene) error {
	p.out.Title("First order again", "its minute ends at "+s.order.ExpiresAt.Local().Format(time.TimeOnly))
	p.out.Waiting("", "waiting")
	return s.follow(ctx, ending{state: "expired", events: expiredEvents, within: endsWithin})
}
