package main

import (
	"context"
	"fmt"

	"github.com/sluicepay/sluice/payment"
	"github.com/sluicepay/sluice/store"
)

// What each switch says, so that nobody takes it for the end of watching.
const (
	takesNone  = "takes no new orders; it is watched, and money is credited, as before"
	takesAgain = "takes orders again"
)

type chainDisable struct{ chainNamed }

// Run lets the chain take no new orders.
func (d chainDisable) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, d.audited, func(a admin) error {
		if err := a.db.SetChainOrders(ctx, d.Name, false, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, d.Name, takesNone)
		return nil
	})
}

// tokenSwitched is embedded by the switches of an asset.
type tokenSwitched struct {
	Code  string `arg:"" help:"Its name, such as USDC; the coin's too."`
	Chain string `required:"" help:"On which chain."`
	audited
}

func (t tokenSwitched) set(ctx context.Context, c console, takesOrders bool, said string) error {
	return withAdmin(ctx, t.audited, func(a admin) error {
		if err := a.db.SetAssetOrders(ctx, t.Chain, t.Code, takesOrders, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, t.Code, "on", t.Chain, said)
		return nil
	})
}

type tokenDisable struct{ tokenSwitched }

// Run lets the asset take no new orders.
func (d tokenDisable) Run(ctx context.Context, c console) error {
	return d.set(ctx, c, false, takesNone)
}

type tokenEnable struct{ tokenSwitched }

// Run lets the asset take orders again.
func (e tokenEnable) Run(ctx context.Context, c console) error {
	return e.set(ctx, c, true, takesAgain)
}

// merchantSwitched is embedded by the switches of a merchant.
type merchantSwitched struct {
	Merchant string `arg:"" placeholder:"mer_…" help:"Which merchant."`
	audited
}

func (m merchantSwitched) set(ctx context.Context, c console, takesOrders bool, said string) error {
	id, err := payment.ParseMerchantID(m.Merchant)
	if err != nil {
		return err
	}
	return withAdmin(ctx, m.audited, func(a admin) error {
		if err := a.db.SetMerchantOrders(ctx, id, takesOrders, a.by); err != nil {
			return err
		}
		fmt.Fprintln(c.out, id, said)
		return nil
	})
}

type merchantDisable struct{ merchantSwitched }

// Run lets the merchant create no orders.
func (d merchantDisable) Run(ctx context.Context, c console) error {
	return d.set(ctx, c, false, "creates no new orders; open ones go on, and its keys still read and cancel")
}

type merchantEnable struct{ merchantSwitched }

// Run lets the merchant create orders again.
func (e merchantEnable) Run(ctx context.Context, c console) error {
	return e.set(ctx, c, true, "creates orders again")
}

type merchantList struct {
	JSON bool `name:"json" help:"Print one JSON object."`
}

// Run lists merchants, oldest first.
func (l merchantList) Run(ctx context.Context, c console) error {
	return withAdmin(ctx, audited{}, func(a admin) error {
		merchants, err := a.db.ListMerchants(ctx)
		if err != nil {
			return err
		}
		return printPage(c, paged{JSON: l.JSON}, store.Page[store.MerchantInfo]{Items: merchants}, []column[store.MerchantInfo]{
			{"MERCHANT", func(m store.MerchantInfo) string { return string(m.ID) }},
			{"SINCE", func(m store.MerchantInfo) string { return when(m.CreatedAt) }},
			{"ORDERS", func(m store.MerchantInfo) string {
				if m.Disabled {
					return "disabled"
				}
				return "taken"
			}},
			{"NAME", func(m store.MerchantInfo) string { return foreign(m.Name) }},
		})
	})
}
