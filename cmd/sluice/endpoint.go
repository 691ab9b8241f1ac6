package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
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

type endpointList struct {
	Merchant string `required:"" placeholder:"mer_…" help:"Whose."`
}

// Run lists endpoints.
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
		return nil
	})
}
