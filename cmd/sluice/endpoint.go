package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/process"
	"github.com/sluicepay/sluice/store"
	"github.com/sluicepay/sluice/webhook"
)

type endpointEnable struct {
	Endpoint string `arg:"" placeholder:"whk_…" help:"Which endpoint."`
	audited
}

// Run lets the endpoint be called again.
func (e endpointEnable) Run(ctx context.Context, c console) error {
	id, err := payment.ParseEndpointID(e.Endpoint)
	if err != nil {
		return err
	}
	return withAdmin(ctx, e.audited, func(a admin) error {
		if err := a.db.EnableEndpoint(ctx, id, a.by, ""); err != nil {
			return err
		}
		fmt.Fprintln(c.out, id, "is enabled; what was parked meanwhile waits for the update redeliver")
		return nil
	})
}

// callbackTarget is embedded by what grants one merchant a target inside the operator's network.
type callbackTarget struct {
	Merchant string `required:"" placeholder:"mer_…" help:"Whose."`
	Mode     string `required:"" enum:"test,live" help:"Of which orders (${enum})."`
	Target   string `arg:"" placeholder:"HOST:PORT" help:"Exactly as its callback URLs spell it."`
	audited
}

func (t callbackTarget) apply(
	ctx context.Context, c console, done string, change func(*store.DB, context.Context, store.CallbackTarget, process.By) error,
) error {
	merchant, err := payment.ParseMerchantID(t.Merchant)
	if err != nil {
		return err
	}
	target, err := webhook.ParseTarget(t.Target)
	if err != nil {
		return err
	}
	return withAdmin(ctx, t.audited, func(a admin) error {
		err := change(a.db, ctx, store.CallbackTarget{Merchant: merchant, Mode: payment.Mode(t.Mode), Target: target}, a.by)
		if err != nil {
			return err
		}
		fmt.Fprintf(c.out, "%s callbacks of %s %s %s\n", t.Mode, merchant, done, target)
		return nil
	})
}

type endpointAllow struct{ callbackTarget }

// Run grants the target.
func (e endpointAllow) Run(ctx context.Context, c console) error {
	return e.apply(ctx, c, "may reach", (*store.DB).AllowTarget)
}

type endpointDeny struct{ callbackTarget }

// Run takes the grant back.
func (e endpointDeny) Run(ctx context.Context, c console) error {
	return e.apply(ctx, c, "no longer reach", (*store.DB).DenyTarget)
}

type endpointList struct {
	Merchant string `required:"" placeholder:"mer_…" help:"Whose."`
}

// Run lists endpoints, and what the operator allowed.
func (e endpointList) Run(ctx context.Context, c console) error {
	merchant, err := payment.ParseMerchantID(e.Merchant)
	if err != nil {
		return err
	}
	return withAdmin(ctx, audited{}, func(a admin) error {
		endpoints, err := a.db.ListEndpoints(ctx, merchant)
		if err != nil {
			return err
		}
		for _, endpoint := range endpoints {
			of, state := "all orders", "in use"
			if endpoint.OrdersOnly {
				of = "orders that name it"
			}
			if endpoint.Disabled {
				state = "disabled: " + endpoint.DisabledReason
			}
			fmt.Fprintf(c.out, "%s  %s  %s  %s  %s\n", endpoint.ID, endpoint.Mode, endpoint.URL, of, state)
		}
		for _, mode := range []payment.Mode{payment.ModeLive, payment.ModeTest} {
			targets, err := a.db.CallbackTargets(ctx, merchant, mode)
			if err != nil {
				return err
			}
			for _, target := range targets {
				fmt.Fprintf(c.out, "allowed  %s  %s\n", mode, target)
			}
		}
		return nil
	})
}
