package main

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

type merchantCommands struct {
	Create     merchantCreate     `cmd:"" help:"Add a merchant."`
	List       merchantList       `cmd:"" help:"List merchants."`
	Disable    merchantDisable    `cmd:"" help:"Take no new orders of a merchant. Open ones go on; its keys still read and cancel."`
	Enable     merchantEnable     `cmd:"" help:"Take a merchant's orders again."`
	TestSecret merchantTestSecret `cmd:"" help:"Give a merchant of an older release, whose test callbacks shared the live secret, one of their own."`
}

type merchantCreate struct {
	Name            string        `required:"" help:"What the merchant is called."`
	PaymentPolicy   string        `enum:"available,hold" default:"available" help:"Where confirmed money goes first (${enum})."`
	LatePolicy      string        `enum:"fulfil,credit_only,hold" default:"credit_only" help:"What money after expiry does (${enum})."`
	LateWindow      time.Duration `default:"24h" help:"How long an order itself takes late money."`
	ToleranceBPS    int           `name:"tolerance-bps" help:"How much less than due still fulfils an order, in basis points."`
	MaxOpenOrders   int           `default:"1000" help:"Cap on open orders, in each mode."`
	OrdersPerMinute int           `default:"120" help:"Cap on orders made in a minute, in each mode."`

	RequestsPerMinute int `default:"1200" help:"Cap on requests in a minute, in each mode and API process."`
	audited
	printed
}

// Run adds the merchant and prints its id, and the secrets that sign callbacks to URLs that orders name: one for each mode.
func (m merchantCreate) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, m.audited, func(a admin) error {
		id := payment.NewMerchantID()
		live, test := webhook.NewSecret(), webhook.NewSecret()
		sealedTest := a.keys.Seal([]byte(test.Reveal()), store.MerchantSecretPlace(id, payment.ModeTest))
		err := a.db.CreateMerchant(ctx, store.NewMerchant{
			ID: id, Name: m.Name,
			PaymentPolicy: payment.PaymentPolicy(m.PaymentPolicy), LatePolicy: payment.LatePolicy(m.LatePolicy),
			LateWindow: &m.LateWindow, ToleranceBPS: m.ToleranceBPS,
			MaxOpenOrders: m.MaxOpenOrders, OrdersPerMinute: m.OrdersPerMinute, RequestsPerMinute: m.RequestsPerMinute,
			CallbackSecret:     a.keys.Seal([]byte(live.Reveal()), store.MerchantSecretPlace(id, payment.ModeLive)),
			TestCallbackSecret: &sealedTest,
		}, a.by)
		if err != nil {
			return err
		}
		return m.show(c, field{"merchant_id", string(id)}, field{"callback_secret", live.Reveal()}, field{"test_callback_secret", test.Reveal()})
	})
}

type merchantTestSecret struct {
	Merchant string `arg:"" placeholder:"mer_…" help:"Whose."`
	audited
	printed
}

// Run makes the secret and shows it once.
func (m merchantTestSecret) Run(ctx context.Context, c console) error {
	id, err := payment.ParseMerchantID(m.Merchant)
	if err != nil {
		return err
	}
	return withAdmin(ctx, m.audited, func(a admin) error {
		secret := webhook.NewSecret()
		sealed := a.keys.Seal([]byte(secret.Reveal()), store.MerchantSecretPlace(id, payment.ModeTest))
		if err := a.db.GiveTestSecret(ctx, id, sealed, a.by); err != nil {
			return err
		}
		return m.show(c, field{"merchant_id", string(id)}, field{"test_callback_secret", secret.Reveal()})
	})
}

type endpointCommands struct {
	Create endpointCreate `cmd:"" help:"Add a URL that a merchant's callbacks go to."`
	List   endpointList   `cmd:"" help:"List a merchant's endpoints, why one is disabled, and what was allowed."`
	Enable endpointEnable `cmd:"" help:"Call an endpoint again that was disabled."`
	Allow  endpointAllow  `cmd:"" help:"Let one merchant's callbacks reach an exact host and port inside your network."`
	Deny   endpointDeny   `cmd:"" help:"Take that back."`
}

type endpointCreate struct {
	Merchant string   `required:"" placeholder:"mer_…" help:"Whose."`
	Mode     string   `required:"" enum:"test,live" help:"Of which orders (${enum})."`
	URL      string   `name:"url" xor:"url" required:"" help:"http or https; private addresses only after endpoint allow."`
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
	mode := payment.Mode(e.Mode)
	if e.URLFile != "" {
		text, err := readSecretFile(e.URLFile, c.in)
		if err != nil {
			return fmt.Errorf("--url-file: %w", err)
		}
		e.URL = strings.TrimSpace(text)
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		if err := checkTarget(ctx, a, merchant, mode, e.URL); err != nil {
			return err
		}
		id := payment.NewEndpointID()
		secret := webhook.NewSecret()
		result, err := a.db.CreateEndpoint(ctx, store.NewEndpoint{
			ID: id, Merchant: merchant, Mode: mode, URL: e.URL, Events: slices.Compact(events),
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

// checkTarget checks a callback URL against what the merchant was allowed.
func checkTarget(ctx context.Context, a admin, merchant payment.MerchantID, mode payment.Mode, url string) error {
	granted, err := a.db.CallbackTargets(ctx, merchant, mode)
	if err != nil {
		return err
	}
	targets, err := webhook.NewTargets(granted)
	if err != nil {
		return err
	}
	if err := targets.ValidateURL(url); err != nil {
		return fmt.Errorf("--url: %w", err)
	}
	return nil
}
