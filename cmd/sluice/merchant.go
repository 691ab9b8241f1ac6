package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicepay/sluice/internal/config"
	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

type merchantCommands struct {
	Create  merchantCreate  `cmd:"" help:"Add a merchant."`
	List    merchantList    `cmd:"" help:"List merchants."`
	Disable merchantDisable `cmd:"" help:"Take no new orders of a merchant. Open ones go on; its keys still read and cancel."`
	Enable  merchantEnable  `cmd:"" help:"Take a merchant's orders again."`
}

type merchantCreate struct {
	Name            string        `required:"" help:"What the merchant is called."`
	PaymentPolicy   string        `enum:"available,hold" default:"available" help:"Where confirmed money goes first (${enum})."`
	LatePolicy      string        `enum:"fulfil,credit_only,hold" default:"credit_only" help:"What money after expiry does (${enum})."`
	LateWindow      time.Duration `default:"24h" help:"How long an order itself takes late money."`
	ToleranceBPS    int           `name:"tolerance-bps" help:"How much less than due still fulfils an order, in basis points."`
	MaxOpenOrders   int           `default:"1000" help:"Cap on open orders."`
	OrdersPerMinute int           `default:"120" help:"Cap on orders made in a minute."`
	audited
	printed
}

// Run adds the merchant and prints its id.
func (m merchantCreate) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, m.audited, func(a admin) error {
		id := payment.NewMerchantID()
		secret := webhook.NewSecret()
		err := a.db.CreateMerchant(ctx, store.NewMerchant{
			ID: id, Name: m.Name,
			PaymentPolicy: payment.PaymentPolicy(m.PaymentPolicy), LatePolicy: payment.LatePolicy(m.LatePolicy),
			LateWindow: &m.LateWindow, ToleranceBPS: m.ToleranceBPS,
			MaxOpenOrders: m.MaxOpenOrders, OrdersPerMinute: m.OrdersPerMinute,
			CallbackSecret: a.keys.Seal([]byte(secret.Reveal()), store.MerchantSecretPlace(id)),
		}, a.by)
		if err != nil {
			return err
		}
		return m.show(c, field{"merchant_id", string(id)}, field{"callback_secret", secret.Reveal()})
	})
}

type endpointCommands struct {
	Create endpointCreate `cmd:"" help:"Add a URL that a merchant's callbacks go to."`
	List   endpointList   `cmd:"" help:"List a merchant's endpoints, and why one is disabled."`
	Enable endpointEnable `cmd:"" help:"Call an endpoint again that was disabled."`
}

type endpointCreate struct {
	Merchant string   `required:"" placeholder:"mer_…" help:"Whose."`
	Mode     string   `required:"" enum:"test,live" help:"Of which orders (${enum})."`
	URL      string   `name:"url" xor:"url" required:"" help:"http or https; private addresses only if SLUICE_CALLBACK_ALLOW lists them."`
	URLFile  string   `name:"url-file" xor:"url" required:"" placeholder:"FILE" help:"A file with the URL, or - for standard input: for one that holds a token."`
	Events   []string `help:"Event types, comma-separated. Default: all."`
	audited
	printed
}

// Run adds the endpoint and prints its id and, once, its secret.
func (e endpointCreate) Run(ctx context.Context, c console) error {
	merchant, err := payment.ParseMerchantID(e.Merchant)
	if err != nil {
		return err
	}
	events := make([]payment.EventType, 0, len(e.Events))
	for _, text := range e.Events {
		event, err := payment.ParseEventType(strings.TrimSpace(text))
		if err != nil {
			return fmt.Errorf("--events: %w", err)
		}
		events = append(events, event)
	}
	if e.URLFile != "" {
		text, err := readSecretFile(e.URLFile, c.in)
		if err != nil {
			return fmt.Errorf("--url-file: %w", err)
		}
		e.URL = strings.TrimSpace(text)
	}
	targets, err := callbackTargets()
	if err != nil {
		return err
	}
	if err := targets.ValidateURL(e.URL); err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		id := payment.NewEndpointID()
		secret := webhook.NewSecret()
		result, err := a.db.CreateEndpoint(ctx, store.NewEndpoint{
			ID: id, Merchant: merchant, Mode: payment.Mode(e.Mode), URL: e.URL, Events: slices.Compact(events),
			Secret: a.keys.Seal([]byte(secret.Reveal()), store.EndpointSecretPlace(id)),
		}, a.by)
		if err != nil {
			return err
		}
		if result.Existed {
			return e.show(c, field{"endpoint_id", string(result.ID)}, field{"note", "this URL was an endpoint already and keeps its secret"})
		}
		return e.show(c, field{"endpoint_id", string(result.ID)}, field{"secret", secret.Reveal()})
	})
}

// callbackTargets reads the exceptions of the callback guard.
func callbackTargets() (webhook.Targets, error) {
	settings, err := config.Load[config.Callbacks]()
	if err != nil {
		return webhook.Targets{}, err
	}
	targets, err := webhook.ParseTargets(strings.Join(settings.Allow, ","))
	if err != nil {
		return webhook.Targets{}, fmt.Errorf("SLUICE_CALLBACK_ALLOW: %w", err)
	}
	return targets, nil
}
